"""Label waves: uniform label smoothing, scaled by a wave s(x) >= 0 of known frequency over the
input space, as in the paper's released code."""

import math

import torch
import torch.nn.functional as F

from lib.data import named_direction
from lib.parameters import StudyError, refusal


def chi_mean(dimension: int) -> float:
    """E||N(0, I_d)||, the mean of the chi distribution: 55.4211 for d = 3072."""
    log_ratio = math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2)
    return math.sqrt(2) * math.exp(log_ratio)


def radial_wave(images: torch.Tensor, frequency: float, phase: float | None = None) -> torch.Tensor:
    """s(x) = 1 + sin(2 pi f (||x|| - phase)): (n, C, H, W) normalised images -> (n,), in [0, 2].
    frequency in cycles per nu; phase in nu, by default `chi_mean` of the image's dimension."""
    phase = chi_mean(images[0].numel()) if phase is None else phase
    return 1 + torch.sin(2 * math.pi * frequency * (images.flatten(1).norm(dim=1) - phase))


def along(images: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """<x, u>: (n, C, H, W) -> (n,), nu. direction: (H, W), repeated over the channels, or (C, H,
    W); scaled here to unit length."""
    direction = direction.to(images).expand(images.shape[1:]).flatten()
    length = direction.norm()
    if not length > 0:
        accepted = "an image of positive length"
        raise StudyError(f"direction: got a zero or NaN vector; accepted: {accepted}")
    return images.flatten(1) @ (direction / length)


def directional_wave(images: torch.Tensor, frequency: float, direction) -> torch.Tensor:
    """s(x) = 1 + sin(2 pi f <x, u>): (n, C, H, W) -> (n,), in [0, 2]; f in cycles per nu along u,
    see `along`."""
    return 1 + torch.sin(2 * math.pi * frequency * along(images, direction))


def argument(name: str, images: torch.Tensor) -> torch.Tensor:
    """What a wave is a function of, nu: normalised images (n, C, H, W) -> their norms or their
    places along the wave's direction, (n,)."""
    if name == "radial":
        return images.flatten(1).norm(dim=1)
    channels, _, width = images.shape[1:]
    return along(images, named_direction(name, width, channels).float())


def wave(name: str, frequency: float, image_shape: tuple[int, int, int]):
    """The function images (n, C, H, W) -> s (n,) called `name`, or None for "none". uniform (s = 1)
    · radial · a direction of `data.named_direction`. Raises StudyError."""
    if name == "none":
        return None
    if name == "uniform":
        return lambda images: torch.ones(len(images), device=images.device)
    if frequency <= 0:
        raise refusal("frequency", frequency, f"above 0 cycles per nu for wave {name}")
    if name == "radial":
        return lambda images: radial_wave(images, frequency)
    channels, height, width = image_shape
    if height != width:
        raise refusal("wave", name, f"none, uniform, radial on {height} x {width} images")
    direction = named_direction(name, width, channels).float()
    return lambda images: directional_wave(images, frequency, direction)


def smoothing(wave: torch.Tensor, amplitude: float, shares=None) -> torch.Tensor:
    """r = amplitude * s / mean(s), (n,), 1 at most: how far the label of each image is smoothed.
    wave: s >= 0, (n,). Their mean is the amplitude, up to 0.5 (a wave of mean one stays below 1).
    shares: (n,), how much of each image belongs to the class whose labels alone the wave is on: r
    is 0 elsewhere, and the means are over that class."""
    if not 0 <= amplitude <= 0.5:
        raise refusal("amplitude", amplitude, "0 to 0.5")
    if not (wave.is_cuda or (wave.min() >= 0 and wave.max() > 0)):  # on a GPU a look would wait
        raise StudyError("wave: got negative, NaN or all-zero values; accepted: s >= 0, not all 0")
    if shares is None:
        return (amplitude * wave / wave.mean()).clamp(max=1)
    mean = (wave * shares).sum() / shares.sum().clamp(min=1e-9)
    return shares * (amplitude * wave / mean.clamp(min=1e-9)).clamp(max=1)


def smooth_labels(labels, wave: torch.Tensor, amplitude: float, num_classes: int, only=None):
    """Labels smoothed by r (see `smoothing`): y <- (1 - r) y + r / C, (n, C), rows summing to one.
    labels: (n,) integers or (n, C) probabilities; only: the class whose labels alone are smoothed,
    None: all are."""
    if labels.ndim == 1:
        labels = F.one_hot(labels, num_classes).to(wave.dtype)
    shares = None if only is None else labels[:, only]
    weight = smoothing(wave, amplitude, shares)[:, None]
    return (1 - weight) * labels + weight / num_classes
