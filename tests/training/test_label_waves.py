"""Label waves in closed form, and the smoothing of labels that they scale."""

import math

import numpy as np
import pytest
import torch

from lib import training
from lib.data import fourier_basis_image
from lib.parameters import StudyError
from lib.training import smooth_labels, wave


def images_of_norm(*norms, shape=(1, 2, 2)):
    """One image a norm, all its length in the first pixel."""
    images = torch.zeros(len(norms), *shape, dtype=torch.float64)
    images[:, 0, 0, 0] = torch.tensor(norms, dtype=torch.float64)
    return images


@pytest.mark.parametrize(
    ("dimension", "mean"),
    [
        (1, math.sqrt(2 / math.pi)),
        (2, math.sqrt(math.pi / 2)),
        (3, 2 * math.sqrt(2 / math.pi)),
        (3072, 55.4211),
    ],
)
def test_chi_mean(dimension, mean):
    assert training.chi_mean(dimension) == pytest.approx(mean, abs=5e-5)


def test_radial_wave_at_known_norms():
    # f (||x|| - phase) = 0, 1/4, 1/2, 3/4, 1/12 of a turn
    images = images_of_norm(2.0, 3.0, 4.0, 5.0, 2 + 1 / 3)
    waves = training.radial_wave(images, 0.25, phase=2.0)
    assert waves.tolist() == pytest.approx([1.0, 2.0, 1.0, 0.0, 1.5], abs=1e-12)


def test_radial_wave_measures_the_norm_over_all_pixels_and_channels():
    images = torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64)  # norm sqrt(12 / 4)
    waves = training.radial_wave(images, 0.25, phase=math.sqrt(3) - 1)
    assert waves.item() == pytest.approx(2.0, abs=1e-12)


def test_radial_wave_has_its_default_phase_at_the_typical_norm():
    images = images_of_norm(55.42110, 55.42110 + 1 / (4 * 0.038), shape=(3, 32, 32))
    assert training.radial_wave(images, 0.038).tolist() == pytest.approx([1.0, 2.0], abs=1e-4)


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_directional_wave_at_known_points(length):
    direction = torch.tensor([[3.0, 0.0], [4.0, 0.0]]) * length  # of any length: (0.6, 0.8)
    images = torch.zeros(3, 1, 2, 2, dtype=torch.float64)
    images[1, 0, 0, 0] = 1 / 0.6  # <x, u> = 1
    images[2, 0, 1, 0] = -1 / 0.8  # <x, u> = -1
    waves = training.directional_wave(images, 0.25, direction)
    assert waves.tolist() == pytest.approx([1.0, 2.0, 0.0], abs=1e-6)


def test_directional_wave_repeats_a_plane_over_channels():
    direction = torch.zeros(2, 2)
    direction[0, 1] = 5.0
    images = torch.zeros(1, 4, 2, 2, dtype=torch.float64)
    images[0, :, 0, 1] = 0.5  # u = 1/2 in each of four channels: <x, u> = 1
    waves = training.directional_wave(images, 0.25, direction)
    assert waves.item() == pytest.approx(2.0, abs=1e-6)


def test_directional_wave_ignores_what_is_orthogonal():
    direction = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    image = torch.tensor([[[[0.3, 9.0], [-4.0, 2.0]]]], dtype=torch.float64)
    expected = 1 + math.sin(2 * math.pi * 0.7 * 0.3)
    waves = training.directional_wave(image, 0.7, direction)
    assert waves.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_direction_without_length_is_refused(value):
    with pytest.raises(StudyError, match=r"^direction: "):
        training.directional_wave(torch.ones(1, 1, 2, 2), 1.0, torch.full((2, 2), value))


NAMES = ["square", "fourier:1", "fourier:a,b", "fourier:8,0", "random:", "random:x", "f2", ""]


