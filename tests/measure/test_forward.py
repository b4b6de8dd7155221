"""A network made ready: exact, copied, on several threads; and everything put back afterwards."""

import contextlib
import copy
import functools
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from lib import data
from lib.measure import Forward, exact_precision, usual_batch
from lib.parameters import StudyError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FLAGS = [
    (torch.backends.cuda, "matmul"),
    (torch.backends.cudnn, "conv"),
    (torch.backends.mkldnn, "conv"),
    (torch.backends.mkldnn, "matmul"),
]
IEEE = ["ieee"] * len(FLAGS)


def precision_flags():
    return [getattr(library, operation).fp32_precision for library, operation in FLAGS]


@pytest.fixture
def fast_precision():
    """Flags as a user may have set them; they are put back after the test."""
    before = precision_flags()
    for library, operation in FLAGS:
        getattr(library, operation).fp32_precision = "tf32"
    yield ["tf32"] * len(FLAGS)
    for (library, operation), value in zip(FLAGS, before, strict=True):
        getattr(library, operation).fp32_precision = value


class Watched(nn.Module):
    """A linear network that is not copied and notes what holds while it is evaluated."""

    def __init__(self, classes=4):
        super().__init__()
        self.layer, self.seen = nn.Linear(192, classes), []

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        types = (x.dtype, (x.flatten(1) @ x.flatten(1).T).dtype)
        thread = threading.current_thread() is threading.main_thread()
        self.seen.append((len(x), precision_flags(), types, torch.get_num_threads(), thread))
        return self.layer(x.flatten(1))


def in_batches(model, dataset, size):
    """A `Forward` with batches of `size`, whatever is usual."""
    ready = Forward(model, dataset, CPU)
    ready.arrange(torch.channels_last, size)
    return ready


def threads_of_a_new_thread():
    numbers = []
    thread = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return numbers[0]


def test_exact_precision_holds_within_and_is_put_back(fast_precision):
    with torch.autocast("cpu", torch.bfloat16):
        with exact_precision():
            assert precision_flags() == IEEE
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert precision_flags() == fast_precision
    with pytest.raises(KeyError), exact_precision():
        raise KeyError
    assert precision_flags() == fast_precision


def test_exact_precision_holds_until_the_last_leaves_in_any_order(fast_precision):
    first, second = exact_precision(), exact_precision()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert precision_flags() == IEEE
    second.__exit__(None, None, None)
    assert precision_flags() == fast_precision


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_exact_one_thread_each(
    threads, fast_precision, random_images, as_dataset, on_threads
):
    on_threads(threads)
    model = Watched()
    ready = in_batches(model, as_dataset(random_images(40)), 4)
    model.seen.clear()
    with torch.autocast("cpu", torch.bfloat16):
        logits = ready.predict(ready.dataset.x_test)
    assert logits.dtype == torch.float32
    sizes, flags, types, inner, in_main = zip(*model.seen, strict=True)
    assert sizes == (4,) * 10
    assert all(one == IEEE for one in flags)
    assert set(types) == {(torch.float32, torch.float32)}
    assert set(inner) == {1}
    assert set(in_main) == {threads == 1}
    assert precision_flags() == fast_precision
    assert torch.get_num_threads() == threads_of_a_new_thread() == threads
    assert not torch.is_inference_mode_enabled()


class Together(Watched):
    """Waits in every batch until another thread is in one, too."""

    def __init__(self):
        super().__init__()
        self.barrier = threading.Barrier(2, timeout=30)

    def forward(self, x):
        if len(x) > 2:
            self.barrier.wait()
            time.sleep(0.02 * float(x[0, 0, 0, 0] > 0))  # so that they end in another order
        return super().forward(x)


def test_batches_run_side_by_side_and_come_in_order(random_images, as_dataset, on_threads):
    on_threads(2)
    model, images = Together(), random_images(48)
    ready = in_batches(model, as_dataset(images), 4)
    expected = torch.cat([model.layer(part.flatten(1)) for part in images.split(4)])
    torch.testing.assert_close(ready.predict(images), expected, rtol=0, atol=1e-6)


