"""Every family of networks: sizes, gradients, what is random in training, and the blocks against their formulas."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib import models, residual

SMALL = {
    "wrn-DEPTH-WIDTH": "wrn-10-1",
    "resnet8-WIDTH": "resnet8-4",
    "resnet18": "resnet18",
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


def images(shape, n=4, seed=0, **options):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize(
    ("name", "millions", "within"),
    [("shakeshake-26-32", 2.9, 0.05), ("shakeshake-26-96", 26.2, 0.05), ("pyramidnet-110-270", 28.4, 0.1),
     ("resnet18", 11.17, 0.005), ("wrn-28-10", 36.5, 0.05)],
)  # fmt: skip
def test_published_sizes(name, millions, within):
    with torch.device("meta"):  # sizes without weights
        model = models.build(name, (3, 32, 32), 10)
    assert models.num_parameters(model) / 1e6 == pytest.approx(millions, abs=within)


@every_shape
@every_family
def test_every_parameter_gets_a_finite_gradient(family, shape):
    model = models.build(SMALL[family], shape, 5).train()
    for _ in range(2):  # the vision transformer's last layer starts at zero and lets nothing through at first
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
    assert all(torch.equal(trained[0], other) for other in trained[1:]) == (family not in RANDOM_IN_TRAINING)


@pytest.mark.parametrize("family", sorted(RANDOM_IN_TRAINING))
def test_random_networks_follow_torchs_seed(family):
    model, x = models.build(SMALL[family], (1, 8, 8), 5).train(), images((1, 8, 8))
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def normalized(norm, x):
    """Batch norm in eval mode by its formula."""
    scale = norm.weight / (norm.running_var + 1e-5).sqrt()
    return (x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def with_statistics(block, inputs, size=6):
    """The block with batch norm statistics of some data, in eval mode."""
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(3):
            block.train()(1 + 2 * torch.randn(32, inputs, size, size))
    return block.eval()


def shake_shake_shortcut(block, x):
    if block.shortcuts is None:
        return x
    x, stride = F.relu(x), block.stride
    shifted = torch.zeros_like(x)
    shifted[:, :, :-1, :-1] = x[:, :, 1:, 1:]  # by a pixel, where there is a stride
    paths = [x[:, :, ::stride, ::stride], (shifted if stride > 1 else x)[:, :, ::stride, ::stride]]
    halves = [torch.einsum("oi,nihw->nohw", layer.weight[:, :, 0, 0], path)
              for layer, path in zip(block.shortcuts, paths, strict=True)]  # fmt: skip
    return normalized(block.shortcut_norm, torch.cat(halves, 1))


BLOCKS = [(4, 4, 1), (4, 6, 1), (4, 7, 2)]


@pytest.mark.parametrize(("inputs", "outputs", "stride"), BLOCKS)
def test_shake_shake_block_in_eval_mode_is_shortcut_plus_mean(inputs, outputs, stride):
    block = with_statistics(residual.ShakeShakeBlock(inputs, outputs, stride), inputs)
    x = images((inputs, 6, 6))
    with torch.no_grad():
        first, second = (branch(x) for branch in block.branches)
        expected = shake_shake_shortcut(block, x) + (first + second) / 2
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)
        assert (first - second).abs().max() > 0.1


class Fixed(nn.Module):
    """A branch whose output is known, and a leaf whose gradient can be read."""

    def __init__(self, output):
        super().__init__()
        self.output = output.requires_grad_()

    def forward(self, _):
        return self.output


def per_image(scaled, reference):
    """w (n,) with scaled = w * reference image by image; asserts that there is one."""
    scaled, reference = scaled.flatten(1), reference.flatten(1)
    weight = (scaled * reference).sum(1) / (reference**2).sum(1)
    torch.testing.assert_close(scaled, weight[:, None] * reference, rtol=1e-9, atol=1e-9)
    return weight.detach()


def shaken(n=2000):
    """(forward weights, backward weights) of a Shake-Shake block's first branch, found from outside."""
    block = residual.ShakeShakeBlock(2, 2, 1).double().train()
    first, second, x = (images((2, 3, 3), n, seed, dtype=torch.float64) for seed in range(3))
    block.branches = nn.ModuleList([Fixed(first), Fixed(second)])
    torch.manual_seed(0)
    mixed = block(x) - x  # the shortcut is the identity
    ahead = per_image((mixed - second).detach(), (first - second).detach())
    upstream = images((2, 3, 3), n, 3, dtype=torch.float64)
    mixed.backward(upstream)
    back, rest = (per_image(branch.output.grad, upstream) for branch in block.branches)
    torch.testing.assert_close(back + rest, torch.ones(n).double())
    return ahead, back


