import pytest
import torch

from lib import models, residual
from lib.parameters import StudyError

NAMES = ["wrn-10-1", "wrn-16-2", "resnet8-4", "resnet18", "shakeshake-8-4", "pyramidnet-8-12", "vgg11-4", "vit-1-16",
         "mixer-1-16", "mlp-1-16", "mlp-3-8", "cnn-4", "local-4"]  # fmt: skip
SHAPES = [(1, 8, 8), (3, 32, 32)]


def wide_resnet_parameters(depth, width, channels=3, classes=10):
    """Counted from table 1 of Zagoruyko & Komodakis, arXiv 1605.07146, layer by layer; batch norm has two a channel."""
    total, inputs = channels * 16 * 9, 16
    for group in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 4) // 6):
            total += 2 * inputs + inputs * group * 9 + 2 * group + group * group * 9
            total += inputs * group if inputs != group else 0  # 1x1 shortcut
            inputs = group
    return total + 2 * inputs + inputs * classes + classes


def test_every_family_is_tested():
    assert {name.split("-")[0] for name in NAMES} == {name.split("-")[0] for name in models.FAMILIES}


@pytest.mark.parametrize(("name", "count"), [("wrn-28-2", 1_467_610), ("wrn-28-10", 36_479_194)])
def test_published_sizes(name, count):
    assert models.num_parameters(models.build(name, (3, 32, 32), 10)) == count
    assert wide_resnet_parameters(28, int(name.split("-")[2])) == count


@pytest.mark.parametrize(
    ("name", "millions"),
    [("wrn-28-2", 1.5), ("wrn-28-10", 36.5), ("shakeshake-26-32", 2.9), ("shakeshake-26-96", 26.2),
     ("pyramidnet-110-270", 28.5), ("resnet18", 11.2)],
)  # fmt: skip
def test_sizes_that_the_papers_print(name, millions):
    assert round(models.num_parameters(models.build(name, (3, 32, 32), 10)) / 1e6, 1) == millions


@pytest.mark.parametrize(("depth", "width", "channels", "classes"), [(10, 1, 3, 10), (16, 3, 1, 7), (22, 2, 3, 100)])
def test_wide_resnet_counts(depth, width, channels, classes):
    model = models.build(f"wrn-{depth}-{width}", (channels, 32, 32), classes)
    assert models.num_parameters(model) == wide_resnet_parameters(depth, width, channels, classes)


def test_mlp_counts():
    model = models.build("mlp-2-16", (1, 8, 8), 10)
    assert models.num_parameters(model) == (64 * 16 + 16) + (16 * 16 + 16) + (16 * 10 + 10)


def test_compact_resnet_has_eight_layers():
    model = models.build("resnet8-16", (3, 32, 32), 10)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(layers) + 1 == 8  # and the linear one


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(name, shape):
    model = models.build(name, shape, 7)
    images = torch.randn(5, *shape, requires_grad=True)
    logits = model(images)
    assert logits.shape == (5, 7)
    (logits - torch.randn(7)).square().sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_eval_mode_takes_each_image_on_its_own_and_draws_nothing(name):
    model = models.build(name, (1, 8, 8), 7).eval()
    images = torch.randn(6, 1, 8, 8)
    with torch.no_grad():
        together = model(images)
        torch.testing.assert_close(torch.cat([model(image[None]) for image in images]), together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_weights_follow_the_seed_alone(name):
    first = models.build(name, (1, 8, 8), 10, seed=3).state_dict()
    torch.rand(7)  # whatever was drawn in between
    again = models.build(name, (1, 8, 8), 10, seed=3).state_dict()
    other = models.build(name, (1, 8, 8), 10, seed=4).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_build_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models.build("mlp-1-16", (1, 8, 8), 10, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_convolutions_start_at_he_scale():
    """Standard deviation sqrt(2 / fan-out), He et al., arXiv 1502.01852."""
    weight = models.build("wrn-10-4", (3, 32, 32), 10).features[2].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (weight.shape[0] * 9)) ** 0.5, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)


def test_batch_norm_follows_the_released_code():
    norms = [m for m in models.build("wrn-10-1", (3, 32, 32), 10).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}


def test_pre_activation_block_by_hand():
    """One block against its formula, written with functions alone."""
    block = residual.PreActivationBlock(2, 3, stride=2).eval()
    x = torch.randn(4, 2, 6, 6)
    F, scale = torch.nn.functional, (1 + 1e-5) ** -0.5  # untrained batch norm in eval mode
    activated = F.relu(x * scale)
    inner = F.relu(F.conv2d(activated, block.conv1.weight, stride=2, padding=1) * scale)
    expected = F.conv2d(inner, block.conv2.weight, padding=1) + F.conv2d(activated, block.shortcut.weight, stride=2)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(
    "name",
    ["", "wrn", "wrn-28", "wrn-27-2", "wrn-4-2", "wrn-28-0", "resnet8", "resnet8-0", "resnet9-4", "mlp-0-16",
     "mlp-1-0", "mlp-1-16 ", "MLP-1-16", "wrn-28-2-1", "wrn--28-2", "mlp-1-1.5"],
)  # fmt: skip
def test_unknown_names_are_refused(name):
    with pytest.raises(StudyError, match=r"^model: got .*accepted: ") as caught:
        models.build(name, (3, 32, 32), 10)
    assert "\n" not in str(caught.value)
