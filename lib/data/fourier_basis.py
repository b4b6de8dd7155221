"""Fourier basis images (Yin et al., arXiv 1906.08988) and directions in pixel space by name."""

import functools
import itertools
import math
import re

import torch

from lib.parameters import refusal


def fourier_basis_image(i: int, j: int, size: int) -> torch.Tensor:
    """Real 2-D Fourier basis image (size, size), float64: (cos t - sin t) / size, t = 2 pi
    (u x + v y) / size, with u = i - size//2, v = j - size//2. Its transform lives on (u, v) and
    (-u, -v) alone, and all size^2 of them are orthonormal."""
    if not (0 <= i < size and 0 <= j < size):
        raise refusal("fourier_basis_image", (i, j), f"0..{size - 1}")
    steps = torch.arange(size, dtype=torch.float64)
    turns = ((i - size // 2) * steps[:, None] + (j - size // 2) * steps[None, :]) / size
    return (torch.cos(2 * math.pi * turns) - torch.sin(2 * math.pi * turns)) / size


@functools.lru_cache(maxsize=64)
def named_direction(name: str, size: int, channels: int) -> torch.Tensor:
    """A direction (channels, size, size) of unit length, float64: fourier:I,J a basis image ·
    random:SEED Gaussian · f, 1/f all basis images weighted by r^2 or 1/r^2, r >= 1 the radius (the
    released code's weights; its docstring says 1/sqrt(f)). Raises StudyError for other names."""
    image = torch.zeros(size, size, dtype=torch.float64)
    if re.fullmatch(r"fourier:-?\d{1,4},-?\d{1,4}", name):
        image = fourier_basis_image(*map(int, name[8:].split(",")), size)
    elif re.fullmatch(r"random:\d{1,18}", name):
        noise = torch.Generator().manual_seed(int(name[7:]))
        image = torch.randn(channels, size, size, generator=noise, dtype=torch.float64)
    elif name in ("f", "1/f"):
        for i, j in itertools.product(range(size), repeat=2):
            squared_radius = max(1, (i - size // 2) ** 2 + (j - size // 2) ** 2)
            weight = squared_radius if name == "f" else 1 / squared_radius
            image += weight * fourier_basis_image(i, j, size)
    else:
        raise refusal("wave", name, "none, uniform, radial, fourier:I,J, random:SEED, f, 1/f")
    image = image.expand(channels, -1, -1)
    return image / image.norm()
