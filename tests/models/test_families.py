"""Every family of networks: sizes, gradients, seeds, what is random; and the plain families' layers
against their formulas. The blocks of residual networks are in test_residual.py."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib import models
from lib.models.families import LocallyConnected
from lib.parameters import StudyError

SMALL = {
    "wrn-DEPTH-WIDTH": "wrn-10-1",
    "resnet8-WIDTH": "resnet8-4",
    "resnet18": "resnet18",
    "resnet-DEPTH": "resnet-8",
    "shakeshake-DEPTH-WIDTH": "shakeshake-8-4",
    "pyramidnet-DEPTH-ALPHA": "pyramidnet-8-12",
    "vgg11-WIDTH": "vgg11-4",
    "vit-DEPTH-WIDTH": "vit-1-16",
    "mixer-DEPTH-WIDTH": "mixer-1-16",
    "mlp-DEPTH-WIDTH": "mlp-2-16",
    "cnn-WIDTH": "cnn-4",
    "local-WIDTH": "local-2",
}
RANDOM_IN_TRAINING = {"shakeshake-DEPTH-WIDTH", "pyramidnet-DEPTH-ALPHA"}
SHAPES = {"8x8x1": (1, 8, 8), "32x32x3": (3, 32, 32)}
every_family = pytest.mark.parametrize("family", models.FAMILIES)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def images(shape, n=4, seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def num_parameters(name, shape=(3, 32, 32), num_classes=10):
    with torch.device("meta"):  # sizes without weights
        return models.num_parameters(models.build(name, shape, num_classes))


def test_every_family_has_a_small_one():
    assert SMALL.keys() == models.FAMILIES.keys()
    for form, name in SMALL.items():
        assert re.fullmatch(re.sub("[A-Z]+", "[0-9]+", form), name)


PRINTED = {
    "wrn-28-2": 1.5,
    "wrn-28-10": 36.5,
    "shakeshake-26-32": 2.9,
    "shakeshake-26-96": 26.2,
    "pyramidnet-110-270": 28.5,
    "resnet18": 11.2,
}


@pytest.mark.parametrize(("name", "millions"), PRINTED.items())
def test_sizes_that_the_papers_print(name, millions):
    assert num_parameters(name) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_sizes_of_residual_networks(depth, millions):
    """He et al., arXiv 1512.03385, table 6."""
    digits = 1 if depth == 110 else 2
    assert round(num_parameters(f"resnet-{depth}") / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("depth", "width", "channels", "classes"),
    [(10, 1, 3, 10), (16, 3, 1, 7), (22, 2, 3, 100), (28, 10, 3, 10)],
)
def test_wide_resnet_counts(depth, width, channels, classes):
    """Table 1 of Zagoruyko & Komodakis, arXiv 1605.07146, layer by layer, two a batch norm's
    channel."""
    total, inputs = channels * 16 * 9, 16
    for group in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 4) // 6):
            total += 2 * inputs + inputs * group * 9 + 2 * group + group * group * 9
            total += inputs * group if inputs != group else 0  # 1x1 shortcut
            inputs = group
    total += 2 * inputs + inputs * classes + classes
    assert num_parameters(f"wrn-{depth}-{width}", (channels, 32, 32), classes) == total


def test_mlp_counts():
    counts = (64 * 16 + 16) + (16 * 16 + 16) + (16 * 10 + 10)
    assert num_parameters("mlp-2-16", (1, 8, 8)) == counts


@pytest.mark.parametrize("width", [2, 5])
@every_shape
def test_locally_connected_counts(shape, width):
    """A position has 9 inputs x outputs weights and a bias an output; the CNN has them once."""
    inputs, size, local, shared = shape[0], shape[1], 0, 0
    for outputs in (width, 2 * width, 4 * width):
        size = -(-size // 2)
        filters = 9 * inputs * outputs + outputs
        local, shared, inputs = local + size**2 * filters, shared + filters, outputs
    last = 7 * (inputs * size**2 + 1)
    assert num_parameters(f"local-{width}", shape, 7) == local + last
    assert num_parameters(f"cnn-{width}", shape, 7) == shared + last


def test_compact_resnet_has_eight_layers():
    model = models.build("resnet8-16", (3, 32, 32), 10)
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert sum(getattr(layer, "kernel_size", None) != (1, 1) for layer in layers) == 8


@every_shape
@every_family
def test_every_parameter_gets_a_finite_gradient(family, shape):
    model = models.build(SMALL[family], shape, 5).train()
    for _ in range(2):  # the transformer's last layer starts at zero and lets nothing through
        logits = model(images(shape))
        assert logits.shape == (4, 5)
        assert logits.isfinite().all()
        model.zero_grad(set_to_none=True)
        F.cross_entropy(logits, torch.arange(4)).backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        reached = [bool(parameter.grad.any()) for parameter in model.parameters()]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.01 * parameter.grad
    assert np.mean(reached) > 0.9


@every_shape
@every_family
def test_what_is_random(family, shape):
    """Nothing in eval mode; in training mode Shake-Shake and ShakeDrop alone."""
    model, x = models.build(SMALL[family], shape, 5), images(shape)
    torch.manual_seed(0)
    with torch.no_grad():
        trained = [model.train()(x) for _ in range(4)]
        evaluated = [model.eval()(x) for _ in range(2)]
    assert torch.equal(*evaluated)
    equal = all(torch.equal(trained[0], other) for other in trained[1:])
    assert equal == (family not in RANDOM_IN_TRAINING)


@pytest.mark.parametrize("family", sorted(RANDOM_IN_TRAINING))
def test_random_networks_follow_torchs_seed(family):
    model, x = models.build(SMALL[family], (1, 8, 8), 5).train(), images((1, 8, 8))
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@every_family
def test_eval_mode_takes_each_image_on_its_own(family):
    model, x = models.build(SMALL[family], (1, 8, 8), 7).eval(), images((1, 8, 8), 6)
    with torch.no_grad():
        alone = torch.cat([model(image[None]) for image in x])
        torch.testing.assert_close(alone, model(x), rtol=1e-4, atol=1e-5)


@every_family
def test_weights_follow_the_seed_alone(family):
    first = models.build(SMALL[family], (1, 8, 8), 10, seed=3).state_dict()
    torch.manual_seed(5)
    expected = torch.rand(7)
    torch.manual_seed(5)
    again = models.build(SMALL[family], (1, 8, 8), 10, seed=3).state_dict()
    assert torch.equal(torch.rand(7), expected)  # the caller's random state is as it was
    other = models.build(SMALL[family], (1, 8, 8), 10, seed=4).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def shared_into(local, convolution):
    """Every position's filters of a locally connected layer set to one convolution's."""
    with torch.no_grad():
        local.weight.copy_(convolution.weight.flatten(1).T.expand_as(local.weight))
        local.bias.copy_(convolution.bias[:, None, None].expand_as(local.bias))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 32])
def test_locally_connected_with_equal_filters_is_a_convolution(size):
    local, convolution = LocallyConnected(3, 5, size), nn.Conv2d(3, 5, 3, stride=2, padding=1)
    shared_into(local, convolution)
    x = images((3, size, size))
    torch.testing.assert_close(local(x), convolution(x), rtol=1e-5, atol=1e-5)


@every_shape
def test_locally_connected_network_with_equal_filters_is_the_cnn(shape):
    local, cnn = models.build("local-2", shape, 5), models.build("cnn-2", shape, 5)
    for one, other in zip(local, cnn, strict=True):
        if isinstance(one, LocallyConnected):
            shared_into(one, other)
        else:
            one.load_state_dict(other.state_dict())
    x = images(shape)
    torch.testing.assert_close(local(x), cnn(x), rtol=1e-4, atol=1e-5)


def test_locally_connected_by_a_loop():
    layer = LocallyConnected(2, 3, 5)
    nn.init.normal_(layer.bias)
    x = images((2, 5, 5))
    padded, expected = F.pad(x, (1, 1, 1, 1)), torch.empty(4, 3, 3, 3)
    for row in range(3):
        for column in range(3):
            patch = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3].flatten(1)
            outputs = patch @ layer.weight[3 * row + column] + layer.bias[:, row, column]
            expected[:, :, row, column] = outputs
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


VGG = [64, 128, 256, 256, 512, 512, 512, 512]
VGG_LAYERS = [(2, 1), (4, 2), (7, 2), (8, 4), (16, 6), (28, 6), (31, 6), (32, 8), (64, 8)]


@pytest.mark.parametrize(("size", "layers"), VGG_LAYERS)
def test_vgg_is_cut_where_the_image_is_one_pixel(size, layers):
    with torch.device("meta"):
        model = models.build("vgg11-64", (3, size, size), 10)
        assert model(torch.empty(2, 3, size, size)).shape == (2, 10)
    widths = [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert widths == VGG[:layers]
    pools = sum(isinstance(layer, nn.MaxPool2d) for layer in model.modules())
    assert pools == min(5, int(np.log2(size)))


BAD = "|wrn|wrn-28|wrn-27-2|wrn-4-2|wrn-28-0|resnet8|resnet8-0|resnet9-4|mlp-0-16|mlp-1-0|mlp-1-16 "
RESNET = "resnet-2|resnet-18|resnet-21|resnet-8-16|resnet-10000"
WORSE = "MLP-1-16|wrn-28-2-1|wrn--28-2|mlp-1-1.5|shakeshake-9-4|shakeshake-2-4|pyramidnet-9-4"


@pytest.mark.parametrize("name", f"{BAD}|{WORSE}|{RESNET}|pyramidnet-2-4".split("|"))
def test_unknown_names_are_refused_in_one_line(name):
    with pytest.raises(StudyError, match=r"^model.*: got .*; accepted: ") as caught:
        models.build(name, (3, 32, 32), 10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mlp-99-9999", "wrn-10-9999", "vit-12-9984", "mlp-1-10000"])
def test_gigantic_networks_are_refused_before_they_take_memory(name):
    with pytest.raises(StudyError, match=f"^model.*{name}.*accepted: ") as caught:
        models.build(name, (3, 32, 32), 10)
    assert "\n" not in str(caught.value)
