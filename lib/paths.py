"""Pairs of images, the paths between them, and a network's outputs along very many of them."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from lib.forward import FastForward, exact_precision
from lib.parameters import StudyError, check


def _draw_pairs(first: np.ndarray, second: np.ndarray, count: int, rng, label: str) -> np.ndarray:
    """`count` distinct pairs (a, b), a from `first` and b from `second` (unordered when they are one class)."""
    if first is second:
        rows, columns = np.triu_indices(len(first), 1)
        available = len(rows)
    else:
        available = len(first) * len(second)
    if count > available:
        raise StudyError(f"num_pairs: {count} pairs of {label} asked for; accepted: at most {available}")
    chosen = rng.choice(available, count, replace=False)
    if first is second:
        return np.stack([first[rows[chosen]], first[columns[chosen]]], axis=1)
    return np.stack([first[chosen // len(second)], second[chosen % len(second)]], axis=1)


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (part < total % parts) for part in range(parts)]


def within_class_pairs(labels, num_pairs: int, seed: int) -> np.ndarray:
    """(num_pairs, 2) indices of two images of one class, spread evenly over classes, no pair twice."""
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    pairs = [
        _draw_pairs(m, m, count, rng, f"class {labels[m[0]]}")
        for m, count in zip(members, _shares(num_pairs, len(members)), strict=True)
    ]
    return np.concatenate(pairs)


def between_class_pairs(labels, num_pairs: int, seed: int) -> np.ndarray:
    """(num_pairs, 2) indices of images of two classes, spread evenly over pairs of classes, no pair twice."""
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    class_pairs = list(itertools.combinations(members, 2))
    if not class_pairs:
        raise StudyError("num_pairs: pairs of two classes asked for, but all labels are equal")
    order = rng.permutation(len(class_pairs))  # so that a remainder does not always go to the first classes
    pairs = [
        _draw_pairs(*class_pairs[i], count, rng, "two classes")
        for i, count in zip(order, _shares(num_pairs, len(class_pairs)), strict=True)
    ]
    return np.concatenate(pairs)


def linear(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The straight line: points at `share` (n,), 0 to 1, of the way from start to end (n, C, H, W)."""
    return start + share[:, None, None, None] * (end - start)


