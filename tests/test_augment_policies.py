"""Policies, mixup and frequency perturbations, in the pipeline as training uses it."""

import numpy as np
import pytest
import torch
from torch import nn

from lib import augment, data, targets, training
from lib.augment import DRAWS, Pipeline
from lib.parameters import StudyError

CPU = torch.device("cpu")
POLICIES = ["randaugment:0", "randaugment:9", "randaugment:30", "autoaugment"]
every_channels = pytest.mark.parametrize("channels", [1, 3])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pixels(n=40, channels=3, size=16):
    return torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator(7))


def one_hot(n, classes=10):
    return torch.nn.functional.one_hot(torch.arange(n) % classes, classes).float()


@pytest.fixture
def colour(tmp_path):
    """The name of a dataset of 40 training images, 3 channels and 4 classes."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8), np.arange(60) % 4
    np.savez(tmp_path / "colour.npz", x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    return f"npz:{tmp_path / 'colour.npz'}"


class Witness(nn.Module):
    """A network that keeps the batches it is trained on."""

    def __init__(self, num_classes):
        super().__init__()
        self.bias, self.seen = nn.Parameter(torch.zeros(num_classes)), []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.bias.expand(len(x), -1)


@pytest.fixture
def trained_on(colour, configure, monkeypatch):
    """A function that trains on `colour` and returns the batches that the network saw, in one tensor."""

    def train(**fields):
        config = configure(dataset=colour, **fields)
        witness = Witness(4)
        monkeypatch.setattr(training.TrainingConfig, "build", lambda _: witness)
        config.execute(CPU)
        return torch.cat(witness.seen), config.load_data()

    return train


@every_channels
@pytest.mark.parametrize("name", POLICIES)
def test_policies_run_on_bytes(name, channels):
    given = pixels(channels=channels)
    before = given.clone()
    torch.manual_seed(0)
    found = Pipeline(name).raw(given)
    assert (found.shape, found.dtype) == (given.shape, torch.uint8)
    assert torch.equal(given, before)
    assert not torch.equal(found, given)


@pytest.mark.parametrize("name", ["randaugment:9", "autoaugment", "randaugment:9+cutout"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16])
def test_policies_refuse_what_is_not_bytes(name, dtype):
    with pytest.raises(StudyError, match=r"^augmentation: .*uint8 .*accepted: 0\.\.255"):
        Pipeline(name).raw(pixels().to(dtype))


def test_training_with_a_policy_refuses_float_images(configure, tmp_path, store):
    rng = np.random.default_rng(0)
    images, labels = rng.random((20, 8, 8), dtype=np.float32), np.arange(20) % 2
    np.savez(tmp_path / "float.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(StudyError, match=r"^augmentation: .*uint8"):
        configure(dataset=f"npz:{tmp_path / 'float.npz'}", augmentation="autoaugment").execute(CPU)


PAINT = 77


def painted(monkeypatch):
    """Every policy replaced by one that paints the image in one colour."""
    monkeypatch.setattr(Pipeline, "_policy", staticmethod(lambda *_: lambda part: torch.full_like(part, PAINT)))


def check_painted_and_shifted(images, dataset, pad):
    """Each image is the paint's normalised colour on a shifted square and zero around it. Original pixels would be
    neither."""
    colour = dataset.normalize(torch.full((1, 3, 16, 16), PAINT, dtype=torch.uint8))[0]
    offsets = set()
    for image in images:
        filled = (image - colour).abs().amax(0) < 1e-6
        assert torch.equal(filled, image.abs().amax(0) > 1e-6)
        rows, columns = (filled.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        assert filled[rows][:, columns].all()
        for inside in (rows, columns):
            assert inside == list(range(inside[0], inside[-1] + 1))
            assert len(inside) >= 16 - pad
        offsets.add((rows[0] - (15 - rows[-1]), columns[0] - (15 - columns[-1])))
    assert (colour.abs() > 0.1).all()
    assert len(offsets) > 5
    assert {abs(shift) for offset in offsets for shift in offset} == set(range(pad + 1))


@pytest.mark.parametrize("name", ["randaugment:9+flip_crop", "autoaugment+crop"])
def test_crop_takes_what_the_policy_made(monkeypatch, colour, name):
    """The released code crops the image as it was before its policy."""
    painted(monkeypatch)
    dataset, pipeline = data.load(colour), Pipeline(name)
    images = dataset.normalize(pipeline.raw(dataset.x_train))
    found, labels = pipeline.normalized(images, one_hot(40, 4), generator())
    check_painted_and_shifted(found, dataset, pad=2)
    assert torch.equal(labels, one_hot(40, 4))


def test_training_crops_what_the_policy_made(monkeypatch, trained_on):
    painted(monkeypatch)
    seen, dataset = trained_on(augmentation="randaugment:9+flip_crop", num_epochs=3)
    assert len(seen) == 3 * 40
    check_painted_and_shifted(seen, dataset, pad=2)


def test_wave_of_the_clean_image_is_not_the_policys(monkeypatch, trained_on):
    """With wave_on clean the wave is computed on the image as it is in the dataset, not as it was painted."""
    painted(monkeypatch)
    waved = []
    monkeypatch.setattr(
        training.targets, "wave", lambda *_: lambda images: waved.append(images) or torch.ones(len(images))
    )
    fields = {"augmentation": "autoaugment", "wave": "radial", "frequency": 0.1, "amplitude": 0.1, "num_epochs": 1}
    for wave_on, on_paint in (("clean", False), ("augmented", True)):
        waved.clear()
        seen, dataset = trained_on(**fields, wave_on=wave_on)
        batch = waved[1]  # after the test set
        assert torch.equal(batch, seen) == on_paint
        clean = dataset.normalize(dataset.x_train)
        assert bool((torch.cdist(batch.flatten(1), clean.flatten(1)).amin(1) < 0.1).all()) != on_paint


@pytest.mark.parametrize("name", ["cutout+randaugment:3", "flip_crop+autoaugment", "mixup:1+randaugment:3",
                                  "frequency:0.5:4+autoaugment", "randaugment:9+crop+autoaugment"])  # fmt: skip
def test_policy_after_another_step_is_refused(name, configure):
    for make in (Pipeline, lambda text: configure(augmentation=text)):
        with pytest.raises(StudyError, match=r"^augmentation: got .*accepted: .*augment before the other steps$"):
            make(name)


def test_policies_follow_one_another(monkeypatch):
    policies = iter((lambda part: part // 2 + 10, lambda part: part // 2 + 3))
    monkeypatch.setattr(Pipeline, "_policy", staticmethod(lambda *_: next(policies)))
    given = pixels()
    expected = (given // 2 + 10) // 2 + 3
    assert torch.equal(Pipeline("autoaugment+randaugment:9+crop").raw(given), expected)


def counting():
    """A policy that paints its first call's images 1, the second's 2 and so on."""
    calls = iter(range(1, 256))
    return lambda part: torch.full_like(part, next(calls))


@pytest.mark.parametrize(("n", "sizes"), [(64, [4] * 16), (50, [4] * 12 + [2]), (16, [1] * 16), (5, [1] * 5), (1, [1])])
def test_each_group_gets_a_draw_of_its_own(n, sizes):
    torch.manual_seed(0)
    found = augment.policy(pixels(n), counting())
    draws = found.flatten(1)
    assert torch.equal(draws.amin(1), draws.amax(1))  # an image belongs to one draw
    assert torch.bincount(draws[:, 0].long())[1:].tolist() == sizes
    assert len(sizes) <= DRAWS


def test_groups_are_drawn_anew_in_every_batch():
    torch.manual_seed(0)
    first, second = (augment.policy(pixels(64), counting())[:, 0, 0, 0] for _ in range(2))
    assert (first == second).sum() < 20  # 4 expected
    assert len(first[:4].unique()) > 1  # not neighbours


@pytest.mark.parametrize("name", POLICIES[1:])
def test_copies_of_an_image_come_out_in_as_many_ways_as_there_are_draws(name):
    torch.manual_seed(0)
    found = Pipeline(name).raw(pixels(1).expand(160, -1, -1, -1))
    assert 4 < len(found.flatten(1).unique(dim=0)) <= DRAWS


@every_channels
@pytest.mark.parametrize("alpha", [0.1, 1.0, 8.0])
def test_mixup_weighs_image_and_label_alike(alpha, channels):
    torch.manual_seed(0)
    x, y = pixels(30, channels).double() / 255, torch.eye(30, dtype=torch.float64)  # a label names its image
    for step in range(5):
        mixed, soft = Pipeline(f"mixup:{alpha}").normalized(x, y, generator(step))
        np.testing.assert_allclose(soft.sum(1), 1, atol=1e-12)
        assert soft.min() >= 0
        torch.testing.assert_close(mixed.flatten(1), soft @ x.flatten(1), rtol=1e-12, atol=1e-12)
        own = soft.diagonal()
        assert len(own[own < 1 - 1e-9].round(decimals=12).unique()) == 1  # one weight a batch


def test_mixup_of_soft_labels_sums_to_one():
    """After a frequency perturbation the labels are smoothed already."""
    torch.manual_seed(0)
    _, soft = Pipeline("frequency:0.5:4+mixup:1").normalized(pixels().float(), one_hot(40), generator())
    torch.testing.assert_close(soft.sum(1), torch.ones(40))
    assert soft.min() == pytest.approx(0.05)


@pytest.mark.parametrize("alpha", ["0", "-0.5", "0.0", "-inf", "inf", "101"])
def test_mixup_alpha_is_above_0(alpha, configure):
    for make in (Pipeline, lambda text: configure(augmentation=text)):
        with pytest.raises(StudyError, match=r"^augmentation: got 'mixup:.*accepted: mixup:ALPHA, above 0"):
            make(f"mixup:{alpha}")


def kinds_of(added, norm, channels, size=16):
    """Which of the perturbations are f's, (n,) bool; asserts that each is f's or 1/f's."""
    f, inverse = (
        (added - norm * targets.named_direction(name, size, channels).to(added)).flatten(1).norm(dim=1) < 1e-5 * norm
        for name in ("f", "1/f")
    )
    assert (f ^ inverse).all()
    return f


