"""An augmentation of this study's own that leaves the norm of every image as it is."""

import torch


def flip_roll(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images (n, C, H, W), mirrored half the time, moved by up to an eighth of their size (4 pixels
    of 32) in both directions; what leaves at one edge enters at the other."""
    n, _, height, width = images.shape
    reach = height // 8

    def draw(high: int) -> torch.Tensor:
        return torch.randint(0, high, (n, 1), device=images.device, generator=generator)

    down, across = (draw(2 * reach + 1) - reach for _ in range(2))
    rows = (torch.arange(height, device=images.device) + down) % height
    columns = (torch.arange(width, device=images.device) + across) % width
    columns = torch.where(draw(2).bool(), columns.flip(1), columns)
    which = torch.arange(n, device=images.device)[:, None, None]
    return images[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
