"""Datasets by name, as tensors in memory."""

import functools
import hashlib
import re
from dataclasses import dataclass, replace

import numpy as np
import torch

from lib import doors
from lib.data import sources
from lib.data.photos import Preprocessing, read_folder
from lib.parameters import refusal

NAMES = ("digits", "cifar10", "cifar100", "svhn")


@dataclass(frozen=True, eq=False)
class Dataset:
    """x_train (a folder: has none), x_test: (images, channels, height, width), uint8 in 0..255 or
    float32, not yet normalised. y_train, y_test: (images,), int64 in 0..num_classes-1. mean, std:
    (channels,), in pixels' unit, of the training images (of a folder: what its network expects).
    fingerprint: 16 hex digits of the SHA-256 of all arrays, part of a run's key."""

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    num_classes: int
    mean: torch.Tensor
    std: torch.Tensor
    fingerprint: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return tuple(self.x_train.shape[1:])

    def normalize(self, images: torch.Tensor) -> torch.Tensor:
        """(x - mean) / std per channel, float32: the pixel space whose L2 unit is one nu."""
        mean, std = (value.to(images.device)[:, None, None] for value in (self.mean, self.std))
        return (images.float() - mean) / std


def load(name: str, num_test: int | None = None, preprocessing=None) -> Dataset:
    """The dataset called `name`, with the first `num_test` of its test images (all when None):
    digits · cifar10, cifar100, svhn (downloaded into the folder STUDY_DATA, by default data/) ·
    npz:PATH (x_train, y_train, x_test, y_test; images N x H x W [x C]) · module:NAME, FILE.py:NAME,
    a function of one's own that returns these four · folder:PATH (test images only, one folder a
    class, made ready by `preprocessing`, a Preprocessing) · any but folder: +merged:SIZES:SEED, see
    `merged`. Relative paths of data start at STUDY_DATA. Raises StudyError."""
    path = name.partition(":")[2].partition("+merged:")[0]
    if photos := path and name == f"folder:{path}":
        dataset = _folder(name, preprocessing or Preprocessing(), num_test)
    else:
        file = sources.in_data_folder(path)
        stamp = file.is_file() and (file.stat().st_mtime_ns, file.stat().st_size)
        dataset = _load(name, (file, stamp, doors.source(name.partition("+merged:")[0])))
    if num_test is not None and num_test > len(dataset.x_test):
        raise refusal("num_test", num_test, f"at most {len(dataset.x_test)} for {name}")
    if photos or num_test is None:
        return dataset
    first = {"x_test": dataset.x_test[:num_test], "y_test": dataset.y_test[:num_test]}
    return replace(dataset, **first, fingerprint=f"{dataset.fingerprint}-{num_test}")


@functools.lru_cache(maxsize=4)
def _load(name: str, stamp: tuple) -> Dataset:
    """stamp: what changes when the file does, so that the cache does not return an older one."""
    base, plus, groups = name.partition("+merged:")
    if plus:
        return merged(_load(base, stamp), groups, name)
    if name.startswith("npz:"):
        arrays = sources.npz(name[4:])
    elif name == "digits":
        arrays = sources.digits()
    elif name in NAMES:
        arrays = sources.download(name)
    elif doors.is_own(name):
        arrays = sources.own(name)
    else:
        raise refusal("dataset", name, f"{', '.join(NAMES)}, npz:PATH, folder:PATH")
    return from_arrays(*arrays, doors.plain(re.sub(":.*/", ":", name)))