@every_channels
@pytest.mark.parametrize("norm", [0.5, 4.0])
@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 1.0])
def test_frequency_perturbs_a_share_by_f_and_the_rest_by_its_inverse(fraction, norm, channels):
    x, y = pixels(2000, channels).double() / 50, one_hot(2000)
    before = x.clone(), y.clone()
    found, soft = Pipeline(f"frequency:{fraction}:{norm}").normalized(x, y, generator())
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    added = found - x
    np.testing.assert_allclose(added.flatten(1).norm(dim=1), norm, rtol=1e-9)
    share = kinds_of(added, norm, channels).double().mean().item()
    assert share == (pytest.approx(fraction, abs=0.045) if 0 < fraction < 1 else fraction)  # four standard deviations
    torch.testing.assert_close(soft, 0.5 * y + 0.05)


def test_the_two_perturbations_differ():
    f, inverse = (targets.named_direction(name, 16, 3) for name in ("f", "1/f"))
    assert (f * inverse).sum().abs() < 0.5


@pytest.mark.parametrize("name", ["frequency:0.5:4", "randaugment:9+flip_crop+frequency:0.5:4+mixup:1+cutout"])
def test_training_leaves_the_dataset_as_it_is(configure, name):
    """The released code adds its perturbations to the training set itself, so that they pile up."""
    config = configure(augmentation=name, num_epochs=3)
    tensors = vars(data.load("digits")).items()
    before = {key: tensor.clone() for key, tensor in tensors if isinstance(tensor, torch.Tensor)}
    first, again = (config.execute(CPU)[0] for _ in range(2))
    loaded = data.load("digits")
    assert before.keys() == {"x_train", "y_train", "x_test", "y_test", "mean", "std"}
    assert all(torch.equal(getattr(loaded, key), tensor) for key, tensor in before.items())
    np.testing.assert_array_equal(first["train_loss"], again["train_loss"])


