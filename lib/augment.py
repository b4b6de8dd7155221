"""Augmentation of whole batches on the device: each image gets its own draw, without a loop over images.

An augmentation is named by steps joined by "+", applied in that order: flip_crop+cutout, randaugment:9+flip_crop.
"""

import torch

from lib.parameters import StudyError
from lib.targets import named_direction

DRAWS = 16  # draws of a torchvision policy in a batch; each goes to a random sixteenth of its images


def _draw(high: int, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, high, (len(images),), device=images.device, generator=generator)


def crop(images, generator: torch.Generator, pad: int | None = None, flip: bool = False) -> torch.Tensor:
    """A random crop after zero padding by `pad` pixels (an eighth of the image: 4 of 32), perhaps mirrored."""
    n, _, height, width = images.shape
    pad = height // 8 if pad is None else pad
    windows = torch.nn.functional.pad(images, (pad, pad, pad, pad)).unfold(2, height, 1).unfold(3, width, 1)
    top, left = (_draw(2 * pad + 1, images, generator) for _ in range(2))
    images = windows[torch.arange(n, device=images.device), :, top, left]
    if flip:
        mirrored = _draw(2, images, generator).bool()
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    return images


def flip_crop(images: torch.Tensor, generator: torch.Generator, pad: int | None = None) -> torch.Tensor:
    """Horizontal flip with probability 1/2, then `crop`."""
    return crop(images, generator, pad, flip=True)


def cutout(images: torch.Tensor, generator: torch.Generator, size: int | None = None) -> torch.Tensor:
    """Zero a square (half the image wide: 16 of 32) around a random pixel, cut off at the border (arXiv 1708.04552)."""
    _, _, height, width = images.shape
    size = height // 2 if size is None else size
    inside = []
    for extent in (height, width):
        start = _draw(extent, images, generator)[:, None] - size // 2
        position = torch.arange(extent, device=images.device)
        inside.append((position >= start) & (position < start + size))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hole, 0.0)


STEPS = {"crop": crop, "flip_crop": flip_crop, "cutout": cutout}


def mixup(images, labels, generator: torch.Generator, alpha: float):
    """Mix every image and its label with another's, one weight ~ Beta(alpha, alpha) a batch (arXiv 1710.09412)."""
    weight = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(images), device=images.device, generator=generator)
    return weight * images + (1 - weight) * images[other], weight * labels + (1 - weight) * labels[other]


def frequency(images, labels, generator: torch.Generator, fraction: float, norm: float, smoothing: float = 0.5):
    """Add a perturbation of L2 length `norm` nu and smooth the label by `smoothing` (F9; the released code's).

    A `fraction` of the images gets the composite of all Fourier basis images with spectrum f, the others 1/f.
    The images that come in are not changed.
    """
    size, channels = images.shape[-1], images.shape[1]
    f, inverse_f = (norm * named_direction(name, size, channels).to(images) for name in ("f", "1/f"))
    chosen = torch.rand(len(images), device=images.device, generator=generator) < fraction
    perturbed = images + torch.where(chosen[:, None, None, None], f, inverse_f)
    return perturbed, (1 - smoothing) * labels + smoothing / labels.shape[1]


def policy(images: torch.Tensor, transform) -> torch.Tensor:
    """A torchvision policy on raw uint8 images (n, C, H, W), drawn anew for every sixteenth of the batch."""
    changed = images.clone()
    for part in torch.randperm(len(images)).to(images.device).chunk(DRAWS):
        changed[part] = transform(images[part])
    return changed


def _numbers(step: str, text: str, form: str, *limits: tuple[float, float]) -> list[float]:
    """The numbers after the step's name, each inside its limits (above the lower one or, below 0, at it)."""
    try:
        numbers = [float(part) for part in text.split(":")] if text else []
        inside = all(low < number <= high for number, (low, high) in zip(numbers, limits, strict=True))
    except ValueError:
        inside = False
    if not inside:
        bounds = ", ".join(f"above {low:g} up to {high:g}" if low >= 0 else f"0 up to {high:g}" for low, high in limits)
        raise StudyError(f"augmentation: got {step!r}; accepted: {form}, {bounds}")
    return numbers


class Pipeline:
    """The steps of one augmentation. `raw` acts on pixels as they come, `normalized` on normalised images and
    one-hot labels; what the first has done is what the second sees."""

    def __init__(self, name: str):
        self.policies, self.steps = [], []
        for step in [] if name == "none" else name.split("+"):
            kind, _, text = step.partition(":")
            if kind in ("randaugment", "autoaugment"):
                if self.steps:
                    raise StudyError(f"augmentation: got {name!r}; accepted: {kind} before the other steps")
                self.policies.append(self._policy(step, kind, text))
            elif kind == "mixup":
                (alpha,) = _numbers(step, text, "mixup:ALPHA", (0, 100))
                self.steps.append(lambda x, y, g, alpha=alpha: mixup(x, y, g, alpha))
            elif kind == "frequency":
                share, norm = _numbers(step, text, "frequency:FRACTION:NORM", (-1e-9, 1), (0, 1000))
                self.steps.append(lambda x, y, g, share=share, norm=norm: frequency(x, y, g, share, norm))
            elif step in STEPS:
                self.steps.append(lambda x, y, g, function=STEPS[step]: (function(x, g), y))
            else:
                accepted = f"none, or {', '.join(STEPS)}, mixup:ALPHA, frequency:FRACTION:NORM, randaugment:MAGNITUDE"
                raise StudyError(f"augmentation: got {step!r}; accepted: {accepted}, autoaugment, joined by +")

    @staticmethod
    def _policy(step: str, kind: str, text: str):
        from torchvision.transforms import v2

        if kind == "randaugment":
            (magnitude,) = _numbers(step, text, "randaugment:MAGNITUDE", (-1e-9, 30))
            return v2.RandAugment(magnitude=int(magnitude))
        _numbers(step, text, "autoaugment")
        return v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)

    def raw(self, images: torch.Tensor) -> torch.Tensor:
        if self.policies and images.dtype != torch.uint8:
            raise StudyError("augmentation: randaugment and autoaugment need uint8 images; accepted: 0..255")
        for transform in self.policies:
            images = policy(images, transform)
        return images

    def normalized(self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator):
        for step in self.steps:
            images, labels = step(images, labels, generator)
        return images, labels
