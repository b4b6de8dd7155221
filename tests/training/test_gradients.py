"""The gradients of one batch, eager and captured, in fp32 and bf16."""

import pytest
import torch
from torch import nn

from lib import models
from lib.parameters import StudyError
from lib.training import Gradients


def test_gradients_of_the_mean_cross_entropy_in_closed_form():
    """With respect to the logits: (softmax - labels) / n."""
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.randn(8, 3, 2, 2)
    labels = torch.softmax(torch.randn(8, 3), 1)
    gradients = Gradients(model)
    gradients(torch.randn(8, 3, 2, 2), labels)  # what an earlier batch left does not add up
    loss = gradients(images, labels)
    outputs = model(images)
    torch.testing.assert_close(loss, -(labels * outputs.log_softmax(1)).sum(1).mean().detach())
    residual = (outputs.softmax(1) - labels).detach() / 8
    torch.testing.assert_close(model[1].weight.grad, residual.T @ images.flatten(1))
    torch.testing.assert_close(model[1].bias.grad, residual.sum(0))


@pytest.mark.parametrize("name", ["mlp-2-64", "resnet8-8"])
def test_bf16_leaves_nearly_the_gradients_of_fp32_in_fp32(name):
    single, half = (models.build(name, (1, 8, 8), 10).train() for _ in range(2))
    images = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = nn.functional.one_hot(torch.arange(64) % 10, 10).float()
    expected, loss = Gradients(single)(images, labels), Gradients(half, bf16=True)(images, labels)
    assert loss.dtype == torch.float32
    assert loss != expected
    torch.testing.assert_close(loss, expected, rtol=2e-2, atol=0)
    for one, other in zip(single.parameters(), half.parameters(), strict=True):
        assert other.grad.dtype == other.dtype == torch.float32
        # 8 bits, and ReLUs that switch
        assert (other.grad - one.grad).norm() < 0.3 * one.grad.norm()


def test_a_batch_that_does_not_fit_is_refused():
    class Full(nn.Linear):
        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(StudyError, match=r"^batch_size: got 8; accepted: fewer images, .*memory$"):
        Gradients(Full(2, 2))(torch.randn(8, 1, 1, 2), torch.ones(8, 2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: a graph needs one")
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ["mlp-2-64", "wrn-10-1", "resnet8-8"])
def test_captured_gradients_equal_the_eager_ones(name, bf16):
    eager, captured = (models.build(name, (3, 32, 32), 10).cuda().train() for _ in range(2))
    gradients, generator = Gradients(captured, bf16), torch.Generator("cuda").manual_seed(0)
    for _ in range(3):
        images = torch.randn(32, 3, 32, 32, device="cuda", generator=generator)
        labels = torch.softmax(torch.randn(32, 10, device="cuda", generator=generator), 1)
        expected, loss = Gradients(eager, bf16).eager(images, labels), gradients(images, labels)
        torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-3)
        for one, other in zip(eager.parameters(), captured.parameters(), strict=True):
            torch.testing.assert_close(other.grad, one.grad, rtol=2e-2, atol=2e-3)
    for one, other in zip(eager.buffers(), captured.buffers(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-2, atol=1e-3)
