"""Paths other than the straight line, against formulas written out in numpy."""

import itertools
import math

import numpy as np
import pytest
import torch

from lib import models, paths

SHAPES = {"1x8x8": (1, 8, 8), "3x16x16": (3, 16, 16), "3x32x32": (3, 32, 32)}
SHARES = np.linspace(0, 1, 9)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def images(n, shape=(3, 32, 32), seed=0, mean=0.0):
    return mean + torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def along(path, start, end, shares=SHARES):
    """Points of a path between two images: (shares, C, H, W), float64."""
    share = torch.as_tensor(np.asarray(shares, dtype=float))
    ends = (image.double().expand(len(share), -1, -1, -1) for image in (start, end))
    return paths.PATHS[path](*ends, share).numpy()


def norms(points):
    return np.linalg.norm(points.reshape(len(points), -1), axis=1)


def angle(a, b):
    return math.acos(np.clip((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))


def on_a_sphere(shape, radius=7.0):
    found = images(2, shape)
    return radius * found / found.flatten(1).norm(dim=1)[:, None, None, None]


@every_shape
def test_slerp_stays_on_the_sphere(shape):
    np.testing.assert_allclose(norms(along("slerp", *on_a_sphere(shape))), 7, rtol=1e-12)


@every_shape
def test_slerp_goes_from_one_image_to_the_other(shape):
    start, end = images(2, shape)
    points = along("slerp", start, 3 * end)
    np.testing.assert_allclose(points[0], start, atol=1e-12)
    np.testing.assert_allclose(points[-1], 3 * end, atol=1e-12)
    lengths = [start.norm().item(), 3 * end.norm().item()]
    np.testing.assert_allclose(norms(points), (1 - SHARES) * lengths[0] + SHARES * lengths[1], rtol=1e-12)


@pytest.mark.parametrize("mean", [0.0, 0.5, 3.0])
def test_slerp_divides_the_angle_evenly(mean):
    """Also where the images are close in direction."""
    start, end = images(2, mean=mean).numpy()
    points = along("slerp", *map(torch.from_numpy, (start, end)))
    whole = angle(start, end)
    for before, after in itertools.pairwise(points):
        assert angle(before, after) == pytest.approx(whole / 8, rel=1e-6)
    assert [angle(start, point) for point in points] == pytest.approx(whole * SHARES, abs=1e-6)


def test_slerp_of_one_direction_is_the_straight_line():
    start = images(1)[0]
    for dtype in (torch.float32, torch.float64):
        share = torch.tensor([0.0, 0.3, 1.0], dtype=dtype)
        ends = [image.to(dtype).expand(3, -1, -1, -1) for image in (start, 2 * start)]
        torch.testing.assert_close(paths.slerp(*ends, share), paths.linear(*ends, share), rtol=1e-4, atol=1e-4)


FOURIER = {"fourier_amplitude": "amplitude", "fourier_phase": "phase"}
every_fourier = pytest.mark.parametrize("path", FOURIER)


def block_of(size):
    """True in the central block, and True there but for the mean (self-conjugate: a real number, whose phase is 0 or
    pi; the block of an odd number of frequencies has no other such bin)."""
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
def test_fourier_paths_start_at_the_image(path, shape):
    start, end = images(2, shape)
    np.testing.assert_allclose(along(path, start, end, [0])[0], start, atol=1e-12)


@every_shape
@every_fourier
def test_fourier_paths_keep_the_spectrum_outside_the_block(path, shape):
    start, end = images(2, shape)
    block, _ = block_of(shape[1])
    spectra = np.fft.fft2(along(path, start, end))
    first = np.fft.fft2(start.numpy())
    np.testing.assert_allclose(spectra[..., ~block], np.broadcast_to(first[..., ~block], spectra[..., ~block].shape),
                               atol=1e-9)  # fmt: skip


@every_shape
@every_fourier
def test_fourier_paths_end_with_the_others_amplitudes_or_phases(path, shape):
    start, end = images(2, shape)
    block, others = block_of(shape[1])
    first, second, last = (np.fft.fft2(image) for image in (start.numpy(), end.numpy(), along(path, start, end)[-1]))
    amplitudes_of, phases_of = (second, first) if FOURIER[path] == "amplitude" else (first, second)
    np.testing.assert_allclose(np.abs(last[:, block]), np.abs(amplitudes_of[:, block]), atol=1e-9)
    np.testing.assert_allclose(turn(last[:, others], phases_of[:, others]), 0, atol=1e-9)
    assert np.abs(np.abs(first) - np.abs(second))[:, block].max() > 1  # so that it matters which
    assert np.abs(turn(first, second))[:, others].max() > 1


@every_shape
def test_fourier_amplitudes_and_phases_move_evenly(shape):
    start, end = images(2, shape)
    block, others = block_of(shape[1])
    first, second = np.fft.fft2(start.numpy()), np.fft.fft2(end.numpy())
    for share, point in zip(SHARES, np.fft.fft2(along("fourier_amplitude", start, end)), strict=True):
        expected = (1 - share) * np.abs(first) + share * np.abs(second)
        np.testing.assert_allclose(np.abs(point[:, block]), expected[:, block], atol=1e-9)
        np.testing.assert_allclose(turn(point[:, others], first[:, others]), 0, atol=1e-9)
    for share, point in zip(SHARES, np.fft.fft2(along("fourier_phase", start, end)), strict=True):
        np.testing.assert_allclose(np.abs(point[:, others]), np.abs(first[:, others]), atol=1e-9)
        left = turn(first, second) * share - turn(first, point)
        np.testing.assert_allclose(np.exp(1j * left[:, others]), 1, atol=1e-9)


@every_fourier
def test_fourier_paths_of_an_image_to_itself_stay(path):
    start = images(1)[0]
    np.testing.assert_allclose(along(path, start, start), start.expand(9, -1, -1, -1), atol=1e-12)


@every_shape
def test_random_direction_goes_as_far_as_the_other_image(shape):
    start, end = images(2, shape)
    points = along("random_direction", start, end)
    np.testing.assert_array_equal(points[0], start)
    np.testing.assert_allclose(norms(points - start.numpy()), SHARES * (end - start).norm().item(), rtol=1e-12)
    steps = np.diff(points, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=1e-12)  # straight
    change = np.abs(points[-1] - start.numpy()).ravel()
    np.testing.assert_allclose(np.sort(change), np.sort((end - start).abs().numpy().ravel()), atol=1e-12)


def test_random_direction_has_random_signs():
    start = torch.zeros(3, 32, 32)
    step = along("random_direction", start, start + 1, [1])
    assert set(step.ravel()) == {-1, 1}
    assert abs(step.mean()) < 5 / math.sqrt(3072)


def test_random_direction_of_a_pair_is_always_the_same():
    start, end = images(2)
    first, state = along("random_direction", start, end), torch.get_rng_state()
    torch.rand(3)
    np.testing.assert_array_equal(first, along("random_direction", start, end))
    torch.set_rng_state(state)
    along("random_direction", start, end)
    assert torch.equal(torch.get_rng_state(), state)  # it draws from a generator of its own
    with_others = paths.random_direction(*images(6).split(3), torch.full((3,), 0.5, dtype=torch.float64))
    alone = paths.random_direction(*images(6)[[0, 3]].split(1), torch.full((1,), 0.5, dtype=torch.float64))
    torch.testing.assert_close(alone, with_others[:1])


@every_shape
def test_random_direction_is_nearly_at_a_right_angle_to_the_straight_path(shape):
    """On average: a cosine of two random directions has mean 0 and standard deviation 1 / sqrt(d)."""
    starts, ends = images(400, shape).split(200)
    turned = (paths.random_direction(starts, ends, torch.ones(200).double()) - starts).flatten(1)
    straight = (ends - starts).flatten(1)
    cosines = (turned * straight).sum(1) / straight.norm(dim=1) ** 2
    d = math.prod(shape)
    assert cosines.abs().max() < 5 / math.sqrt(d)
    assert cosines.mean().abs() < 0.3 / math.sqrt(d) + 3 / d  # the one permutation has a trace of a few units
    assert cosines.std().item() == pytest.approx(1 / math.sqrt(d), rel=0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_length_of_a_quarter_circle(dtype):
    pair = torch.zeros(2, 3, 4, 4, dtype=dtype)
    pair[0, 0, 0, 0] = pair[1, 2, 3, 3] = 1
    assert paths.lengths(pair, [[0, 1]], "slerp") == pytest.approx(math.pi / 2, rel=1e-3)
    assert paths.lengths(pair, [[0, 1]], "linear") == pytest.approx(math.sqrt(2), rel=1e-6)


@every_shape
def test_length_of_an_arc(shape):
    start, end = on_a_sphere(shape)
    found = paths.lengths(torch.stack([start, end]), [[0, 1], [1, 0]], "slerp")
    np.testing.assert_allclose(found, 7 * angle(start.numpy(), end.numpy()), rtol=1e-3)


def test_random_direction_is_as_long_as_the_straight_line():
    some, pairs = images(20), np.array(list(itertools.combinations(range(20), 2)))
    np.testing.assert_allclose(paths.lengths(some, pairs, "random_direction"), paths.lengths(some, pairs), rtol=1e-12)


def reference(path, start, end, share):
    """A point of a path, (C, H, W), from its formula."""
    if path == "linear":
        return (1 - share) * start + share * end
    if path == "random_direction":  # its end is drawn; the rest follows
        return (1 - share) * start + share * along(path, torch.from_numpy(start), torch.from_numpy(end), [1])[0]
    if path == "slerp":
        radii, whole = (np.linalg.norm(start), np.linalg.norm(end)), angle(start, end)
        turned = math.sin((1 - share) * whole) * start / radii[0] + math.sin(share * whole) * end / radii[1]
        return ((1 - share) * radii[0] + share * radii[1]) / math.sin(whole) * turned
    block, _ = block_of(start.shape[-1])
    first, second = np.fft.fft2(start), np.fft.fft2(end)
    if path == "fourier_amplitude":
        inside = ((1 - share) * np.abs(first) + share * np.abs(second)) * first / np.abs(first)
    else:
        inside = first * np.exp(1j * share * turn(first, second))
    return np.fft.ifft2(np.where(block, inside, first)).real


def length_by_definition(path, start, end):
    nodes = (0, 1) if path in ("linear", "random_direction") else np.arange(33) / 32
    corners = np.stack([reference(path, start, end, share) for share in nodes])
    return norms(np.diff(corners, axis=0)).sum()


NETWORKS = {"mlp-2-16": (1, 8, 8), "resnet8-4": (3, 16, 16), "cnn-4": (1, 8, 8)}


@pytest.mark.parametrize("path", sorted(paths.PATHS))
@pytest.mark.parametrize(("name", "shape"), NETWORKS.items(), ids=NETWORKS)
def test_evaluate_is_a_plain_loop(name, shape, path):
    """A point at a time, in float64, along the path's formula."""
    some, spacing = images(6, shape, mean=1.0).float(), 0.25  # a positive mean: no mean turns round on a path of phases
    pairs = np.array([[0, 1], [2, 3], [4, 5], [5, 0], [1, 3]])
    model = models.build(name, shape, 4)
    found = {int(path): outputs for index, block in paths.evaluate(model, some, pairs, spacing, path=path, batch_size=8,
                                                                   compile=False)
             for path, outputs in zip(index, block, strict=True)}  # fmt: skip
    exact = models.build(name, shape, 4).double().eval()
    assert sorted(found) == list(range(len(pairs)))
    for number, (a, b) in enumerate(pairs):
        start, end = some[a].double().numpy(), some[b].double().numpy()
        length = length_by_definition(path, start, end)
        assert len(found[number]) == math.ceil(length / spacing) > 3
        for step, logits in enumerate(found[number]):
            point = reference(path, start, end, step * spacing / length)
            with torch.no_grad():
                expected = exact(torch.from_numpy(point)[None])[0]
            np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_every_path_has_its_tests():
    assert set(paths.PATHS) == {"linear", "slerp", "random_direction", *FOURIER}
