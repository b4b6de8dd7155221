"""Frequency measures of a function along paths: the published one, and power out of band. `outputs`
is a tensor (paths, points, classes) on any device, a network's softmax (or logits) at points
`spacing` nu apart. Frequencies are in cycles per nu, results float64 on the same device.

Out of band is what no function band-limited to a cutoff explains: the residual of a least-squares
fit by a constant, a line and the discrete prolate spheroidal sequences of the path's length, which
span such functions on an interval better than any other basis of their number (Slepian 1978). It
needs no periodic path, no window and no bins."""

import functools
import math

import numpy as np
import scipy.signal
import torch

from lib.parameters import StudyError, check, refusal

SHORTEST = 2  # periods of the cutoff: a shorter path can't resolve it
ROUNDING = 1e-26  # of the mean square: variance below it is that of float64


def _checked(outputs: torch.Tensor) -> torch.Tensor:
    """`outputs` in float64. Raises StudyError for another shape, and for NaN or infinite values."""
    if outputs.ndim != 3 or outputs.shape[1] < 3:
        accepted = "(paths, points >= 3, classes)"
        raise StudyError(f"outputs: got shape {tuple(outputs.shape)}; accepted: {accepted}")
    if not outputs.isfinite().all():
        raise StudyError("outputs: got NaN or infinite values; accepted: finite numbers")
    return outputs.double()


