"""Paths between two images against their formulas in numpy, and their lengths."""

import itertools
import math

import numpy as np
import pytest
import torch

from lib import data
from lib.measure import PATHS, join, lengths, num_points
from lib.parameters import StudyError

SHAPES = {"1x8x8": (1, 8, 8), "3x16x16": (3, 16, 16), "3x32x32": (3, 32, 32)}
SHARES = np.linspace(0, 1, 9)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_path = pytest.mark.parametrize("path", sorted(PATHS))


@pytest.fixture
def images(random_images):
    def make(n, shape=(3, 32, 32)):
        return random_images(n, shape, dtype=torch.float64)

    return make


def along(path, start, end, shares=SHARES):
    """Points of a path between two images: (shares, C, H, W), float64."""
    share = torch.as_tensor(np.asarray(shares, dtype=float))
    ends = (image.double().expand(len(share), -1, -1, -1) for image in (start, end))
    return PATHS[path](*ends, share).numpy()


def norms(points):
    return np.linalg.norm(points.reshape(len(points), -1), axis=1)


def angle(a, b):
    return math.acos(np.clip((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))


def on_a_sphere(images):
    return 7 * images / images.flatten(1).norm(dim=1)[:, None, None, None]


def test_every_path_has_its_tests():
    assert set(PATHS) == {"linear", "slerp", "random_direction", *FOURIER}


@every_shape
@every_path
def test_every_path_starts_at_its_image(path, shape, images):
    start, end = images(2, shape)
    np.testing.assert_allclose(along(path, start, end, [0])[0], start, atol=1e-12)


@every_shape
def test_linear_goes_evenly_from_one_image_to_the_other(shape, images):
    start, end = images(2, shape).numpy()
    points = along("linear", *map(torch.from_numpy, (start, end)))
    for share, point in zip(SHARES, points, strict=True):
        np.testing.assert_allclose(point, (1 - share) * start + share * end, atol=1e-12)


@every_shape
def test_slerp_stays_on_the_sphere(shape, images):
    points = along("slerp", *on_a_sphere(images(2, shape)))
    np.testing.assert_allclose(norms(points), 7, rtol=1e-12)


@every_shape
def test_slerp_goes_from_one_image_to_the_other(shape, images):
    start, end = images(2, shape)
    points = along("slerp", start, 3 * end)
    np.testing.assert_allclose(points[-1], 3 * end, atol=1e-12)
    first, last = start.norm().item(), 3 * end.norm().item()
    np.testing.assert_allclose(norms(points), (1 - SHARES) * first + SHARES * last, rtol=1e-12)


@pytest.mark.parametrize("mean", [0.0, 0.5, 3.0])
def test_slerp_divides_the_angle_evenly(mean, images):
    """Also where the images are close in direction."""
    start, end = (mean + images(2)).numpy()
    points = along("slerp", *map(torch.from_numpy, (start, end)))
    whole = angle(start, end)
    for before, after in itertools.pairwise(points):
        assert angle(before, after) == pytest.approx(whole / 8, rel=1e-6)
    assert [angle(start, point) for point in points] == pytest.approx(whole * SHARES, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slerp_of_one_direction_is_the_straight_line(dtype, images):
    (start,) = images(1).to(dtype)
    share = torch.tensor([0.0, 0.3, 1.0], dtype=dtype)
    ends = [image.expand(3, -1, -1, -1) for image in (start, 2 * start)]
    expected = (1 + share)[:, None, None, None] * start
    torch.testing.assert_close(PATHS["slerp"](*ends, share), expected, rtol=1e-4, atol=1e-4)


FOURIER = {"fourier_amplitude": "amplitude", "fourier_phase": "phase"}
every_fourier = pytest.mark.parametrize("path", FOURIER)


def block_of(size):
    """True in the central block, and True there but for the mean (a real number, whose phase is 0
    or pi; the block of an odd number of frequencies has no other such bin)."""
    side = {8: 1, 16: 3, 32: 6}[size]  # 13 x 13 of 32 x 32, and as large a part of smaller images
    frequency = np.abs(np.fft.fftfreq(size, 1 / size))
    block = (frequency[:, None] <= side) & (frequency[None, :] <= side)
    others = block.copy()
    others[0, 0] = False
    return block, others


def turn(a, b):
    """The angle from a to b, the shorter way round."""
    return np.angle(b / a)


@every_shape
@every_fourier
def test_fourier_paths_keep_the_spectrum_outside_the_block(path, shape, images):
    start, end = images(2, shape)
    block, _ = block_of(shape[1])
    outside = np.fft.fft2(along(path, start, end))[..., ~block]
    first = np.fft.fft2(start.numpy())[..., ~block]
    np.testing.assert_allclose(outside, np.broadcast_to(first, outside.shape), atol=1e-9)


@every_shape
@every_fourier
def test_fourier_paths_end_with_the_others_amplitudes_or_phases(path, shape, images):
    start, end = images(2, shape)
    block, others = block_of(shape[1])
    ends = (start.numpy(), end.numpy(), along(path, start, end)[-1])
    first, second, last = map(np.fft.fft2, ends)
    of_amplitudes = FOURIER[path] == "amplitude"
    amplitudes, phases = (second, first) if of_amplitudes else (first, second)
    np.testing.assert_allclose(np.abs(last[:, block]), np.abs(amplitudes[:, block]), atol=1e-9)
    np.testing.assert_allclose(turn(last[:, others], phases[:, others]), 0, atol=1e-9)
    assert np.abs(np.abs(first) - np.abs(second))[:, block].max() > 1  # so that it matters which
    assert np.abs(turn(first, second))[:, others].max() > 1


@every_shape
def test_fourier_amplitudes_move_evenly(shape, images):
    start, end = images(2, shape)
    block, others = block_of(shape[1])
    first, second = np.fft.fft2(start.numpy()), np.fft.fft2(end.numpy())
    points = np.fft.fft2(along("fourier_amplitude", start, end))
    for share, point in zip(SHARES, points, strict=True):
        expected = (1 - share) * np.abs(first) + share * np.abs(second)
        np.testing.assert_allclose(np.abs(point[:, block]), expected[:, block], atol=1e-9)
        np.testing.assert_allclose(turn(point[:, others], first[:, others]), 0, atol=1e-9)


@every_shape
def test_fourier_phases_turn_evenly_the_shorter_way(shape, images):
    start, end = images(2, shape)
    _, others = block_of(shape[1])
    first, second = np.fft.fft2(start.numpy()), np.fft.fft2(end.numpy())
    points = np.fft.fft2(along("fourier_phase", start, end))
    for share, point in zip(SHARES, points, strict=True):
        amplitudes = np.abs(point[:, others])
        np.testing.assert_allclose(amplitudes, np.abs(first[:, others]), atol=1e-9)
        left = turn(first, second) * share - turn(first, point)
        np.testing.assert_allclose(np.exp(1j * left[:, others]), 1, atol=1e-9)


@every_fourier
def test_fourier_paths_of_an_image_to_itself_stay(path, images):
    (start,) = images(1)
    points = along(path, start, start)
    np.testing.assert_allclose(points, start.expand(9, -1, -1, -1), atol=1e-12)


@every_shape
def test_random_direction_goes_as_far_as_the_other_image(shape, images):
    start, end = images(2, shape)
    points = along("random_direction", start, end)
    expected = SHARES * (end - start).norm().item()
    np.testing.assert_allclose(norms(points - start.numpy()), expected, rtol=1e-12)
    steps = np.diff(points, axis=0)
    straight = np.broadcast_to(steps[:1], steps.shape)
    np.testing.assert_allclose(steps, straight, atol=1e-12)
    change = np.sort(np.abs(points[-1] - start.numpy()).ravel())
    np.testing.assert_allclose(change, np.sort((end - start).abs().numpy().ravel()), atol=1e-12)


def test_random_direction_has_random_signs():
    start = torch.zeros(3, 32, 32)
    step = along("random_direction", start, start + 1, [1])
    assert set(step.ravel()) == {-1, 1}
    assert abs(step.mean()) < 5 / math.sqrt(3072)


def test_random_direction_of_a_pair_is_always_the_same(images):
    start, end = images(2)
    first, state = along("random_direction", start, end), torch.get_rng_state()
    np.testing.assert_array_equal(first, along("random_direction", start, end))
    assert torch.equal(torch.get_rng_state(), state)  # it draws from a generator of its own
    torch.rand(3)
    np.testing.assert_array_equal(first, along("random_direction", start, end))
    half = torch.full((3,), 0.5, dtype=torch.float64)
    with_others = PATHS["random_direction"](*images(6).split(3), half)
    alone = PATHS["random_direction"](*images(6)[[0, 3]].split(1), half[:1])
    torch.testing.assert_close(alone, with_others[:1])


@every_shape
def test_random_direction_is_nearly_at_a_right_angle_to_the_straight_path(shape, images):
    """On average: a cosine of two random directions has mean 0 and deviation 1 / sqrt(d)."""
    starts, ends = images(400, shape).split(200)
    turned = PATHS["random_direction"](starts, ends, torch.ones(200).double()) - starts
    straight = (ends - starts).flatten(1)
    cosines = (turned.flatten(1) * straight).sum(1) / straight.norm(dim=1) ** 2
    d = math.prod(shape)
    assert cosines.abs().max() < 5 / math.sqrt(d)
    assert cosines.mean().abs() < 0.3 / math.sqrt(d) + 3 / d  # the permutation has a small trace
    assert cosines.std().item() == pytest.approx(1 / math.sqrt(d), rel=0.3)


@pytest.mark.parametrize(("path", "expected"), [("slerp", math.pi / 2), ("linear", math.sqrt(2))])
def test_length_of_a_quarter_circle_and_of_its_chord(path, expected, as_dataset):
    pair = torch.zeros(2, 3, 4, 4)
    pair[0, 0, 0, 0] = pair[1, 2, 3, 3] = 1
    assert lengths(as_dataset(pair), [[0, 1]], path) == pytest.approx(expected, rel=1e-3)


@every_shape
def test_length_of_an_arc(shape, images, as_dataset):
    pair = on_a_sphere(images(2, shape))
    arcs = lengths(as_dataset(pair), [[0, 1], [1, 0]], "slerp")
    np.testing.assert_allclose(arcs, 7 * angle(*pair.numpy()), rtol=1e-3)


@every_path
def test_lengths_against_a_polygon_of_2000_sides(path, random_images, as_dataset):
    """Of more pairs than go into one part."""
    images = random_images(24) + 1  # a positive mean: no mean turns round on a path of phases
    pairs = np.array(list(itertools.combinations(range(24), 2)))
    measured = lengths(as_dataset(images), pairs, path)
    assert len(measured) == 276 > 256
    for pair, length in [*zip(pairs, measured, strict=True)][::55]:
        points = along(path, *images[pair], np.linspace(0, 1, 2001))
        assert length == pytest.approx(norms(np.diff(points, axis=0)).sum(), rel=2e-3)


def test_straight_paths_are_as_long_as_the_distance(random_images, as_dataset):
    images, pairs = random_images(20), np.array(list(itertools.combinations(range(20), 2)))
    expected = norms((images[pairs[:, 0]] - images[pairs[:, 1]]).double().numpy())
    for path in ("linear", "random_direction"):
        measured = lengths(as_dataset(images), pairs, path)
        np.testing.assert_allclose(measured, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_nu_is_the_l2_unit_of_normalised_images(dtype):
    """Channels are divided by their standard deviations, 10 and 2."""
    images = np.zeros((4, 3, 3, 2), dtype)
    images[1::2, ..., 0], images[1::2, ..., 1] = 20, 4
    dataset = data.from_arrays(images, np.arange(4) % 2, images, np.arange(4) % 2, "two values")
    expected = math.sqrt(9 * (20 / 10) ** 2 + 9 * (4 / 2) ** 2)
    assert lengths(dataset, [[0, 1]], "linear") == pytest.approx([expected], rel=1e-6)


@pytest.mark.parametrize(
    ("length", "spacing", "expected"),
    [(10.0, 1.0, 10), (10.5, 1.0, 11), (0.4, 1.0, 1), (3.0, 0.1, 30)],
)
def test_number_of_points(length, spacing, expected):
    assert num_points([length], spacing).tolist() == [expected]


def test_equal_images_are_refused(random_images, as_dataset):
    images = random_images()
    images[3] = images[1]
    with pytest.raises(StudyError, match=r"^pairs: 2 join equal images"):
        join(as_dataset(images), [[0, 1], [1, 3], [2, 2]], 1.0)


@pytest.mark.parametrize("pairs", [[], [0, 1], [[0, 1, 2]]])
def test_pairs_of_another_shape_are_refused(pairs, random_images, as_dataset):
    with pytest.raises(StudyError, match=r"^pairs: got shape"):
        join(as_dataset(random_images()), pairs, 1.0)


@pytest.mark.parametrize("spacing", [0.0, -1.0, math.nan, "1"])
def test_spacing_must_be_a_positive_number(spacing, random_images, as_dataset):
    with pytest.raises(StudyError, match=r"^spacing: "):
        join(as_dataset(random_images()), [[0, 1]], spacing)


def test_unknown_path_is_refused(random_images, as_dataset):
    with pytest.raises(StudyError, match=r"^path: got 'curly'; accepted: linear, slerp"):
        join(as_dataset(random_images()), [[0, 1]], 1.0, "curly")
