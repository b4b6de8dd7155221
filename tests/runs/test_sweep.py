"""Sweeps: each run once, the same numbers wherever it is made, and nothing half done."""

import concurrent.futures
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from lib import runs
from lib.parameters import OutOfTime, StudyError


def keys(folder):
    """The names in the store but that of its leases; a hidden one is what a killed process left."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".leases")


def name_of(config):
    """What the run of a configuration is called in the store."""
    return f"{config.key()}-{runs.code_of(type(config))}"


@pytest.mark.parametrize("at_once", [1, 2])
def test_equal_configurations_are_executed_once(store, toy, executed, monkeypatch, at_once):
    monkeypatch.setenv("STUDY_AT_ONCE", str(at_once))
    order = [3, 1, 3, 2, 1]
    swept = runs.sweep([toy(value) for value in order], "cpu")
    assert [run.arrays()["twice"][1] for run in swept] == [2.0 * value for value in order]
    runs.sweep([toy(1)], "cpu")
    runs.find_or_execute(toy(1), "cpu")
    assert sorted(executed()) == ["1.0", "2.0", "3.0"]
    assert keys(store) == sorted({run.key for run in swept})


def test_sweep_of_nothing_is_refused():
    with pytest.raises(StudyError, match=r"^sweep: got no configuration"):
        runs.sweep([])


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_is_needed_is_executed_first_and_once(store, toy, executed, monkeypatch, at_once):
    monkeypatch.setenv("STUDY_AT_ONCE", str(at_once))
    wanted = [toy(1, 3), toy(2, 2), toy(1, 3), toy(1, 1)]
    swept = runs.sweep(wanted, "cpu")
    order = executed()
    assert sorted(order) == ["1.0", "1.1", "1.2", "1.3", "2.0", "2.1", "2.2"]
    for value, last in (("1", 3), ("2", 2)):
        places = [order.index(f"{value}.{generation}") for generation in range(last + 1)]
        assert places == sorted(places)
    assert [run.arrays()["twice"][1] for run in swept] == [8, 12, 8, 4]  # each adds its own 2 v
    runs.sweep(wanted, "cpu")
    assert len(executed()) == len(keys(store)) == 7


def test_what_a_finished_run_needed_is_not_made_again(store, toy, executed):
    runs.find_or_execute(toy(1, 1), "cpu")
    shutil.rmtree(store / name_of(toy(1, 0)))
    runs.sweep([toy(1, 1)], "cpu")
    assert executed() == ["1.0", "1.1"]


def test_one_run_alone_executes_what_it_needs(store, toy, executed):
    run = runs.find_or_execute(toy(1, 2), "cpu")
    assert executed() == ["1.0", "1.1", "1.2"]
    assert run.arrays()["twice"].tolist() == [0.5, 6]


def three(configure):
    """Three runs, one of which learns from another."""
    teacher = configure(seed=1)
    return [configure(), teacher, configure(seed=2, teacher=teacher, true_label_weight=0.5)]


def test_worker_processes_give_the_numbers_of_this_process(
    configure, store, monkeypatch, tmp_path, histories, assert_same
):
    monkeypatch.setenv("STUDY_AT_ONCE", "2")
    swept = histories(runs.sweep(three(configure), "cpu"))
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    here = [runs.find_or_execute(config, "cpu") for config in three(configure)]
    assert_same(swept, histories(here))


@pytest.mark.slow
def test_workers_are_spawned_where_a_fork_cannot_train(
    configure, store, monkeypatch, histories, assert_same
):
    """As where autograd has threads of its own: here every fork of this process fails."""
    configs = [configure(seed=seed) for seed in range(2)]
    expected = histories([runs.find_or_execute(config, "cpu") for config in configs])

    def fails(*_args, **_kwargs):
        raise RuntimeError("Unable to handle autograd's threading")

    monkeypatch.setattr(torch.Tensor, "backward", fails)
    monkeypatch.setenv("STUDY_STORE", str(store) + "-spawned")
    monkeypatch.setenv("STUDY_AT_ONCE", "2")
    assert_same(histories(runs.sweep(configs, "cpu")), expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_on_the_cpu_has_one_thread(store, toy, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run = runs.find_or_execute(toy(1), "cpu")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert run.arrays()["threads"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "mlp-0-1"},
        {"num_train": 10**6},
        {"dataset": "mnist"},
        {"wave": "square", "amplitude": 0.1, "frequency": 0.1},
    ],
)
def test_one_bad_configuration_stops_a_sweep_before_it_trains(configure, store, fields):
    configs = [*(configure(seed=seed) for seed in range(3)), configure(**fields)]
    with pytest.raises(StudyError):
        runs.sweep(configs, "cpu")
    assert not store.exists() or keys(store) == []


def test_crash_leaves_nothing(store, toy):
    with pytest.raises(RuntimeError, match="power"):
        runs.find_or_execute(toy(1, fate="fails"), "cpu")
    assert keys(store) == []


@pytest.mark.parametrize("at_once", [1, 2])
def test_crash_leaves_the_other_runs_whole(store, toy, monkeypatch, at_once):
    monkeypatch.setenv("STUDY_AT_ONCE", str(at_once))
    configs = [toy(1), toy(2, fate="fails"), toy(3)]
    with pytest.raises(RuntimeError, match="power"):
        runs.sweep(configs, "cpu")
    others = {name_of(configs[0]), name_of(configs[2])}
    assert name_of(configs[0]) in keys(store)
    assert {run.key for run in runs.all_runs()} == set(keys(store)) <= others


def test_divergence_leaves_nothing(configure, store):
    with pytest.raises(StudyError, match="diverged"):
        runs.sweep([configure(lr=1e30, grad_clip=1e30)], "cpu")
    assert keys(store) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_killed_worker_is_said_in_one_line(store, toy, monkeypatch):
    monkeypatch.setenv("STUDY_AT_ONCE", "2")
    said = r"worker process was killed .*finished runs are kept"
    with pytest.raises(StudyError, match=said) as caught:
        runs.sweep([toy(1, fate="killed"), toy(2, fate="killed")], "cpu")
    assert "\n" not in str(caught.value)
    assert keys(store) == []


def test_runs_finished_in_time_are_kept(store, toy, executed, monkeypatch):
    configs = [toy(value) for value in range(3)]
    runs.find_or_execute(configs[0], "cpu")
    monkeypatch.setenv("STUDY_DEADLINE", "1")
    with pytest.raises(OutOfTime, match="finished runs are kept"):
        runs.sweep(configs, "cpu")
    assert keys(store) == [name_of(configs[0])]
    assert len(runs.sweep(configs[:1], "cpu")) == 1  # nothing is left to do: time does not matter
    monkeypatch.delenv("STUDY_DEADLINE")
    runs.sweep(configs, "cpu")
    assert executed()[0] == "0.0"
    assert sorted(executed()) == ["0.0", "1.0", "2.0"]


# a process of its own, without importing everything anew where the system can fork
PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def sweep_at(barrier, configs):
    barrier.wait(60)
    runs.sweep(configs, "cpu")


def start_sweeps(count, configs):
    """`count` processes that start the same sweep at the same moment."""
    barrier = PROCESSES.Barrier(count)
    processes = [PROCESSES.Process(target=sweep_at, args=(barrier, configs)) for _ in range(count)]
    for process in processes:
        process.start()
    return processes


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_killed_sweep_is_finished_by_the_next_one(
    configure, store, monkeypatch, tmp_path, histories, assert_same
):
    psutil = pytest.importorskip("psutil")
    configs = [configure(seed=seed, num_epochs=60) for seed in range(5)]
    store.mkdir()
    (process,) = start_sweeps(1, configs)
    wait_until(lambda: any(not name.startswith(".") for name in keys(store)))
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    _, alive = psutil.wait_procs(workers, 20)
    for worker in alive:
        worker.kill()
    assert alive == []
    present = runs.all_runs()  # opens every one of them
    assert 1 <= len(present) < 5
    made = {run.path / "history.npz": (run.path / "history.npz").stat() for run in present}
    finished = runs.sweep(configs, "cpu")
    for file, before in made.items():
        assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "uninterrupted"))
    assert_same(histories(finished), histories(runs.sweep(configs, "cpu")))


def test_two_processes_that_sweep_the_same_train_each_once(store, toy, executed, monkeypatch):
    monkeypatch.setenv("STUDY_AT_ONCE", "1")
    store.mkdir()
    configs = [toy(value, fate="slow") for value in range(5)]
    processes = start_sweeps(2, configs)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(executed()) == [f"{value}.0" for value in range(5)]
    assert len(runs.sweep(configs, "cpu")) == 5
    assert len(executed()) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_a_killed_process_loses_its_lease(store, toy, executed, monkeypatch):
    """Until then another one waits, and makes other runs meanwhile."""
    monkeypatch.setenv("STUDY_AT_ONCE", "1")
    store.mkdir()
    held, other = toy(1, fate="waits"), toy(2)
    (holder,) = start_sweeps(1, [held])
    wait_until(lambda: executed() == ["1.0"])
    runs.find_or_execute(other, "cpu")
    (waiter,) = start_sweeps(1, [other, held])
    waiter.join(0.5)
    assert waiter.is_alive()
    assert executed() == ["1.0", "2.0"]
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(20)
    assert runs.find(held) is None
    wait_until(lambda: executed() == ["1.0", "2.0", "1.0"])
    os.kill(waiter.pid, signal.SIGKILL)
    waiter.join(20)
    runs.find_or_execute(held, "cpu")
    assert executed() == ["1.0", "2.0", "1.0", "1.0"]
    assert not list(store.glob(".incomplete-*"))


CHANCE = ("shakeshake-8-4", "shakeshake-8-5", "pyramidnet-8-6", "pyramidnet-8-9")


def test_threads_of_one_process_give_the_runs_of_one_after_the_other(
    configure, store, monkeypatch, tmp_path, histories, assert_same
):
    """Of networks that draw from the process's chance, in training and as they are built."""
    own = {"num_train": 40, "num_test": 20, "num_epochs": 1, "batch_size": 20}
    configs = [configure(model=name, seed=seed, **own) for seed in (3, 4) for name in CHANCE]
    before, switch = torch.random.get_rng_state(), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(2) as pool:
            warnings.simplefilter("ignore")
            together = list(pool.map(runs.find_or_execute, configs, ["cpu"] * len(configs)))
    finally:
        sys.setswitchinterval(switch)
    assert torch.equal(torch.random.get_rng_state(), before)
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    in_turn = [runs.find_or_execute(config, "cpu") for config in configs]
    assert_same(histories(together), histories(in_turn))
    for one, other in zip(together, in_turn, strict=True):
        first, second = one.weights(1), other.weights(1)
        assert all(torch.equal(first[name], second[name]) for name in first)


