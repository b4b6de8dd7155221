"""Networks by name: wrn-DEPTH-WIDTH, resnet8-WIDTH, mlp-DEPTH-WIDTH."""

import re

import torch
from torch import nn
from torch.nn import functional as F

from lib.parameters import StudyError


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)  # momentum 0.9 in TensorFlow's convention


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class PreActivationBlock(nn.Module):
    """BN-ReLU-conv3x3 twice; a 1x1 convolution as the shortcut where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1, self.conv1 = _norm(inputs), _conv(inputs, outputs, 3, stride)
        self.norm2, self.conv2 = _norm(outputs), _conv(outputs, outputs, 3)
        self.shortcut = _conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        activated = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(activated))))


class ResidualNetwork(nn.Module):
    """A 3x3 stem, three groups of pre-activation blocks (the first block of groups 2 and 3 has stride 2),
    BN-ReLU, global average pooling and a linear layer: (n, C, H, W) -> logits (n, num_classes)."""

    def __init__(self, channels, num_classes, stem_width, widths, blocks, stem_stride=1):
        super().__init__()
        layers = [_conv(channels, stem_width, 3, stem_stride)]
        inputs = stem_width
        for group, width in enumerate(widths):
            for block in range(blocks):
                layers.append(PreActivationBlock(inputs, width, 2 if group > 0 and block == 0 else 1))
                inputs = width
        self.features = nn.Sequential(*layers, _norm(inputs), nn.ReLU())
        self.classifier = nn.Linear(inputs, num_classes)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def wide_resnet(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """WRN-depth-width (Zagoruyko & Komodakis, arXiv 1605.07146): WRN-28-2 has 1.47 M parameters and
    WRN-28-10 36.5 M (the paper's wrn_32 and wrn_160; the released code has 3x3 shortcuts, 1.55 M)."""
    if depth < 10 or (depth - 4) % 6:
        raise StudyError(f"model: got wrn depth {depth}; accepted: 6 n + 4, such as 10, 16, 28, 40")
    widths = [16 * width, 32 * width, 64 * width]
    return ResidualNetwork(image_shape[0], num_classes, 16, widths, (depth - 4) // 6)


def compact_resnet(image_shape, num_classes: int, width: int) -> nn.Module:
    """Eight layers: a stem (stride 2 from 32 pixels up), one block a group of width, 2 width and 4 width."""
    stem_stride = 2 if image_shape[1] >= 32 else 1
    return ResidualNetwork(image_shape[0], num_classes, width, [width, 2 * width, 4 * width], 1, stem_stride)


def mlp(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """`depth` hidden ReLU layers of `width` units on the flattened image, without normalisation."""
    inputs = image_shape[0] * image_shape[1] * image_shape[2]
    layers = [nn.Flatten()]
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        nn.init.zeros_(layers[-2].bias)
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, num_classes))


FAMILIES = {r"wrn-(\d+)-(\d+)": wide_resnet, r"resnet8-(\d+)": compact_resnet, r"mlp-(\d+)-(\d+)": mlp}


def build(name: str, image_shape: tuple[int, int, int], num_classes: int, seed: int = 0) -> nn.Module:
    """The network called `name` for (C, H, W) images, its weights drawn on the CPU from `seed` alone."""
    for pattern, family in FAMILIES.items():
        if match := re.fullmatch(pattern, name):
            sizes = [int(size) for size in match.groups()]
            if min(sizes) < 1:
                break
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return family(image_shape, num_classes, *sizes)
    raise StudyError(f"model: got {name!r}; accepted: wrn-DEPTH-WIDTH, resnet8-WIDTH, mlp-DEPTH-WIDTH (sizes from 1)")


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