def slerp(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Along the sphere: the direction turns evenly, the norm goes linearly from one end's to the other's."""
    norms = [image.flatten(1).norm(dim=1)[:, None, None, None] for image in (start, end)]
    first, second = start / norms[0], end / norms[1]
    share = share[:, None, None, None]
    angle = (first * second).flatten(1).sum(1).clamp(-1, 1).acos()[:, None, None, None].clamp(min=1e-6)
    turned = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(angle)
    return ((1 - share) * norms[0] + share * norms[1]) * turned


def _fourier(start, end, share, of) -> torch.Tensor:
    size = start.shape[-1]
    low = torch.fft.fftfreq(size, 1 / size, device=start.device).abs() <= round(13 * size / 32) // 2
    block = low[:, None] & low[None, :]
    first, second = torch.fft.fft2(start), torch.fft.fft2(end)
    return torch.fft.ifft2(torch.where(block, of(first, second, share[:, None, None, None]), first)).real


def fourier_amplitude(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Blend the amplitudes of the central low-frequency block (13 x 13 of 32 x 32) towards the other image's."""
    return _fourier(start, end, share, lambda a, b, s: torch.polar((1 - s) * a.abs() + s * b.abs(), a.angle()))


def fourier_phase(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Turn the phases of the central low-frequency block towards the other image's, the shorter way round."""

    def turned(a, b, s):
        return torch.polar(a.abs(), a.angle() + s * torch.angle(b * a.conj()))

    return _fourier(start, end, share, turned)


def random_direction(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """As far as the other image, but in a random direction (the same for the same pair): pixels of end - start,
    shuffled, with random signs."""
    step = (end - start).flatten(1)
    noise = torch.Generator().manual_seed(0)
    order = torch.randperm(step.shape[1], generator=noise).to(step.device)
    sign = (2 * torch.randint(0, 2, (step.shape[1],), generator=noise) - 1).to(step)
    return start + share[:, None, None, None] * (step[:, order] * sign).reshape(start.shape)


# Fourier paths and random directions follow "Models Out of Line" (NeurIPS 2022); see method 3 there.
PATHS = {path.__name__: path for path in (linear, slerp, fourier_amplitude, fourier_phase, random_direction)}


def lengths(images: torch.Tensor, pairs: np.ndarray, path: str = "linear") -> np.ndarray:
    """Length of the path that joins each pair, in nu when the images are normalised: (paths,).

    Exact for straight paths; of the others the length of a polygon of 32 sides.
    """
    check("path", path, "str")
    index = torch.as_tensor(np.asarray(pairs), device=images.device)
    nodes = (0.0, 1.0) if path in ("linear", "random_direction") else np.linspace(0, 1, 33)
    parts = []
    for a, b in zip(index[:, 0].split(256), index[:, 1].split(256), strict=True):
        before, total = images[a], 0.0
        for node in nodes[1:]:
            after = PATHS[path](images[a], images[b], torch.full((len(a),), float(node), device=images.device))
            total, before = total + (after - before).flatten(1).norm(dim=1), after
        parts.append(total)
    return torch.cat(parts).cpu().numpy().astype(np.float64)


def num_points(distance, spacing: float) -> np.ndarray:
    """Points at 0, spacing, 2 spacing, ... below the distance: the first image, up to just before the second."""
    return np.maximum(np.ceil(np.asarray(distance) / spacing - 1e-9), 1).astype(int)


def default_batch_size(images: torch.Tensor) -> int:
    """Images a forward pass: on a CPU as many pixels as 64 images of 32 x 32, at least 8 and at most 256 images,
    which was fastest for networks of most kinds; on a GPU 64 times as many."""
    fitting = 2**16 // (images.shape[-2] * images.shape[-1])
    return min(max(fitting, 8), 256) * (64 if images.is_cuda else 1)


def evaluate(model, images, pairs, spacing: float, *, batch_size: int | None = None, path="linear", compile="auto",
             chunk_points: int = 16384) -> Iterator[tuple[np.ndarray, torch.Tensor]]:  # fmt: skip
    """Stream a network's logits along the paths that join pairs of images.

    model: (n, C, H, W) -> logits (n, classes). images: (N, C, H, W) float32, normalised; they decide the
    device. pairs: (paths, 2) indices into images. spacing: nu between points. batch_size: images a forward
    pass, by default `default_batch_size`; where memory does not suffice it is halved, which is said. Yields
    (index (p,), logits (p, points, classes) float32 on the images' device), every path once, paths of equal length
    together, at most about `chunk_points` points at a time: memory does not grow with the number of paths.

    In eval mode and IEEE fp32. Every forward pass has the same shape (the last batch is filled up), so a
    point's output does not depend on which paths are measured with it. Raises StudyError on NaN outputs.
    """
    check("spacing", spacing, "float")
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
        raise StudyError(f"pairs: got shape {pairs.shape}; accepted: (paths, 2), at least one path")
    with torch.inference_mode():
        distances = lengths(images, pairs, path)
    if not (distances > 0).all():
        raise StudyError(f"pairs: {int((distances <= 0).sum())} join equal images; accepted: a positive distance")
    points = num_points(distances, spacing)
    order = np.argsort(points, kind="stable")
    ends = np.cumsum(points[order])
    total = int(ends[-1])
    batch_size = batch_size or default_batch_size(images)
    forward = FastForward(model, images.device, compile)
    pending: list[torch.Tensor] = []
    flushed = 0
    for start in range(0, total, batch_size):
        flat = np.minimum(np.arange(start, start + batch_size), total - 1)
        which = np.searchsorted(ends, flat, side="right")
        step = flat - (ends[which] - points[order[which]])
        path_index = order[which]
        with exact_precision(), torch.inference_mode():
            ends_index = torch.as_tensor(pairs[path_index], device=images.device)
            share = torch.as_tensor(step * spacing / distances[path_index], dtype=torch.float32, device=images.device)
            batch = PATHS[path](images[ends_index[:, 0]], images[ends_index[:, 1]], share)
            logits = forward(batch, -(-(total - start) // batch_size)).float()
        pending.append(logits[: total - start])
        end = start + len(pending[-1])
        if end - (ends[flushed - 1] if flushed else 0) < chunk_points and end < total:
            continue
        buffer, finished = torch.cat(pending), int(np.searchsorted(ends, end, side="right"))
        if not buffer.isfinite().all():
            raise StudyError("evaluate: the network's output has NaN or infinite values; accepted: finite logits")
        done = 0
        while flushed < finished:
            length = points[order[flushed]]
            same = int(np.searchsorted(points[order[flushed:finished]], length, side="right"))
            yield order[flushed : flushed + same], buffer[done : done + same * length].reshape(same, length, -1)
            done += same * length
            flushed += same
        pending = [buffer[done:]]