def test_several_threads_give_what_one_gives(convolutional, random_images, as_dataset, on_threads):
    outputs = []
    for threads in (1, 2, 5):
        on_threads(threads)
        ready = in_batches(convolutional(), as_dataset(random_images(50)), 8)
        outputs.append(ready.predict(ready.dataset.x_test))
    assert outputs[0].shape == (50, 5)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


class FailsAfter(Watched):
    """Raises from its seventh batch on, after the three calls that try it out."""

    def forward(self, x):
        if len(self.seen) > 8:
            raise KeyError("worn out")
        return super().forward(x)


def batches(ready, count=40):
    return ready.map(ready.normalized, [ready.dataset.x_test[:4]] * count)


def stop_early(ready):
    for _ in batches(ready):
        break


def fail_outside(ready):
    with contextlib.suppress(ZeroDivisionError):
        for _ in batches(ready):
            raise ZeroDivisionError


def fail_inside(ready):
    with pytest.raises(KeyError, match="worn out"):
        list(batches(ready))


def fail_while_a_batch_is_made(ready):
    with pytest.raises(ZeroDivisionError):
        list(ready.map(lambda task: ready.dataset.x_test[: 4 // task], [2, 1, 0]))


def in_turn(ready):
    """Two streams at a time, of which the first one ends first."""
    first, second = (batches(ready, count) for count in (2, 3))
    next(first), next(second)
    list(first), list(second)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "use", [stop_early, fail_outside, fail_inside, fail_while_a_batch_is_made, in_turn]
)
def test_threads_and_flags_are_put_back(
    use, threads, fast_precision, random_images, as_dataset, on_threads
):
    on_threads(threads)
    running = threading.active_count()
    model = FailsAfter() if use is fail_inside else Watched()
    use(Forward(model, as_dataset(random_images()), CPU))
    assert precision_flags() == fast_precision
    assert torch.get_num_threads() == threads_of_a_new_thread() == threads
    assert threading.active_count() == running
    assert all(flags == IEEE for _, flags, *_ in model.seen[3:])


def test_between_batches_precision_is_the_callers(fast_precision, random_images, as_dataset):
    ready = Forward(Watched(), as_dataset(random_images()), CPU)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in batches(ready, 3):
            assert precision_flags() == fast_precision
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


class Counted(nn.Sequential):
    copies = 0

    def __deepcopy__(self, memo):
        Counted.copies += 1
        return Counted(*(copy.deepcopy(layer) for layer in self))


def test_the_network_is_copied_once_and_left_as_it_was(convolutional, random_images, as_dataset):
    model = Counted(*convolutional())
    model[0].weight.requires_grad_(False)
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Counted.copies = 0
    ready = Forward(model, as_dataset(random_images(), num_classes=5), CPU, 10**9)
    for _ in range(3):
        ready.predict(ready.dataset.x_test)
    assert Counted.copies == 1
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    frozen = [not weight.requires_grad for weight in model.parameters()]
    assert frozen == [True, *[False] * 5]
    assert model[0].weight.is_contiguous()


@pytest.mark.parametrize("kind", ["network", "lambda", "method", "partial"])
@pytest.mark.parametrize("pixels", [np.uint8, np.float32])
def test_any_callable_of_normalised_images(kind, pixels, linear):
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(pixels)
    labels = np.arange(300) % 4
    dataset, model = data.from_arrays(images, labels, images, labels, "noise"), linear()
    network = {
        "network": model,
        "lambda": lambda x: model(x),
        "method": model.forward,
        "partial": functools.partial(lambda layers, x: layers(x), model),
    }[kind]
    pixels = images.astype(float)
    normalised = (pixels - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2))
    points = normalised.transpose(0, 3, 1, 2).reshape(300, -1)
    exact = copy.deepcopy(model[1]).double()
    expected = exact(torch.from_numpy(points)).detach()
    logits = Forward(network, dataset, CPU).predict(dataset.x_test)
    torch.testing.assert_close(logits, expected.float(), rtol=1e-4, atol=1e-4)


def test_images_may_be_fewer_than_two(linear, random_images, as_dataset):
    dataset = as_dataset(random_images(1))
    assert Forward(linear(), dataset, CPU).predict(dataset.x_test).shape == (1, 4)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda x: x, r"an output \(2, 3, 8, 8\); accepted: \(2, classes\)"),
        (lambda x: x.flatten(1)[:, :10, None], r"\(2, 10, 1\)"),
        (lambda x: x.flatten(1)[0], r"\(192,\)"),
        (lambda x: x.flatten(1)[:1], r"\(1, 192\)"),
        (lambda x: x.flatten(1)[:, :1], r"\(2, 1\)"),
        (lambda x: x.flatten(1)[:, :9], r"\(2, 9\); .*classes >= 10"),
        (lambda x: (x.flatten(1),), "an output tuple"),
        (lambda x: {"logits": x}, "an output dict"),
        (lambda x: x.flatten(1).numpy(), "an output ndarray"),
        (nn.Conv2d(1, 4, 3), r"accepted: a network for random, images \(2, 3, 8, 8\)"),
        (nn.Linear(8, 10).double(), "dtype"),
        (lambda x: [][len(x)], "list index out of range"),
        (lambda x: x.nothing, "no attribute 'nothing'"),
        (nn.Module(), "forward"),
        ("resnet", "'str' object is not callable"),
        (None, "'NoneType' object is not callable"),
    ],
)
def test_networks_that_cannot_be_measured(network, said, random_images, as_dataset):
    with pytest.raises(StudyError, match=f"^network: got .*{said}") as caught:
        Forward(network, as_dataset(random_images(), num_classes=10), CPU)
    assert "\n" not in str(caught.value)


