"""A network's outputs along paths: a plain loop's, whatever else is measured, in bounded memory."""

import copy
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lib import data, measure, models
from lib.measure import PATHS, Forward, join, lengths, outputs, outputs_along, spectrum
from lib.parameters import ROOT, StudyError

CPU = torch.device("cpu")
EVERY_PAIR = np.array(list(itertools.combinations(range(12), 2)))


def in_batches(model, dataset, size=None):
    """A `Forward` with batches of `size` where that is given."""
    ready = Forward(model, dataset, CPU)
    ready.arrange(torch.channels_last, size or ready.batch_size)
    return ready


def collected(ready, pairs, spacing, path="linear"):
    """{path: its logits}, each path checked to come once."""
    logits = {}
    for index, block in outputs_along(ready, join(ready.dataset, pairs, spacing, path)):
        assert len(index) == len(block)
        for number, rows in zip(index, block, strict=True):
            assert int(number) not in logits
            logits[int(number)] = rows.numpy()
    return logits


def by_definition(model, images, pairs, spacing):
    """Along straight lines, a point at a time, in float64: 0, spacing, 2 spacing ... below the
    distance."""
    model, paths = copy.deepcopy(model).double().eval(), []
    for start, end in images[pairs].double():
        length = (end - start).norm().item()
        steps = [step * spacing / length for step in range(math.ceil(length / spacing))]
        with torch.no_grad():
            paths.append(torch.cat([model((start + t * (end - start))[None]) for t in steps]))
    return [path.numpy() for path in paths]


@pytest.mark.parametrize("size", [None, 1, 7, 16, 5000])
@pytest.mark.parametrize("held", [outputs.HELD_NUMBERS, 15, 200])
def test_outputs_are_those_of_a_plain_loop(
    size, held, monkeypatch, random_images, as_dataset, convolutional
):
    """Also where a batch is one point, more than all points, and where one path is held."""
    monkeypatch.setattr(outputs, "HELD_NUMBERS", held)
    model, images = convolutional(), random_images()
    logits = collected(in_batches(model, as_dataset(images), size), EVERY_PAIR, 4.0)
    assert sorted(logits) == list(range(len(EVERY_PAIR)))
    expected = by_definition(model, images, EVERY_PAIR, 4.0)
    for number, rows in enumerate(expected):
        np.testing.assert_allclose(logits[number], rows, atol=1e-5)


def test_outputs_of_a_wide_resnet(random_images, as_dataset):
    images, model = 0.4 * random_images(6, (3, 32, 32)), models.build("wrn-10-1", (3, 32, 32), 10)
    pairs = np.array([[0, 1], [2, 3], [4, 5], [0, 5]])
    logits = collected(Forward(model, as_dataset(images)), pairs, 1.5)
    for number, expected in enumerate(by_definition(model, images, pairs, 1.5)):
        assert len(expected) > 8
        np.testing.assert_allclose(logits[number], expected, atol=1e-5)


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize(
    ("name", "shape", "spacing"),
    [("mlp-2-16", (1, 8, 8), 0.25), ("resnet8-4", (3, 16, 16), 1.0), ("cnn-4", (1, 8, 8), 0.25)],
)
def test_outputs_along_every_path(name, shape, spacing, path, random_images, as_dataset):
    """In float64, at equal shares of the path's length. A positive mean: no mean turns round on a
    path of phases."""
    images = random_images(6, shape) + 1
    pairs = np.array([[0, 1], [2, 3], [4, 5], [5, 0], [1, 3]])
    dataset, model = as_dataset(images), models.build(name, shape, 4)
    logits = collected(in_batches(model, dataset, 8), pairs, spacing, path)
    exact = models.build(name, shape, 4).double().eval()
    for number, length in enumerate(lengths(dataset, pairs, path)):
        count = math.ceil(length / spacing)
        shares = torch.from_numpy(spacing / length * np.arange(count))
        ends = (image.double().expand(count, -1, -1, -1) for image in images[pairs[number]])
        with torch.no_grad():
            expected = exact(PATHS[path](*ends, shares))
        assert len(expected) > 3
        np.testing.assert_allclose(logits[number], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 3.0])
def test_points_are_a_spacing_apart(spacing, random_images, as_dataset):
    """The network outputs its input, so that the points themselves come back."""
    images, pairs = random_images(), np.array([[0, 1], [2, 3], [4, 0]])
    ready = Forward(nn.Flatten(), as_dataset(images))
    for number, points in collected(ready, pairs, spacing).items():
        start, end = images[pairs[number]].flatten(1).double().numpy()
        points, direction = points.astype(np.float64), (end - start) / np.linalg.norm(end - start)
        np.testing.assert_array_equal(points[0], start)
        along = (points - start) @ direction
        np.testing.assert_allclose(along, spacing * np.arange(len(points)), atol=1e-4)
        beside = points - start - along[:, None] * direction
        np.testing.assert_allclose(beside, 0, atol=1e-5)
        assert 0 < np.linalg.norm(end - points[-1]) <= spacing + 1e-5


