import math

import numpy as np
import pytest
import torch

from lib import targets
from lib.parameters import StudyError
from lib.step import cross_entropy
from lib.targets import noise_fitting, wave_slope

SIZES = (7, 8)


def images_of_norm(*norms, shape=(1, 2, 2)):
    """One image a norm, all its length in the first pixel."""
    images = torch.zeros(len(norms), *shape, dtype=torch.float64)
    images[:, 0, 0, 0] = torch.tensor(norms, dtype=torch.float64)
    return images


@pytest.mark.parametrize(
    ("dimension", "mean"),
    [(1, math.sqrt(2 / math.pi)), (2, math.sqrt(math.pi / 2)), (3, 2 * math.sqrt(2 / math.pi)), (3072, 55.4211)],
)
def test_chi_mean(dimension, mean):
    assert targets.chi_mean(dimension) == pytest.approx(mean, abs=5e-5)


def test_radial_wave_at_known_norms():
    # f (||x|| - phase) = 0, 1/4, 1/2, 3/4, 1/12 of a turn
    images = images_of_norm(2.0, 3.0, 4.0, 5.0, 2 + 1 / 3)
    expected = [1.0, 2.0, 1.0, 0.0, 1.5]
    assert targets.radial_wave(images, 0.25, phase=2.0).tolist() == pytest.approx(expected, abs=1e-12)


def test_radial_wave_measures_the_norm_over_all_pixels_and_channels():
    images = torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64)  # norm sqrt(12 / 4)
    assert targets.radial_wave(images, 0.25, phase=math.sqrt(3) - 1).item() == pytest.approx(2.0, abs=1e-12)


def test_radial_wave_has_its_default_phase_at_the_typical_norm():
    images = images_of_norm(55.42110, 55.42110 + 1 / (4 * 0.038), shape=(3, 32, 32))
    assert targets.radial_wave(images, 0.038).tolist() == pytest.approx([1.0, 2.0], abs=1e-4)


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_directional_wave_at_known_points(length):
    direction = torch.tensor([[3.0, 0.0], [4.0, 0.0]]) * length  # of any length: (0.6, 0.8)
    images = torch.zeros(3, 1, 2, 2, dtype=torch.float64)
    images[1, 0, 0, 0] = 1 / 0.6  # <x, u> = 1
    images[2, 0, 1, 0] = -1 / 0.8  # <x, u> = -1
    waves = targets.directional_wave(images, 0.25, direction)
    assert waves.tolist() == pytest.approx([1.0, 2.0, 0.0], abs=1e-6)


def test_directional_wave_repeats_a_plane_over_channels():
    direction = torch.zeros(2, 2)
    direction[0, 1] = 5.0
    images = torch.zeros(1, 4, 2, 2, dtype=torch.float64)
    images[0, :, 0, 1] = 0.5  # u = 1/2 in each of four channels: <x, u> = 1
    assert targets.directional_wave(images, 0.25, direction).item() == pytest.approx(2.0, abs=1e-6)


def test_directional_wave_ignores_what_is_orthogonal():
    direction = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    image = torch.tensor([[[[0.3, 9.0], [-4.0, 2.0]]]], dtype=torch.float64)
    expected = 1 + math.sin(2 * math.pi * 0.7 * 0.3)
    assert targets.directional_wave(image, 0.7, direction).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_direction_without_length_is_refused(value):
    with pytest.raises(StudyError, match=r"^direction: "):
        targets.directional_wave(torch.ones(1, 1, 2, 2), 1.0, torch.full((2, 2), value))