def start_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def test_a_thread_that_waits_for_its_turn_says_so(store, toy, executed, recwarn):
    class Watching(toy):
        kind = "watching"

        def execute(self, device):
            waiting.append(start_thread(runs.find_or_execute, toy(1), "cpu"))
            wait_until(lambda: any("take turns" in str(one.message) for one in recwarn))
            assert executed() == []
            return super().execute(device)

    waiting = []
    runs.find_or_execute(Watching(2), "cpu")
    waiting[0].join(60)
    assert executed() == ["2.0", "1.0"]


def test_worker_processes_start_while_a_thread_has_its_turn(store, toy, monkeypatch):
    class Sweeping(toy):
        kind = "sweeping"

        def execute(self, device):
            started.set()
            assert finished.wait(60)
            return super().execute(device)

    monkeypatch.setenv("STUDY_AT_ONCE", "2")
    started, finished = threading.Event(), threading.Event()
    holder = start_thread(runs.find_or_execute, Sweeping(1), "cpu")
    assert started.wait(60)
    swept = start_thread(runs.parallel_map, abs, [(-1,), (-2,)], "cpu")
    swept.join(60)
    stuck = multiprocessing.active_children()
    finished.set()
    for process in stuck:
        process.kill()
    holder.join(60)
    assert stuck == []


def test_two_processes_make_the_same_run_at_once(configure, store):
    config = configure(num_epochs=60)
    processes = start_sweeps(2, [config])
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert keys(store) == [name_of(config)]
    (run,) = runs.all_runs()
    np.testing.assert_array_equal(run.history["epoch"], np.arange(1, 61))
