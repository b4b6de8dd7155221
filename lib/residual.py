"""Residual networks: wide ResNets, a compact one, Shake-Shake and PyramidNet with ShakeDrop."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.parameters import StudyError


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)  # momentum 0.9 in TensorFlow's convention


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class ResidualNetwork(nn.Module):
    """Layers, global average pooling and a linear classifier: (n, C, H, W) -> logits (n, num_classes)."""

    def __init__(self, layers: list[nn.Module], width: int, num_classes: int):
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, num_classes)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class PreActivationBlock(nn.Module):
    """BN-ReLU-conv3x3 twice; a 1x1 convolution as the shortcut where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), conv(inputs, outputs, 3, stride)
        self.norm2, self.conv2 = norm(outputs), conv(outputs, outputs, 3)
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = F.relu(self.norm1(x), inplace=True)  # no copy: batch norm's own gradient needs its input alone
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return self.conv2(F.relu(self.norm2(self.conv1(activated)), inplace=True)).add_(shortcut)


def _groups(block, inputs: int, widths: list[int], blocks: int) -> list[nn.Module]:
    """`blocks` blocks of each width; the first block of every group after the first has stride 2."""
    layers = []
    for group, width in enumerate(widths):
        for number in range(blocks):
            layers.append(block(inputs, width, 2 if group > 0 and number == 0 else 1))
            inputs = width
    return layers


def wide_resnet(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """WRN-depth-width (Zagoruyko & Komodakis, arXiv 1605.07146): WRN-28-2 has 1.47 M parameters and
    WRN-28-10 36.5 M (the paper's wrn_32 and wrn_160; the released code has 3x3 shortcuts, 1.55 M)."""
    if depth < 10 or (depth - 4) % 6:
        raise StudyError(f"model: got wrn depth {depth}; accepted: 6 n + 4, such as 10, 16, 28, 40")
    widths = [16 * width, 32 * width, 64 * width]
    blocks = _groups(PreActivationBlock, 16, widths, (depth - 4) // 6)
    layers = [conv(image_shape[0], 16, 3), *blocks, norm(widths[-1]), nn.ReLU()]
    return ResidualNetwork(layers, widths[-1], num_classes)


def compact_resnet(image_shape, num_classes: int, width: int) -> nn.Module:
    """Eight layers: a stem (stride 2 from 32 pixels up), one block a group of width, 2 width and 4 width."""
    widths = [width, 2 * width, 4 * width]
    stem = conv(image_shape[0], width, 3, 2 if image_shape[1] >= 32 else 1)
    layers = [stem, *_groups(PreActivationBlock, width, widths, 1), norm(widths[-1]), nn.ReLU()]
    return ResidualNetwork(layers, widths[-1], num_classes)


def backward_as(forward: torch.Tensor, backward: torch.Tensor) -> torch.Tensor:
    """The value of `forward` with the gradient of `backward`."""
    return backward + (forward - backward).detach()


class ShakeShakeBlock(nn.Module):
    """Two ReLU-conv-BN-ReLU-conv-BN branches mixed by a random weight an image, drawn anew for the backward
    pass; by one half in eval mode (Gastaldi, arXiv 1705.07485, "shake-shake-image")."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        branches = [
            nn.Sequential(nn.ReLU(), conv(inputs, outputs, 3, stride), norm(outputs),
                          nn.ReLU(), conv(outputs, outputs, 3), norm(outputs))
            for _ in range(2)
        ]  # fmt: skip
        self.branches, self.stride = nn.ModuleList(branches), stride
        if inputs != outputs:  # two half-width paths, the second one shifted by a pixel
            self.shortcuts = nn.ModuleList([conv(inputs, outputs // 2, 1), conv(inputs, outputs - outputs // 2, 1)])
            self.shortcut_norm = norm(outputs)
        else:
            self.shortcuts = None

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if self.shortcuts is None:
            return x
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:] if self.stride > 1 else x
        paths = [F.avg_pool2d(part, 1, self.stride) for part in (x, shifted)]
        return self.shortcut_norm(
            torch.cat([layer(path) for layer, path in zip(self.shortcuts, paths, strict=True)], 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = (branch(x) for branch in self.branches)
        if not self.training:
            return self.shortcut(x) + 0.5 * (first + second)
        ahead, back = (torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) for _ in range(2))
        mixed = [weight * first + (1 - weight) * second for weight in (ahead, back)]
        return self.shortcut(x) + backward_as(*mixed)


def shake_shake(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """Shake-Shake-depth 2 x width d: 26 2x32d has 2.9 M parameters, 26 2x96d 26.2 M."""
    if depth < 8 or (depth - 2) % 6:
        raise StudyError(f"model: got shake-shake depth {depth}; accepted: 6 n + 2, such as 8, 14, 20, 26")
    widths = [width, 2 * width, 4 * width]
    blocks = _groups(ShakeShakeBlock, 16, widths, (depth - 2) // 6)
    layers = [conv(image_shape[0], 16, 3), norm(16), *blocks, nn.ReLU()]
    return ResidualNetwork(layers, widths[-1], num_classes)


class ShakeDropBlock(nn.Module):
    """BN-conv-BN-ReLU-conv-BN with a zero-padded shortcut (Han et al., arXiv 1610.02915), its residual scaled by
    ShakeDrop (Yamada et al., arXiv 1802.02375): an image's passes with probability `keep`; else it is scaled by a
    number in [-1, 1] forward and in [0, 1] backward. In eval mode it is scaled by `keep`, the mean."""

    def __init__(self, inputs: int, outputs: int, stride: int, keep: float):
        super().__init__()
        self.body = nn.Sequential(norm(inputs), conv(inputs, outputs, 3, stride), norm(outputs), nn.ReLU(),
                                  conv(outputs, outputs, 3), norm(outputs))  # fmt: skip
        self.stride, self.padding, self.keep = stride, outputs - inputs, keep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = self.body(x)
        shortcut = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.padding))
        if not self.training:
            return shortcut + self.keep * residual
        draw, ahead, back = (torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) for _ in range(3))
        passes = (draw < self.keep).to(x.dtype)
        scales = [passes + (1 - passes) * noise for noise in (2 * ahead - 1, back)]
        return shortcut + backward_as(scales[0] * residual, scales[1] * residual)


def pyramidnet(image_shape, num_classes: int, depth: int, alpha: int) -> nn.Module:
    """PyramidNet-depth with widening alpha and ShakeDrop, its death rate growing to one half over the blocks:
    PyramidNet-110 alpha 270 has 28.4 M parameters. (The released code builds the 272-layer bottleneck one.)"""
    if depth < 8 or (depth - 2) % 6:
        raise StudyError(f"model: got pyramidnet depth {depth}; accepted: 6 n + 2, such as 8, 20, 110")
    count = (depth - 2) // 2
    layers, inputs = [conv(image_shape[0], 16, 3), norm(16)], 16
    for number in range(1, count + 1):
        outputs = round(16 + alpha * number / count)
        stride = 2 if number > 1 and (number - 1) % (count // 3) == 0 else 1
        layers.append(ShakeDropBlock(inputs, outputs, stride, 1 - 0.5 * number / count))
        inputs = outputs
    return ResidualNetwork([*layers, norm(inputs), nn.ReLU()], inputs, num_classes)
