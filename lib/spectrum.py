"""Frequency measures of a function along paths: the published one and the corrected ones, with intervals.

`outputs` is always an array (paths, points, classes): the network's softmax (or logits) at equally spaced
points of each path. Frequencies are in cycles per nu when `spacing` is in nu. Everything is in float64.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.stats

from lib.parameters import StudyError, check


def _as_paths(outputs) -> np.ndarray:
    outputs = np.asarray(outputs, dtype=np.float64)
    if outputs.ndim != 3 or outputs.shape[1] < 3:
        raise StudyError(f"outputs: got shape {outputs.shape}; accepted: (paths, points >= 3, classes)")
    if not np.isfinite(outputs).all():
        raise StudyError("outputs: got NaN or infinite values; accepted: finite numbers")
    return outputs


def softmax(logits) -> np.ndarray:
    """Softmax over the last axis, in float64."""
    logits = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def high_frequency_fraction(outputs) -> np.ndarray:
    """The published summary, HFF: (paths, points, classes) of softmax -> (paths,).

    M(k) = mean over classes of |rfft|; HFF = sum of M from bin ceil(K / 10) to K - 2, over the sum of M from 0
    to K - 1, K bins. DC is in, no window, and the last bin is missing above ("Models Out of Line", NeurIPS
    2022). Mostly leakage: any single transition gives about 0.3.
    """
    magnitude = np.abs(np.fft.rfft(_as_paths(outputs), axis=1)).mean(2)
    num_bins = magnitude.shape[1]
    total = magnitude.sum(1)
    high = magnitude[:, (num_bins + 9) // 10 : num_bins - 1].sum(1)
    return np.divide(high, total, out=np.zeros_like(total), where=total > 0)


def detrended(outputs, detrend: str) -> np.ndarray:
    """Outputs made fit for a Fourier transform: "line" subtracts the line through the two end values, "hann"
    subtracts the mean and multiplies by the Hann window."""
    outputs = _as_paths(outputs)
    points = outputs.shape[1]
    if check("detrend", detrend, "str") == "line":
        along = np.linspace(0, 1, points)[None, :, None]
        return outputs - ((1 - along) * outputs[:, :1] + along * outputs[:, -1:])
    return (outputs - outputs.mean(1, keepdims=True)) * np.hanning(points)[None, :, None]


def power(outputs, spacing: float, detrend: str) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies (bins,), power (paths, bins)): |rfft|^2 summed over classes, DC dropped to zero."""
    check("spacing", spacing, "float")
    signal = detrended(outputs, detrend)
    spectrum = (np.abs(np.fft.rfft(signal, axis=1)) ** 2).sum(2)
    spectrum[:, 0] = 0
    return np.fft.rfftfreq(signal.shape[1], spacing), spectrum


def _above(frequencies: np.ndarray, cutoff: float) -> np.ndarray:
    check("cutoff", cutoff, "float")
    return frequencies >= cutoff * (1 - 1e-12)  # a bin that lies on the cutoff counts


def power_above(outputs, spacing: float, cutoff: float, detrend: str = "line") -> np.ndarray:
    """Corrected measure: fraction of the detrended power at or above `cutoff`, (paths,), 0 to 1.

    spacing in nu, cutoff in cycles per nu. A path without any power (to rounding) has fraction 0. Of a nearly
    constant path it is a ratio of two small numbers: read `absolute_power_above` beside it.
    """
    frequencies, spectrum = power(outputs, spacing, detrend)
    total = spectrum.sum(1)
    scale = (np.asarray(outputs, dtype=np.float64) ** 2).sum((1, 2)) * np.shape(outputs)[1]
    high = spectrum[:, _above(frequencies, cutoff)].sum(1)
    return np.divide(high, total, out=np.zeros_like(total), where=total > 1e-28 * scale)


def absolute_power_above(outputs, spacing: float, cutoff: float, detrend: str = "line") -> np.ndarray:
    """The counterpart of `power_above` in the output's own unit squared: (paths,).

    Mean square along the path (summed over classes) of the detrended output's part at or above `cutoff`.
    """
    frequencies, spectrum = power(outputs, spacing, detrend)
    points = np.shape(outputs)[1]
    sides = np.full(len(frequencies), 2.0)  # Parseval: every bin but Nyquist stands for two
    if points % 2 == 0:
        sides[-1] = 1
    return (spectrum * sides)[:, _above(frequencies, cutoff)].sum(1) / points**2


def binned_power(outputs, spacing: float, detrend: str, edges) -> np.ndarray:
    """Power on common frequency bins: (paths, len(edges) - 1), summing to the fraction of power inside `edges`.

    A Fourier bin's power is spread evenly over its width (a bin at the Nyquist frequency: over the half below
    it), so that paths of different length can be averaged.
    edges in cycles per nu, ascending.
    """
    frequencies, spectrum = power(outputs, spacing, detrend)
    total = np.maximum(spectrum.sum(1, keepdims=True), np.finfo(float).tiny)
    width = frequencies[1]
    borders = np.append(frequencies - width / 2, 0.5 / spacing)
    cumulative = np.concatenate([np.zeros((len(spectrum), 1)), np.cumsum(spectrum / total, axis=1)], axis=1)
    return np.diff(np.stack([np.interp(edges, borders, row) for row in cumulative]), axis=1)


def total_variation(outputs) -> np.ndarray:
    """Length of the curve that the outputs draw: sum over steps of the L2 norm over classes, (paths,)."""
    return np.linalg.norm(np.diff(_as_paths(outputs), axis=1), axis=2).sum(1)


def mean_square_derivative(outputs, spacing: float) -> np.ndarray:
    """Mean over steps of the squared slope, summed over classes, per nu^2: (paths,)."""
    check("spacing", spacing, "float")
    return ((np.diff(_as_paths(outputs), axis=1) / spacing) ** 2).sum(2).mean(1)


@functools.lru_cache(maxsize=256)
def _chebyshev_basis(points: int) -> np.ndarray:
    vandermonde = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, points), min(points - 1, 64))
    return np.linalg.qr(vandermonde)[0]


def effective_degree(outputs, tolerance: float = 1e-4) -> np.ndarray:
    """Least degree whose Chebyshev least-squares fit leaves at most `tolerance` of the variance: (paths,), int.

    Needs no periodicity. A constant path has degree 0; degrees above 64 are reported as 65.
    """
    outputs = _as_paths(outputs)
    basis = _chebyshev_basis(outputs.shape[1])
    centred = outputs - outputs.mean(1, keepdims=True)
    variance = (centred**2).sum((1, 2))
    energy = (np.einsum("nd,pnc->pdc", basis, centred) ** 2).sum(2)
    left = variance[:, None] - np.cumsum(energy, axis=1)
    enough = left <= tolerance * variance[:, None] + 1e-24 * (outputs**2).sum((1, 2))[:, None]
    return np.where(enough.any(1), enough.argmax(1), basis.shape[1])


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