def test_a_spacing_longer_than_the_path_leaves_its_first_point(random_images, as_dataset, linear):
    images, model = random_images(), linear()
    logits = collected(Forward(model, as_dataset(images)), [[3, 1], [2, 4]], 1000.0)
    with torch.no_grad():
        expected = model(images[[3, 2]])
    np.testing.assert_allclose(np.concatenate([logits[0], logits[1]]), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["convolutional", "linear", "resnet8-4"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_path_does_not_depend_on_the_paths_measured_with_it(
    name, threads, random_images, as_dataset, on_threads, convolutional, linear
):
    """To the last bit, nor on the number of threads."""
    makers = {"convolutional": convolutional, "linear": linear}
    model = makers[name]() if name in makers else models.build(name, (3, 8, 8), 4)
    dataset = as_dataset(random_images())
    on_threads(1)
    together = collected(in_batches(model, dataset, 64), EVERY_PAIR, 0.7)
    on_threads(threads)
    for some in (np.array([5]), np.arange(20, 40), np.array([60, 3, 17])):
        ready = in_batches(model, dataset, 64)
        for number, rows in collected(ready, EVERY_PAIR[some], 0.7).items():
            assert np.array_equal(rows, together[some[number]])


def test_blocks_hold_little_more_than_they_must(monkeypatch, random_images, as_dataset, linear):
    monkeypatch.setattr(outputs, "HELD_NUMBERS", 50 * 4)  # 50 points of 4 logits
    dataset = as_dataset(random_images())
    joined = join(dataset, EVERY_PAIR, 1.0)
    shapes = [rows.shape for _, rows in outputs_along(in_batches(linear(), dataset, 8), joined)]
    assert sum(paths for paths, *_ in shapes) == len(EVERY_PAIR)
    assert max(paths * points for paths, points, _ in shapes) < 50 + 8 + joined.points.max()
    assert len(shapes) > 20


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["everywhere", "start", "middle", "end"])
def test_nan_outputs_are_refused(where, value, as_dataset):
    """Also at one point of one path alone; the images themselves have finite outputs, but for the
    start."""
    images = torch.zeros(2, 1, 2, 2)
    images[1] = 5.0  # points at 0, 1, ... 9 nu have pixels of 0, 0.5, ... 4.5
    point = {"everywhere": slice(-1, 9), "start": slice(-0.1, 0.1), "middle": slice(1.9, 2.1)}
    hole = point.get(where, slice(4.4, 4.6))

    def network(x):
        pixels = x.flatten(1)[:, :2]
        return torch.where((pixels > hole.start) & (pixels < hole.stop), value, pixels)

    ready = in_batches(network, as_dataset(images), 4)
    with pytest.raises(
        StudyError, match=r"^network: got NaN or infinite outputs; accepted: finite"
    ):
        collected(ready, [[0, 1]], 1.0)


def test_consumers_that_stop_early_leave_everything_as_it_was(
    random_images, as_dataset, on_threads, linear
):
    on_threads(2)
    dataset = as_dataset(random_images())
    ready, joined = in_batches(linear(), dataset, 4), join(dataset, EVERY_PAIR, 1.0)
    before = torch.backends.mkldnn.matmul.fp32_precision
    first = next(index for index, _ in outputs_along(ready, joined))
    assert len(first) >= 1
    assert torch.get_num_threads() == 2
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    again = [index for index, _ in outputs_along(ready, joined)]
    assert sorted(np.concatenate(again).tolist()) == list(range(66))


def test_blocks_may_be_changed_and_differentiated(random_images, as_dataset, linear):
    """They are no inference tensors, which torch lets nobody use any further."""
    dataset = as_dataset(random_images())
    for _, rows in outputs_along(Forward(linear(), dataset), join(dataset, EVERY_PAIR[:3], 1.0)):
        rows.mul_(2)
        (rows.requires_grad_() ** 2).sum().backward()


def test_single_precision_suffices():
    """Power out of band to 1 % on every path and to 1e-4 in the mean, against float64."""
    dataset = data.load("digits", 200)
    model = models.build("resnet8-4", dataset.image_shape, 10).eval()
    double, powers = copy.deepcopy(model).double(), []
    images = dataset.normalize(dataset.x_test).double()
    pairs = measure.between_class_pairs(dataset.y_test, 45, 0)
    pairs = pairs[lengths(dataset, pairs, "linear") > 4]
    joined = join(dataset, pairs, 0.1)
    for index, logits in outputs_along(Forward(model, dataset, CPU), joined):
        for (a, b), single in zip(joined.pairs[index], logits, strict=True):
            length = (images[a] - images[b]).norm()
            share = torch.arange(len(single), dtype=torch.float64) * 0.1 / length
            points = images[a] + share[:, None, None, None] * (images[b] - images[a])
            with torch.inference_mode():
                both = torch.stack([single.double(), double(points)])
            powers.append(spectrum.out_of_band_power(both, 0.1, 0.5))
    of_single, exact = torch.stack(powers).T.numpy()
    np.testing.assert_allclose(of_single, exact, rtol=1e-2)
    assert of_single.mean() == pytest.approx(exact.mean(), rel=1e-4)


MEMORY = """
import pathlib
import numpy as np, torch
from lib import data, measure

images = 10.5 * torch.randn(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))  # 60 nu apart
labels, zero = torch.arange(200) % 2, torch.zeros(1)
dataset = data.Dataset("random", images, labels, images, labels, 2, zero, zero + 1, "")
every = np.stack(np.triu_indices(200, 1), axis=1)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 40))
torch.set_num_threads(2)

def peak(count):
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
    joined = measure.join(dataset, every[:count], 1.0)
    done = points = 0
    for index, logits in measure.outputs_along(measure.Forward(model, dataset, "cpu"), joined):
        done, points = done + len(index), points + logits.shape[0] * logits.shape[1]
    assert done == count and points > 50 * count, (done, points)
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

peak(200)  # what the first evaluation needs for itself
print(peak(300), peak(3000))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forgets a peak")
def test_memory_does_not_grow_with_the_number_of_paths():
    """3,000 paths of about 60 points have 29 MB of logits and 12 MB of points, where two threads
    could run far ahead of who takes the outputs; 300 a tenth of that."""
    command = [sys.executable, "-c", MEMORY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    few, many = map(float, done.stdout.split())
    assert many - few < 10  # MiB
