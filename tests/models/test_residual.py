"""The blocks of residual networks against their formulas, and what is random in them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib import models
from lib.models import residual
from lib.models.residual import PreActivationBlock, ShakeDropBlock, ShakeShakeBlock, backward_as

BLOCKS = [(4, 4, 1), (4, 6, 1), (4, 7, 2)]
every_block = pytest.mark.parametrize(("inputs", "outputs", "stride"), BLOCKS)


def images(shape, n=4, seed=0, **options):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), **options)


def test_convolutions_start_at_he_scale():
    """Standard deviation sqrt(2 / fan-out), He et al., arXiv 1502.01852."""
    model = models.build("wrn-10-4", (3, 32, 32), 10)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 10_000:
            fan_out = layer.out_channels * layer.kernel_size[0] ** 2
            assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)
            assert layer.weight.mean().item() == pytest.approx(0, abs=2e-3)


def test_batch_norm_follows_the_released_code():
    modules = models.build("wrn-10-1", (3, 32, 32), 10).modules()
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}


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


@every_block
def test_pre_activation_block_by_hand(inputs, outputs, stride):
    block = with_statistics(PreActivationBlock(inputs, outputs, stride), inputs)
    x = images((inputs, 6, 6))
    with torch.no_grad():
        activated = F.relu(normalized(block.norm1, x))
        inner = F.conv2d(activated, block.conv1.weight, stride=stride, padding=1)
        inner = F.relu(normalized(block.norm2, inner))
        shortcut = x
        if inputs != outputs:
            shortcut = F.conv2d(activated, block.shortcut.weight, stride=stride)
        expected = F.conv2d(inner, block.conv2.weight, padding=1) + shortcut
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 8, 2)])
def test_basic_block_by_hand(inputs, outputs, stride):
    """Every second pixel, and as many zero channels below as above."""
    block = with_statistics(residual.BasicBlock(inputs, outputs, stride), inputs)
    x = images((inputs, 6, 6))
    with torch.no_grad():
        inner = F.conv2d(x, block.conv1.weight, stride=stride, padding=1)
        inner = F.conv2d(F.relu(normalized(block.bn1, inner)), block.conv2.weight, padding=1)
        expected = normalized(block.bn2, inner)
        below = (outputs - inputs) // 2
        expected[:, below : below + inputs] += x[:, :, ::stride, ::stride]
        torch.testing.assert_close(block(x), F.relu(expected), rtol=1e-5, atol=1e-5)


def shake_shake_shortcut(block, x):
    if block.shortcuts is None:
        return x
    x, stride = F.relu(x), block.stride
    shifted = torch.zeros_like(x)
    shifted[:, :, :-1, :-1] = x[:, :, 1:, 1:]  # by a pixel, where there is a stride
    paths = [part[:, :, ::stride, ::stride] for part in (x, shifted if stride > 1 else x)]
    weights = [layer.weight[:, :, 0, 0] for layer in block.shortcuts]
    pairs = zip(weights, paths, strict=True)
    halves = [torch.einsum("oi,nihw->nohw", weight, path) for weight, path in pairs]
    return normalized(block.shortcut_norm, torch.cat(halves, 1))


@every_block
def test_shake_shake_block_in_eval_mode_is_shortcut_plus_mean(inputs, outputs, stride):
    block = with_statistics(ShakeShakeBlock(inputs, outputs, stride), inputs)
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


def test_shake_shake_mixes_each_image_by_two_weights_of_its_own():
    """One forward and another backward, each uniform on [0, 1]."""
    n, block = 2000, ShakeShakeBlock(2, 2, 1).double().train()
    first, second, x = (images((2, 3, 3), n, seed, dtype=torch.float64) for seed in range(3))
    block.branches = nn.ModuleList([Fixed(first), Fixed(second)])
    torch.manual_seed(0)
    mixed = block(x) - x  # the shortcut is the identity
    ahead = per_image((mixed - second).detach(), (first - second).detach())
    upstream = images((2, 3, 3), n, 3, dtype=torch.float64)
    mixed.backward(upstream)
    back, rest = (per_image(branch.output.grad, upstream) for branch in block.branches)
    torch.testing.assert_close(back + rest, torch.ones(n).double())
    for weight in (ahead, back):
        assert weight.min() >= -1e-9
        assert weight.max() <= 1 + 1e-9
        assert weight.mean() == pytest.approx(0.5, abs=0.03)  # four standard errors
        assert weight.var() == pytest.approx(1 / 12, abs=0.01)
        assert len(weight.unique()) > 1900  # one an image
    assert abs(np.corrcoef(ahead, back)[0, 1]) < 0.1


def shake_drop(keep, n=4000, training=True):
    """(forward scales, backward scales) of a ShakeDrop block's residual."""
    block = ShakeDropBlock(2, 2, 1, keep).double().train(training)
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


def test_shake_drop_that_keeps_nothing_scales_evenly():
    """Forward uniform on [-1, 1], backward on [0, 1], apart from one another."""
    ahead, back = shake_drop(0.0)
    for scale, low in ((ahead, -1), (back, 0)):
        assert low - 1e-9 <= scale.min() < low + 0.05
        assert 0.95 < scale.max() <= 1 + 1e-9
        assert scale.var() == pytest.approx((1 - low) ** 2 / 12, rel=0.06)
        assert len(scale.unique()) > 3900
    assert abs(np.corrcoef(ahead, back)[0, 1]) < 0.07


@pytest.mark.parametrize("keep", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_shake_drop_scales_by_keep_on_average(keep):
    """Forward the mean is `keep`, as in eval mode; backward it is keep + (1 - keep) / 2."""
    ahead, back = shake_drop(keep)
    assert ahead.mean() == pytest.approx(keep, abs=0.045)  # four standard errors at most
    assert back.mean() == pytest.approx((1 + keep) / 2, abs=0.025)
    passes = (ahead - 1).abs() < 1e-9
    assert passes.double().mean() == pytest.approx(keep, abs=0.035)
    assert ((back[passes] - 1).abs() < 1e-9).all()  # an image that passes does so both ways


def test_shake_drop_shortcut_is_pooled_and_padded():
    block = with_statistics(ShakeDropBlock(3, 5, 2, keep=0.7), 3)
    x = images((3, 6, 6))
    with torch.no_grad():
        shortcut = block(x) - 0.7 * block.body(x)
    pooled = x.reshape(4, 3, 3, 2, 3, 2).mean((3, 5))
    torch.testing.assert_close(shortcut[:, :3], pooled, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shortcut[:, 3:], torch.zeros(4, 2, 3, 3), atol=1e-5, rtol=0)


def test_pyramid_widens_evenly_and_drops_up_to_one_half():
    model = models.build("pyramidnet-20-36", (3, 32, 32), 10)
    blocks = [layer for layer in model.features if isinstance(layer, ShakeDropBlock)]
    widths = [block.body[1].out_channels for block in blocks]
    assert widths == [20, 24, 28, 32, 36, 40, 44, 48, 52]
    np.testing.assert_allclose([block.keep for block in blocks], 1 - np.arange(1, 10) / 18)
    assert [block.stride for block in blocks] == [1, 1, 1, 2, 1, 1, 2, 1, 1]


def test_backward_as_has_one_value_and_the_others_gradient():
    x, y = (images((3,), 5, seed, dtype=torch.float64).requires_grad_() for seed in range(2))
    value = backward_as(y**2, 3 * x)
    torch.testing.assert_close(value, y**2, rtol=1e-12, atol=1e-12)
    value.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 3))
    assert y.grad is None or not y.grad.any()
