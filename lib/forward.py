"""A network's forward pass for measuring: exact in precision, and as fast as that allows."""

import contextlib
import copy
import time
import warnings

import torch

from lib.parameters import StudyError


@contextlib.contextmanager
def exact_precision():
    """IEEE fp32 in convolutions and matrix products (no TF32, no autocast); flags are restored on leaving."""
    cudnn, mkldnn = torch.backends.cudnn, torch.backends.mkldnn
    backends = [torch.backends.cuda.matmul, cudnn.conv, mkldnn.conv, mkldnn.matmul]
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


# Compiling with frozen weights takes about 25 s and makes a WRN-28-2 1.4 times faster on 2 cores (`study bench`
# measures both): it pays when the pass over what is left, by a batch timed uncompiled, would take longer than this.
COMPILE_SECONDS, COMPILE_SPEEDUP = 25.0, 1.4
COMPILE_PAYS_AFTER_SECONDS = COMPILE_SECONDS / (1 - 1 / COMPILE_SPEEDUP)
_said: set[str] = set()


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        warnings.warn(message, stacklevel=3)


class FastForward:
    """A copy of a network in eval mode that maps batches of one fixed shape to logits, as fast as the device
    allows without changing them by more than rounding: in channels_last (on a GPU in the faster layout, by the first
    batch), and compiled where that pays."""

    def __init__(self, model: torch.nn.Module, device: torch.device, compile: bool | str):
        if compile not in (True, False, "auto"):
            raise StudyError(f"compile: got {compile!r}; accepted: auto, True, False")
        self.model = copy.deepcopy(model).to(device, memory_format=torch.channels_last).eval()
        self.compile = compile
        self.forward = self.model
        self.layout = torch.channels_last if device.type == "cpu" else None  # None: not yet chosen
        self.parts = 1  # into which a batch is cut, since memory did not suffice for a whole one

    def whole(self, batch: torch.Tensor) -> torch.Tensor:
        """The logits of a batch, in as many parts as the device's memory asks for."""
        while True:
            try:
                return torch.cat([self.forward(part) for part in batch.chunk(self.parts)])
            except torch.OutOfMemoryError:
                if self.parts >= len(batch):
                    raise StudyError("evaluate: memory does not suffice for one image; accepted: a smaller network "
                                     "or image, or another device") from None  # fmt: skip
            self.parts *= 2
            _say_once(f"out of memory: measuring in batches of {-(-len(batch) // self.parts)} images")
            if batch.is_cuda:
                torch.cuda.empty_cache()

    def choose_layout(self, batch: torch.Tensor) -> None:
        """Take the layout in which one batch took less time, the second time."""
        seconds = {}
        for self.layout in (torch.contiguous_format, torch.channels_last):
            self.model.to(memory_format=self.layout)
            for _ in range(2):
                started = time.perf_counter()
                self.whole(batch.contiguous(memory_format=self.layout)).sum().item()  # waits for the device
                seconds[self.layout] = time.perf_counter() - started
        self.layout = min(seconds, key=seconds.get)
        self.model.to(memory_format=self.layout)

    def compiled(self, batch: torch.Tensor) -> None:
        """Switch to the compiled network; where there is no C++ compiler say so once and stay as it was."""
        try:
            import torch._inductor.config as inductor

            candidate = torch.compile(self.model, dynamic=False)
            with inductor.patch(freezing=True):
                candidate(batch)
            self.forward = candidate
        except Exception as error:  # what a missing or broken compiler raises differs between versions
            reason = str(error).strip().splitlines()[0][:100] if str(error).strip() else type(error).__name__
            _say_once(f"measuring uncompiled, in channels_last: the network could not be compiled ({reason})")
            torch._dynamo.reset()
        self.compile = False

    def __call__(self, batch: torch.Tensor, batches_left: int) -> torch.Tensor:
        if self.layout is None:
            self.choose_layout(batch)
        batch = batch.contiguous(memory_format=self.layout)
        if self.compile is True:
            self.compiled(batch)
        elif self.compile == "auto" and batch.is_cuda:
            self.compile = False
        elif self.compile == "auto":
            self.forward(batch)
            started = time.perf_counter()
            self.forward(batch)
            if (time.perf_counter() - started) * batches_left > COMPILE_PAYS_AFTER_SECONDS:
                self.compiled(batch)
            self.compile = False
        return self.whole(batch)
