"""Augmentation of whole batches on the device, by steps in the order of a name: cutout+mixup:1."""

import torch

from lib import doors
from lib.data.fourier_basis import named_direction
from lib.parameters import refusal

DRAWS = 16  # of a torchvision policy in a batch; each goes to a random sixteenth of its images


def _draw(high: int, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, high, (len(images),), device=images.device, generator=generator)


def crop(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A random crop after zero padding by an eighth (4 of 32)."""
    height, width = images.shape[2:]
    pad = height // 8
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = (_draw(2 * pad + 1, images, generator) for _ in range(2))
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def flip_crop(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """`crop`, mirrored half the time."""
    images = crop(images, generator)
    mirrored = _draw(2, images, generator).bool()
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def cutout(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Zero a square half the image wide around a random pixel (arXiv 1708.04552)."""
    size = images.shape[2] // 2
    inside = []
    for extent in images.shape[2:]:
        start = _draw(extent, images, generator)[:, None] - size // 2
        position = torch.arange(extent, device=images.device)
        inside.append((position >= start) & (position < start + size))
    return images.masked_fill(inside[0][:, None, :, None] & inside[1][:, None, None, :], 0.0)


def mixup(images, labels, generator: torch.Generator, alpha: float):
    """Mix images and labels with others', one weight ~ Beta(alpha, alpha) a batch (1710.09412)."""
    weight = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(images), device=images.device, generator=generator)
    return tuple(weight * values + (1 - weight) * values[other] for values in (images, labels))


def frequency(images, labels, generator: torch.Generator, fraction: float, norm: float):
    """Add a direction of L2 length `norm` nu, f to a `fraction` of the images and 1/f to the rest,
    and smooth labels by one half (F9, as in the released code)."""
    channels, size, _ = images.shape[1:]
    f, inverse_f = (norm * named_direction(d, size, channels).to(images) for d in ("f", "1/f"))
    chosen = torch.rand(len(images), device=images.device, generator=generator) < fraction
    perturbed = images + torch.where(chosen[:, None, None, None], f, inverse_f)
    return perturbed, 0.5 * labels + 0.5 / labels.shape[1]


def policy(images: torch.Tensor, transform) -> torch.Tensor:
    """A torchvision policy on uint8 images (n, C, H, W), drawn anew for sixteenths of the batch."""
    changed = images.clone()
    for part in torch.randperm(len(images)).to(images.device).chunk(DRAWS):
        changed[part] = transform(images[part])
    return changed


def torchvision_policy(magnitude: float | None = None):
    """RandAugment of that magnitude, or AutoAugment's policy for CIFAR-10."""
    from torchvision.transforms import v2

    if magnitude is not None and magnitude % 1:
        raise refusal("augmentation: magnitude of randaugment", magnitude, "a whole number")
    if magnitude is None:
        return v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    return v2.RandAugment(magnitude=int(magnitude))


# what a step calls, and the limits of each of its numbers
STEPS = {
    "crop": (crop,),
    "flip_crop": (flip_crop,),
    "cutout": (cutout,),
    "mixup:ALPHA (above 0 up to 100)": (mixup, (1e-9, 100)),
    "frequency:FRACTION:NORM (0 up to 1, above 0 up to 1000)": (frequency, (0, 1), (1e-9, 1000)),
    "autoaugment": (torchvision_policy,),
    "randaugment:MAGNITUDE (0 up to 30)": (torchvision_policy, (0, 30)),
}
CALLS = {form.partition(":")[0]: call for form, call in STEPS.items()}


def _parsed(step: str) -> tuple:
    """What a step calls, and its numbers; one's own, module:NAME or FILE.py:NAME, is called as
    `flip_crop` is."""
    if doors.is_own(step) and step.split(":")[0] not in CALLS:
        return doors.enter(step), []
    kind, *texts = step.split(":")
    try:
        call, *limits = CALLS[kind]
        numbers = [float(text) for text in texts]
        if all(low <= n <= high for n, (low, high) in zip(numbers, limits, strict=True)):
            return call, numbers
    except (KeyError, ValueError):  # no such step, no number, or not as many as the step takes
        pass
    raise refusal("augmentation", step, f"none, or joined by +: {', '.join(STEPS)}")


class Pipeline:
    """Steps by name: `raw` takes pixels as they come, `normalized` then one-hot labels as well."""

    def __init__(self, name: str):
        self.policies, self.steps = [], []
        for call, numbers in [] if name == "none" else map(_parsed, name.split("+")):
            if call is not torchvision_policy:
                self.steps.append((call, numbers))
            elif self.steps:
                raise refusal("augmentation", name, "randaugment, autoaugment before other steps")
            else:
                self.policies.append(call(*numbers))

    def raw(self, images: torch.Tensor) -> torch.Tensor:
        if self.policies and images.dtype != torch.uint8:
            raise refusal("augmentation: images of a policy", images.dtype, "uint8, 0..255")
        for transform in self.policies:
            images = policy(images, transform)
        return images

    def normalized(self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator):
        for call, numbers in self.steps:
            if numbers:
                images, labels = call(images, labels, generator, *numbers)
            else:
                images = call(images, generator)
        return images, labels
