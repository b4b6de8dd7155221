"""Networks by name, and the families without residual connections."""

import functools
import math
import re

import torch
from torch import nn
from torch.nn import functional as F

from lib import doors
from lib.models import residual
from lib.parameters import refusal


def _he_normal(layer: nn.Module) -> nn.Module:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def mlp(image_shape, num_classes: int, depth: int, width: int) -> nn.Module:
    """`depth` hidden ReLU layers of `width` units on the flattened image, without normalisation."""
    inputs, layers = math.prod(image_shape), [nn.Flatten()]
    for _ in range(depth):
        layers += [_he_normal(nn.Linear(inputs, width)), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, num_classes))


class LocallyConnected(nn.Module):
    """A 3x3 convolution of stride 2 whose every output position has filters of its own."""

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


def locally_connected(image_shape, num_classes: int, width: int, layer=LocallyConnected):
    """The CNN below without weight sharing: the same connections, a filter for each position."""
    channels, size, _ = image_shape
    layers = []
    for outputs in (width, 2 * width, 4 * width):
        layers += [layer(channels, outputs, size), nn.ReLU()]
        channels, size = outputs, (size + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size**2, num_classes))


def cnn(image_shape, num_classes: int, width: int) -> nn.Module:
    """Three 3x3 convolutions of stride 2 with ReLU and a linear layer, no norms, no pooling."""

    def shared(inputs: int, outputs: int, _size: int) -> nn.Module:
        return _he_normal(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1))

    return locally_connected(image_shape, num_classes, width, shared)


def vgg(image_shape, num_classes: int, width: int) -> nn.Module:
    """VGG-11 with batch norm, cut off where the image is one pixel; width 64 is the paper's."""
    channels, size, _ = image_shape
    layers: list[nn.Module] = []
    for group in ((1,), (2,), (4, 4), (8, 8), (8, 8))[: size.bit_length() - 1]:
        for outputs in (factor * width for factor in group):
            layers += [residual.conv(channels, outputs, 3), residual.norm(outputs), nn.ReLU()]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    return residual.ResidualNetwork(layers, channels, num_classes)


def resnet18(image_shape, num_classes: int) -> nn.Module:
    """torchvision's ResNet-18 with the CIFAR stem: 3x3, stride 1, no pooling."""
    import torchvision.models

    network = torchvision.models.resnet18(num_classes=num_classes)
    network.conv1, network.maxpool = residual.conv(image_shape[0], 64, 3), nn.Identity()
    return network


def of_patches(image_shape, num_classes: int, depth: int, width: int, mixer=False) -> nn.Module:
    """timm's vision transformer or MLP-Mixer on patches of an eighth of the image, at least 2
    pixels. The former has heads of 16 units or more, average pooling and Xavier weights (by timm's
    defaults it does not leave chance level under this recipe)."""
    from timm.models import MlpMixer, VisionTransformer

    channels, size, _ = image_shape
    sizes = {"img_size": size, "patch_size": max(2, size // 8), "in_chans": channels}
    sizes |= {"num_classes": num_classes, "embed_dim": width}
    if mixer:
        return MlpMixer(num_blocks=depth, **sizes)
    heads = {"depth": depth, "num_heads": max(1, min(8, width // 16)), "mlp_ratio": 2}
    pooled = {"class_token": False, "global_pool": "avg", "weight_init": "jax"}
    return VisionTransformer(**sizes, **heads, **pooled)


LARGE, MOST_PARAMETERS = 200, 10**9  # from this size on they are counted beforehand
MOST_UNITS = 10**6  # the product of all sizes
# name -> builder; a size, in capitals, is a whole number from 1 to 9999
FAMILIES = {
    "wrn-DEPTH-WIDTH": residual.wide_resnet,
    "resnet8-WIDTH": residual.compact_resnet,
    "resnet18": resnet18,
    "resnet-DEPTH": residual.ResNet,
    "shakeshake-DEPTH-WIDTH": residual.shake_shake,
    "pyramidnet-DEPTH-ALPHA": residual.pyramidnet,
    "vgg11-WIDTH": vgg,
    "vit-DEPTH-WIDTH": of_patches,
    "mixer-DEPTH-WIDTH": functools.partial(of_patches, mixer=True),
    "mlp-DEPTH-WIDTH": mlp,
    "cnn-WIDTH": cnn,
    "local-WIDTH": locally_connected,
}


def build(name: str, image_shape: tuple[int, int, int], num_classes: int, seed: int = 0):
    """The network `name` for (C, H, W) images, drawn on the CPU from `seed`: one of FAMILIES, or
    one's own, module:NAME or FILE.py:NAME, called as these with (image_shape, num_classes). Raises
    StudyError."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if doors.is_own(name):
            return _made(name, doors.enter(name), image_shape, num_classes)
        for form, family in FAMILIES.items():
            if match := re.fullmatch(re.sub("[A-Z]+", r"([1-9]\\d{0,3})", form), name):
                sizes = [int(size) for size in match.groups()]
                if math.prod(sizes) > MOST_UNITS:
                    break
                if max(sizes, default=0) >= LARGE:
                    with torch.device("meta"):  # looked at before any memory is taken
                        large = _made(name, family, image_shape, num_classes, *sizes)
                    count = num_parameters(large)
                    if count > MOST_PARAMETERS:
                        raise refusal(f"model {name}: parameters", count, f"{MOST_PARAMETERS:.0e}")
                return _made(name, family, image_shape, num_classes, *sizes)
    accepted = f"{', '.join(FAMILIES)}, sizes up to 9999, of product {MOST_UNITS:,}"
    raise refusal("model", name, accepted)


def _made(name: str, family, *arguments) -> nn.Module:
    with doors.in_one_line(f"model: {name} cannot be built"):
        network = family(*arguments)
    if not isinstance(network, nn.Module):
        raise refusal(f"model: {name} made", type(network).__name__, "a torch.nn.Module")
    return network


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