def merged(dataset: Dataset, groups: str, name: str) -> Dataset:
    """Super-classes; groups: SIZES:SEED, such as 1-1-1-2-5:0 for three labels of one original class
    each, one of two and one of five, drawn by the seed. A label has as many images as the least
    class (to rounding), equal parts of its own classes, in their order. Raises StudyError."""
    match = re.fullmatch(r"(\d{1,6}(?:-\d{1,6})+):(\d{1,18})", groups)
    sizes = [int(size) for size in match[1].split("-")] if match else [0]
    if min(sizes) < 1 or sum(sizes) > dataset.num_classes:
        accepted = "+merged:SIZES:SEED such as +merged:1-1-1-2-5:0, sizes from 1 that sum to"
        raise refusal("dataset", f"+merged:{groups}", f"{accepted} {dataset.num_classes} at most")
    originals = np.random.default_rng(int(match[2])).permutation(dataset.num_classes)
    arrays = []
    for x, y in ((dataset.x_train, dataset.y_train), (dataset.x_test, dataset.y_test)):
        least, labels = int(y.bincount(minlength=dataset.num_classes).min()), torch.full_like(y, -1)
        for label, group in enumerate(np.split(originals, np.cumsum(sizes))[:-1]):
            for original in group:
                labels[(y == original).nonzero()[: least // len(group)]] = label
        arrays += [x[labels >= 0].permute(0, 2, 3, 1), labels[labels >= 0]]
    return from_arrays(*arrays, name)


def _folder(name: str, preprocessing: Preprocessing, num_test: int | None) -> Dataset:
    images, labels, num_classes = read_folder(name[7:], preprocessing, num_test)
    digest = hashlib.sha256(images.numpy().data)
    digest.update(f"{labels.tolist()}{preprocessing}".encode())
    mean, std = (255 * torch.tensor(values) for values in (preprocessing.mean, preprocessing.std))
    name, tensors = re.sub(":.*/", ":", name.rstrip("/")), (images[:0], labels[:0], images, labels)
    return Dataset(name, *tensors, num_classes, mean, std, digest.hexdigest()[:16])


def from_arrays(x_train, y_train, x_test, y_test, name: str) -> Dataset:
    """A Dataset from arrays: (N, H, W[, C]) uint8 or finite float images, labels 0..C-1."""
    images, labels = _checked(x_train, y_train, name, "train")
    test_images, test_labels = _checked(x_test, y_test, name, "test")
    shape, test_shape = images.shape[1:], test_images.shape[1:]
    if shape != test_shape:
        raise refusal(f"{name}: shape of x_test", test_shape, f"{shape}, that of x_train")
    classes, num_classes = np.unique(labels), int(labels.max()) + 1
    if classes[0] < 0 or len(classes) != num_classes:
        raise refusal(f"{name}: y_train", classes.tolist(), f"every class of 0..{num_classes - 1}")
    if not np.isin(test_labels, classes).all():
        raise refusal(f"{name}: y_test", np.unique(test_labels).tolist(), f"0..{num_classes - 1}")
    if (images.min((0, 2, 3)) == images.max((0, 2, 3))).any():
        raise refusal(f"{name}: x_train", "a constant channel", "images that vary")
    digest = hashlib.sha256()
    for part in (images, test_images, labels, test_labels):
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(part.data)
    # per image first: exact integer sums for uint8, and no float64 copy of the training set
    chunks = np.array_split(images, max(1, len(images) // 1000))
    chunks = (chunk.astype(np.float64) for chunk in chunks)
    sums = [(chunk.sum((0, 2, 3)), (chunk**2).sum((0, 2, 3))) for chunk in chunks]
    count = images.size / images.shape[1]
    mean, square = (np.sum(parts, 0) / count for parts in zip(*sums, strict=True))
    mean, std = (torch.from_numpy(v).float() for v in (mean, np.sqrt(square - mean**2)))
    tensors = map(torch.from_numpy, (images, labels, test_images, test_labels))
    return Dataset(name, *tensors, num_classes, mean, std, digest.hexdigest()[:16])


def _checked(x, y, name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, C, H, W) uint8 or float32, labels (N,) int64)."""
    x, y = np.asarray(x), np.asarray(y)
    x = x[..., None] if x.ndim == 3 else x
    both = f"{name}: x_{split}, y_{split}"
    if x.ndim != 4 or y.shape != (len(x),) or len(x) == 0:
        raise refusal(both, (x.shape, y.shape), "(N, H, W[, C]) and (N,), N above 0")
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "iu":
        raise refusal(both, f"{x.dtype}, {y.dtype}", "numbers and integers")
    x = x if x.dtype == np.uint8 else x.astype(np.float32)
    if not np.isfinite(x).all():
        raise refusal(f"{name}: x_{split}", "NaN or infinite pixels", "finite numbers")
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y.astype(np.int64)
