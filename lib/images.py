"""A folder of images, one folder a class, as tensors: what a pretrained network is measured on."""

import concurrent.futures
import dataclasses
import os
import re
import warnings
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lib.parameters import StudyError, folder

MOST_UNREADABLE = 0.01  # share of a folder's images


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What a network expects: an image is resized so that its shorter side has `resize` pixels, its central
    size x size pixels are kept and, divided by 255, normalised by mean and std (one value, or one a channel).
    An image that already is size x size is taken as it is. num_classes: the network's outputs, None if unknown."""

    size: int = 224
    resize: int = 256
    mean: tuple = (0.485, 0.456, 0.406)  # of ImageNet's training images
    std: tuple = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    num_classes: int | None = None

    def changed(self, **changes) -> "Preprocessing":
        """The same with other values. Raises StudyError for one that is out of place."""
        for name in {"size", "resize"} & set(changes):
            if not isinstance(changes[name], int) or changes[name] < 1:
                raise StudyError(f"{name}: got {changes[name]!r}; accepted: int in [1, inf)")
        for name in {"mean", "std"} & set(changes):
            if not isinstance(changes[name], int | float) or (name == "std" and changes[name] <= 0):
                raise StudyError(f"{name}: got {changes[name]!r}; accepted: one number for all channels, std above 0")
            changes[name] = (float(changes[name]),) * 3
        if changes.get("interpolation", "bicubic") not in ("nearest", "bilinear", "bicubic", "lanczos"):
            raise StudyError(f"interpolation: got {changes['interpolation']!r}; "
                             "accepted: nearest, bilinear, bicubic, lanczos")  # fmt: skip
        if "size" in changes and "resize" not in changes:
            changes["resize"] = round(self.resize * changes["size"] / self.size)
        return dataclasses.replace(self, **changes)

    def pixels(self, file: Path) -> np.ndarray:
        """The image in `file` as (3, size, size) uint8; greyscale ones get three equal channels."""
        from PIL import Image
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2 import functional as F

        image = Image.open(file).convert("RGB")
        if image.size != (self.size, self.size):
            image = F.resize(image, [self.resize], InterpolationMode(self.interpolation))
            image = F.center_crop(image, [self.size, self.size])
        return np.asarray(image).transpose(2, 0, 1)


def imagenet_index() -> dict[str, int]:
    """Index among ImageNet-1k's classes by WordNet id and by name, from timm's table; names of two classes are -1."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    found = {synset: index for index, synset in enumerate(info.label_names())}
    for index in range(info.num_classes()):
        for name in info.index_to_description(index).split(","):
            found[_plain(name)] = -1 if found.get(_plain(name), index) != index else index
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def class_labels(names: list[str], num_classes: int | None, where: str) -> list[int]:
    """A label for each class folder: ImageNet-1k's index where the network has 1,000 outputs, else the position
    in the sorted list. Raises StudyError for names that don't map and for a number of folders that does not fit."""
    if num_classes != 1000:
        if num_classes is not None and len(names) != num_classes:
            raise StudyError(f"{where}: got {len(names)} class folders; accepted: {num_classes}, the network's outputs")
        return list(range(len(names)))
    index = imagenet_index()
    labels = [index.get(name, index.get(_plain(name), None)) for name in names]
    strangers = [name for name, label in zip(names, labels, strict=True) if label in (None, -1)]
    if strangers:
        raise StudyError(f"{where}: class {strangers[0]!r} ({len(strangers)} of {len(names)}) is not one of ImageNet-1k"
                         f"{' alone' if index.get(_plain(strangers[0])) == -1 else ''}; "
                         "accepted: WordNet ids such as n01440764, or names such as tench")  # fmt: skip
    if len(set(labels)) < len(labels):
        raise StudyError(f"{where}: two folders are the same class of ImageNet-1k; accepted: one folder a class")
    return labels


def class_files(root: Path, where: str) -> dict[str, list[Path]]:
    """The image files of every class folder in `root`. Raises StudyError when one is empty or can't be listed."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    if not root.is_dir():
        raise StudyError(f"dataset: {where} is not a folder (relative paths start at the folder STUDY_DATA or data/)")
    found = {}
    for path in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            found[path.name] = sorted(path / name for name in os.listdir(path) if name.lower().endswith(IMG_EXTENSIONS))
        except OSError as error:
            raise StudyError(f"{where}: class {path.name} cannot be read ({error.strerror}); "
                             "accepted: readable folders") from error  # fmt: skip
        if not found[path.name]:
            raise StudyError(f"{where}: class {path.name} has no image; accepted: {', '.join(IMG_EXTENSIONS)}")
    if len(found) < 2:
        raise StudyError(f"{where}: got {len(found)} class folders; accepted: at least 2, one a class")
    return found


def read_folder(path: str, preprocessing: Preprocessing, max_images: int | None = None):
    """(images (N, 3, size, size) uint8, labels (N,) int64, class name by label) of the folder `path`.

    One image of each class in turn, so that the first N are spread evenly over classes; only they are decoded. A
    file that can't be decoded is skipped with a warning that names it. Raises StudyError when those are more than
    1 % of the files, or leave a class without an image.
    """
    where = f"folder:{Path(path).name}"
    files = class_files(folder("STUDY_DATA", "data") / Path(path).expanduser(), where)
    labels = class_labels(list(files), preprocessing.num_classes, where)
    ranked = [(rank, label, file) for label, members in zip(labels, files.values(), strict=True)
              for rank, file in enumerate(members)]  # fmt: skip
    ranked = sorted(ranked)[:max_images]
    images = torch.empty(len(ranked), 3, preprocessing.size, preprocessing.size, dtype=torch.uint8)

    def decode(position: int) -> bool:
        try:
            images[position] = torch.from_numpy(preprocessing.pixels(ranked[position][2]).copy())
        except Exception:  # Pillow's decoders raise OSError, SyntaxError, struct.error and others
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        readable = list(tqdm(pool.map(decode, range(len(ranked))), f"images of {where}", len(ranked), leave=False,
                             mininterval=0.5))  # fmt: skip
    bad = [str(file.relative_to(file.parent.parent)) for ok, (*_, file) in zip(readable, ranked, strict=True) if not ok]
    if len(bad) > MOST_UNREADABLE * len(ranked):
        raise StudyError(f"{where}: {len(bad)} of {len(ranked)} images cannot be decoded (first {bad[0]}); "
                         f"accepted: at most {MOST_UNREADABLE:.0%}")  # fmt: skip
    if bad:
        warnings.warn(f"{where}: skipped {len(bad)} of {len(ranked)} images, they cannot be decoded: {', '.join(bad)}",
                      stacklevel=2)  # fmt: skip
    kept = torch.tensor(readable)
    found = torch.tensor([label for _, label, _ in ranked])[kept]
    names = dict(zip(labels, files, strict=True))
    if lost := [name for label, name in names.items() if not (found == label).any()]:
        raise StudyError(f"{where}: class {lost[0]} has no image among the {len(found)} read; accepted: one or more")
    return images[kept] if bad else images, found, names
