"""Datasets by name, as tensors in memory."""

import functools
import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
import torch

from lib.images import Preprocessing, read_folder
from lib.parameters import StudyError, folder

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of one dataset; pixels as they come (uint8 or float), normalised on demand.

    x_train, x_test: (images, channels, height, width), uint8 in 0..255 or float32; no training images in a folder:.
    y_train, y_test: (images,), int64 in 0..num_classes-1.
    mean, std: (channels,), of the training images (of a folder: what its network expects), in the pixels' own unit.
    fingerprint: 16 hex digits of the SHA-256 of all arrays; it stands for the data in a run's key.
    """

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
        mean, std = self.mean.to(images.device), self.std.to(images.device)
        return (images.float() - mean[:, None, None]) / std[:, None, None]


def load(name: str, num_test: int | None = None, preprocessing: Preprocessing | None = None) -> Dataset:
    """The dataset called `name`, with the first `num_test` of its test images (all when None).

    digits (in scikit-learn) · cifar10, cifar100, svhn (downloaded by torchvision with its checksums into
    the folder STUDY_DATA, by default data/) · npz:PATH (x_train, y_train, x_test, y_test; images N x H x W
    or N x H x W x C) · folder:PATH (test images only, one folder a class, made ready by `preprocessing`) ·
    any but a folder with +merged:SIZES:SEED at its end, see `merged`. A relative path is taken from STUDY_DATA.
    Raises StudyError with what is accepted.
    """
    kind, _, path = name.partition(":")
    if kind == "folder" and path and "+merged:" not in name:
        return _folder(path, preprocessing or Preprocessing(), num_test)
    dataset = _load(name, _stamp(name))
    if num_test is None:
        return dataset
    if num_test > len(dataset.x_test):
        raise StudyError(f"num_test: got {num_test}; accepted: at most {len(dataset.x_test)} for {name}")
    return Dataset(**{**vars(dataset), "x_test": dataset.x_test[:num_test], "y_test": dataset.y_test[:num_test],
                      "fingerprint": f"{dataset.fingerprint}-{num_test}"})  # fmt: skip


def _npz_file(name: str):
    """The file of npz:PATH, with or without +merged; None of other names."""
    match = re.fullmatch(r"npz:(.+?)(\+merged:.*)?", name)
    return match and folder("STUDY_DATA", "data") / match[1]


def _stamp(name: str) -> tuple | None:
    """What changes when the file behind `name` does, so that the cache below does not return an older one."""
    file = _npz_file(name)
    if file is None or not file.is_file():
        return None
    return str(file), file.stat().st_mtime_ns, file.stat().st_size


@functools.lru_cache(maxsize=4)
def _load(name: str, stamp: tuple | None = None) -> Dataset:
    base, plus, how = name.partition("+merged:")
    if plus:
        return merged(_load(base, stamp), how, name)
    kind, _, path = name.partition(":")
    if kind == "npz" and path:
        return from_arrays(*_npz(path), name=f"npz:{path.rsplit('/', 1)[-1]}")
    loader = {"digits": _digits, "cifar10": _torchvision, "cifar100": _torchvision, "svhn": _torchvision}.get(name)
    if loader is None:
        raise StudyError(f"dataset: got {name!r}; accepted: digits, cifar10, cifar100, svhn, npz:PATH, folder:PATH")
    return from_arrays(*loader(name), name=name)


def merged(dataset: Dataset, how: str, name: str) -> Dataset:
    """Super-classes of more or less diversity: `how` is SIZES:SEED, such as 1-1-1-2-5:0 for three labels of one
    original class each, one of two and one of five, drawn at random by the seed.

    Every label has equally many images, as many as the least original class (to rounding), in equal parts of
    its classes, in the original order. Raises StudyError.
    """
    match = re.fullmatch(r"(\d+(?:-\d+)+):(\d+)", how)
    sizes = [int(size) for size in match[1].split("-")] if match else []
    if not sizes or min(sizes) < 1 or sum(sizes) > dataset.num_classes:
        raise StudyError(f"dataset: got +merged:{how}; accepted: +merged:SIZES:SEED such as +merged:1-1-1-2-5:0, "
                         f"sizes from 1 that sum to {dataset.num_classes} at most")  # fmt: skip
    originals = np.random.default_rng(int(match[2])).permutation(dataset.num_classes)
    groups = np.split(originals[: sum(sizes)], np.cumsum(sizes)[:-1])
    arrays = []
    for x, y in ((dataset.x_train, dataset.y_train.numpy()), (dataset.x_test, dataset.y_test.numpy())):
        least = np.bincount(y, minlength=dataset.num_classes).min()
        chosen = {int(index): label for label, group in enumerate(groups) for original in group
                  for index in np.flatnonzero(y == original)[: least // len(group)]}  # fmt: skip
        order = sorted(chosen)
        arrays += [x[order].permute(0, 2, 3, 1).numpy(), np.array([chosen[index] for index in order], dtype=np.int64)]
    return from_arrays(*arrays, name=name)


def _folder(path: str, preprocessing: Preprocessing, num_test: int | None) -> Dataset:
    images, labels, names = read_folder(path, preprocessing, num_test)
    if num_test is not None and num_test > len(images):
        raise StudyError(f"num_test: got {num_test}; accepted: at most {len(images)} for folder:{path}")
    digest = hashlib.sha256(images.numpy().data)
    digest.update(f"{labels.tolist()}{preprocessing}".encode())
    mean, std = (255 * torch.tensor(values) for values in (preprocessing.mean, preprocessing.std))
    num_classes = preprocessing.num_classes or len(names)
    return Dataset(f"folder:{path.rstrip('/').rsplit('/', 1)[-1]}", images[:0], labels[:0], images, labels,
                   num_classes, mean, std, digest.hexdigest()[:16])  # fmt: skip


def from_arrays(x_train, y_train, x_test, y_test, name: str) -> Dataset:
    """A Dataset from arrays, checked: (N, H, W[, C]) uint8 or finite float images, labels 0..C-1."""
    images, labels = {}, {}
    for split, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        x, y = np.asarray(x), np.asarray(y)
        x = x[..., None] if x.ndim == 3 else x
        if x.ndim != 4 or y.shape != (len(x),) or len(x) == 0:
            raise StudyError(f"{name}: x_{split} {x.shape}, y_{split} {y.shape}; accepted: (N, H, W[, C]) and (N,)")
        if x.dtype.kind not in "biuf":
            raise StudyError(f"{name}: x_{split} is {x.dtype}; accepted: numbers")
        if x.dtype != np.uint8:
            x = x.astype(np.float32)
            if not np.isfinite(x).all():
                raise StudyError(f"{name}: x_{split} has NaN or infinite pixels; accepted: finite numbers")
        if not np.issubdtype(y.dtype, np.integer):
            raise StudyError(f"{name}: y_{split} is {y.dtype}; accepted: integers")
        images[split], labels[split] = np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y.astype(np.int64)
    if images["train"].shape[1:] != images["test"].shape[1:]:
        raise StudyError(f"{name}: training images {images['train'].shape[1:]}, test {images['test'].shape[1:]}")
    num_classes = int(labels["train"].max()) + 1
    for split, y in labels.items():
        if y.min() < 0 or y.max() >= num_classes:
            raise StudyError(f"{name}: y_{split} has labels {y.min()}..{y.max()}; accepted: 0..{num_classes - 1}")
    if len(np.unique(labels["train"])) != num_classes:
        raise StudyError(f"{name}: y_train skips a class of 0..{num_classes - 1}; accepted: every class present")
    if (images["train"].min((0, 2, 3)) == images["train"].max((0, 2, 3))).any():
        raise StudyError(f"{name}: a channel of x_train is constant; accepted: images that vary")
    digest = hashlib.sha256()
    for part in (*images.values(), *labels.values()):
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(part.data)
    # per image first: exact integer sums for uint8, and no float64 copy of the training set
    pixels, squares = [], []
    for chunk in np.array_split(images["train"], max(1, len(images["train"]) // 1000)):
        chunk = chunk.astype(np.float64)
        pixels.append(chunk.sum((0, 2, 3)))
        squares.append((chunk**2).sum((0, 2, 3)))
    count = images["train"].size / images["train"].shape[1]
    mean = np.sum(pixels, 0) / count
    std = np.sqrt(np.sum(squares, 0) / count - mean**2)
    tensors = [torch.from_numpy(a) for split in images for a in (images[split], labels[split])]
    statistics = [torch.tensor(a, dtype=torch.float32) for a in (mean, std)]
    return Dataset(name, *tensors, num_classes, *statistics, digest.hexdigest()[:16])


def _digits(_name):
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))  # the file is ordered by writer
    x, y = (15 * x).reshape(-1, 8, 8)[order].astype(np.uint8), y[order]  # 0..16 -> 0..240
    return x[:1297], y[:1297], x[1297:], y[1297:]


def _npz(path):
    file = folder("STUDY_DATA", "data") / path
    if not file.is_file():
        raise StudyError(f"dataset: npz:{path} is not a file (relative paths start at the folder STUDY_DATA or data/)")
    try:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise StudyError(f"dataset: npz:{path} is a single array; accepted: an npz with {', '.join(NPZ_KEYS)}")
        with archive:
            missing = [key for key in NPZ_KEYS if key not in archive]
            if missing:
                raise StudyError(f"dataset: npz:{path} lacks {', '.join(missing)}; accepted: {', '.join(NPZ_KEYS)}")
            return [archive[key] for key in NPZ_KEYS]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(f"dataset: npz:{path} cannot be read without pickle: {str(error).splitlines()[0]}") from error


def _torchvision(name):
    import torchvision.datasets

    root = folder("STUDY_DATA", "data")
    try:
        if name == "svhn":
            splits = [torchvision.datasets.SVHN(root, split, download=True) for split in ("train", "test")]
            return [a for s in splits for a in (s.data.transpose(0, 2, 3, 1), s.labels)]
        kind = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}[name]
        splits = [kind(root, train, download=True) for train in (True, False)]
        return [a for s in splits for a in (s.data, np.asarray(s.targets))]
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StudyError(
            f"dataset: {name} could not be downloaded into {root.name}/ ({reason}); or use npz:PATH"
        ) from error
