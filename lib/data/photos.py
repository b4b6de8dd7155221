"""A folder of photos, one folder a class, as tensors: what a pretrained network is measured on."""

import collections
import concurrent.futures
import dataclasses
import itertools
import re
import warnings
from pathlib import Path

import torch
from tqdm import tqdm

from lib.data.sources import in_data_folder
from lib.parameters import StudyError, check, refusal

MOST_UNREADABLE = 0.01  # share of a folder's images, but one always may be
MOST_PIXELS = 2**26  # of a photo


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What a network expects: a photo is resized so that its shorter side has `resize` pixels, its
    central size x size pixels are kept and, divided by 255, normalised by mean and std (a channel).
    One that already is size x size is taken as it is. num_classes: outputs, None if unknown."""

    size: int = 224
    resize: int = 256
    mean: tuple = (0.485, 0.456, 0.406)  # of ImageNet's training images
    std: tuple = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    num_classes: int | None = None

    def changed(self, **changes) -> "Preprocessing":
        """The same with other values, of mean and std one for all channels. Raises StudyError."""
        kinds = {"size": "int", "resize": "int", "interpolation": "str"}
        for name, value in changes.items():
            check(name, value, kinds.get(name, "float"))
        if "size" in changes:
            changes = {"resize": round(self.resize * changes["size"] / self.size)} | changes
        colours = {name: (float(changes[name]),) * 3 for name in ("mean", "std") if name in changes}
        return dataclasses.replace(self, **changes | colours)

    def pixels(self, file: str) -> torch.Tensor:
        """The photo in `file` as (3, size, size) uint8; greyscale ones get three equal channels."""
        import PIL.Image
        from torchvision.datasets.folder import pil_loader
        from torchvision.transforms import v2

        with PIL.Image.open(file) as header:
            if header.width * header.height > MOST_PIXELS:
                raise ValueError(f"{header.width} x {header.height} pixels")
        photo = pil_loader(file)
        if photo.size != (self.size, self.size):
            photo = v2.Resize(self.resize, v2.InterpolationMode(self.interpolation))(photo)
        return v2.functional.pil_to_tensor(v2.CenterCrop(self.size)(photo))


def class_labels(names: list[str], num_classes: int | None, where: str) -> list[int]:
    """A label for each class folder: ImageNet-1k's index where the network has 1,000 outputs, by
    WordNet id or by a name of one class alone; else its position. Raises StudyError."""
    if len(names) < 2 or num_classes not in (None, 1000, len(names)):
        raise refusal(f"{where}: class folders", len(names), f"{num_classes or 'at least 2'}")
    if num_classes != 1000:
        return list(range(len(names)))
    from timm.data import ImageNetInfo

    info, classes_called = ImageNetInfo(), collections.defaultdict(set)
    for index, synset in enumerate(info.label_names()):
        for name in (synset, *info.index_to_description(index).split(",")):
            classes_called[_plain(name)].add(index)
    classes = [classes_called[_plain(name)] for name in names]
    for name, called in zip(names, classes, strict=True):
        if len(called) != 1 or classes.count(called) > 1:
            accepted = "WordNet ids such as n01440764, or names such as tench of one class alone"
            raise refusal(f"{where}: class", name, f"{accepted}, one folder a class of ImageNet-1k")
    return [min(called) for called in classes]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def _photos_in_turn(path: str, num_classes: int | None, where: str):
    """[(rank, label, file)], one photo of each class in turn, and the label of every class."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

    root = in_data_folder(path)
    try:
        names = [name for name in find_classes(root)[0] if not name.startswith(".")]
        label_of = dict(zip(names, class_labels(names, num_classes, where), strict=True))
        photos = make_dataset(root, label_of, IMG_EXTENSIONS)
    except OSError as error:
        accepted = "a folder of readable folders, one a class; relative paths are in STUDY_DATA"
        raise StudyError(f"dataset: {where}: {error}; accepted: {accepted}") from error
    rank = collections.defaultdict(itertools.count)
    return sorted((next(rank[label]), label, file) for file, label in photos), label_of


def read_folder(path: str, preprocessing: Preprocessing, max_images: int | None = None):
    """(images (N, 3, size, size) uint8, labels (N,) int64, number of classes) of a folder: one of
    each class in turn, so that the first N are spread evenly. One that can't be decoded, is no
    ordinary file or has over 67 million pixels is skipped with a warning. Raises StudyError when
    those are over 1 % or leave a class without any."""
    where = f"folder:{Path(path).name}"
    photos, label_of = _photos_in_turn(path, preprocessing.num_classes, where)
    photos = photos[:max_images]
    images = torch.empty(len(photos), 3, preprocessing.size, preprocessing.size, dtype=torch.uint8)

    def decode(position: int) -> bool:
        try:
            if not Path(photos[position][2]).is_file():  # a pipe, a device, a socket
                return False
            images[position] = preprocessing.pixels(photos[position][2])
        except Exception:  # Pillow's decoders raise OSError, SyntaxError, struct.error and others
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        decoded, bar = pool.map(decode, range(len(photos))), {"leave": False, "mininterval": 0.5}
        kept = torch.tensor(list(tqdm(decoded, f"images of {where}", len(photos), **bar)))
    bad = ["/".join(Path(photos[i][2]).parts[-2:]) for i in (~kept).nonzero()]
    message = f"{where}: {len(bad)} of {len(photos)} images cannot be decoded: {', '.join(bad)}"
    if len(bad) > max(1, MOST_UNREADABLE * len(photos)):
        raise StudyError(f"{message[:200]}; accepted: at most {MOST_UNREADABLE:.0%}")
    if bad:
        warnings.warn(f"{message}; skipped", stacklevel=2)
    labels = torch.tensor([label for _, label, _ in photos])[kept]
    if lost := [name for name, label in label_of.items() if label not in labels]:
        raise refusal(f"{where}: images of class {lost[0]}", 0, f"one or more of {len(labels)}")
    return images[kept] if bad else images, labels, preprocessing.num_classes or len(label_of)
