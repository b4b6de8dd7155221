"""Label waves: uniform label smoothing, scaled by a wave s(x) >= 0 of known frequency over the
input space (as in the paper's released code), and how far a network has fitted it."""

import math

import pandas as pd
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


def directional_wave(images: torch.Tensor, frequency: float, direction) -> torch.Tensor:
    """s(x) = 1 + sin(2 pi f <x, u>): (n, C, H, W) -> (n,), in [0, 2]; f in cycles per nu along u.
    direction: (H, W), repeated over the channels, or (C, H, W); scaled here to unit length."""
    direction = direction.to(images).expand(images.shape[1:]).flatten()
    length = direction.norm()
    if not length > 0:
        raise StudyError(
            "direction: got a zero or NaN vector; accepted: an image of positive length"
        )
    return 1 + torch.sin(2 * math.pi * frequency * (images.flatten(1) @ (direction / length)))


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


def smooth_labels(labels, wave: torch.Tensor, amplitude: float, num_classes: int) -> torch.Tensor:
    """Labels smoothed by r = amplitude * s / mean(s): y <- (1 - r) y + r / C, (n, C), rows summing
    to one. labels: (n,) integers or (n, C) probabilities; wave: s >= 0, (n,). The mean of r over
    the n images is the amplitude, up to 0.5 (so that r stays below one for a wave of mean one)."""
    if not 0 <= amplitude <= 0.5:
        raise refusal("amplitude", amplitude, "0 to 0.5")
    if not (wave.is_cuda or (wave.min() >= 0 and wave.max() > 0)):  # on a GPU a look would wait
        raise StudyError("wave: got negative, NaN or all-zero values; accepted: s >= 0, not all 0")
    if labels.ndim == 1:
        labels = F.one_hot(labels, num_classes).to(wave.dtype)
    weight = (amplitude * wave / wave.mean())[:, None]
    return (1 - weight) * labels + weight / num_classes


def noise_fitting(logits, labels: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """CE(clean labels) - CE(noisy labels), nats: logits (n, C), labels (n,), noisy (n, C). Negative
    while the network knows the classes but not the wave (the paper's measure)."""
    return F.cross_entropy(logits, labels) - F.cross_entropy(logits, noisy)


def wave_slope(logits, labels: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    """Least-squares slope of the true class's probability against its noisy label: 0 wave ignored,
    1 fitted, whatever the network's confidence. NaN where the smoothing is uniform."""
    both = (F.softmax(logits.double(), 1), noisy.double())
    output, target = (values.gather(1, labels[:, None]).squeeze(1) for values in both)
    target = target - target.mean()
    variance = (target**2).sum()
    if variance < 1e-12 * len(target):
        return torch.tensor(math.nan)
    return (target * (output - output.mean())).sum() / variance


def wave_summary(history: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """One row a run: how its label wave was fitted. history: rows of `Run.history` of several runs;
    by: columns that tell them apart. Columns: min_noise_fitting (nats), dip_epoch where it falls,
    final_slope, half_epoch (the first with half of the largest slope; one past the last where no
    slope is above 0), test_accuracy at the end."""
    history = history.reset_index(drop=True)
    runs = history.groupby(by, sort=False)
    dips = history.loc[runs["noise_fitting"].idxmin()].set_index(by)
    last = runs.last()
    half = history["wave_slope"] >= 0.5 * runs["wave_slope"].transform("max")
    reached = history[half & (history["wave_slope"] > 0)].groupby(by)["epoch"].min()
    half_epoch = reached.reindex(last.index).fillna(last["epoch"] + 1)
    dips = dips[["noise_fitting", "epoch"]].set_axis(["min_noise_fitting", "dip_epoch"], axis=1)
    dips = dips.assign(final_slope=last["wave_slope"], half_epoch=half_epoch)
    return dips.assign(test_accuracy=last["test_accuracy"]).reset_index()
