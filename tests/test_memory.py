import pytest
import torch
from torch import nn

from lib import forward, models, paths
from lib.forward import FastForward
from lib.parameters import StudyError
from lib.step import Step
from lib.training import train


class Small(nn.Module):
    """A network whose device holds `room` images at a time; it notes the sizes it was asked for."""

    def __init__(self, room: int):
        super().__init__()
        self.layer = nn.Linear(12, 3)
        self.room, self.sizes = room, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.layer(x.flatten(1))


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(forward, "_said", set())


def outputs(model, pairs):
    images = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 20
    stream = paths.evaluate(model, images, pairs, 1.0, batch_size=16, compile=False)
    return torch.cat([block.flatten(0, 1) for _, block in stream])


def test_measuring_halves_the_batch_when_memory_does_not_suffice():
    torch.manual_seed(0)
    roomy, tight = Small(100), Small(5)
    tight.load_state_dict(roomy.state_dict())
    pairs = [[0, 1], [2, 3], [4, 5]]
    expected = outputs(roomy, pairs)
    with pytest.warns(UserWarning, match=r"batches of (8|4) images") as said:
        found = outputs(tight, pairs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert len(said) == 2  # 16 -> 8 -> 4, each said once, and never again in the batches that follow


def test_measuring_gives_up_at_one_image():
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(StudyError, match="memory does not suffice for one image"),
    ):
        FastForward(Small(0), torch.device("cpu"), compile=False)(torch.randn(4, 3, 2, 2), 1)


def test_training_refuses_a_batch_that_does_not_fit(configure, monkeypatch):
    def full(self, images, labels):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Step, "eager", full)
    with pytest.raises(StudyError, match="batch_size: 256 images do not fit"):
        train(configure(), torch.device("cpu"))


def test_step_leaves_the_gradients_of_the_mean_cross_entropy():
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.randn(8, 3, 2, 2)
    labels = torch.softmax(torch.randn(8, 3), 1)
    loss = Step(model)(images, labels)
    outputs = model(images)
    expected = -(labels * outputs.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected.detach())
    residual = (outputs.softmax(1) - labels).detach() / 8  # the closed form of the gradient with respect to logits
    torch.testing.assert_close(model[1].weight.grad, residual.T @ images.flatten(1))


@pytest.mark.parametrize("name", ["mlp-2-64", "resnet8-8"])
def test_step_in_bf16_leaves_nearly_the_gradients_of_fp32_in_fp32(name):
    single, half = (models.build(name, (1, 8, 8), 10).train() for _ in range(2))
    images = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = nn.functional.one_hot(torch.arange(64) % 10, 10).float()
    expected, found = Step(single)(images, labels), Step(half, bf16=True)(images, labels)
    assert found.dtype == torch.float32
    assert found != expected
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=0)
    for one, other in zip(single.parameters(), half.parameters(), strict=True):
        assert other.grad.dtype == other.dtype == torch.float32
        assert (other.grad - one.grad).norm() < 0.3 * one.grad.norm()  # 8 bits, and ReLUs that switch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the captured step needs one")
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ["mlp-2-64", "wrn-10-1", "resnet8-8"])
def test_captured_step_equals_the_eager_one(name, bf16):
    eager, captured = (models.build(name, (3, 32, 32), 10).cuda().train() for _ in range(2))
    step, generator = Step(captured, bf16), torch.Generator("cuda").manual_seed(0)
    for _ in range(3):
        images = torch.randn(32, 3, 32, 32, device="cuda", generator=generator)
        labels = torch.softmax(torch.randn(32, 10, device="cuda", generator=generator), 1)
        expected, found = Step(eager, bf16).eager(images, labels), step(images, labels)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
        for one, other in zip(eager.parameters(), captured.parameters(), strict=True):
            torch.testing.assert_close(other.grad, one.grad, rtol=2e-2, atol=2e-3)
    for one, other in zip(eager.buffers(), captured.buffers(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-2, atol=1e-3)
