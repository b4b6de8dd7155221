"""A network's outputs along very many paths, in memory that does not grow with their number."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from lib.data import Dataset
from lib.measure import spectrum
from lib.measure.forward import Forward
from lib.measure.paths import PATHS, Joined
from lib.parameters import StudyError

HELD_NUMBERS = 163_840  # logits that wait for their path's last point: 640 KiB, or one path
ALIASING_PAIRS = 8  # within classes, and as many between


def outputs_along(forward: Forward, joined: Joined) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Stream a network's logits along paths. Yields (index (p,) into the paths, logits (p, points,
    classes), float32 on the device), every path once, paths of equal length together. In eval mode
    and IEEE fp32. Every forward pass has the same shape (the last batch is filled up), so a point's
    output does not depend on which paths are measured with it. Raises StudyError on NaN outputs."""
    order = np.argsort(joined.points, kind="stable")
    ends = np.cumsum(joined.points[order])
    total, size = int(ends[-1]), forward.batch_size

    def points_from(first: int) -> torch.Tensor:
        place = np.minimum(np.arange(first, first + size), total - 1)
        which = np.searchsorted(ends, place, side="right")
        step = place - (ends[which] - joined.points[order[which]])
        share = step * joined.spacing / joined.distances[order[which]]
        share = torch.as_tensor(share, dtype=torch.float32, device=forward.device)
        some, begins = np.unique(which, return_index=True)
        both = (forward.dataset.x_test[images] for images in joined.pairs[order[some]].T)
        both = (forward.normalized(x).contiguous(memory_format=forward.layout) for x in both)
        parts = zip(*both, share.tensor_split(begins[1:].tolist()), strict=True)
        return torch.cat([PATHS[joined.path](a[None], b[None], part) for a, b, part in parts])

    held = torch.empty(0, forward.num_classes, device=forward.device)  # logits, until they are due
    done, firsts = 0, range(0, total, size)
    for first, logits in zip(firsts, forward.map(points_from, firsts), strict=True):
        held, end = torch.cat([held, logits[: total - first]]), min(first + size, total)
        if held.numel() < HELD_NUMBERS and end < total:
            continue
        last = int(np.searchsorted(ends, end, side="right"))
        if not held.isfinite().all():
            raise StudyError("network: got NaN or infinite outputs; accepted: finite logits")
        while done < last:
            length = joined.points[order[done]]
            same = int(np.searchsorted(joined.points[order[done:last]], length, side="right"))
            block, held = held.tensor_split([same * length])
            yield order[done : done + same], block.reshape(same, length, -1)
            done += same


def aliasing(model, dataset: Dataset, protocol, device="auto") -> float:
    """How far power out of band moves when the spacing of a Protocol is quartered: the largest
    relative change of its mean over up to 16 paths (half within, half between), of softmax or
    logits. 0: the spacing is narrow enough."""
    count = min(ALIASING_PAIRS, max(2, protocol.num_pairs // 5), protocol.num_pairs)
    narrow = dataclasses.replace(protocol, num_pairs=count, spacing=protocol.spacing / 4)
    forward, powers = Forward(model, dataset, device), []
    for joined in narrow.joined(dataset, forward.device).values():
        for _, logits in outputs_along(forward, joined):
            views = (logits.double().softmax(-1), logits.double())
            grids = [(view[:, ::step], step * narrow.spacing) for view in views for step in (1, 4)]
            power = [spectrum.out_of_band_power(*grid, protocol.cutoff) for grid in grids]
            powers.append(torch.stack(power))
    fine, wide = torch.cat(powers, 1).mean(1).cpu().reshape(2, 2).T.numpy()
    changes = np.abs(wide - fine) / np.maximum(np.maximum(wide, fine), 1e-300)
    return float(changes.max())
