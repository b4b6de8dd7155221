"""Label waves in closed form, the smoothing that they scale, and how far they are fitted."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lib import training
from lib.data import fourier_basis_image
from lib.parameters import StudyError
from lib.training import noise_fitting, smooth_labels, wave, wave_slope


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


def labels_and_noise(num_classes=10, n=200, amplitude=0.4):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, num_classes, (n,), generator=generator)
    waves = 1 + torch.sin(7 * torch.rand(n, generator=generator, dtype=torch.float64))
    return labels, smooth_labels(labels, waves, amplitude, num_classes)


@pytest.mark.parametrize("size", [0.5, 2.0, 10.0])
@pytest.mark.parametrize(("classes", "amplitude"), [(10, 0.4), (3, 0.1)])
def test_noise_fitting_of_a_network_that_knows_only_the_classes(size, classes, amplitude):
    """Logits +L for the class, -L else: noisy labels cost 2 L more on the share A (C - 1) / C."""
    labels, noisy = labels_and_noise(classes, amplitude=amplitude)
    logits = torch.full((len(labels), classes), -size, dtype=torch.float64)
    logits[torch.arange(len(labels)), labels] = size
    expected = -2 * size * amplitude * (classes - 1) / classes
    assert noise_fitting(logits, labels, noisy).item() == pytest.approx(expected, abs=1e-9)


def test_noise_fitting_of_a_network_that_outputs_the_noisy_labels():
    labels, noisy = labels_and_noise()
    rows = noisy.tolist()
    own = [row[label] for row, label in zip(rows, labels.tolist(), strict=True)]
    clean = -math.fsum(map(math.log, own)) / len(own)
    entropy = -math.fsum(p * math.log(p) for row in rows for p in row) / len(own)
    difference = noise_fitting(noisy.log(), labels, noisy).item()
    assert difference == pytest.approx(clean - entropy, abs=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_wave_slope_of_a_network_that_follows_the_labels_in_part(slope):
    labels, noisy = labels_and_noise()
    following = slope * noisy + (1 - slope) * noisy.mean()  # rows still sum to one
    assert wave_slope(following.log(), labels, noisy).item() == pytest.approx(slope, abs=1e-9)


def test_wave_slope_is_undefined_for_uniform_smoothing():
    labels = torch.arange(10)
    noisy = smooth_labels(labels, torch.ones(10), 0.4, 10)
    assert math.isnan(wave_slope(torch.randn(10, 10), labels, noisy).item())


def test_summary_of_three_runs_by_hand():
    """Half of the largest slope; a run that never follows its wave gets the epoch after its
    last."""
    fitting = {"a": [-0.1, -0.5, 0.2], "b": [0.3, 0.1, -0.2], "c": [-1.0, -1.0, 0.0]}
    slopes = {"a": [0.1, 0.4, 0.8], "b": [-0.1, -0.2, 0.0], "c": [0.7, 0.6, 0.2]}
    parts = [
        pd.DataFrame({"epoch": [2, 4, 6], "wave": name, "seed": 0, "wave_slope": slopes[name]})
        .assign(noise_fitting=fitting[name], test_accuracy=[0.1, 0.2, 0.3])
        .assign(frequency=0.5)
        for name in fitting
    ]
    summary = training.wave_summary(pd.concat(parts), ["wave", "seed"])  # rows 0..2 three times
    expected = pd.DataFrame(
        {
            "wave": ["a", "b", "c"],
            "seed": 0,
            "min_noise_fitting": [-0.5, -0.2, -1.0],
            "dip_epoch": [4, 6, 2],
            "final_slope": [0.8, 0.0, 0.2],
            "half_epoch": [4.0, 7.0, 2.0],
            "test_accuracy": 0.3,
        }
    )
    pd.testing.assert_frame_equal(summary, expected)
