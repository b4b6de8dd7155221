"""Measures that need no path, against closed forms and definitions."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lib import models
from lib.measure import Forward, at_images, jacobian_norms
from lib.parameters import StudyError

CPU = torch.device("cpu")


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("classes", [2, 5, 100])
def test_jacobian_norms_of_a_linear_softmax(classes, scale, linear, random_images):
    """d p_i / d x = sum_j p_i (delta_ij - p_j) W_j, also of networks in double precision."""
    model, images = linear(classes, (1, 4, 4)).double(), random_images(130, (1, 4, 4)).double()
    with torch.no_grad():
        model[1].weight *= scale
        outputs = model(images).softmax(1).numpy()
    weight = model[1].weight.detach().numpy()
    expected = [np.linalg.norm((np.diag(p) - np.outer(p, p)) @ weight) for p in outputs]
    np.testing.assert_allclose(jacobian_norms(model, images), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["resnet8-2", "mlp-2-8", "shakeshake-8-2"])
def test_jacobian_norms_of_a_network(name, random_images):
    images = random_images(5, (1, 8, 8))
    exact = models.build(name, (1, 8, 8), 4).double().eval()
    of_one = torch.func.jacrev(lambda x: exact(x[None]).softmax(1)[0])
    expected = torch.func.vmap(of_one)(images.double()).flatten(1).norm(dim=1).detach()
    model = models.build(name, (1, 8, 8), 4).eval()
    for batch_size in (1, 2, 100):
        norms = jacobian_norms(model, images, batch_size)
        np.testing.assert_allclose(norms, expected, rtol=1e-4)


def test_jacobian_norms_of_a_constant_network(linear, random_images):
    model = linear()
    nn.init.zeros_(model[1].weight)
    assert jacobian_norms(model, random_images()).tolist() == [0] * 12


def test_jacobian_norms_are_per_nu(linear, random_images):
    """Images twice as far apart, the same outputs: half the norm."""
    model, half = linear(), linear()
    with torch.no_grad():
        half[1].weight /= 2
    expected = jacobian_norms(model, random_images()) / 2
    np.testing.assert_allclose(jacobian_norms(half, 2 * random_images()), expected, rtol=1e-5)


def test_jacobian_norms_of_many_classes_are_estimated_without_bias(linear, random_images):
    """Squares of 8 projections: a relative deviation of up to sqrt(2 / 8), of the mean of 2,000
    images a hundredth. And no image's estimate depends on the batch."""
    model, images = linear(120, (1, 4, 4)), random_images(2000, (1, 4, 4))
    with torch.no_grad():
        outputs = model(images).softmax(1).double()
    weight, mean = model[1].weight.detach().double(), outputs @ model[1].weight.detach().double()
    exact = outputs.square() @ weight.square().sum(1) + outputs.square().sum(1) * mean.square().sum(
        1
    )
    exact -= 2 * (outputs.square() @ weight * mean).sum(1)  # the norm of p_i (W_i - mean), squared
    norms = jacobian_norms(model, images)
    assert (norms**2).mean() == pytest.approx(exact.mean().item(), rel=0.03)
    assert 0.1 < (norms**2 / exact.numpy()).std() < 0.6
    np.testing.assert_allclose(jacobian_norms(model, images[:50], 7), norms[:50], rtol=1e-4)


def test_outputs_without_a_gradient_are_refused(linear, random_images):
    model = linear()
    for network in (torch.no_grad()(model.forward), lambda x: torch.zeros(len(x), 4)):
        with pytest.raises(StudyError, match=r"^network: got outputs without a gradient; accepted"):
            jacobian_norms(network, random_images())


@pytest.mark.parametrize(
    ("shape", "classes", "images", "looked_at"),
    [
        ((1, 4, 4), 3, 520, 500),
        ((1, 4, 4), 3, 80, 80),
        ((1, 4, 4), 120, 80, 32),  # estimated, of fewer
        ((3, 224, 224), 3, 60, 55),  # 2^23 pixels
        ((3, 400, 400), 3, 22, 20),
    ],
)
def test_the_first_images_are_looked_at(
    shape, classes, images, looked_at, as_dataset, random_images
):
    """A row of the measures, of as many images as the time and memory allow."""
    points = random_images(images, (shape[0], 2, 2)).repeat_interleave(shape[1] // 2, 2)
    points = points.repeat_interleave(shape[1] // 2, 3)
    dataset, pool = as_dataset(points, num_classes=3), nn.AdaptiveAvgPool2d(2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(pool, nn.Flatten(), nn.Linear(4 * shape[0], classes))
    (row,) = at_images(Forward(model, dataset, CPU)).to_dict("records")
    assert set(row) == {"jacobian_norm", "jacobian_low", "jacobian_high"}
    norms = jacobian_norms(model, points[:looked_at])
    assert row["jacobian_norm"] == pytest.approx(norms.mean(), rel=1e-4)
    half = 1.96 * norms.std() / math.sqrt(looked_at)
    assert row["jacobian_high"] - row["jacobian_low"] == pytest.approx(2 * half, rel=0.15)
    assert row["jacobian_low"] < row["jacobian_norm"] < row["jacobian_high"]


def test_one_image_has_no_interval(as_dataset, random_images, linear):
    (row,) = at_images(Forward(linear(), as_dataset(random_images(1)), CPU)).to_dict("records")
    assert row["jacobian_norm"] > 0
    assert math.isnan(row["jacobian_low"])
