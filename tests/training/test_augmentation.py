"""Augmentation as training uses it: what the network sees, and what stays as it is."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from lib import data
from lib.data import named_direction
from lib.parameters import StudyError
from lib.training import TrainingConfig, label_waves

CPU = torch.device("cpu")
PAINT = 77


@pytest.fixture
def colour(tmp_path):
    """The name of a dataset of 40 training images, 3 channels and 4 classes."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8), np.arange(60) % 4
    train = {"x_train": images[:40], "y_train": labels[:40]}
    np.savez(tmp_path / "colour.npz", **train, x_test=images[40:], y_test=labels[40:])
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
    """A function that trains on `colour` and returns the batches the network saw, in one tensor."""

    def train(**fields):
        config, witness = configure(dataset=colour, **fields), Witness(4)
        monkeypatch.setattr(TrainingConfig, "build", lambda _: witness)
        config.execute(CPU)
        return torch.cat(witness.seen), data.load(colour)

    return train


@pytest.fixture
def painted(monkeypatch):
    """Every policy of torchvision's replaced by one that paints the image in one colour."""

    def policy(*_, **__):
        return lambda part: torch.full_like(part, PAINT)

    for name in ("RandAugment", "AutoAugment"):
        monkeypatch.setattr(v2, name, policy)


def test_training_with_a_policy_refuses_float_images(configure, tmp_path, store):
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 8, 8), dtype=np.float32), np.arange(20) % 2
    np.savez(tmp_path / "float.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    config = configure(dataset=f"npz:{tmp_path / 'float.npz'}", augmentation="autoaugment")
    with pytest.raises(StudyError, match=r"^augmentation: .*uint8"):
        config.execute(CPU)


def test_training_crops_what_the_policy_made(painted, trained_on):
    """Each image is the paint's normalised colour on a shifted square and zero around it; the
    released code's crops would show original pixels."""
    seen, dataset = trained_on(augmentation="randaugment:9+flip_crop", num_epochs=3)
    assert len(seen) == 3 * 40
    colour = dataset.normalize(torch.full((1, 3, 16, 16), PAINT, dtype=torch.uint8))[0]
    assert (colour.abs() > 0.1).all()
    kept = set()
    for image in seen:
        filled = (image - colour).abs().amax(0) < 1e-6
        assert torch.equal(filled, image.abs().amax(0) > 1e-6)
        kept.add((int(filled.any(1).sum()), int(filled.any(0).sum())))
    assert kept == {(rows, columns) for rows in (14, 15, 16) for columns in (14, 15, 16)}


def test_wave_of_the_clean_image_is_not_the_policys(painted, trained_on, monkeypatch):
    """With wave_on clean the wave is computed on the image of the dataset, not on the paint."""
    waved = []

    def wave(*_):
        return lambda images: waved.append(images) or torch.ones(len(images))

    monkeypatch.setattr(label_waves, "wave", wave)
    fields = {"wave": "radial", "frequency": 0.1, "amplitude": 0.1, "num_epochs": 1}
    for wave_on, on_paint in (("clean", False), ("augmented", True)):
        waved.clear()
        seen, dataset = trained_on(**fields, augmentation="autoaugment", wave_on=wave_on)
        (batch,) = waved
        assert torch.equal(batch, seen) == on_paint
        clean = dataset.normalize(dataset.x_train)
        nearest = torch.cdist(batch.flatten(1), clean.flatten(1)).amin(1)
        assert bool((nearest < 0.1).all()) != on_paint


@pytest.mark.parametrize(
    "name", ["frequency:0.5:4", "randaugment:9+flip_crop+frequency:0.5:4+mixup:1+cutout"]
)
def test_training_leaves_the_dataset_as_it_is(configure, name):
    """The released code adds its perturbations to the training set itself, so that they pile up."""
    config = configure(augmentation=name, num_train=256)
    tensors = ("x_train", "y_train", "x_test", "y_test", "mean", "std")
    before = {tensor: getattr(data.load("digits"), tensor).clone() for tensor in tensors}
    config.execute(CPU)
    for tensor, value in before.items():
        assert torch.equal(getattr(data.load("digits"), tensor), value)


def test_perturbations_do_not_pile_up_over_epochs(trained_on):
    """In the last epoch as in the first an image is 4 nu from itself, along f or along 1/f."""
    seen, dataset = trained_on(augmentation="frequency:0.5:4", num_epochs=4)
    clean = dataset.normalize(dataset.x_train)
    # so that the nearest clean image is the right one
    assert torch.pdist(clean.flatten(1)).min() > 8
    directions = [4 * named_direction(name, 16, 3).to(clean) for name in ("f", "1/f")]
    for epoch in seen.split(40):
        origin = torch.cdist(epoch.flatten(1), clean.flatten(1)).argmin(1)
        assert sorted(origin.tolist()) == list(range(40))
        added = epoch - clean[origin]
        near = [(added - direction).flatten(1).norm(dim=1) < 1e-3 for direction in directions]
        assert (near[0] ^ near[1]).all()
        assert 0.1 < near[0].double().mean() < 0.9
