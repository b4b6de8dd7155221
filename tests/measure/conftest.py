import numpy as np
import pytest
import torch
from torch import nn

from lib import data, runs


@pytest.fixture
def random_images():
    """A function that makes images (n, channels, height, width), the same ones for one seed."""

    def make(n=12, shape=(3, 8, 8), seed=0, dtype=torch.float32):
        return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)

    return make


@pytest.fixture
def as_dataset():
    """A function that makes a dataset of test images (n, C, H, W), given normalised already."""

    def make(images, labels=None, num_classes=2):
        labels = torch.arange(len(images)) % num_classes if labels is None else torch.tensor(labels)
        mean, std = torch.zeros(images.shape[1]), torch.ones(images.shape[1])
        both = (images, labels, images, labels)
        return data.Dataset("random", *both, int(labels.max()) + 1, mean, std, "")

    return make


@pytest.fixture
def convolutional():
    """A function that makes a small network whose batch norm has statistics of its own, left in
    training mode."""

    def make(classes=5, channels=3):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            body = [nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
            model = nn.Sequential(
                *body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes)
            )
            with torch.no_grad():
                model(2 + 3 * torch.randn(64, channels, 8, 8))
        return model

    return make


@pytest.fixture
def linear():
    """A function that makes a linear network."""

    def make(classes=4, shape=(3, 8, 8)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes))

    return make


@pytest.fixture
def on_threads():
    """A function that sets torch's number of threads, which is put back after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def trained(configure, store):
    """(configuration, run) of a network that gets most digits right, on 200 test images."""
    config = configure(num_epochs=3, num_test=200)
    return config, runs.find_or_execute(config, "cpu")
