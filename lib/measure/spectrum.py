"""Frequency measures of a function along paths: the published one and the corrected ones. `outputs`
is a tensor (paths, points, classes) on any device, a network's softmax (or logits) at points
`spacing` nu apart. Frequencies are in cycles per nu, results float64 on the same device."""

import functools

import numpy as np
import torch

from lib.parameters import StudyError, check


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


def detrended(outputs: torch.Tensor, detrend: str) -> torch.Tensor:
    """Outputs made fit for a Fourier transform: "line" subtracts the line through the two end
    values, "hann" subtracts the mean and multiplies by the Hann window."""
    outputs = _checked(outputs)
    points, like = outputs.shape[1], {"dtype": outputs.dtype, "device": outputs.device}
    if check("detrend", detrend, "str") == "line":
        along = torch.linspace(0, 1, points, **like)[None, :, None]
        return outputs - ((1 - along) * outputs[:, :1] + along * outputs[:, -1:])
    window = torch.hann_window(points, periodic=False, **like)
    return (outputs - outputs.mean(1, keepdim=True)) * window[:, None]


def power(outputs: torch.Tensor, spacing: float, detrend: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(frequencies (bins,), power (paths, bins)): |rfft|^2 summed over classes, DC set to 0."""
    check("spacing", spacing, "float")
    spectrum = torch.fft.rfft(detrended(outputs, detrend), dim=1).abs().square().sum(2)
    spectrum[:, 0] = 0
    like = {"dtype": spectrum.dtype, "device": spectrum.device}
    return torch.fft.rfftfreq(outputs.shape[1], spacing, **like), spectrum


def _above(frequencies: torch.Tensor, cutoff: float) -> torch.Tensor:
    check("cutoff", cutoff, "float")
    return frequencies >= cutoff * (1 - 1e-12)  # a bin that lies on the cutoff counts


def power_above(outputs, spacing: float, cutoff: float, detrend: str = "line") -> torch.Tensor:
    """Corrected measure: fraction of the detrended power at or above `cutoff`, (paths,), 0 to 1.
    spacing in nu, cutoff in cycles per nu. A path without any power (to rounding) has fraction 0.
    Of a nearly constant path it is a ratio of two small numbers: read `absolute_power_above`."""
    frequencies, spectrum = power(outputs, spacing, detrend)
    rounding = 1e-28 * (outputs.double().square().sum((1, 2)) * outputs.shape[1])
    high, total = (spectrum * _above(frequencies, cutoff)).sum(1), spectrum.sum(1)
    return torch.where(total > rounding, high / total, 0.0)


def absolute_power_above(outputs, spacing, cutoff, detrend: str = "line") -> torch.Tensor:
    """The counterpart of `power_above` in the output's own unit squared: (paths,). Mean square
    along the path (summed over classes) of the detrended output's part at or above `cutoff`."""
    frequencies, spectrum = power(outputs, spacing, detrend)
    points = outputs.shape[1]
    sides = torch.full_like(frequencies, 2.0)  # Parseval: every bin but Nyquist stands for two
    if points % 2 == 0:
        sides[-1] = 1
    return (spectrum * sides * _above(frequencies, cutoff)).sum(1) / points**2


def binned_power(outputs, spacing: float, detrend: str, edges) -> torch.Tensor:
    """Power on bins that paths of any length share: (paths, len(edges) - 1), summing to the share
    of power inside `edges` (cycles per nu, ascending). A Fourier bin's power is spread evenly over
    its width (a bin at the Nyquist frequency: over the half below it)."""
    frequencies, spectrum = power(outputs, spacing, detrend)
    edges, half = torch.as_tensor(edges).to(spectrum), frequencies[1] / 2
    low = (frequencies - half)[:, None]
    high = (frequencies + half).clamp(max=0.5 / spacing)[:, None]
    overlap = torch.minimum(high, edges[1:]) - torch.maximum(low, edges[:-1])
    total = spectrum.sum(1, keepdim=True).clamp(min=torch.finfo(spectrum.dtype).tiny)
    return spectrum / total @ (overlap.clamp(min=0) / (high - low))


def total_variation(outputs: torch.Tensor) -> torch.Tensor:
    """Length of the curve that the outputs draw, (paths,): the steps' L2 norms, summed."""
    return _checked(outputs).diff(dim=1).norm(dim=2).sum(1)


@functools.lru_cache(maxsize=256)
def _chebyshev_basis(points: int) -> torch.Tensor:
    degree = min(points - 1, 64)
    vandermonde = np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, points), degree)
    return torch.from_numpy(np.linalg.qr(vandermonde)[0])


def effective_degree(outputs: torch.Tensor, tolerance: float = 1e-4) -> torch.Tensor:
    """Least degree whose Chebyshev least-squares fit leaves at most `tolerance` of the variance:
    (paths,), int; of a constant path 0, 65 for any above 64. Needs no periodicity."""
    outputs = _checked(outputs)
    basis = _chebyshev_basis(outputs.shape[1]).to(outputs.device)
    centred = outputs - outputs.mean(1, keepdim=True)
    variance = centred.square().sum((1, 2))
    left = variance[:, None] - (basis.T @ centred).square().sum(2).cumsum(1)
    rounding = 1e-24 * outputs.square().sum((1, 2))[:, None]
    enough = left <= tolerance * variance[:, None] + rounding
    return torch.where(enough.any(1), enough.int().argmax(1), basis.shape[1])
