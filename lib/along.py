"""Any network along paths between test images of any dataset, in memory that does not grow with the paths."""

import copy
from collections.abc import Iterator

import numpy as np
import torch

from lib import paths
from lib.data import Dataset
from lib.parameters import StudyError

HELD_NUMBERS = 2**23  # pixels of normalised images that are held at a time: 32 MiB
BATCH_NUMBERS = 1_600_000  # pixels in a forward pass: 10 images at 224 x 224, which is faster than 32 of them


def point_batch(dataset: Dataset, most: int) -> int:
    """Images to a forward pass: `most` of small ones, of large ones as many as stay near the processor."""
    return min(most, max(8, BATCH_NUMBERS // dataset.x_test[0].numel()))


def held_images(dataset: Dataset) -> int:
    """Normalised images that may be held at a time, at least 20."""
    return max(20, HELD_NUMBERS // dataset.x_test[0].numel())


def checked_network(model, dataset: Dataset, device: torch.device) -> torch.nn.Module:
    """A copy of `model`, any callable (n, C, H, W) -> logits (n, classes), on the device in eval mode, weights frozen.

    Raises StudyError when two test images don't come out as (2, classes), with a class for every label.
    """
    if not isinstance(model, torch.nn.Module):
        model = _Function(model)
    model = copy.deepcopy(model).to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    try:
        with torch.inference_mode():
            outputs = model(dataset.normalize(dataset.x_test[:2].to(device)))
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StudyError(f"network: got {reason} for images {tuple(dataset.x_test[:2].shape)}; "
                         f"accepted: a network for {dataset.name}") from error  # fmt: skip
    shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    least = int(dataset.y_test.max()) + 1
    if len(shape) != 2 or shape[0] != len(dataset.x_test[:2]) or shape[1] < max(2, least):
        raise StudyError(f"network: got an output {shape} for 2 images; accepted: (2, classes), classes >= {least}")
    return model


class _Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(images)


def held_pairs(dataset: Dataset, pairs: np.ndarray, device: torch.device) -> Iterator[tuple]:
    """Cut pairs (n, 2) of test images into parts whose ends fit `held_images`: yields (part (p, 2), the same as indices
    into the images that follow, those images normalised on the device)."""
    at_once = held_images(dataset) // 2
    if held_images(dataset) >= len(dataset.x_test):
        at_once = len(pairs)
    for start in range(0, len(pairs), at_once):
        part = pairs[start : start + at_once]
        ends, index = np.unique(part, return_inverse=True)
        yield part, index.reshape(part.shape), dataset.normalize(dataset.x_test[ends].to(device))


def along(model: torch.nn.Module, dataset: Dataset, pairs: np.ndarray, spacing: float, path: str,
          device: torch.device) -> Iterator[tuple]:  # fmt: skip
    """Stream (pairs (p, 2), lengths (p,) in nu, logits (p, points, classes)) of the paths that join `pairs` of test
    images, every path once."""
    for part, index, images in held_pairs(dataset, pairs, device):
        distances = paths.lengths(images, index, path)
        with torch.inference_mode():
            classes = model(images[:1]).shape[1]
        chunk = min(16384, max(512, 163840 // classes))
        for found, logits in paths.evaluate(model, images, index, spacing, path=path, chunk_points=chunk):
            yield part[found], distances[found], logits
