"""Datasets in memory: their shapes and statistics, what is refused, and super-classes."""

import collections
import subprocess
import sys

import numpy as np
import pytest
import torch

from lib import data
from lib.parameters import ROOT, StudyError

SHARED = ROOT.parent / "shared"


def test_digits():
    dataset = data.load("digits")
    assert (dataset.image_shape, dataset.num_classes) == ((1, 8, 8), 10)
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((1297, 1, 8, 8), (500, 1, 8, 8))
    assert (dataset.y_train.shape, dataset.y_train.dtype) == ((1297,), torch.int64)
    assert np.bincount(dataset.y_test, minlength=10).min() > 30


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("n", [40, 2345])
def test_normalised_training_images_have_mean_0_and_deviation_1(n, dtype):
    """Of few images and of more than are summed at once."""
    images = np.random.default_rng(0).uniform([3, 90, 0], [200, 100, 255], (n, 2, 2, 3))
    images = images.astype(dtype)
    dataset = data.from_arrays(images, np.arange(n) % 2, images[:4], np.arange(4) % 2, "a")
    pixels = images.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(dataset.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std, pixels.std((0, 1, 2)), rtol=1e-6)
    normalised = dataset.normalize(dataset.x_train)
    assert normalised.dtype == torch.float32
    np.testing.assert_allclose(normalised.double().mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.double().std((0, 2, 3), unbiased=False), 1, atol=1e-5)


def test_num_test_takes_the_first_images():
    every, some = data.load("digits"), data.load("digits", 20)
    assert torch.equal(some.x_test, every.x_test[:20])
    assert torch.equal(some.y_test, every.y_test[:20])
    assert torch.equal(some.x_train, every.x_train)
    assert some.fingerprint != every.fingerprint
    with pytest.raises(StudyError, match=r"^num_test: got 501; accepted: at most 500"):
        data.load("digits", 501)


@pytest.mark.parametrize("part", ["x_train", "y_train", "x_test", "y_test"])
def test_fingerprint_sees_every_array_and_no_name(arrays, part):
    given = arrays(dtype=np.float32)
    before = data.from_arrays(**given, name="a").fingerprint
    assert data.from_arrays(**given, name="b").fingerprint == before
    given[part].flat[0], given[part].flat[1] = given[part].flat[1], given[part].flat[0]
    assert data.from_arrays(**given, name="a").fingerprint != before


def first(value):
    """A change of an array: its first entry replaced."""

    def change(array):
        array.flat[0] = value
        return array

    return change


BAD_ARRAYS = {
    "negative label": ("y_train", first(-1), r"y_train: got \[-1, .*every class of 0\.\.3"),
    "test label too large": ("y_test", first(4), r"y_test: got .*4\]; accepted: 0\.\.3"),
    "negative test label": ("y_test", first(-1), r"y_test: got \[-1, .*accepted: 0\.\.3"),
    "skipped class": ("y_train", lambda y: np.where(y == 2, 1, y), r"y_train: got \[0, 1, 3\]"),
    "fractions as labels": ("y_train", lambda y: y + 0.5, "y_train: got 'uint8, float64'"),
    "NaN pixel": ("x_test", lambda x: first(np.nan)(x.astype(float)), "x_test: got 'NaN"),
    "infinite pixel": ("x_train", lambda x: first(np.inf)(x.astype(float)), "x_train: got 'NaN or"),
    "text pixels": ("x_train", lambda x: x.astype(str), "x_train.*got '<U3, .*accepted: numbers"),
    "flat images": ("x_train", lambda x: x.reshape(40, -1), r"x_train.*\(40, 90\).*\(N, H, W"),
    "too few labels": ("y_test", lambda y: y[:-1], r"y_test: got .*\(11,\)"),
    "no test images": ("x_test", lambda x: x[:0], r"x_test.*got \(\(0, "),
    "other size": ("x_test", lambda x: x[:, :5], r"x_test: got \(3, 5, 5\); .*\(3, 6, 5\)"),
    "black images": ("x_train", np.zeros_like, "x_train: got 'a constant channel'"),
    "grey images": ("x_train", lambda x: np.full(x.shape, 0.1), "x_train: got 'a constant"),
    "one grey channel": ("x_train", lambda x: x * [1, 0, 1], "x_train: got 'a constant"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused_in_one_line(arrays, case):
    part, change, message = BAD_ARRAYS[case]
    given = arrays()
    with pytest.raises(StudyError, match=f"^npz:bad.npz: .*{message}") as caught:
        data.from_arrays(**given | {part: change(given[part])}, name="npz:bad.npz")
    assert "; accepted: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [0, 3])
def test_merged_classes(seed):
    """Each digit is in one label, in equal parts, as often as the rarest digit allows."""
    sizes, labelled = [1, 1, 1, 2, 5], []
    whole, merged = data.load("digits"), data.load(f"digits+merged:1-1-1-2-5:{seed}")
    assert merged.num_classes == 5
    for split in ("train", "test"):
        images, digits = getattr(whole, f"x_{split}"), getattr(whole, f"y_{split}")
        place = {image.numpy().tobytes(): number for number, image in enumerate(images)}
        places = [place[image.numpy().tobytes()] for image in getattr(merged, f"x_{split}")]
        assert places == sorted(places)
        labels = getattr(merged, f"y_{split}").tolist()
        counts = collections.Counter(zip(digits[places].tolist(), labels, strict=True))
        assert sorted(digit for digit, _ in counts) == list(range(10))
        assert np.bincount([label for _, label in counts]).tolist() == sizes
        rarest = np.bincount(digits).min()
        assert all(count == rarest // sizes[label] for (_, label), count in counts.items())
        labelled.append(counts.keys())
    assert labelled[0] == labelled[1]
    assert merged.fingerprint != data.load(f"digits+merged:1-1-1-2-5:{seed + 1}").fingerprint


@pytest.mark.parametrize(
    "groups", ["", "1", "1-0:0", "6-5:0", "1-1", "a-b:0", "1-1:0+merged:1-1:0"]
)
def test_bad_merges_are_refused(groups):
    with pytest.raises(StudyError, match=r"^dataset: got '\+merged:.*SIZES:SEED .* 10 at most$"):
        data.load(f"digits+merged:{groups}")


@pytest.fixture(scope="module")
def real_cifar10(tmp_path_factory):
    tool = SHARED / "tools" / "cifar10_npz.py"
    if not tool.is_file():
        pytest.skip("no real CIFAR-10 here: the folder shared/ beside the project is absent")
    file = tmp_path_factory.mktemp("cifar10") / "cifar10.npz"
    subprocess.run([sys.executable, tool, file], check=True, timeout=120)
    yield file
    file.unlink()


def test_real_cifar10(real_cifar10):
    """Published statistics, at the tolerances with which this copy agrees (178 images come from a
    JPEG copy)."""
    dataset = data.load(f"npz:{real_cifar10}")
    assert dataset.x_train.shape == (50_000, 3, 32, 32)
    assert dataset.x_test.shape == (10_000, 3, 32, 32)
    assert np.bincount(dataset.y_train).tolist() == [5000] * 10
    np.testing.assert_allclose(
        dataset.mean / 255, [0.49139968, 0.48215841, 0.44653091], atol=4.5e-7
    )
    np.testing.assert_allclose(dataset.std / 255, [0.24703223, 0.24348513, 0.26158784], atol=6.5e-6)
    norms = dataset.normalize(dataset.x_test).flatten(1).norm(dim=1)
    assert round(norms.mean().item()) == 53
    assert round(norms.std().item()) == 14