def test_shake_shake_mixes_each_image_by_two_weights_of_its_own():
    weights = shaken()
    for weight in weights:
        assert weight.min() >= -1e-9
        assert weight.max() <= 1 + 1e-9
        assert weight.mean() == pytest.approx(0.5, abs=0.03)  # uniform on [0, 1]: four standard errors
        assert weight.var() == pytest.approx(1 / 12, abs=0.01)
        assert len(weight.unique()) > 1900  # one an image
    assert abs(np.corrcoef(*weights)[0, 1]) < 0.1
    assert (weights[0] - weights[1]).abs().mean() > 0.2


def shake_drop(keep, n=4000, training=True):
    """(forward scales, backward scales) of a ShakeDrop block's residual."""
    block = residual.ShakeDropBlock(2, 2, 1, keep).double().train(training)
    known, x = (images((2, 3, 3), n, seed, dtype=torch.float64) for seed in range(2))
    block.body = Fixed(known)
    torch.manual_seed(0)
    scaled = block(x) - x
    upstream = images((2, 3, 3), n, 2, dtype=torch.float64)
    scaled.backward(upstream)
    return per_image(scaled.detach(), known.detach()), per_image(known.grad, upstream)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.5, 1.0])
def test_shake_drop_in_eval_mode_scales_by_keep(keep):
    for scale in shake_drop(keep, n=10, training=False):
        np.testing.assert_allclose(scale, keep, atol=1e-9)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), BLOCKS)
def test_shake_drop_that_keeps_everything_is_its_own_eval_mode(inputs, outputs, stride):
    block = with_statistics(residual.ShakeDropBlock(inputs, outputs, stride, keep=1.0), inputs)
    x = images((inputs, 6, 6))
    with torch.no_grad():
        evaluated = block(x)
        block.training = True  # the block alone: batch norm keeps its statistics
        drawn = [block(x) for _ in range(3)]
    assert all(torch.equal(drawn[0], other) for other in drawn)
    torch.testing.assert_close(drawn[0], evaluated, rtol=1e-5, atol=1e-5)


def test_shake_drop_that_keeps_nothing():
    ahead, back = shake_drop(0.0)
    for scale, low in ((ahead, -1), (back, 0)):
        assert low - 1e-9 <= scale.min() < low + 0.05
        assert 0.95 < scale.max() <= 1 + 1e-9
        assert scale.mean() == pytest.approx((low + 1) / 2, abs=0.04)
        assert len(scale.unique()) > 3900
    assert abs(np.corrcoef(ahead, back)[0, 1]) < 0.07


