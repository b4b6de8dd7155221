"""Paths between two images: which two are joined, what lies between them, and how long it is."""

import dataclasses
import functools
import itertools

import numpy as np
import torch

from lib.data import Dataset
from lib.measure.forward import usual_batch
from lib.parameters import StudyError, check

POLYGON_SIDES = 32
MOST_TRIED = 40  # candidates for each pair that is asked for


def linear(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The straight line: points at `share` (n,), 0 to 1, of the way between images (n, C, H, W)."""
    return start + share[:, None, None, None] * (end - start)


def slerp(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Along the sphere: the direction turns evenly, the norm goes linearly between the ends'."""
    norms = [image.flatten(1).norm(dim=1)[:, None, None, None] for image in (start, end)]
    first, second = start / norms[0], end / norms[1]
    share = share[:, None, None, None]
    cosine = (first * second).flatten(1).sum(1).clamp(-1, 1)
    angle = cosine.acos()[:, None, None, None].clamp(min=1e-6)
    parts = torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second
    return ((1 - share) * norms[0] + share * norms[1]) * (parts / torch.sin(angle))


def _of_low_frequencies(blend):
    """The path of images whose central block of Fourier coefficients (13 x 13 of 32 x 32) goes by
    `blend`, while the others stay those of the start."""

    @functools.wraps(blend)
    def path(start: torch.Tensor, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        size = start.shape[-1]
        frequencies = torch.fft.fftfreq(size, 1 / size, device=start.device)
        low = frequencies.abs() <= round(13 * size / 32) // 2
        first, second = torch.fft.fft2(start), torch.fft.fft2(end)
        blended = blend(first, second, share[:, None, None, None])
        return torch.fft.ifft2(torch.where(low[:, None] & low[None, :], blended, first)).real

    return path


@_of_low_frequencies
def fourier_amplitude(first: torch.Tensor, second: torch.Tensor, share: torch.Tensor):
    """Blend the low frequencies' amplitudes towards the other image's."""
    return torch.polar((1 - share) * first.abs() + share * second.abs(), first.angle())


@_of_low_frequencies
def fourier_phase(first: torch.Tensor, second: torch.Tensor, share: torch.Tensor):
    """Turn the low frequencies' phases towards the other image's, the shorter way round."""
    return torch.polar(first.abs(), first.angle() + share * torch.angle(second * first.conj()))


def random_direction(start, end: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """As far as the other image, but in a random direction (the same for the same pair): pixels of
    end - start, shuffled, with random signs."""
    step = (end - start).flatten(1)
    noise = torch.Generator().manual_seed(0)
    order = torch.randperm(step.shape[1], generator=noise).to(step.device)
    sign = (2 * torch.randint(0, 2, (step.shape[1],), generator=noise) - 1).to(step)
    return start + share[:, None, None, None] * (step[:, order] * sign).reshape(start.shape)


# Fourier paths and random directions follow "Models Out of Line" (NeurIPS 2022).
STRAIGHT = {path.__name__: path for path in (linear, random_direction)}
PATHS = STRAIGHT | {path.__name__: path for path in (slerp, fourier_amplitude, fourier_phase)}


def _draw(groups: list, num_pairs: int, rng: np.random.Generator, keep) -> np.ndarray:
    """(num_pairs, 2), no pair twice, as many from each of `groups` (first, second, name): an index
    of `first` and one of `second`, unordered where these are the same. keep: pairs (n, 2) -> which
    of them may be drawn, (n,) bool."""
    pairs, parts = [], np.array_split(np.arange(num_pairs), len(groups))
    for (first, second, name), part in zip(groups, parts, strict=True):
        same = first is second
        available = len(first) * (len(first) - 1) // 2 if same else len(first) * len(second)
        drawn = np.empty((0, 2), int)
        if len(part) <= available:
            order = rng.choice(available, min(available, MOST_TRIED * len(part)), replace=False)
            triangle = np.triu_indices(len(first), 1) if same else None
            for chosen in np.split(order, range(2 * len(part), len(order), 2 * len(part) or 1)):
                rows, columns = np.divmod(chosen, len(second))
                if same:
                    rows, columns = (index[chosen] for index in triangle)
                some = np.stack([first[rows], second[columns]], axis=1)
                drawn = np.concatenate([drawn, some[keep(some)]])[: len(part)]
                if len(drawn) == len(part):
                    break
        if len(drawn) < len(part):
            wanted = f"{len(part)} pairs of {name} asked for"
            most = f"at most {available}, and of these the long enough ones"
            raise StudyError(f"num_pairs: {wanted}; accepted: {most}")
        pairs.append(drawn)
    return np.concatenate(pairs)


def _every(pairs: np.ndarray) -> np.ndarray:
    return np.ones(len(pairs), bool)


def within_class_pairs(labels, num_pairs: int, seed: int, keep=_every) -> np.ndarray:
    """(num_pairs, 2) indices of two images of one class, as many of each class, no pair twice.
    keep: pairs (n, 2) -> (n,) bool, which may be drawn."""
    labels = np.asarray(labels)
    members = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    groups = [(own, own, f"class {label}") for label, own in members.items()]
    return _draw(groups, num_pairs, np.random.default_rng(seed), keep)


def between_class_pairs(labels, num_pairs: int, seed: int, keep=_every) -> np.ndarray:
    """(num_pairs, 2) indices of images of two classes, as many of each two, no pair twice. keep: as
    of `within_class_pairs`."""
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups = [(*both, "two classes") for both in itertools.combinations(members, 2)]
    if not groups:
        raise StudyError("num_pairs: pairs of two classes asked for, but all labels are equal")
    order = rng.permutation(len(groups))  # else a remainder always went to the first classes
    return _draw([groups[index] for index in order], num_pairs, rng, keep)


@dataclasses.dataclass(frozen=True)
class Joined:
    """Paths that join `pairs` (paths, 2) of test images: their lengths in nu (paths,) and, at
    `spacing`, their numbers of points (paths,)."""

    pairs: np.ndarray
    distances: np.ndarray
    points: np.ndarray
    spacing: float
    path: str


def lengths(dataset: Dataset, pairs: np.ndarray, path: str, device="cpu") -> np.ndarray:
    """Length in nu of the path that joins each pair of test images: (paths,). Of paths that are not
    straight it is that of a polygon of 32 sides."""
    check("path", path, "str")
    nodes = (0.0, 1.0) if path in STRAIGHT else np.linspace(0, 1, POLYGON_SIDES + 1).tolist()
    batch_size, parts = usual_batch(dataset.x_test.shape[1:], torch.device(device)), []
    for part in torch.tensor(np.asarray(pairs)).split(batch_size):
        start, end = (dataset.normalize(dataset.x_test[ends].to(device)) for ends in part.T)
        before, total = start, 0.0
        for node in nodes[1:]:
            after = PATHS[path](start, end, torch.full((len(part),), node, device=device))
            total, before = total + (after - before).flatten(1).norm(dim=1), after
        parts.append(total)
    return torch.cat(parts).double().cpu().numpy()


def num_points(distance, spacing: float) -> np.ndarray:
    """Points at 0, spacing, 2 spacing, ... below the distance: from the first image on."""
    return np.maximum(np.ceil(np.asarray(distance) / spacing - 1e-9), 1).astype(int)


def join(dataset: Dataset, pairs, spacing: float, path: str = "linear", device="cpu") -> Joined:
    """The paths, `spacing` nu between points, that join `pairs` (paths, 2) of test images. Raises
    StudyError when there is no pair, or one of two equal images."""
    check("spacing", spacing, "float")
    pairs = np.array(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
        raise StudyError(f"pairs: got shape {pairs.shape}; accepted: (paths, 2), at least one path")
    with torch.inference_mode():
        distances = lengths(dataset, pairs, path, device)
    if equal := int((~(distances > 0)).sum()):
        raise StudyError(f"pairs: {equal} join equal images; accepted: a positive distance")
    return Joined(pairs, distances, num_points(distances, spacing), spacing, path)
