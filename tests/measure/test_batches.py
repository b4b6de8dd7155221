"""The batch that a network is given: by time where much is to come, smaller where memory ends."""

import types

import pytest
import torch
from torch import nn

from lib.measure import Forward, forward
from lib.parameters import StudyError

CPU = torch.device("cpu")
LAYOUTS = (torch.channels_last, torch.contiguous_format)


def in_batches(model, dataset, size):
    """A `Forward` with batches of `size`, whatever is usual."""
    ready = Forward(model, dataset, CPU)
    ready.arrange(torch.channels_last, size)
    return ready


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when `clock.now` is raised, and not otherwise."""
    clock = types.SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(forward, "time", clock)
    return clock


class Costly(nn.Module):
    """Takes a time by the clock: `seconds` of the batch's layout and size. `room`: the images that
    fit into its memory."""

    def __init__(self, clock, seconds, room=10**9):
        super().__init__()
        self.convolution, self.sizes = nn.Conv2d(3, 4, 3), []
        self.clock, self.seconds, self.room = clock, seconds, room

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        self.sizes.append(len(x))
        layout = next(one for one in LAYOUTS if x.is_contiguous(memory_format=one))
        self.clock.now += self.seconds(layout, len(x))
        return self.convolution(x).mean((2, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [128, 256, 512])
def test_layout_and_batch_are_the_fastest_by_time(layout, size, clock, random_images, as_dataset):
    def seconds(its_layout, its_size):
        return its_size * (1 if (its_layout, its_size) == (layout, size) else 2)

    model, dataset = Costly(clock, seconds), as_dataset(random_images(600))
    ready = Forward(model, dataset, CPU, num_points=200 * 512)
    assert (ready.layout, ready.batch_size) == (layout, size)
    assert model.convolution.weight.is_contiguous(memory_format=layout)
    model.sizes.clear()
    expected = nn.functional.conv2d(dataset.x_test, model.convolution.weight).mean((2, 3))
    logits = ready.predict(dataset.x_test)
    assert model.sizes[:-1] == [size] * (599 // size)
    expected = expected + model.convolution.bias
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("seconds", "tries"), [(19, False), (21, True)])
def test_trials_are_made_where_much_is_to_come(
    seconds, tries, threads, clock, random_images, as_dataset, on_threads
):
    """At a millisecond an image, `seconds` for all of them on the threads together."""
    on_threads(threads)
    model = Costly(clock, lambda layout, size: size * (1e-3 if layout is LAYOUTS[0] else 5e-4))
    ready = Forward(model, as_dataset(random_images()), CPU, num_points=1000 * seconds * threads)
    assert ready.layout is LAYOUTS[tries]
    assert set(model.sizes[3:]) == ({256} | ({128, 512} if tries else set()))
    assert torch.get_num_threads() == threads
    model.sizes.clear()
    assert Forward(model, as_dataset(random_images()), CPU).layout is LAYOUTS[0]
    assert model.sizes == [2, 2, 1]  # of a Forward that is not told how much is to come


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("points", [1, 255, 257, 1000, 3001])
def test_batches_are_full_and_as_many_for_each_stream(
    points, threads, clock, random_images, as_dataset, on_threads
):
    on_threads(threads)
    model = Costly(clock, lambda *_: 0)
    size = Forward(model, as_dataset(random_images()), CPU, num_points=points).batch_size
    assert 1 <= size <= 256
    batches = -(-points // size)
    assert batches <= threads * -(-points // (256 * threads))  # no more than of the usual size
    assert batches * size - points < threads * (points // size + 1)  # a few empty places at most


@pytest.mark.parametrize("threads", [1, 2])
def test_the_batch_is_halved_when_memory_does_not_suffice(
    threads, clock, random_images, as_dataset, on_threads
):
    on_threads(threads)
    roomy, tight = (Costly(clock, lambda *_: 0, room) for room in (100, 5))
    tight.load_state_dict(roomy.state_dict())
    dataset = as_dataset(random_images(160))
    expected = in_batches(roomy, dataset, 16).predict(dataset.x_test)
    ready = in_batches(tight, dataset, 16)
    with pytest.warns(UserWarning, match=r"batches of \d images") as said:
        logits = ready.predict(dataset.x_test)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert max(tight.sizes) <= 5
    if threads == 1:
        assert [str(warning.message)[-8:] for warning in said] == ["8 images", "4 images"]
        tight.sizes.clear()
        ready.predict(dataset.x_test)
        assert set(tight.sizes) == {4}  # and never tried again


def test_measuring_gives_up_at_one_image(clock, random_images, as_dataset):
    model = Costly(clock, lambda *_: 0)
    ready = in_batches(model, as_dataset(random_images()), 4)
    model.room = 0
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(
            StudyError, match=r"^memory: got 'too little for one image'; accepted: a small"
        ),
    ):
        ready.predict(ready.dataset.x_test)


def test_a_trial_that_does_not_fit_leaves_the_usual_batch_whole(clock, random_images, as_dataset):
    model, dataset = (
        Costly(clock, lambda _, size: 100 + size, room=256),
        as_dataset(random_images(512)),
    )
    with pytest.warns(UserWarning, match="batches of 256 images"):
        ready = Forward(model, dataset, CPU, num_points=10**6)
    assert ready.batch_size == 256
    model.sizes.clear()
    ready.predict(dataset.x_test)
    assert model.sizes == [256, 256]
