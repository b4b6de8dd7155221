"""Batched augmentation on the device: every image of a batch gets its own draw, no Python loop over images."""

import torch

from lib.parameters import StudyError


def _draw(high: int, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, high, (len(images),), device=images.device, generator=generator)


def _window(starts: torch.Tensor, size: int) -> torch.Tensor:
    return starts[:, None] + torch.arange(size, device=starts.device)


def flip_crop(images: torch.Tensor, generator: torch.Generator, pad: int = 4) -> torch.Tensor:
    """Horizontal flip with probability 1/2, then a random crop after zero padding by `pad` pixels."""
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    rows = _window(_draw(2 * pad + 1, images, generator), height)
    columns = _window(_draw(2 * pad + 1, images, generator), width)
    flipped = _draw(2, images, generator).bool()
    columns = torch.where(flipped[:, None], columns.flip(1), columns)
    batch = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: torch.Tensor, generator: torch.Generator, size: int = 16) -> torch.Tensor:
    """Zero a size x size square around a random pixel, cut off at the border (DeVries & Taylor, 1708.04552)."""
    _, _, height, width = images.shape
    inside = []
    for extent in (height, width):
        start = _draw(extent, images, generator)[:, None] - size // 2
        position = torch.arange(extent, device=images.device)
        inside.append((position >= start) & (position < start + size))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hole, 0.0)


AUGMENTATIONS = {"flip_crop": flip_crop, "cutout": cutout}


def pipeline(name: str):
    """The function (images, generator) -> images called `name`: "none", or steps joined by "+", in order."""
    steps = [] if name == "none" else name.split("+")
    for step in steps:
        if step not in AUGMENTATIONS:
            raise StudyError(f"augmentation: got {step!r}; accepted: none, or {', '.join(AUGMENTATIONS)} joined by +")

    def apply(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        for step in steps:
            images = AUGMENTATIONS[step](images, generator)
        return images

    return apply
