"""Label waves: smoothing of the labels whose strength varies over the input space at a known frequency.

Protocol of the released code of the paper (method: a wave s(x) >= 0 scales uniform label smoothing); the
Fourier basis images follow Yin et al., arXiv 1906.08988.
"""

import functools
import math

import torch
import torch.nn.functional as F

from lib.parameters import StudyError
from lib.step import cross_entropy


def chi_mean(dimension: int) -> float:
    """E||N(0, I_d)||, the mean of the chi distribution: 55.4211 for d = 3072."""
    return math.sqrt(2) * math.exp(math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2))


def radial_wave(images: torch.Tensor, frequency: float, phase: float | None = None) -> torch.Tensor:
    """s(x) = 1 + sin(2 pi f (||x|| - phase)): (n, C, H, W) normalised images -> (n,), in [0, 2].

    frequency in cycles per nu; phase in nu, by default `chi_mean` of the image's dimension.
    """
    norms = images.flatten(1).norm(dim=1)
    if phase is None:
        phase = chi_mean(images[0].numel())
    return 1 + torch.sin(2 * math.pi * frequency * (norms - phase))


def directional_wave(images: torch.Tensor, frequency: float, direction: torch.Tensor) -> torch.Tensor:
    """s(x) = 1 + sin(2 pi f <x, u>): (n, C, H, W) -> (n,), in [0, 2]; f in cycles per nu along u.

    direction: (H, W), repeated over the channels, or (C, H, W); scaled here to unit length in pixel space.
    """
    direction = direction.to(images).expand(images.shape[1:]).flatten()
    length = direction.norm()
    if not length > 0:
        raise StudyError("direction: got a zero or NaN vector; accepted: an image of positive length")
    return 1 + torch.sin(2 * math.pi * frequency * (images.flatten(1) @ (direction / length)))


def fourier_basis_image(i: int, j: int, size: int) -> torch.Tensor:
    """Real 2-D Fourier basis image (size, size), float64, zero frequency at i = j = size // 2.

    (cos t - sin t) / size with t = 2 pi (u x + v y) / size, u = i - size//2, v = j - size//2: its transform
    lives on (u, v) and (-u, -v) alone, and all size^2 of them are orthonormal.
    """
    if not (0 <= i < size and 0 <= j < size):
        raise StudyError(f"fourier_basis_image: got i={i}, j={j}; accepted: 0..{size - 1}")
    steps = torch.arange(size, dtype=torch.float64)
    turns = ((i - size // 2) * steps[:, None] + (j - size // 2) * steps[None, :]) / size
    return (torch.cos(2 * math.pi * turns) - torch.sin(2 * math.pi * turns)) / size


@functools.lru_cache(maxsize=64)
def named_direction(name: str, size: int, channels: int) -> torch.Tensor:
    """A direction (channels, size, size) of unit length by name.

    fourier:I,J a basis image · random:SEED a Gaussian direction · f, 1/f all basis images weighted by r^2 or
    1/r^2, r >= 1 the image-frequency radius (the released code's weights; its docstring says 1/sqrt(f)).
    """
    kind, _, argument = name.partition(":")
    try:
        if kind == "fourier":
            i, j = map(int, argument.split(","))
            image = fourier_basis_image(i, j, size).expand(channels, -1, -1)
        elif kind == "random":
            noise = torch.Generator().manual_seed(int(argument))
            image = torch.randn(channels, size, size, generator=noise, dtype=torch.float64)
        elif name in ("f", "1/f"):
            image = torch.zeros(size, size, dtype=torch.float64)
            for i in range(size):
                for j in range(size):
                    squared_radius = max(1, (i - size // 2) ** 2 + (j - size // 2) ** 2)
                    weight = squared_radius if name == "f" else 1 / squared_radius
                    image += weight * fourier_basis_image(i, j, size)
            image = image.expand(channels, -1, -1)
        else:
            raise ValueError
    except ValueError as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(
            f"wave: got {name!r}; accepted: none, uniform, radial, fourier:I,J, random:SEED, f, 1/f"
        ) from None
    return image / image.norm()


def wave(name: str, frequency: float, image_shape: tuple[int, int, int]):
    """The function images (n, C, H, W) -> s (n,) called `name`, or None for "none"."""
    if name == "none":
        return None
    if name == "uniform":
        return lambda images: torch.ones(len(images), device=images.device)
    if frequency <= 0:
        raise StudyError(f"frequency: got {frequency} for wave {name}; accepted: above 0 cycles per nu")
    if name == "radial":
        return lambda images: radial_wave(images, frequency)
    channels, height, width = image_shape
    if height != width:
        raise StudyError(f"wave: {name} on {height} x {width} images; accepted: square images")
    direction = named_direction(name, width, channels).float()
    return lambda images: directional_wave(images, frequency, direction)


def smooth_labels(labels: torch.Tensor, wave: torch.Tensor, amplitude: float, num_classes: int) -> torch.Tensor:
    """Labels smoothed by r = amplitude * s / mean(s): y <- (1 - r) y + r / C, (n, C), rows summing to one.

    labels: (n,) integers or (n, C) probabilities; wave: s >= 0, (n,). The mean of r over the n images is the
    amplitude, which may be up to 0.5 (so that r stays below one for a wave of mean one).
    """
    if not 0 <= amplitude <= 0.5:
        raise StudyError(f"amplitude: got {amplitude}; accepted: 0 to 0.5")
    if not wave.is_cuda and not (wave.min() >= 0 and wave.max() > 0):  # on a GPU the check would wait for it
        raise StudyError("wave: got negative, NaN or all-zero values; accepted: s >= 0, somewhere positive")
    if labels.ndim == 1:
        labels = F.one_hot(labels, num_classes).to(wave.dtype)
    weight = (amplitude * wave / wave.mean())[:, None]
    return (1 - weight) * labels + weight / num_classes


def noise_fitting(logits: torch.Tensor, labels: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """CE(clean labels) - CE(noisy labels), in nats: logits (n, C), labels (n,), noisy (n, C) probabilities.

    Negative while the network knows the classes but not the wave (the paper's measure of fitting the wave).
    """
    clean = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return cross_entropy(logits, clean) - cross_entropy(logits, noisy)


def wave_slope(logits: torch.Tensor, labels: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """Least-squares slope of the true class's probability against its noisy label: 0 wave ignored, 1 fitted.

    Unlike noise fitting it does not move when the network merely grows more or less confident. NaN when the
    labels' noise does not vary (uniform smoothing).
    """
    output = F.softmax(logits.double(), 1).gather(1, labels[:, None]).squeeze(1)
    target = noisy.double().gather(1, labels[:, None]).squeeze(1)
    target = target - target.mean()
    variance = (target**2).sum()
    if variance < 1e-12 * len(target):
        return torch.tensor(math.nan)
    return (target * (output - output.mean())).sum() / variance