@pytest.mark.parametrize("size", SIZES)
def test_basis_images_are_orthonormal(size):
    images = [targets.fourier_basis_image(i, j, size).flatten() for i in range(size) for j in range(size)]
    basis = torch.stack(images).numpy()
    np.testing.assert_allclose(basis @ basis.T, np.eye(size**2), atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_basis_image_lives_on_its_frequency_and_the_mirrored_one(size):
    for i in range(size):
        for j in range(size):
            transform = np.fft.fft2(targets.fourier_basis_image(i, j, size).numpy())
            u, v = (i - size // 2) % size, (j - size // 2) % size
            found = {tuple(map(int, at)) for at in np.argwhere(np.abs(transform) > 1e-9)}
            assert found == {(u, v), (-u % size, -v % size)}


@pytest.mark.parametrize("size", SIZES)
def test_basis_image_at_the_centre_is_constant(size):
    image = targets.fourier_basis_image(size // 2, size // 2, size)
    np.testing.assert_allclose(image, np.full((size, size), 1 / size), atol=1e-15)


@pytest.mark.parametrize(("i", "j"), [(-1, 0), (0, 8), (8, 0)])
def test_basis_image_outside_the_square_is_refused(i, j):
    with pytest.raises(StudyError, match=r"accepted: 0\.\.7"):
        targets.fourier_basis_image(i, j, 8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "exponent"), [("f", 2), ("1/f", -2)])
def test_composite_direction_has_its_weights_as_spectrum(name, exponent, size):
    """The transform of (cos t - sin t) / size is size (1 + i) / 2 at (u, v) and size (1 - i) / 2 at its mirror;
    equal weights on both make a magnitude of size * weight wherever the mirror has a basis image too."""
    direction = targets.named_direction(name, size, 1)[0].numpy()
    magnitude = np.abs(np.fft.fftshift(np.fft.fft2(direction)))
    u = np.arange(size) - size // 2
    radius = np.maximum(np.hypot(u[:, None], u[None, :]), 1.0)
    inner = slice(1 - size % 2, None)  # -size/2 is its own mirror in one coordinate only
    ratio = (magnitude / radius**exponent)[inner, inner]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)


@pytest.mark.parametrize("name", ["fourier:2,5", "random:3", "f", "1/f"])
@pytest.mark.parametrize("channels", [1, 3])
def test_named_directions_have_unit_length(name, channels):
    direction = targets.named_direction(name, 8, channels)
    assert direction.shape == (channels, 8, 8)
    assert direction.norm().item() == pytest.approx(1.0, abs=1e-12)


def test_named_basis_image_is_the_same_in_every_channel():
    direction = targets.named_direction("fourier:2,5", 8, 3)
    for channel in direction:
        np.testing.assert_allclose(channel, targets.fourier_basis_image(2, 5, 8) / math.sqrt(3), atol=1e-15)


def test_random_directions_follow_their_seed():
    first, again, other = (targets.named_direction(f"random:{seed}", 8, 3) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert abs((first * other).sum().item()) < 0.3  # 192 dimensions: nearly orthogonal


@pytest.mark.parametrize("name", ["square", "fourier:1", "fourier:a,b", "fourier:8,0", "random:", "random:x", "f2", ""])
def test_unknown_wave_is_refused_in_one_line(name):
    with pytest.raises(StudyError) as caught:
        targets.wave(name, 0.1, (1, 8, 8))
    assert "accepted" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frequency", [0.0, -1.0])
@pytest.mark.parametrize("name", ["radial", "random:0"])
def test_wave_needs_a_frequency(name, frequency):
    with pytest.raises(StudyError, match=r"^frequency: "):
        targets.wave(name, frequency, (1, 8, 8))


def test_directional_wave_needs_square_images():
    with pytest.raises(StudyError, match="4 x 8"):
        targets.wave("f", 0.1, (1, 4, 8))


def test_no_wave_and_the_uniform_one():
    assert targets.wave("none", 0.0, (1, 8, 8)) is None
    assert targets.wave("uniform", 0.0, (1, 8, 8))(torch.randn(5, 1, 8, 8)).tolist() == [1.0] * 5


def test_wave_by_name_is_the_wave_along_that_direction():
    images = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    basis = targets.fourier_basis_image(3, 6, 8).numpy()
    projections = [sum((image[c].numpy() * basis).sum() for c in range(2)) / math.sqrt(2) for image in images]
    expected = [1 + math.sin(2 * math.pi * 0.3 * p) for p in projections]
    assert targets.wave("fourier:3,6", 0.3, (2, 8, 8))(images).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("amplitude", [0.0, 0.1, 0.4, 0.5])
def test_smoothing_has_the_amplitude_as_its_mean(amplitude):
    rng = np.random.default_rng(0)
    classes, labels = 10, rng.integers(0, 10, 64)
    wave = 1 + np.sin(rng.uniform(0, 7, 64))
    noisy = targets.smooth_labels(torch.from_numpy(labels), torch.from_numpy(wave), amplitude, classes).numpy()
    taken = 1 - noisy[np.arange(64), labels]  # r (1 - 1 / C)
    assert taken.mean() / (1 - 1 / classes) == pytest.approx(amplitude, abs=1e-12)
    np.testing.assert_allclose(noisy.sum(1), 1, atol=1e-12)


def test_smoothed_labels_by_hand():
    # mean(s) = 1, r = 0.4 s = 0, 0.4, 0.8
    noisy = targets.smooth_labels(torch.tensor([0, 1, 3]), torch.tensor([0.0, 1.0, 2.0]).double(), 0.4, 4)
    expected = [[1, 0, 0, 0], [0.1, 0.7, 0.1, 0.1], [0.2, 0.2, 0.2, 0.4]]
    np.testing.assert_allclose(noisy, expected, atol=1e-15)


def test_soft_labels_are_smoothed_like_hard_ones():
    soft = torch.tensor([[0.75, 0.25], [0.0, 1.0]], dtype=torch.float64)
    noisy = targets.smooth_labels(soft, torch.tensor([1.0, 3.0], dtype=torch.float64), 0.5, 2)  # r = 0.25, 0.75
    np.testing.assert_allclose(noisy, [[0.6875, 0.3125], [0.375, 0.625]], atol=1e-15)


@pytest.mark.parametrize("amplitude", [-0.1, 0.51, math.nan])
def test_amplitude_outside_its_range_is_refused(amplitude):
    with pytest.raises(StudyError, match=r"^amplitude: .*accepted: 0 to 0.5"):
        targets.smooth_labels(torch.tensor([0, 1]), torch.ones(2), amplitude, 2)


@pytest.mark.parametrize("wave", [[0.0, 0.0], [1.0, -0.1], [1.0, math.nan]])
def test_wave_that_is_no_weight_is_refused(wave):
    with pytest.raises(StudyError, match=r"^wave: "):
        targets.smooth_labels(torch.tensor([0, 1]), torch.tensor(wave), 0.3, 2)


def labels_and_noise(num_classes=10, n=200, amplitude=0.4):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, num_classes, (n,), generator=generator)
    wave = 1 + torch.sin(7 * torch.rand(n, generator=generator, dtype=torch.float64))
    return labels, targets.smooth_labels(labels, wave, amplitude, num_classes)


@pytest.mark.parametrize("size", [0.5, 2.0, 10.0])
@pytest.mark.parametrize(("classes", "amplitude"), [(10, 0.4), (3, 0.1)])
def test_noise_fitting_of_a_network_that_knows_only_the_classes(size, classes, amplitude):
    """Logits +L for the class, -L else: the noisy labels cost 2 L more on the share A (C - 1) / C."""
    labels, noisy = labels_and_noise(classes, amplitude=amplitude)
    logits = torch.full((len(labels), classes), -size, dtype=torch.float64)
    logits[torch.arange(len(labels)), labels] = size
    expected = -2 * size * amplitude * (classes - 1) / classes
    assert noise_fitting(logits, labels, noisy).item() == pytest.approx(expected, abs=1e-9)


def test_noise_fitting_of_a_network_that_outputs_the_noisy_labels():
    labels, noisy = labels_and_noise()
    clean = -math.fsum(math.log(row[label]) for row, label in zip(noisy, labels, strict=True)) / len(labels)
    entropy = -math.fsum(p * math.log(p) for row in noisy.tolist() for p in row) / len(labels)
    assert noise_fitting(noisy.log(), labels, noisy).item() == pytest.approx(clean - entropy, abs=1e-9)


def test_cross_entropy_of_equal_logits_is_the_log_of_the_classes():
    _, noisy = labels_and_noise()
    assert cross_entropy(torch.zeros(200, 10).double(), noisy).item() == pytest.approx(math.log(10), abs=1e-12)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_wave_slope_of_a_network_that_follows_the_labels_in_part(slope):
    labels, noisy = labels_and_noise()
    following = slope * noisy + (1 - slope) * noisy.mean()  # rows still sum to one
    assert wave_slope(following.log(), labels, noisy).item() == pytest.approx(slope, abs=1e-9)


def test_wave_slope_is_undefined_for_uniform_smoothing():
    labels = torch.arange(10)
    noisy = targets.smooth_labels(labels, torch.ones(10), 0.4, 10)
    assert math.isnan(wave_slope(torch.randn(10, 10), labels, noisy).item())
