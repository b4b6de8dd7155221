"""A network made ready to be measured: exact in precision, and as fast as that allows."""

import collections
import concurrent.futures
import contextlib
import copy
import itertools
import threading
import time
import warnings

import torch

from lib.data import Dataset
from lib.parameters import StudyError, refusal
from lib.runs import resolve_device, single_thread

_flags, _lock = [], threading.Lock()  # as they were: once for each `exact_precision` that is open
TIMING_PAYS_AFTER_BATCHES = 50  # to come: for fewer, one look at the clock costs too much
TRIALS_PAY_AFTER_SECONDS = 20.0  # of measuring to come, with the usual layout and batch


@contextlib.contextmanager
def exact_precision():
    """IEEE fp32 in convolutions and matrix products (no TF32, no autocast), restored on leaving: by
    the last to leave, since the flags are those of all threads."""
    cudnn, mkldnn = torch.backends.cudnn, torch.backends.mkldnn
    backends = [torch.backends.cuda.matmul, cudnn.conv, mkldnn.conv, mkldnn.matmul]
    with _lock:
        _flags.append([backend.fp32_precision for backend in backends])
        for backend in backends:
            backend.fp32_precision = "ieee"
    try:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            yield
    finally:
        with _lock:
            for backend, precision in zip(backends, _flags.pop(), strict=True):
                backend.fp32_precision = precision


def usual_batch(image_shape: tuple[int, int, int], device: torch.device) -> int:
    """Images a forward pass: as many pixels as 128 images of 32 x 32, near a processor's caches,
    but at least 8 and at most 256; on a GPU 64 times as many."""
    fitting = 2**17 // (image_shape[-2] * image_shape[-1])
    return min(max(fitting, 8), 256) * (64 if device.type == "cuda" else 1)


def _refuse_odd(outputs, again, alone: torch.Tensor) -> None:
    """Raise StudyError for outputs of two images, the same again and of the first one alone, that
    are no function of one image, or no logits."""
    small = 1e-3 * float(outputs.abs().max()) + 1e-6
    if (outputs - again).abs().max() > small:
        reason = "outputs that change from call to call (dropout?)"
    elif (outputs[:1] - alone).abs().max() > small:
        reason = "outputs of an image that change with the rest of its batch (batch norm?)"
    elif (outputs >= 0).all() and (outputs.sum(1) - 1).abs().max() < 1e-3:
        reason = "probabilities"
    else:
        return
    raise StudyError(f"network: got {reason}; accepted: logits, in eval mode")


