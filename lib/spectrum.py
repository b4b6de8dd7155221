"""Frequency measures of a function along paths: the published one and the corrected ones, with intervals.

`outputs` is always (paths, points, classes): the network's softmax (or logits) at equally spaced points of each
path, an array or a tensor on any device. Frequencies are in cycles per nu when `spacing` is in nu. Everything is in
float64 where the outputs lie: an array comes out as an array, a tensor as a tensor on the same device.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.stats
import torch

from lib.parameters import StudyError, check


def _double(outputs) -> torch.Tensor:
    return torch.as_tensor(outputs if isinstance(outputs, torch.Tensor) else np.asarray(outputs)).double()


def _of_tensors(function):
    """Let a function of a float64 tensor (paths, points, classes) take arrays too, which it then gives back, and check
    what it is given. One that is called by another is called as `__wrapped__`: checked already, a tensor."""

    @functools.wraps(function)
    def wrapped(outputs, *arguments, **options):
        tensor = _double(outputs)
        if tensor.ndim != 3 or tensor.shape[1] < 3:
            raise StudyError(f"outputs: got shape {tuple(tensor.shape)}; accepted: (paths, points >= 3, classes)")
        if not tensor.isfinite().all():
            raise StudyError("outputs: got NaN or infinite values; accepted: finite numbers")
        found = function(tensor, *arguments, **options)
        if isinstance(outputs, torch.Tensor):
            return found
        return tuple(part.numpy() for part in found) if isinstance(found, tuple) else found.numpy()

    return wrapped


def softmax(logits):
    """Softmax over the last axis, in float64."""
    found = _double(logits).softmax(-1)
    return found if isinstance(logits, torch.Tensor) else found.numpy()


@_of_tensors
def high_frequency_fraction(outputs):
    """The published summary, HFF: (paths, points, classes) of softmax -> (paths,).

    M(k) = mean over classes of |rfft|; HFF = sum of M from bin ceil(K / 10) to K - 2, over the sum of M from 0
    to K - 1, K bins. DC is in, no window, and the last bin is missing above ("Models Out of Line", NeurIPS
    2022). Mostly leakage: any single transition gives about 0.3.
    """
    magnitude = torch.fft.rfft(outputs, dim=1).abs().mean(2)
    num_bins = magnitude.shape[1]
    return _ratio(magnitude[:, (num_bins + 9) // 10 : num_bins - 1].sum(1), magnitude.sum(1), 0.0)


def _ratio(part: torch.Tensor, total: torch.Tensor, least) -> torch.Tensor:
    """part / total, 0 where the total is not above `least`."""
    return torch.where(total > least, part / total, 0.0)


@_of_tensors
def detrended(outputs, detrend: str):
    """Outputs made fit for a Fourier transform: "line" subtracts the line through the two end values, "hann"
    subtracts the mean and multiplies by the Hann window."""
    points, like = outputs.shape[1], {"dtype": outputs.dtype, "device": outputs.device}
    if check("detrend", detrend, "str") == "line":
        along = torch.linspace(0, 1, points, **like)[None, :, None]
        return outputs - ((1 - along) * outputs[:, :1] + along * outputs[:, -1:])
    return (outputs - outputs.mean(1, keepdim=True)) * torch.hann_window(points, periodic=False, **like)[:, None]


@_of_tensors
def power(outputs, spacing: float, detrend: str):
    """(frequencies (bins,), power (paths, bins)): |rfft|^2 summed over classes, DC dropped to zero."""
    check("spacing", spacing, "float")
    spectrum = torch.fft.rfft(detrended.__wrapped__(outputs, detrend), dim=1).abs().square().sum(2)
    spectrum[:, 0] = 0
    return torch.fft.rfftfreq(outputs.shape[1], spacing, dtype=spectrum.dtype, device=spectrum.device), spectrum


def _above(frequencies: torch.Tensor, cutoff: float) -> torch.Tensor:
    check("cutoff", cutoff, "float")
    return frequencies >= cutoff * (1 - 1e-12)  # a bin that lies on the cutoff counts


@_of_tensors
def power_above(outputs, spacing: float, cutoff: float, detrend: str = "line"):
    """Corrected measure: fraction of the detrended power at or above `cutoff`, (paths,), 0 to 1.

    spacing in nu, cutoff in cycles per nu. A path without any power (to rounding) has fraction 0. Of a nearly
    constant path it is a ratio of two small numbers: read `absolute_power_above` beside it.
    """
    frequencies, spectrum = power.__wrapped__(outputs, spacing, detrend)
    scale = outputs.square().sum((1, 2)) * outputs.shape[1]
    return _ratio((spectrum * _above(frequencies, cutoff)).sum(1), spectrum.sum(1), 1e-28 * scale)


@_of_tensors
def absolute_power_above(outputs, spacing: float, cutoff: float, detrend: str = "line"):
    """The counterpart of `power_above` in the output's own unit squared: (paths,).

    Mean square along the path (summed over classes) of the detrended output's part at or above `cutoff`.
    """
    frequencies, spectrum = power.__wrapped__(outputs, spacing, detrend)
    points = outputs.shape[1]
    sides = torch.full_like(frequencies, 2.0)  # Parseval: every bin but Nyquist stands for two
    if points % 2 == 0:
        sides[-1] = 1
    return (spectrum * sides * _above(frequencies, cutoff)).sum(1) / points**2


@_of_tensors
def binned_power(outputs, spacing: float, detrend: str, edges):
    """Power on common frequency bins: (paths, len(edges) - 1), summing to the fraction of power inside `edges`.

    A Fourier bin's power is spread evenly over its width (a bin at the Nyquist frequency: over the half below
    it), so that paths of different length can be averaged.
    edges in cycles per nu, ascending.
    """
    frequencies, spectrum = power.__wrapped__(outputs, spacing, detrend)
    edges, half = torch.as_tensor(edges).to(spectrum), frequencies[1] / 2
    low, high = (frequencies - half)[:, None], (frequencies + half).clamp(max=0.5 / spacing)[:, None]
    inside = (torch.minimum(high, edges[1:]) - torch.maximum(low, edges[:-1])).clamp(min=0) / (high - low)
    return spectrum / spectrum.sum(1, keepdim=True).clamp(min=torch.finfo(spectrum.dtype).tiny) @ inside


@_of_tensors
def total_variation(outputs):
    """Length of the curve that the outputs draw: sum over steps of the L2 norm over classes, (paths,)."""
    return outputs.diff(dim=1).norm(dim=2).sum(1)


@_of_tensors
def mean_square_derivative(outputs, spacing: float):
    """Mean over steps of the squared slope, summed over classes, per nu^2: (paths,)."""
    check("spacing", spacing, "float")
    return (outputs.diff(dim=1) / spacing).square().sum(2).mean(1)


@functools.lru_cache(maxsize=256)
def _chebyshev_basis(points: int) -> torch.Tensor:
    vandermonde = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, points), min(points - 1, 64))
    return torch.from_numpy(np.linalg.qr(vandermonde)[0])


@_of_tensors
def effective_degree(outputs, tolerance: float = 1e-4):
    """Least degree whose Chebyshev least-squares fit leaves at most `tolerance` of the variance: (paths,), int.

    Needs no periodicity. A constant path has degree 0; degrees above 64 are reported as 65.
    """
    basis = _chebyshev_basis(outputs.shape[1]).to(outputs.device)
    centred = outputs - outputs.mean(1, keepdim=True)
    variance = centred.square().sum((1, 2))
    left = variance[:, None] - (basis.T @ centred).square().sum(2).cumsum(1)
    enough = left <= tolerance * variance[:, None] + 1e-24 * outputs.square().sum((1, 2))[:, None]
    return torch.where(enough.any(1), enough.int().argmax(1), basis.shape[1])


class Interval(NamedTuple):
    """An estimate with its bootstrap interval; n: the number of groups that were resampled."""

    estimate: float
    low: float
    high: float
    n: int


def bootstrap(values, groups, confidence: float = 0.95, num_resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean of `values` with a percentile bootstrap interval over whole groups, through scipy.stats.bootstrap.

    values: (n,). groups: (n,), for instance the training seed of each value; or (n, 2), the two images that a
    path joins: then images are resampled, and a path counts as often as the product of its ends' draws.
    One group alone has no interval: low and high are NaN.
    """
    values, groups = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if len(values) == 0 or len(values) != len(groups) or not np.isfinite(values).all():
        raise StudyError(f"bootstrap: got {len(values)} values, {len(groups)} groups; accepted: as many, all finite")
    names, index = np.unique(groups, return_inverse=True)
    index = index.reshape(len(values), -1)
    if len(names) < 2:
        return Interval(float(values.mean()), np.nan, np.nan, len(names))

    def weighted_mean(drawn, axis):
        drawn = np.moveaxis(np.atleast_2d(drawn), axis, -1).astype(int)
        counts = np.stack([np.bincount(row, minlength=len(names)) for row in drawn.reshape(-1, drawn.shape[-1])])
        weights = counts[:, index].prod(2)
        total = weights.sum(1)
        means = np.divide(weights @ values, total, out=np.full(len(total), values.mean()), where=total > 0)
        return means.reshape(drawn.shape[:-1])

    result = scipy.stats.bootstrap((np.arange(len(names)),), weighted_mean, n_resamples=num_resamples, batch=100,
                                   confidence_level=confidence, method="percentile", vectorized=True, axis=-1,
                                   rng=np.random.default_rng(seed))  # fmt: skip
    low, high = result.confidence_interval
    return Interval(float(values.mean()), float(low), float(high), len(names))
