"""The gradients of one batch: eager on a CPU, one captured CUDA graph on a GPU."""

import warnings

import torch
import torch.nn.functional as F

from lib.parameters import refusal

WARM_UP = 3  # passes before the capture, so that libraries have chosen their kernels


class Gradients:
    """Maps images (n, C, H, W) and label probabilities (n, classes) to the loss, and leaves the
    gradients in the weights' `grad`. bf16: of convolutions and matrix products; weights, batch
    norm's statistics and the loss stay in fp32. On a GPU the pass is captured as a CUDA graph at
    the first batch (a launch instead of some hundreds): every batch has that shape. A network that
    can't be captured runs without, which is said. Raises StudyError where memory is too small."""

    def __init__(self, model: torch.nn.Module, bf16: bool = False):
        self.model, self.bf16, self.replay = model, bf16, None

    def eager(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        options = {"enabled": self.bf16, "cache_enabled": False}
        with torch.autocast(images.device.type, torch.bfloat16, **options):
            logits = self.model(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), labels)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()

    def captured(self, images: torch.Tensor, labels: torch.Tensor):
        """A function like `eager` that replays it; the network's buffers are as before."""
        images, labels = images.clone(), labels.clone()
        before = [buffer.clone() for buffer in self.model.buffers()]
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self.eager(images, labels)
            torch.cuda.current_stream().wait_stream(side)
            self.model.zero_grad(set_to_none=True)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                loss = self.eager(images, labels)
        finally:  # also where the capture fails and training goes on without it
            for buffer, value in zip(self.model.buffers(), before, strict=True):
                buffer.copy_(value)

        def replay(new_images: torch.Tensor, new_labels: torch.Tensor) -> torch.Tensor:
            images.copy_(new_images)
            labels.copy_(new_labels)
            graph.replay()
            return loss.clone()

        return replay

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        try:
            if self.replay is None:
                self.replay = self.captured(images, labels) if images.is_cuda else self.eager
            return self.replay(images, labels)
        except torch.OutOfMemoryError as error:
            accepted = "fewer images, which is another run, or a device with more memory"
            raise refusal("batch_size", len(images), accepted) from error
        except RuntimeError as error:
            if self.replay is not None:  # else this network can't be captured
                raise
            reason = str(error).strip().splitlines()[0][:100]
            warnings.warn(f"training without a CUDA graph: {reason}", stacklevel=2)
            self.replay = self.eager
        return self(images, labels)