@pytest.mark.parametrize("keep", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_shake_drop_scales_by_keep_on_average(keep):
    """Forward the mean is `keep`, as in eval mode; backward it is keep + (1 - keep) / 2."""
    ahead, back = shake_drop(keep)
    assert ahead.mean() == pytest.approx(keep, abs=0.045)  # four standard errors of a variable in [-1, 1] at most
    assert back.mean() == pytest.approx((1 + keep) / 2, abs=0.025)
    passes = (ahead - 1).abs() < 1e-9
    assert passes.double().mean() == pytest.approx(keep, abs=0.035)
    assert ((back[passes] - 1).abs() < 1e-9).all()  # an image that passes does so both ways


def test_shake_drop_shortcut_is_pooled_and_padded():
    block = with_statistics(residual.ShakeDropBlock(3, 5, 2, keep=0.7), 3)
    x = images((3, 6, 6))
    with torch.no_grad():
        shortcut = block(x) - 0.7 * block.body(x)
    pooled = x.reshape(4, 3, 3, 2, 3, 2).mean((3, 5))
    torch.testing.assert_close(shortcut[:, :3], pooled, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shortcut[:, 3:], torch.zeros(4, 2, 3, 3), atol=1e-5, rtol=0)


def test_pyramid_widens_evenly_and_drops_up_to_one_half():
    blocks = [layer for layer in models.build("pyramidnet-20-36", (3, 32, 32), 10).features
              if isinstance(layer, residual.ShakeDropBlock)]  # fmt: skip
    assert [block.body[1].out_channels for block in blocks] == [20, 24, 28, 32, 36, 40, 44, 48, 52]
    np.testing.assert_allclose([block.keep for block in blocks], 1 - np.arange(1, 10) / 18)
    assert [block.stride for block in blocks] == [1, 1, 1, 2, 1, 1, 2, 1, 1]


def test_backward_as_has_one_value_and_the_others_gradient():
    x, y = (images((3,), 5, seed, dtype=torch.float64).requires_grad_() for seed in range(2))
    found = residual.backward_as(y**2, 3 * x)
    torch.testing.assert_close(found, y**2, rtol=1e-12, atol=1e-12)
    found.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 3))
    assert y.grad is None or not y.grad.any()


def shared_into(local, convolution):
    """Every position's filters of a locally connected layer set to one convolution's."""
    with torch.no_grad():
        local.weight.copy_(convolution.weight.flatten(1).T.expand_as(local.weight))
        local.bias.copy_(convolution.bias[:, None, None].expand_as(local.bias))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 32])
def test_locally_connected_with_equal_filters_is_a_convolution(size):
    local, convolution = models.LocallyConnected(3, 5, size), nn.Conv2d(3, 5, 3, stride=2, padding=1)
    shared_into(local, convolution)
    x = images((3, size, size))
    torch.testing.assert_close(local(x), convolution(x), rtol=1e-5, atol=1e-5)


@every_shape
def test_locally_connected_network_with_equal_filters_is_the_cnn(shape):
    local, cnn = models.build("local-2", shape, 5), models.build("cnn-2", shape, 5)
    for one, other in zip(local, cnn, strict=True):
        if isinstance(one, models.LocallyConnected):
            shared_into(one, other)
        else:
            one.load_state_dict(other.state_dict())
    x = images(shape)
    torch.testing.assert_close(local(x), cnn(x), rtol=1e-4, atol=1e-5)


def test_locally_connected_by_a_loop():
    layer = models.LocallyConnected(2, 3, 5)
    nn.init.normal_(layer.bias)
    x = images((2, 5, 5))
    padded = F.pad(x, (1, 1, 1, 1))
    expected = torch.empty(4, 3, 3, 3)
    for row in range(3):
        for column in range(3):
            patch = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3].flatten(1)
            expected[:, :, row, column] = patch @ layer.weight[3 * row + column] + layer.bias[:, row, column]
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


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
    assert models.num_parameters(models.build(f"local-{width}", shape, 7)) == local + last
    assert models.num_parameters(models.build(f"cnn-{width}", shape, 7)) == shared + last


VGG = [64, 128, 256, 256, 512, 512, 512, 512]


@pytest.mark.parametrize(
    ("size", "layers"), [(2, 1), (4, 2), (7, 2), (8, 4), (16, 6), (28, 6), (31, 6), (32, 8), (64, 8)]
)
def test_vgg_is_cut_where_the_image_is_one_pixel(size, layers):
    with torch.device("meta"):
        model = models.build("vgg11-64", (3, size, size), 10)
        assert model(torch.empty(2, 3, size, size)).shape == (2, 10)
    widths = [layer.out_channels for layer in model.features if isinstance(layer, nn.Conv2d)]
    assert widths == VGG[:layers]
    assert model.classifier.in_features == widths[-1]
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in model.features) == min(5, int(np.log2(size)))


def test_every_family_has_a_small_one():
    assert SMALL.keys() == models.FAMILIES.keys()
    for form, name in SMALL.items():
        assert re.fullmatch(re.sub("[A-Z]+", "[0-9]+", form), name)
