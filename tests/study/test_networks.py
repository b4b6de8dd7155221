"""Networks by name, and those that were trained on images normalised in another way."""

import dataclasses

import pytest
import torch
from torch import nn

from lib import data, models
from lib.parameters import StudyError
from study import networks


@pytest.fixture(scope="module")
def colourful():
    """Digits in three channels of different spread."""
    digits = data.load("digits", 50)
    gains = torch.tensor([1.0, 0.5, 0.25])[:, None, None]
    return dataclasses.replace(
        digits,
        x_train=digits.x_train[:50] * gains,
        x_test=digits.x_test * gains,
        mean=digits.mean * gains.flatten(),
        std=digits.std * gains.flatten(),
    )


@pytest.mark.parametrize("unit", [1.0, 255.0])
def test_a_renormalised_network_sees_what_it_was_trained_on(colourful, unit):
    """(x / white - mean) / std to rounding, whatever the dataset's own normalisation; white is 255
    for bytes and 1 for images of floats."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    dataset = colourful
    if unit == 255:
        dataset = dataclasses.replace(dataset, x_test=(dataset.x_test * 15).byte())
    seen = networks.Renormalized(nn.Identity(), dataset, mean, std)
    got = seen(dataset.normalize(dataset.x_test))
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    torch.testing.assert_close(got, (dataset.x_test / unit - mean) / std, rtol=1e-4, atol=1e-4)


def test_by_name_with_one_number_for_all_channels_or_one_each(colourful):
    plain = networks.own("mlp-1-8", colourful)
    images = colourful.normalize(colourful.x_test)
    for text, mean in (("0.5", 0.5), ("0.5/0.5/0.5", 0.5), ("0.1/0.2/0.3", [0.1, 0.2, 0.3])):
        network = networks.own(f"mlp-1-8,mean={text},std=2", colourful)
        mean = torch.as_tensor(mean).reshape(-1, 1, 1)
        expected = plain((colourful.x_test - mean) / 2)
        torch.testing.assert_close(network(images), expected, rtol=1e-3, atol=1e-3)
        assert not network.training


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("mean=0.5", "network: got 'mlp-1-8,mean=0.5'; accepted: both mean and std"),
        ("size=3", "model: got 'mlp-1-8,size=3'"),
        ("mean=1,std=1,weights=no.pt", "weights: no.pt cannot be read"),
        ("mean=0.5,std=0", "std: got 0"),
        ("mean=0.5/0.5,std=1", "mean: got '0.5/0.5'; accepted: one number, or 3"),
        ("mean=red,std=1", "mean: got 'red'; accepted: float"),
        ("mean=.nan,std=1", "mean: got nan"),
        ("mean=,std=1", "mean: got None"),
    ],
)
def test_what_is_no_mean_and_std_is_one_line(colourful, options, said):
    with pytest.raises(StudyError) as caught:
        networks.own(f"mlp-1-8,{options}", colourful)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_weights_without_the_count_of_batches_fit(tmp_path):
    """As state dicts of before PyTorch counted them, and those that others wrote without."""
    digits = data.load("digits", 50)
    trained = models.build("resnet8-4", digits.image_shape, 10, seed=3).eval()
    state = {k: v for k, v in trained.state_dict().items() if "num_batches" not in k}
    assert len(state) < len(trained.state_dict())
    torch.save(state, tmp_path / "w.pt")
    file, images = tmp_path / "w.pt", digits.normalize(digits.x_test)
    for given in (("resnet8-4", digits, str(file)), (f"resnet8-4,weights={file}", digits)):
        loaded = networks.own(*given)
        torch.testing.assert_close(loaded(images), trained(images), rtol=0, atol=0)
