import copy
import itertools
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from lib import forward, models, paths
from lib.forward import FastForward
from lib.parameters import ROOT, StudyError

LABELS = np.array([0, 1, 2, 0, 1, 2, 2, 2, 0, 1, 1, 0, 2, 0, 1] * 2)
FLAGS = [(torch.backends.cuda, "matmul"), (torch.backends.cudnn, "conv"), (torch.backends.mkldnn, "conv"),
         (torch.backends.mkldnn, "matmul")]  # fmt: skip


def random_images(n=12, shape=(3, 8, 8), scale=1.0, seed=0):
    return scale * torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def convolutional(seed=0):
    """A small convolutional network whose batch norm has statistics of its own, left in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(32, 5)
        )
        with torch.no_grad():
            model(2 + 3 * torch.randn(64, 3, 8, 8))
    return model


def linear(classes=4, shape=(3, 8, 8), seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes))


def distance(a, b):
    return float(((a.double() - b.double()) ** 2).sum()) ** 0.5


def points_by_definition(start, end, spacing):
    """The points 0, spacing, 2 spacing ... nu from `start`, below the distance to `end`."""
    length, points = distance(start, end), []
    while len(points) * spacing < length:
        points.append(start + len(points) * spacing / length * (end - start))
    return torch.stack(points)


def outputs_by_definition(model, images, pairs, spacing):
    """A path at a time, a point at a time, in float64."""
    model = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        return [
            torch.cat([model(point[None]) for point in points_by_definition(*images[pair].double(), spacing)]).numpy()
            for pair in pairs
        ]


def collected(*arguments, **options):
    """{path: its logits}, each path checked to come once."""
    found = {}
    for index, logits in paths.evaluate(*arguments, compile=False, **options):
        assert len(index) == len(logits)
        for path, outputs in zip(index, logits, strict=True):
            assert int(path) not in found
            found[int(path)] = outputs.numpy()
    return found


@pytest.mark.parametrize("count", [3, 30, 100])
def test_within_class_pairs(count):
    pairs = paths.within_class_pairs(LABELS, count, seed=0)
    classes = LABELS[pairs]
    assert pairs.shape == (count, 2)
    assert (classes[:, 0] == classes[:, 1]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len({frozenset(map(int, pair)) for pair in pairs}) == count
    shares = np.bincount(classes[:, 0], minlength=3)
    assert shares.max() - shares.min() <= 1


@pytest.mark.parametrize("count", [3, 31, 200])
def test_between_class_pairs(count):
    pairs = paths.between_class_pairs(LABELS, count, seed=0)
    classes = [frozenset(map(int, LABELS[pair])) for pair in pairs]
    assert pairs.shape == (count, 2)
    assert all(len(two) == 2 for two in classes)
    assert len({frozenset(map(int, pair)) for pair in pairs}) == count
    shares = [classes.count(frozenset(two)) for two in itertools.combinations(range(3), 2)]
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("draw", [paths.within_class_pairs, paths.between_class_pairs])
def test_pairs_follow_their_seed(draw):
    first, again, other = (draw(LABELS, 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("draw", [paths.within_class_pairs, paths.between_class_pairs])
def test_every_pair_can_be_drawn_but_not_one_more(draw):
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    every = 12 if draw is paths.within_class_pairs else 16
    drawn = draw(labels, every, seed=0)
    assert len({frozenset(map(int, pair)) for pair in drawn}) == every
    with pytest.raises(StudyError, match=r"^num_pairs: "):
        draw(labels, every + 1, seed=0)


def test_pairs_reach_every_image_alike():
    """2,000 draws of 3 of the 45 pairs in a class of 10: each image is expected in 3 / 45 * 9 pairs a draw."""
    drawn = np.concatenate([paths.within_class_pairs(np.zeros(10, int), 3, seed) for seed in range(2000)])
    counts = np.bincount(drawn.ravel(), minlength=10) / 2000
    np.testing.assert_allclose(counts, 0.6, atol=0.06)


def test_one_class_alone_has_no_pair_between_classes():
    with pytest.raises(StudyError, match="two classes"):
        paths.between_class_pairs(np.zeros(10, int), 5, seed=0)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 3.0])
def test_points_of_a_path(spacing):
    """The network outputs its input, so that the points themselves come back."""
    images = random_images()
    pairs = np.array([[0, 1], [2, 3], [4, 0]])
    for path, points in collected(nn.Flatten(), images, pairs, spacing).items():
        start, end = images[pairs[path]].flatten(1).double().numpy()
        points = points.astype(np.float64)
        np.testing.assert_array_equal(points[0], start)
        np.testing.assert_allclose(np.linalg.norm(np.diff(points, axis=0), axis=1), spacing, atol=1e-5)
        assert 0 < np.linalg.norm(end - points[-1]) <= spacing + 1e-5
        along = (points - start) @ (end - start) / np.linalg.norm(end - start)
        np.testing.assert_allclose(along, spacing * np.arange(len(points)), atol=1e-4)  # on the line, not beside it


@pytest.mark.parametrize(
    ("length", "spacing", "expected"), [(10.0, 1.0, 10), (10.5, 1.0, 11), (0.4, 1.0, 1), (3.0, 0.1, 30)]
)
def test_number_of_points(length, spacing, expected):
    assert paths.num_points([length], spacing).tolist() == [expected]


def test_lengths_are_distances():
    images = random_images(30)
    pairs = np.array(list(itertools.combinations(range(30), 2)) * 2)  # 870, more than one part
    expected = [distance(images[a], images[b]) for a, b in pairs]
    np.testing.assert_allclose(paths.lengths(images, pairs), expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"batch_size": 7}, {"batch_size": 3000}, {"chunk_points": 3},
                                     {"chunk_points": 40, "batch_size": 16}, {"batch_size": 1}])  # fmt: skip
def test_evaluate_equals_a_plain_loop(options):
    images, model = random_images(), convolutional()
    pairs = np.array(list(itertools.combinations(range(12), 2)))
    found = collected(model, images, pairs, 1.0, **options)
    assert sorted(found) == list(range(len(pairs)))
    for path, expected in enumerate(outputs_by_definition(model, images, pairs, 1.0)):
        np.testing.assert_allclose(found[path], expected, atol=1e-5)


def test_evaluate_equals_a_plain_loop_on_a_wide_resnet():
    images, model = random_images(6, (3, 32, 32), 0.4), models.build("wrn-10-1", (3, 32, 32), 10)
    pairs = np.array([[0, 1], [2, 3], [4, 5], [0, 5]])
    found = collected(model, images, pairs, 1.5)
    for path, expected in enumerate(outputs_by_definition(model, images, pairs, 1.5)):
        assert len(expected) > 8
        np.testing.assert_allclose(found[path], expected, atol=1e-5)


def test_blocks_hold_at_most_about_chunk_points():
    pairs = np.array(list(itertools.combinations(range(12), 2)))
    blocks = [logits.shape for _, logits in paths.evaluate(linear(), random_images(), pairs, 1.0, chunk_points=50,
                                                           batch_size=8, compile=False)]  # fmt: skip
    assert all(p * points < 50 + 8 + 20 for p, points, _ in blocks)
    assert sum(p for p, _, _ in blocks) == len(pairs)


@pytest.mark.parametrize("make", [convolutional, linear, lambda: models.build("resnet8-4", (3, 8, 8), 4)])
def test_a_path_does_not_depend_on_the_paths_measured_with_it(make):
    images, model = random_images(), make()
    every = np.array(list(itertools.combinations(range(12), 2)))
    together = collected(model, images, every, 0.7)
    for some in (np.array([5]), np.arange(20, 40), np.array([60, 3, 17])):
        for path, outputs in collected(model, images, every[some], 0.7).items():
            assert np.array_equal(outputs, together[some[path]])


def along(path, start, end, shares=(0.0, 0.25, 0.5, 0.75, 1.0)):
    """Points of a named path between two images (C, H, W) in float64: (shares, C, H, W)."""
    share = torch.tensor(shares, dtype=torch.float64)
    ends = (image.double().expand(len(shares), -1, -1, -1) for image in (start, end))
    return paths.PATHS[path](*ends, share).numpy()


def test_every_path_starts_at_its_image():
    start, end = random_images(2)
    for path in paths.PATHS:
        np.testing.assert_allclose(along(path, start, end)[0], start, atol=1e-12)


@pytest.mark.parametrize("path", ["linear", "slerp"])
def test_paths_between_images_end_at_the_other_one(path):
    start, end = random_images(2)
    np.testing.assert_allclose(along(path, start, end)[-1], end, atol=1e-12)


def test_slerp_turns_evenly_and_keeps_the_norm():
    start, end = torch.zeros(2, 1, 2, 2).unbind()
    start[0, 0, 0], end[0, 1, 1] = 3.0, 5.0  # at a right angle
    for share, point in zip((0, 1 / 4, 1 / 2, 1), along("slerp", start, end, (0, 1 / 4, 1 / 2, 1)), strict=True):
        norm, angle = 3 + 2 * share, share * np.pi / 2
        np.testing.assert_allclose(point[0], [[norm * np.cos(angle), 0], [0, norm * np.sin(angle)]], atol=1e-12)


def test_random_direction_goes_as_far_as_the_other_image_and_elsewhere():
    start, end = random_images(2, (3, 32, 32)).double()
    for share, point in zip((0.25, 1), along("random_direction", start, end, (0.25, 1)), strict=True):
        step = point - start.numpy()
        assert np.linalg.norm(step) == pytest.approx(share * distance(start, end), rel=1e-9)
        cosine = (step * (end - start).numpy()).sum() / np.linalg.norm(step) / distance(start, end)
        assert abs(cosine) < 0.1  # 3072 dimensions: standard deviation 0.018


def low_frequencies(size):
    """True for the central 13 x 13 frequencies of a 32 x 32 image."""
    frequency = np.fft.fftfreq(size, 1 / size)
    return (np.abs(frequency)[:, None] <= 6) & (np.abs(frequency)[None, :] <= 6)


@pytest.mark.parametrize(("path", "of"), [("fourier_amplitude", np.abs), ("fourier_phase", np.angle)])
def test_fourier_paths_exchange_amplitude_or_phase_of_the_low_frequencies(path, of):
    start, end = random_images(2, (3, 32, 32)) + 2  # a positive mean, so that no mean turns round
    last = np.fft.fft2(along(path, start, end)[-1])
    first, second = np.fft.fft2(start.double().numpy()), np.fft.fft2(end.double().numpy())
    low = low_frequencies(32)
    np.testing.assert_allclose(last[:, ~low], first[:, ~low], atol=1e-9)
    kept = np.angle if of is np.abs else np.abs
    np.testing.assert_allclose(of(last[:, low]), of(second[:, low]), atol=1e-8)
    np.testing.assert_allclose(kept(last[:, low]), kept(first[:, low]), atol=1e-8)


def test_fourier_amplitudes_are_blended_evenly():
    start, end = random_images(2, (1, 32, 32)) + 2
    first, middle, last = (np.abs(np.fft.fft2(point)) for point in along("fourier_amplitude", start, end, (0, 0.3, 1)))
    np.testing.assert_allclose(middle, 0.7 * first + 0.3 * last, atol=1e-9)


def test_fourier_phases_turn_the_shorter_way():
    start, end = random_images(2, (1, 32, 32)) + 2
    points = [np.fft.fft2(point)[0] for point in along("fourier_phase", start, end, np.linspace(0, 1, 21))]
    for before, after in itertools.pairwise(points):
        turns = np.angle(after / before)
        assert np.abs(turns).max() < np.pi / 20 + 1e-6


@pytest.mark.parametrize("path", sorted(paths.PATHS))
def test_lengths_of_paths(path):
    """Against a polygon of 2,000 sides."""
    images = random_images(4) + 1
    pairs = np.array([[0, 1], [2, 3], [1, 2]])
    found = paths.lengths(images, pairs, path)
    for pair, length in zip(pairs, found, strict=True):
        points = along(path, *images[pair], np.linspace(0, 1, 2001)).reshape(2001, -1)
        assert length == pytest.approx(np.linalg.norm(np.diff(points, axis=0), axis=1).sum(), rel=2e-3)


@pytest.mark.parametrize("path", sorted(set(paths.PATHS) - {"linear"}))
def test_evaluate_along_another_path(path):
    images, pairs = random_images(4) + 1, np.array([[0, 1], [2, 3]])
    model = convolutional()
    exact = copy.deepcopy(model).double().eval()
    found = collected(model, images, pairs, 0.8, path=path)
    for number, length in enumerate(paths.lengths(images, pairs, path)):
        shares = 0.8 * np.arange(len(found[number])) / length
        assert shares[-1] < 1 <= shares[-1] + 0.8 / length + 1e-9
        with torch.no_grad():
            expected = exact(torch.from_numpy(along(path, *images[pairs[number]], shares)))
        np.testing.assert_allclose(found[number], expected, atol=1e-5)


def test_unknown_path_is_refused():
    with pytest.raises(StudyError, match=r"^path: got 'curly'; accepted: linear, slerp"):
        collected(linear(), random_images(), [[0, 1]], 1.0, path="curly")


def test_evaluate_leaves_the_network_as_it_was():
    model, images = convolutional(), random_images()
    model[0].weight.requires_grad_(False)
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    collected(model, images, np.array([[0, 1]]), 1.0)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model[0].weight.requires_grad
    assert model[0].weight.is_contiguous()


def precision_flags():
    return [getattr(library, operation).fp32_precision for library, operation in FLAGS]


@pytest.fixture
def fast_precision():
    """Flags as a user may have set them, and as they were afterwards."""
    before = precision_flags()
    for library, operation in FLAGS:
        getattr(library, operation).fp32_precision = "tf32"
    yield ["tf32"] * len(FLAGS)
    for (library, operation), value in zip(FLAGS, before, strict=True):
        getattr(library, operation).fp32_precision = value


class Witness(nn.Module):
    """Notes the precision flags and the type of a product while it is evaluated."""

    def __init__(self):
        super().__init__()
        self.flags, self.types = [], []

    def __deepcopy__(self, memo):
        return self  # so that the copy which is evaluated notes them here

    def forward(self, x):
        self.flags.append(precision_flags())
        self.types.append((x.flatten(1) @ x.flatten(1).T).dtype)
        return x.flatten(1)[:, :2]


def test_evaluate_is_in_ieee_precision_and_restores_the_flags(fast_precision):
    witness = Witness()
    with torch.autocast("cpu", torch.bfloat16):
        stream = paths.evaluate(witness, random_images(), [[0, 1]], 1.0, batch_size=4, chunk_points=1, compile=False)
        next(stream)
        assert precision_flags() == fast_precision  # between blocks the caller's flags hold
        list(stream)
    assert witness.flags
    assert all(flags == ["ieee"] * len(FLAGS) for flags in witness.flags)
    assert set(witness.types) == {torch.float32}
    assert precision_flags() == fast_precision
    assert not torch.backends.cudnn.benchmark


class Slow(nn.Module):
    """Takes its time over images in one layout."""

    def __init__(self, layout):
        super().__init__()
        self.layout, self.convolution = layout, nn.Conv2d(3, 4, 3)

    def forward(self, x):
        time.sleep(0.02 * x.is_contiguous(memory_format=self.layout))
        return self.convolution(x).mean((2, 3))


@pytest.mark.parametrize("slow", [torch.contiguous_format, torch.channels_last])
def test_the_faster_layout_is_taken(slow):
    model, images = Slow(slow).eval(), torch.randn(4, 3, 8, 8)
    forward = FastForward(model, torch.device("cpu"), compile=False)
    assert forward.layout is torch.channels_last  # on a CPU it is known
    forward.layout = None
    with torch.inference_mode():
        torch.testing.assert_close(forward(images, 1), model(images))
    assert {forward.layout, slow} == {torch.contiguous_format, torch.channels_last}


def test_precision_flags_are_restored_after_an_exception(fast_precision):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(paths.evaluate(Broken(), random_images(), [[0, 1]], 1.0, compile=False))
    assert precision_flags() == fast_precision
    with pytest.raises(KeyError), paths.exact_precision():
        raise KeyError
    assert precision_flags() == fast_precision


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_outputs_are_refused(value):
    model = linear()
    with torch.no_grad():
        model[1].bias[2] = value
    with pytest.raises(StudyError, match=r"^evaluate: .*NaN"):
        collected(model, random_images(), [[0, 1]], 1.0)


def test_nan_at_one_point_alone_is_seen():
    class HoleInTheMiddle(nn.Module):
        def forward(self, x):
            return torch.log(x.flatten(1)[:, :2].abs() - 0.05)

    images = torch.zeros(2, 1, 2, 2)
    images[1] = 10.0  # the first point is at 0: log of a negative number
    with pytest.raises(StudyError, match="NaN"):
        collected(HoleInTheMiddle(), images, [[0, 1]], 1.0)


def test_equal_images_are_refused():
    images = random_images()
    images[3] = images[1]
    with pytest.raises(StudyError, match=r"^pairs: 2 join equal images"):
        collected(linear(), images, [[0, 1], [1, 3], [2, 2]], 1.0)


@pytest.mark.parametrize("pairs", [[], [0, 1], [[0, 1, 2]]])
def test_pairs_of_another_shape_are_refused(pairs):
    with pytest.raises(StudyError, match=r"^pairs: got shape"):
        collected(linear(), random_images(), pairs, 1.0)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), "1"])
def test_spacing_must_be_a_positive_number(spacing):
    with pytest.raises(StudyError, match=r"^spacing: "):
        collected(linear(), random_images(), [[0, 1]], spacing)


def test_unknown_way_to_compile_is_refused():
    with pytest.raises(StudyError, match=r"^compile: got 'maybe'"):
        list(paths.evaluate(linear(), random_images(), [[0, 1]], 1.0, compile="maybe"))


def test_without_a_compiler_evaluate_says_so_once_and_goes_on(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(forward, "_said", set())
    model, images, pairs = convolutional(), random_images(), np.array([[0, 1], [2, 3]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            found = {int(i[0]): logits[0] for i, logits in paths.evaluate(model, images, pairs, 1.0, compile=True,
                                                                          batch_size=4)}  # fmt: skip
    said = [str(warning.message) for warning in caught if "compile" in str(warning.message)]
    assert len(said) == 1
    assert "no C++ compiler" in said[0]
    assert "\n" not in said[0]
    for path, expected in enumerate(outputs_by_definition(model, images, pairs, 1.0)):
        np.testing.assert_allclose(found[path], expected, atol=1e-5)


def test_a_network_that_fails_while_it_is_compiled_is_evaluated_uncompiled(monkeypatch):
    def compiled(model, **_options):
        def fail(batch):
            raise OSError("g++ not found")

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    monkeypatch.setattr(forward, "_said", set())
    with pytest.warns(UserWarning, match=r"g\+\+ not found"):
        blocks = list(paths.evaluate(linear(), random_images(), [[0, 1]], 1.0, compile=True))
    assert len(blocks) == 1


@pytest.mark.parametrize(("compile", "seconds", "compiles"), [("auto", 1e9, 0), ("auto", 0.0, 1), (False, 0.0, 0)])
def test_compiles_where_it_pays(monkeypatch, compile, seconds, compiles):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda model, **_options: calls.append(model) or model)
    monkeypatch.setattr(forward, "COMPILE_PAYS_AFTER_SECONDS", seconds)
    list(paths.evaluate(linear(), random_images(), [[0, 1], [2, 3]], 1.0, batch_size=4, compile=compile))
    assert len(calls) == compiles


MEMORY = """
import resource, sys
import numpy as np, torch
from lib import paths

generator = torch.Generator().manual_seed(0)
images = 10.5 * torch.randn(200, 1, 4, 4, generator=generator)  # about 60 nu apart
every = np.stack(np.triu_indices(200, 1), axis=1)[:19900]
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 10))
torch.set_num_threads(1)

def peak(count):
    pairs = np.tile(every, (2, 1))[:count]
    done = points = 0
    for index, logits in paths.evaluate(model, images, pairs, 1.0, batch_size=2048, compile=False):
        done, points = done + len(index), points + logits.shape[0] * logits.shape[1]
    assert done == count and points > 50 * count, (done, points)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)

peak(200)  # what the first evaluation needs for itself
print(peak(2000), peak(20000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_memory_does_not_grow_with_the_number_of_paths():
    """20,000 paths of about 60 points have 50 MB of logits and 80 MB of images; 2,000 a tenth of that."""
    done = subprocess.run([sys.executable, "-c", MEMORY], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    few, many = map(float, done.stdout.split())
    assert many - few < 15  # MiB
