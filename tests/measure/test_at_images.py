"""Measures that need no path, against closed forms and definitions."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lib import models
from lib.measure import Forward, at_images, frequency_principle, jacobian_norms, temperature
from lib.parameters import StudyError

CPU = torch.device("cpu")


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("share", [0.55, 0.75, 0.99])
def test_temperature_by_its_formula(share, classes):
    """One logit of height h, right with probability p: e^(h/T) = p (C - 1) / (1 - p)."""
    height, n = 3.0, 9900
    top = np.arange(n) % classes
    right = (np.arange(n) // classes) % 100 < 100 * share
    other = (top + 1 + (np.arange(n) // (100 * classes)) % max(1, classes - 1)) % classes
    labels, logits = np.where(right, top, other), height * np.eye(classes)[top]
    odds = right.mean() * (classes - 1) / (1 - right.mean())
    expected = height / math.log(odds)
    assert temperature(logits, labels) == pytest.approx(expected, rel=1e-3)
    shifted = logits + np.random.default_rng(0).normal(size=(n, 1)) * 100
    assert temperature(shifted, labels) == pytest.approx(expected, rel=1e-3)
    assert temperature(3 * logits, labels) == pytest.approx(3 * expected, rel=1e-3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_temperature_recovers_a_known_scale(scale):
    """Labels drawn from softmax(z), logits scale * z: the temperature is the scale."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(20_000, 5))
    labels = (z + rng.gumbel(size=z.shape)).argmax(1)  # the Gumbel trick draws from the softmax
    assert temperature(scale * z, labels) == pytest.approx(scale, rel=0.03)


def test_temperature_of_a_network_that_is_never_wrong_is_finite():
    labels = np.arange(30) % 3
    assert 0 < temperature(5 * np.eye(3)[labels], labels) < 1


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


def noisy_classes(n=150, num_classes=3, flipped=0.3):
    """Images on a line, cut into classes, with labels flipped at random."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, num_classes, n))
    labels = np.where(rng.random(n) < flipped, rng.integers(0, num_classes, n), x.astype(int))
    return torch.tensor(x, dtype=torch.float32)[:, None, None, None], torch.from_numpy(labels)


def smoothing(points):
    """The matrix that takes the low-frequency part over the samples, in float64."""
    x = points.flatten(1).double().numpy()
    distances = np.sqrt(((x[:, None] - x[None]) ** 2).sum(2))
    width = np.median(np.quantile(distances, 0.1, axis=1)) / 2
    kernel = np.exp(-(distances**2) / (2 * width**2))
    return kernel / kernel.sum(1, keepdims=True)


@pytest.mark.parametrize(("fit", "error"), [(1, 0), (0, 1), (0.75, 0.25)])
def test_frequency_principle_at_its_ends(fit, error):
    points, labels = noisy_classes()
    exact = nn.functional.one_hot(labels, 3).double()
    errors = frequency_principle(points, labels, fit * exact)
    assert errors == pytest.approx((error, error), abs=1e-12)


def test_frequency_principle_of_the_smooth_part_alone_and_of_the_rest():
    points, labels = noisy_classes()
    wanted = nn.functional.one_hot(labels, 3).double()
    smooth = torch.from_numpy(smoothing(points)) @ wanted
    low, high = frequency_principle(points, labels, smooth)
    assert low < 0.15 < 0.7 < high
    low, high = frequency_principle(points, labels, wanted - smooth)
    assert high < 0.5 < 0.8 < low


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 4), (3, 8, 8)])
def test_frequency_principle_by_its_formula(shape, random_images):
    points, labels = random_images(61, shape), torch.arange(61) % 3
    outputs = torch.randn(61, 3, generator=torch.Generator().manual_seed(1)).softmax(1)
    kernel, wanted = smoothing(points), np.eye(3)[labels]
    error, rest = wanted - outputs.double().numpy(), np.eye(61) - kernel
    expected = [np.linalg.norm(m @ error) / np.linalg.norm(m @ wanted) for m in (kernel, rest)]
    assert frequency_principle(points, labels, outputs) == pytest.approx(expected, rel=1e-3)


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
    names = "jacobian_norm jacobian_low jacobian_high low_error high_error"
    assert set(row) == set(names.split())
    some, labels = points[:looked_at], dataset.y_test[:looked_at]
    norms = jacobian_norms(model, some)
    assert row["jacobian_norm"] == pytest.approx(norms.mean(), rel=1e-4)
    half = 1.96 * norms.std() / math.sqrt(looked_at)
    assert row["jacobian_high"] - row["jacobian_low"] == pytest.approx(2 * half, rel=0.15)
    assert row["jacobian_low"] < row["jacobian_norm"] < row["jacobian_high"]
    with torch.no_grad():
        expected = frequency_principle(some, labels, model(some).softmax(1))
    assert (row["low_error"], row["high_error"]) == pytest.approx(expected, rel=1e-5)


def test_one_image_has_no_interval(as_dataset, random_images, linear):
    (row,) = at_images(Forward(linear(), as_dataset(random_images(1)), CPU)).to_dict("records")
    assert row["jacobian_norm"] > 0
    assert math.isnan(row["jacobian_low"])