@pytest.mark.parametrize("name", NAMES)
def test_unknown_wave_is_refused_in_one_line(name):
    with pytest.raises(StudyError, match="accepted") as caught:
        wave(name, 0.1, (1, 8, 8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frequency", [0.0, -1.0])
@pytest.mark.parametrize("name", ["radial", "random:0"])
def test_wave_needs_a_frequency(name, frequency):
    with pytest.raises(StudyError, match=r"^frequency: "):
        wave(name, frequency, (1, 8, 8))


def test_directional_wave_needs_square_images():
    with pytest.raises(StudyError, match=r"^wave: got 'f'; .* on 4 x 8 images"):
        wave("f", 0.1, (1, 4, 8))


def test_no_wave_and_the_uniform_one():
    assert wave("none", 0.0, (1, 8, 8)) is None
    assert wave("uniform", 0.0, (1, 8, 8))(torch.randn(5, 1, 8, 8)).tolist() == [1.0] * 5


def test_wave_by_name_is_the_wave_along_that_direction():
    images = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    direction = fourier_basis_image(3, 6, 8).numpy() / math.sqrt(2)  # in both channels, length 1
    projections = np.einsum("nchw,hw->n", images.double().numpy(), direction)
    waves = wave("fourier:3,6", 0.3, (2, 8, 8))(images)
    np.testing.assert_allclose(waves, 1 + np.sin(2 * np.pi * 0.3 * projections), atol=1e-5)


@pytest.mark.parametrize("amplitude", [0.0, 0.1, 0.4, 0.5])
def test_smoothing_has_the_amplitude_as_its_mean(amplitude):
    rng = np.random.default_rng(0)
    classes, labels = 10, rng.integers(0, 10, 64)
    waves = torch.from_numpy(1 + np.sin(rng.uniform(0, 7, 64)))
    noisy = smooth_labels(torch.from_numpy(labels), waves, amplitude, classes).numpy()
    taken = 1 - noisy[np.arange(64), labels]  # r (1 - 1 / C)
    assert taken.mean() / (1 - 1 / classes) == pytest.approx(amplitude, abs=1e-12)
    np.testing.assert_allclose(noisy.sum(1), 1, atol=1e-12)


def test_smoothed_labels_by_hand():
    # mean(s) = 1, r = 0.4 s = 0, 0.4, 0.8
    waves = torch.tensor([0.0, 1.0, 2.0]).double()
    noisy = smooth_labels(torch.tensor([0, 1, 3]), waves, 0.4, 4)
    expected = [[1, 0, 0, 0], [0.1, 0.7, 0.1, 0.1], [0.2, 0.2, 0.2, 0.4]]
    np.testing.assert_allclose(noisy, expected, atol=1e-15)


def test_soft_labels_are_smoothed_like_hard_ones():
    soft = torch.tensor([[0.75, 0.25], [0.0, 1.0]], dtype=torch.float64)
    waves = torch.tensor([1.0, 3.0], dtype=torch.float64)  # r = 0.25, 0.75
    noisy = smooth_labels(soft, waves, 0.5, 2)
    np.testing.assert_allclose(noisy, [[0.6875, 0.3125], [0.375, 0.625]], atol=1e-15)


@pytest.mark.parametrize("amplitude", [-0.1, 0.51, math.nan])
def test_amplitude_outside_its_range_is_refused(amplitude):
    with pytest.raises(StudyError, match=r"^amplitude: .*accepted: 0 to 0.5"):
        smooth_labels(torch.tensor([0, 1]), torch.ones(2), amplitude, 2)


@pytest.mark.parametrize("waves", [[0.0, 0.0], [1.0, -0.1], [1.0, math.nan]])
def test_wave_that_is_no_weight_is_refused(waves):
    with pytest.raises(StudyError, match=r"^wave: "):
        smooth_labels(torch.tensor([0, 1]), torch.tensor(waves), 0.3, 2)


def test_labels_of_one_class_alone_are_smoothed():
    """Class 1: its mean of s is 2, so r = 0.4 s / 2 = 0.2, 0.6; the others' labels stay."""
    labels, waves = torch.tensor([1, 0, 1, 2]), torch.tensor([1.0, 9.0, 3.0, 0.0]).double()
    noisy = smooth_labels(labels, waves, 0.4, 4, only=1)
    expected = [[0.05, 0.85, 0.05, 0.05], [1, 0, 0, 0], [0.15, 0.55, 0.15, 0.15], [0, 0, 1, 0]]
    np.testing.assert_allclose(noisy, expected, atol=1e-15)


def test_mixed_labels_are_smoothed_by_their_part_of_the_class():
    """As mixup makes them: half of class 0, a quarter of it, nothing; mean of s over it is 1."""
    soft = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]]).double()
    r = training.smoothing(torch.tensor([1.0, 1.0, 5.0]).double(), 0.4, soft[:, 0])
    np.testing.assert_allclose(r, [0.2, 0.1, 0], atol=1e-15)
    noisy = smooth_labels(soft, torch.tensor([1.0, 1.0, 5.0]).double(), 0.4, 2, only=0)
    np.testing.assert_allclose(noisy, [[0.5, 0.5], [0.275, 0.725], [0, 1]], atol=1e-15)


@pytest.mark.parametrize("waves", [[1.0, 2.0], [1.0, 0.0]])
def test_a_batch_without_the_class_keeps_its_labels(waves):
    """Not NaN: there is no mean to divide by."""
    noisy = smooth_labels(torch.tensor([0, 2]), torch.tensor(waves), 0.4, 3, only=1)
    assert noisy.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_argument_of_a_wave_is_what_it_is_a_sine_of():
    """The norm, or the place along a direction in all channels together."""
    images = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    flat = images.double().flatten(1)
    norms = training.argument("radial", images).double()
    torch.testing.assert_close(norms, flat.norm(dim=1), rtol=1e-6, atol=0)
    direction = fourier_basis_image(3, 6, 8).expand(2, 8, 8).flatten() / math.sqrt(2)
    places = training.argument("fourier:3,6", images).double()
    torch.testing.assert_close(places, flat @ direction, rtol=1e-4, atol=1e-5)
    for name, phase in (("radial", training.chi_mean(128)), ("fourier:3,6", 0), ("1/f", 0)):
        turns = 0.3 * (training.argument(name, images) - phase)
        expected = 1 + torch.sin(2 * math.pi * turns)
        torch.testing.assert_close(wave(name, 0.3, (2, 8, 8))(images), expected, atol=1e-4, rtol=0)