class Forward:
    """A copy of a network in eval mode, its weights frozen, on the device: images -> logits.

    model: any callable (n, C, H, W) normalised by `dataset` -> (n, classes). num_points: all that
    it will be asked for; where these are many, layout and batch size are the fastest of a few by
    time. On a CPU batches go through it side by side, a thread each: no slower than all threads on
    one batch, and twice as fast on a machine with other work, since no thread waits for another.
    Raises StudyError when two images don't come out as (2, classes) logits, one for every label,
    the same each time and each for itself."""

    def __init__(self, model, dataset: Dataset, device="auto", num_points: int = 0):
        self.dataset, self.device = dataset, resolve_device(device)
        self.model = copy.deepcopy(model)  # of a method, the network that it belongs to
        if isinstance(model, torch.nn.Module):
            self.model.to(self.device).eval().requires_grad_(False)
        self.streams = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.arrange(torch.channels_last, usual_batch(dataset.x_test.shape[1:], self.device))
        self.num_classes = self._classes()
        if num_points > TIMING_PAYS_AFTER_BATCHES * self.batch_size:
            self._choose(num_points)
        if num_points:  # full batches, as many for each stream
            rounds = -(-num_points // (self.batch_size * self.streams))
            self.batch_size = -(-num_points // (rounds * self.streams))

    def arrange(self, layout: torch.memory_format, batch_size: int) -> None:
        self.layout, self.batch_size = layout, batch_size
        self.parts = 1  # into which a batch is cut, since memory did not suffice for a whole one
        if isinstance(self.model, torch.nn.Module):
            self.model.to(memory_format=layout)

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """Raw images (n, C, H, W), such as the dataset's, normalised, on the device."""
        return self.dataset.normalize(images.to(self.device))

    def _classes(self) -> int:
        images, least = self.normalized(self.dataset.x_test[:2]), int(self.dataset.y_test.max()) + 1
        try:
            with torch.inference_mode(), exact_precision():
                outputs, again, alone = (self.model(some) for some in (images, images, images[:1]))
        except Exception as error:  # the network is anyone's
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            accepted = f"a network for {self.dataset.name}, images {tuple(images.shape)}"
            raise StudyError(f"network: got {reason}; accepted: {accepted}") from error
        kind = type(outputs).__name__
        shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else kind
        if len(shape) != 2 or shape[0] != len(images) or shape[1] < max(2, least):
            accepted = f"(2, classes) for 2 images, classes >= {least}"
            raise StudyError(f"network: got an output {shape}; accepted: {accepted}")
        if outputs.dtype not in (torch.float32, torch.float64):
            raise StudyError(f"network: got outputs of {outputs.dtype}; accepted: float32")
        _refuse_odd(outputs, again, alone)
        return shape[1]

    def _seconds(self, images: torch.Tensor) -> float:
        """Of one image, in a batch of `images` on one thread: the faster of two passes."""
        laps = []
        for _ in range(2):
            started = time.perf_counter()
            self(images).sum().item()  # waits for the device
            laps.append(time.perf_counter() - started)
        return min(laps) / len(images)

    def _choose(self, num_points: int) -> None:
        usual = self.batch_size
        index = torch.arange(2 * usual) % len(self.dataset.x_test)
        images, trials = self.normalized(self.dataset.x_test[index]), {}
        with single_thread() if self.streams > 1 else contextlib.nullcontext(), exact_precision():
            seconds = self._seconds(images[:usual])
            if seconds * num_points / self.streams < TRIALS_PAY_AFTER_SECONDS:
                return
            layouts = (torch.channels_last, torch.contiguous_format)
            for layout, size in itertools.product(layouts, (usual // 2, usual, 2 * usual)):
                self.arrange(layout, size)
                trials[layout, size] = self._seconds(images[:size])
        self.arrange(*min(trials, key=trials.get))

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes), float32, in as many parts as the device's memory asks for."""
        images = images.contiguous(memory_format=self.layout)
        while True:
            parts = self.parts  # of which other threads may make more
            try:
                return torch.cat([self.model(part) for part in images.chunk(parts)]).float()
            except torch.OutOfMemoryError:
                if parts >= len(images):
                    accepted = "a smaller network or image, or another device"
                    raise refusal("memory", "too little for one image", accepted) from None
            self.parts = max(self.parts, 2 * parts)
            fitting = -(-len(images) // self.parts)
            warnings.warn(f"out of memory: measuring in batches of {fitting} images", stacklevel=2)
            torch.cuda.empty_cache()  # nothing where no GPU was used

    def map(self, batch_of, tasks):
        """Yield the logits of batch_of(task) for each of `tasks`, in their order."""

        def work(task) -> torch.Tensor:
            with torch.inference_mode(), exact_precision():
                return self(batch_of(task))

        if self.streams == 1:
            yield from map(work, tasks)
            return
        one_thread, waiting = (torch.set_num_threads, (1,)), collections.deque()
        try:
            with concurrent.futures.ThreadPoolExecutor(self.streams, "", *one_thread) as pool:
                for task in tasks:
                    waiting.append(pool.submit(work, task))
                    if len(waiting) > 2 * self.streams:
                        yield waiting.popleft().result()
                yield from (future.result() for future in waiting)
        finally:
            torch.set_num_threads(torch.get_num_threads())  # also of threads to come

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of raw images (n, C, H, W), such as the dataset's."""
        return torch.cat(list(self.map(self.normalized, images.split(self.batch_size))))