def test_perturbations_do_not_pile_up_over_epochs(trained_on):
    """In the last epoch as in the first an image is 4 nu away from itself, along f or along 1/f."""
    seen, dataset = trained_on(augmentation="frequency:0.5:4", num_epochs=4)
    clean = dataset.normalize(dataset.x_train)
    for epoch in seen.split(40):
        origin = torch.cdist(epoch.flatten(1), clean.flatten(1)).argmin(1)
        assert sorted(origin.tolist()) == list(range(40))
        share = kinds_of(epoch - clean[origin], 4.0, 3).double().mean()
        assert 0.1 < share < 0.9
    assert torch.pdist(clean.flatten(1)).min() > 8  # so that the nearest clean image is the right one


REFUSED = {
    "mixup": "mixup:ALPHA",
    "mixup:": "mixup:ALPHA",
    "mixup:0": "above 0 up to 100",
    "mixup:a": "mixup:ALPHA",
    "mixup:1:1": "mixup:ALPHA",
    "frequency": "frequency:FRACTION:NORM",
    "frequency:0.5": "frequency:FRACTION:NORM",
    "frequency:2:1": "0 up to 1, above 0 up to 1000",
    "frequency:0.5:0": "above 0 up to 1000",
    "frequency:0.5:4:1": "frequency:FRACTION:NORM",
    "randaugment": "randaugment:MAGNITUDE",
    "randaugment:99": "0 up to 30",
    "randaugment:-1": "0 up to 30",
    "autoaugment:3": "autoaugment",
    "blur": "none, or crop, flip_crop, cutout",
    "blur:3": "none, or crop",
    "cutout:8": "none, or crop",
    "cutout+blur": "none, or crop",
    "cutout+": "none, or crop",
    "cutout+none": "none, or crop",
    "": "none, or crop",
    "cutout+randaugment:3": "randaugment before the other steps",
}


@pytest.mark.parametrize(("name", "accepted"), REFUSED.items())
def test_what_cannot_be_read_is_refused_in_one_line(name, accepted, configure):
    for make in (Pipeline, lambda text: configure(augmentation=text)):
        with pytest.raises(StudyError, match=r"^augmentation: got '.*'; accepted: ") as caught:
            make(name)
        message = str(caught.value)
        assert accepted in message.partition("accepted: ")[2]
        assert "\n" not in message
        assert len(message) < 200