class Odd(nn.Module):
    """A linear network whose outputs are changed by a function of them."""

    def __init__(self, change):
        super().__init__()
        self.layer, self.change = nn.Linear(192, 10), change

    def forward(self, x):
        return self.change(self.layer(x.flatten(1)))


ODD = {
    "dropout": (lambda y: nn.functional.dropout(y), "change from call to call"),
    "noise": (lambda y: y + torch.rand(1), "change from call to call"),
    "batch norm": (lambda y: (y - y.mean(0)) / (y.std(0, correction=0) + 0.1), "of its batch"),
    "softmax": (lambda y: y.softmax(1), "probabilities"),
    "half": (lambda y: y.half(), "float16; accepted: float32"),
    "bfloat16": (lambda y: y.bfloat16(), "bfloat16; accepted: float32"),
    "classes": (lambda y: y.argmax(1)[:, None].expand(-1, 10), "int64; accepted: float32"),
}


@pytest.mark.parametrize(("change", "said"), ODD.values(), ids=ODD)
def test_outputs_that_are_no_logits_of_one_image_are_refused(
    change, said, random_images, as_dataset
):
    with pytest.raises(StudyError, match=f"^network: got .*{said}"):
        Forward(Odd(change), as_dataset(random_images(), num_classes=10), CPU)


@pytest.mark.parametrize("change", [lambda y: y, lambda y: 0 * y, lambda y: y.abs(), torch.relu])
def test_other_outputs_are_logits(change, random_images, as_dataset):
    """Also positive ones, and a constant network's."""
    ready = Forward(Odd(change), as_dataset(random_images(), num_classes=10), CPU)
    assert ready.num_classes == 10


def test_usual_batch():
    """As many pixels as 128 images of 32 x 32, from 8 to 256 images; on a GPU 64 times as many."""
    sizes = {8: 256, 16: 256, 32: 128, 64: 32, 90: 16, 224: 8, 1000: 8}
    assert {size: usual_batch((3, size, size), CPU) for size in sizes} == sizes
    assert usual_batch((3, 32, 32), CUDA) == 8192