def high_frequency_fraction(outputs: torch.Tensor) -> torch.Tensor:
    """The published summary, HFF: (paths, points, classes) of softmax -> (paths,). M(k) = mean over
    classes of |rfft|; HFF = sum of M from bin ceil(K / 10) to K - 2, over the sum of M from 0 to K
    - 1, K bins. DC is in, no window, and the last bin is missing above ("Models Out of Line",
    NeurIPS 2022). Mostly leakage: any single transition gives about 0.3."""
    magnitude = torch.fft.rfft(_checked(outputs), dim=1).abs().mean(2)
    high = magnitude[:, (magnitude.shape[1] + 9) // 10 : -1].sum(1)
    total = magnitude.sum(1)
    return torch.where(total > 0, high / total, 0.0)


def class_changes(outputs: torch.Tensor) -> torch.Tensor:
    """How often the predicted class changes along each path: (paths,), float64."""
    return (_checked(outputs).argmax(2).diff(dim=1) != 0).double().sum(1)


def total_variation(outputs: torch.Tensor) -> torch.Tensor:
    """Length of the curve that the outputs draw, (paths,): the steps' L2 norms, summed."""
    return _checked(outputs).diff(dim=1).norm(dim=2).sum(1)


def num_columns(points: int, turns: float) -> int:
    """Dimension of the basis of `points` points for a cutoff of `turns` cycles a spacing."""
    return math.ceil(2 * points * turns - 1e-9) + 4


def shortest_path(cutoff: float) -> float:
    """Length in nu from which on a path resolves `cutoff`."""
    return SHORTEST / cutoff


def resolves(points: int, turns: float) -> bool:
    """Whether `points` points can tell what is above `turns` cycles a spacing: two periods or more,
    and a basis of half their number at most (to rounding)."""
    long_enough = points * turns >= SHORTEST * (1 - 1e-9)
    return long_enough and 2 * num_columns(points, turns) <= points + 1


def _orthonormal(columns: np.ndarray) -> torch.Tensor:
    # torch's: numpy's threads wait for each other where other processes work, for seconds
    return torch.linalg.qr(torch.from_numpy(columns))[0]


@functools.lru_cache(maxsize=4096)
def band_basis(points: int, turns: float) -> torch.Tensor:
    """(points, columns) orthonormal, float64: constant, line and prolate sequences, see the top.
    Raises StudyError where so many points can't resolve that cutoff."""
    if not resolves(points, turns):
        least, most = SHORTEST / points, ((points + 1) // 2 - 4) / (2 * points)
        accepted = f"{least:.3g} to {most:.3g} for paths of {points} points"
        if most < least:
            accepted = f"paths of more than {points} points"
        raise refusal("cutoff, in cycles a spacing", round(turns, 6), accepted)
    sequences = num_columns(points, turns) - 2
    prolate = scipy.signal.windows.dpss(points, points * turns, sequences)
    line = np.linspace(-1, 1, points)
    columns = np.stack([np.ones(points), line, *prolate], axis=1)
    return _orthonormal(columns)


@functools.lru_cache(maxsize=4096)
def _bases(points: int, turns: tuple[float, ...]) -> tuple[torch.Tensor, list[int]]:
    """The bases of several cutoffs side by side, and how many columns each has."""
    bases = [band_basis(points, one) for one in turns]
    return torch.cat(bases, 1), [basis.shape[1] for basis in bases]


@functools.lru_cache(maxsize=4096)
def _cubics(points: int, turns: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal polynomials up to the third degree (points, 4), and for each cutoff the products
    of what is out of band of them (cutoffs, 4, 4)."""
    line = np.linspace(-1, 1, points)
    cubics = _orthonormal(np.polynomial.legendre.legvander(line, 3))
    bases = [band_basis(points, one) for one in turns]
    residuals = torch.stack([cubics - basis @ (basis.T @ cubics) for basis in bases])
    return cubics, residuals.transpose(1, 2) @ residuals


def _turns(spacing: float, cutoffs) -> tuple[float, ...]:
    check("spacing", spacing, "float")
    return tuple(round(check("cutoff", float(cutoff), "float") * spacing, 12) for cutoff in cutoffs)


def variance(outputs: torch.Tensor) -> torch.Tensor:
    """Variance along each path, summed over classes, in the output's unit squared: (paths,)."""
    return _checked(outputs).var(1, correction=0).sum(1)


def out_of_band_curve(outputs, spacing: float, cutoffs) -> torch.Tensor:
    """Power above each of `cutoffs`, (paths, cutoffs): mean over points of the squared residual,
    summed over classes, in the output's unit squared."""
    outputs, turns = _checked(outputs), _turns(spacing, cutoffs)
    centred = outputs - outputs.mean(1, keepdim=True)
    bases, columns = _bases(outputs.shape[1], turns)
    inside = (bases.T.to(centred.device) @ centred).square().sum(2).split(columns, dim=1)
    inside = torch.stack([part.sum(1) for part in inside], dim=1)
    whole = centred.square().sum((1, 2))[:, None]
    mean_square = outputs.square().sum((1, 2))[:, None]
    left = torch.where(whole > ROUNDING * mean_square, whole - inside, 0.0)
    return left.clamp(min=0) / outputs.shape[1]


def out_of_band_power(outputs, spacing: float, cutoff: float) -> torch.Tensor:
    """`out_of_band_curve` of one cutoff: (paths,)."""
    return out_of_band_curve(outputs, spacing, [cutoff])[:, 0]


def out_of_band_share(outputs, spacing: float, cutoff: float) -> torch.Tensor:
    """`out_of_band_power` over the variance along the path: (paths,), 0 to 1; of a constant path
    (to rounding) 0."""
    total, square = variance(outputs), outputs.double().square().mean(1).sum(1)
    power = out_of_band_power(outputs, spacing, cutoff)
    return torch.where(total > ROUNDING * square, power / total, 0.0)


def floor(outputs, spacing: float, cutoffs) -> torch.Tensor:
    """`out_of_band_curve` of each path's own cubic fit, which has no high frequency: what the
    measure would give of nothing, (paths, cutoffs)."""
    outputs, turns = _checked(outputs), _turns(spacing, cutoffs)
    cubics, products = (part.to(outputs.device) for part in _cubics(outputs.shape[1], turns))
    fit = cubics.T @ outputs
    return torch.einsum("pic,kij,pjc->pk", fit, products, fit) / outputs.shape[1]
