"""Networks by name, and the families without residual connections."""

import re

import torch
from torch import nn
from torch.nn import functional as F

from lib import residual
from lib.parameters import StudyError


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


class LocallyConnected(nn.Module):
    """A 3x3 convolution of stride 2 whose weights are not shared: every output position has filters of its own."""

    def __init__(self, inputs: int, outputs: int, size: int):
        super().__init__()
        self.size = (size + 1) // 2
        self.weight = nn.Parameter(torch.empty(self.size**2, inputs * 9, outputs))
        nn.init.normal_(self.weight, std=(2 / (inputs * 9)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs, self.size, self.size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = F.unfold(x, 3, padding=1, stride=2).permute(2, 0, 1)  # (positions, n, inputs * 9)
        outputs = torch.bmm(patches, self.weight).permute(1, 2, 0)
        return outputs.reshape(len(x), -1, self.size, self.size) + self.bias


def _three_local_layers(image_shape, num_classes: int, width: int, layer) -> nn.Module:
    channels, size, _ = image_shape
    layers = []
    for outputs in (width, 2 * width, 4 * width):
        layers += [layer(channels, outputs, size), nn.ReLU()]
        channels, size = outputs, (size + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size**2, num_classes))


def locally_connected(image_shape, num_classes: int, width: int) -> nn.Module:
    """The CNN below without weight sharing: the same connections, a filter for each position."""
    return _three_local_layers(image_shape, num_classes, width, LocallyConnected)


def cnn(image_shape, num_classes: int, width: int) -> nn.Module:
    """Three 3x3 convolutions of stride 2 and a linear layer, ReLU between, without normalisation or pooling."""

    def layer(inputs: int, outputs: int, _size: int) -> nn.Module:
        shared = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        nn.init.kaiming_normal_(shared.weight, nonlinearity="relu")
        nn.init.zeros_(shared.bias)
        return shared

    return _three_local_layers(image_shape, num_classes, width, layer)


def vgg(image_shape, num_classes: int, width: int) -> nn.Module:
    """VGG-11 with batch norm (Simonyan & Zisserman), its groups cut off where the image has shrunk to one pixel;
    width 64 is the original."""
    channels, size = image_shape[0], image_shape[1]
    layers: list[nn.Module] = []
    for group in ([1], [2], [4, 4], [8, 8], [8, 8]):
        if size < 2:
            break
        for factor in group:
            layers += [residual.conv(channels, factor * width, 3), residual.norm(factor * width), nn.ReLU()]
            channels = factor * width
        layers.append(nn.MaxPool2d(2))
        size //= 2
    return residual.ResidualNetwork(layers, channels, num_classes)


def resnet18(image_shape, num_classes: int) -> nn.Module:
    """torchvision's ResNet-18 with the CIFAR stem: 3x3, stride 1, no pooling."""
    import torchvision.models

    network = torchvision.models.resnet18(num_classes=num_classes)
    network.conv1, network.maxpool = residual.conv(image_shape[0], 64, 3), nn.Identity()
    return network


def vision_transformer(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """timm's vision transformer: patches of an eighth of the image (at least 2 pixels), heads of 16 units or more,
    average pooling and Xavier weights (with timm's defaults it does not leave chance level under this recipe)."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(img_size=image_shape[1], patch_size=max(2, image_shape[1] // 8), in_chans=image_shape[0],
                             num_classes=num_classes, embed_dim=width, depth=depth,
                             num_heads=max(1, min(8, width // 16)), mlp_ratio=2, class_token=False, global_pool="avg",
                             weight_init="jax")  # fmt: skip


def mlp_mixer(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """timm's MLP-Mixer: patches as in the vision transformer."""
    from timm.models.mlp_mixer import MlpMixer

    return MlpMixer(num_classes=num_classes, img_size=image_shape[1], in_chans=image_shape[0],
                    patch_size=max(2, image_shape[1] // 8), num_blocks=depth, embed_dim=width)  # fmt: skip


# name -> (pattern of its sizes, builder); a size is a whole number from 1 up
FAMILIES = {
    "wrn-DEPTH-WIDTH": residual.wide_resnet,
    "resnet8-WIDTH": residual.compact_resnet,
    "resnet18": resnet18,
    "shakeshake-DEPTH-WIDTH": residual.shake_shake,
    "pyramidnet-DEPTH-ALPHA": residual.pyramidnet,
    "vgg11-WIDTH": vgg,
    "vit-DEPTH-WIDTH": vision_transformer,
    "mixer-DEPTH-WIDTH": mlp_mixer,
    "mlp-DEPTH-WIDTH": mlp,
    "cnn-WIDTH": cnn,
    "local-WIDTH": locally_connected,
}


def build(name: str, image_shape: tuple[int, int, int], num_classes: int, seed: int = 0) -> nn.Module:
    """The network called `name` for (C, H, W) images, its weights drawn on the CPU from `seed` alone."""
    for form, family in FAMILIES.items():
        if match := re.fullmatch(re.sub("[A-Z]+", r"([1-9]\\d*)", form), name):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return family(image_shape, num_classes, *map(int, match.groups()))
    raise StudyError(f"model: got {name!r}; accepted: {', '.join(FAMILIES)}")


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
