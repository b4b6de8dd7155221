"""Residual networks: wide ResNets, a compact one, Shake-Shake and PyramidNet with ShakeDrop."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.parameters import refusal

norm = nn.BatchNorm2d  # momentum 0.1: the released code's 0.9 in TensorFlow's convention


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class ResidualNetwork(nn.Module):
    """Layers, global average pooling and a linear classifier: (n, C, H, W) -> (n, num_classes)."""

    def __init__(self, layers: list[nn.Module], width: int, num_classes: int):
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, num_classes)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class PreActivationBlock(nn.Module):
    """BN-ReLU-conv3x3 twice; a 1x1 convolution as the shortcut where the channels change."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), conv(inputs, outputs, 3, stride)
        self.norm2, self.conv2 = norm(outputs), conv(outputs, outputs, 3)
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # in place without a copy: the gradient of batch norm needs its input alone
        activated = F.relu(self.norm1(x), inplace=True)
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return self.conv2(F.relu(self.norm2(self.conv1(activated)), inplace=True)).add_(shortcut)


def _groups(block, inputs: int, width: int, blocks: int) -> list[nn.Module]:
    """`blocks` blocks of `width`, of 2 and of 4 `width`; stride 2 where the width doubles."""
    layers = []
    for number in range(3 * blocks):
        outputs = width * 2 ** (number // blocks)
        layers.append(block(inputs, outputs, 2 if number > 0 and number % blocks == 0 else 1))
        inputs = outputs
    return layers


def wide_resnet(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """WRN-depth-width (Zagoruyko & Komodakis, arXiv 1605.07146): WRN-28-2 has 1.47 M parameters,
    28-10 36.5 M (the paper's wrn_32 and wrn_160; the released code has 3x3 shortcuts, 1.55 M)."""
    if depth < 10 or (depth - 4) % 6:
        raise refusal("model: depth of wrn", depth, "6 n + 4, such as 10, 16, 28, 40")
    blocks = _groups(PreActivationBlock, 16, 16 * width, (depth - 4) // 6)
    layers = [conv(image_shape[0], 16, 3), *blocks, norm(64 * width), nn.ReLU()]
    return ResidualNetwork(layers, 64 * width, num_classes)


def compact_resnet(image_shape, num_classes: int, width: int) -> nn.Module:
    """Eight layers: a stem (stride 2 from 32 pixels up), then a block of width, 2 and 4 width."""
    stem = conv(image_shape[0], width, 3, 2 if image_shape[1] >= 32 else 1)
    layers = [stem, *_groups(PreActivationBlock, width, width, 1), norm(4 * width), nn.ReLU()]
    return ResidualNetwork(layers, 4 * width, num_classes)


class BasicBlock(nn.Module):
    """conv-BN-ReLU-conv-BN; a shortcut without parameters: every second pixel where the channels
    double, and as many zero channels on each side (He et al., arXiv 1512.03385, option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), norm(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), norm(outputs)
        self.stride, self.padding = stride, (outputs - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return F.relu(residual + F.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding)))


class ResNet(nn.Module):
    """ResNet-depth for CIFAR (He et al., section 4.2), depth 6 n + 2: n blocks of 16, 32 and 64
    channels; ResNet-20 has .27 M parameters, -56 .85 M. Named as in akamaster's networks."""

    def __init__(self, image_shape, num_classes: int, depth: int):
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise refusal("model: depth of resnet", depth, "6 n + 2, such as 8, 20, 32, 56")
        count = (depth - 2) // 6
        blocks = _groups(BasicBlock, 16, 16, count)
        self.conv1, self.bn1 = conv(image_shape[0], 16, 3), norm(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(*blocks[count * group : count * (group + 1)]) for group in range(3)
        )
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def backward_as(forward: torch.Tensor, backward: torch.Tensor) -> torch.Tensor:
    """The value of `forward` with the gradient of `backward`."""
    return backward + (forward - backward).detach()


def _body(first: nn.Module, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """`first`-conv-BN-ReLU-conv-BN."""
    layers = [first, conv(inputs, outputs, 3, stride), norm(outputs), nn.ReLU()]
    return nn.Sequential(*layers, conv(outputs, outputs, 3), norm(outputs))


def _draws(x: torch.Tensor, count: int) -> list[torch.Tensor]:
    """`count` numbers in [0, 1) an image, each (n, 1, 1, 1)."""
    return [torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) for _ in range(count)]


class ShakeShakeBlock(nn.Module):
    """Two ReLU-conv-BN-ReLU-conv-BN branches mixed by a random weight an image, drawn anew for the
    backward pass; by one half in eval mode (Gastaldi, arXiv 1705.07485, "shake-shake-image")."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        branches = [_body(nn.ReLU(), inputs, outputs, stride) for _ in range(2)]
        self.branches, self.stride, self.shortcuts = nn.ModuleList(branches), stride, None
        if inputs != outputs:  # two half-width paths, the second one shifted by a pixel
            halves = (outputs // 2, outputs - outputs // 2)
            self.shortcuts = nn.ModuleList([conv(inputs, half, 1) for half in halves])
            self.shortcut_norm = norm(outputs)

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if self.shortcuts is None:
            return x
        x = F.relu(x)
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:] if self.stride > 1 else x
        paths = zip(self.shortcuts, (x, shifted), strict=True)
        halves = [layer(F.avg_pool2d(path, 1, self.stride)) for layer, path in paths]
        return self.shortcut_norm(torch.cat(halves, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = (branch(x) for branch in self.branches)
        if not self.training:
            return self.shortcut(x) + 0.5 * (first + second)
        mixed = [weight * first + (1 - weight) * second for weight in _draws(x, 2)]
        return self.shortcut(x) + backward_as(*mixed)


def shake_shake(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """Shake-Shake-depth 2 x width d: 26 2x32d has 2.9 M parameters, 26 2x96d 26.2 M."""
    if depth < 8 or (depth - 2) % 6:
        raise refusal("model: depth of shakeshake", depth, "6 n + 2, such as 8, 14, 20, 26")
    blocks = _groups(ShakeShakeBlock, 16, width, (depth - 2) // 6)
    layers = [conv(image_shape[0], 16, 3), norm(16), *blocks, nn.ReLU()]
    return ResidualNetwork(layers, 4 * width, num_classes)


class ShakeDropBlock(nn.Module):
    """BN-conv-BN-ReLU-conv-BN, a zero-padded shortcut (Han et al., arXiv 1610.02915) and ShakeDrop
    (Yamada et al., arXiv 1802.02375): an image's residual passes with probability `keep`, else is
    scaled by a number in [-1, 1] forward and in [0, 1] backward; in eval mode by `keep`."""

    def __init__(self, inputs: int, outputs: int, stride: int, keep: float):
        super().__init__()
        self.body = _body(norm(inputs), inputs, outputs, stride)
        self.stride, self.padding, self.keep = stride, outputs - inputs, keep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = self.body(x)
        shortcut = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.padding))
        if not self.training:
            return shortcut + self.keep * residual
        draw, ahead, back = _draws(x, 3)
        passes = (draw < self.keep).to(x.dtype)
        scales = [passes + (1 - passes) * noise for noise in (2 * ahead - 1, back)]
        return shortcut + backward_as(scales[0] * residual, scales[1] * residual)


def pyramidnet(image_shape, num_classes: int, depth: int, alpha: int) -> nn.Module:
    """PyramidNet-depth with widening alpha and ShakeDrop, its death rate growing to one half over
    the blocks: 110 alpha 270 has 28.4 M parameters. (The released code builds 272 bottlenecks.)"""
    if depth < 8 or (depth - 2) % 6:
        raise refusal("model: depth of pyramidnet", depth, "6 n + 2, such as 8, 20, 110")
    count = (depth - 2) // 2
    layers, inputs = [conv(image_shape[0], 16, 3), norm(16)], 16
    for number in range(1, count + 1):
        outputs = round(16 + alpha * number / count)
        stride = 2 if number > 1 and (number - 1) % (count // 3) == 0 else 1
        layers.append(ShakeDropBlock(inputs, outputs, stride, 1 - 0.5 * number / count))
        inputs = outputs
    return ResidualNetwork([*layers, norm(inputs), nn.ReLU()], inputs, num_classes)
