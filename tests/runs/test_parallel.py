"""Tasks in parallel: how many at a time, on which device, until when."""

import contextlib
import os
import time

import pytest
import torch

from lib import runs
from lib.parameters import OutOfTime, StudyError, environment


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none():
    with pytest.raises(
        StudyError, match=r"^device: got cuda, but no CUDA device answers"
    ) as caught:
        runs.resolve_device("cuda")
    assert "\n" not in str(caught.value)
    assert runs.resolve_device("auto").type == "cpu"


def test_device_by_name():
    with pytest.raises(StudyError, match=r"^device: got 'tpu'; accepted: auto, cpu, cuda"):
        runs.resolve_device("tpu")
    assert runs.resolve_device("cpu").type == "cpu"
    assert runs.resolve_device(torch.device("meta")).type == "meta"  # taken as it is


@pytest.fixture
def two_threads():
    """This process has two threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_and_back(two_threads):
    with runs.single_thread():
        assert torch.get_num_threads() == 1
    with contextlib.suppress(KeyError), runs.single_thread():
        raise KeyError
    assert torch.get_num_threads() == 2


def process(seconds):
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.parametrize("at_once", [1, 3])
def test_tasks_at_a_time(at_once):
    with environment(STUDY_AT_ONCE=at_once):
        assert runs.at_once(torch.device("cpu")) == at_once
        processes = set(runs.parallel_map(process, [(0.3,)] * 6, "cpu"))
    assert len(processes) == at_once
    assert (os.getpid() in processes) == (at_once == 1)


def test_usual_number_at_a_time():
    """One a core that this process may use, and one on a GPU."""
    with environment(STUDY_AT_ONCE=""):
        assert runs.at_once(torch.device("cpu")) == runs.num_workers()
        assert runs.at_once(torch.device("cuda")) == 1
    with environment(STUDY_AT_ONCE=4):
        assert runs.at_once(torch.device("cuda")) == 4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_worker_a_core_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert runs.num_workers() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1.5"])
def test_bad_number_at_a_time(asked):
    said = f"^STUDY_AT_ONCE: got '?{asked}'?; accepted: int"
    with environment(STUDY_AT_ONCE=asked), pytest.raises(StudyError, match=said):
        runs.at_once(torch.device("cpu"))


def late_power(base, exponent):
    """Sooner for the later ones."""
    time.sleep(0.2 - 0.05 * base)
    return base**exponent


@pytest.mark.parametrize("at_once", [1, 4])
def test_results_come_in_the_order_of_the_tasks(at_once, capsys):
    tasks = [(base, base) for base in range(4)]
    with environment(STUDY_AT_ONCE=at_once):
        assert runs.parallel_map(late_power, tasks, "cpu", title="powers") == [1, 1, 4, 27]
        assert runs.parallel_map(late_power, [], "cpu") == []
    assert "powers: 100%" in capsys.readouterr().err


def threads():
    return torch.get_num_threads()


def test_a_worker_has_one_thread(two_threads):
    with environment(STUDY_AT_ONCE=2):
        assert runs.parallel_map(threads, [(), ()], "cpu") == [1, 1]


def note(log):
    """A task whose start and end are written down."""
    for word in ("start", "end"):
        with open(log, "a") as file:
            file.write(f"{word}\n")
        time.sleep(0.6 if word == "start" else 0)


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_tasks_in_flight_are_finished(tmp_path, at_once):
    log = tmp_path / "log"
    deadline = {"STUDY_DEADLINE": time.time() + 1, "STUDY_AT_ONCE": at_once}
    with environment(**deadline), pytest.raises(OutOfTime, match="finished runs are kept"):
        runs.parallel_map(note, [(log,)] * 30, "cpu")
    words = log.read_text().split()
    assert words.count("start") == words.count("end")
    assert 1 <= words.count("start") < 15


def test_time_is_over_at_the_deadline_alone():
    with environment(STUDY_DEADLINE=""):
        assert not runs.out_of_time()
    for seconds, over in ((-1, True), (60, False)):
        with environment(STUDY_DEADLINE=time.time() + seconds):
            assert runs.out_of_time() == over
