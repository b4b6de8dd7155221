"""A map over independent tasks: one process a CPU core, one GPU, or a Dask cluster."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import sys
import threading
import time
import warnings

import torch
from tqdm import tqdm

from lib.parameters import OutOfTime, StudyError, check
from lib.runs import cluster

_turn = threading.RLock()


def resolve_device(device: str | torch.device) -> torch.device:
    """auto: CUDA where there is some, else the CPU; a torch.device is taken as it is. Raises
    StudyError when CUDA is asked for and absent."""
    if isinstance(device, torch.device):
        return device
    if check("device", device, "str") == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as said:  # a driver that is too old is a warning
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if device == "cuda" and not available:
        reason = f" ({str(said[0].message).strip().splitlines()[0][:200]})" if said else ""
        answer = f"no CUDA device answers{reason}"
        raise StudyError(f"device: got cuda, but {answer}; accepted: auto, cpu")
    return torch.device("cuda" if available else "cpu")


@contextlib.contextmanager
def single_thread():
    """One thread on the CPU: a run's numbers then do not depend on how many cores there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def num_workers() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def at_once(device: torch.device) -> int:
    """The tasks executed at a time: STUDY_AT_ONCE, else one a CPU core, and one on a GPU."""
    asked = os.environ.get("STUDY_AT_ONCE") or str(1 if device.type == "cuda" else num_workers())
    return check("STUDY_AT_ONCE", int(asked) if asked.isdecimal() else asked, "int")


def out_of_time() -> bool:
    """Whether the moment STUDY_DEADLINE (seconds since 1970) is over; never where it is not set."""
    return time.time() > float(os.environ.get("STUDY_DEADLINE") or "inf")


@contextlib.contextmanager
def one_at_a_time():
    """Threads of one process take turns: the state of chance is the process's."""
    if not _turn.acquire(blocking=False):
        warnings.warn("threads of one worker take turns: start it with one", stacklevel=3)
        _turn.acquire()
    try:
        yield
    finally:
        _turn.release()


def _in_time(function, task: tuple, given: dict | None = None):
    with one_at_a_time(), cluster.settings(given or {}):
        if out_of_time():
            raise OutOfTime(f"time budget: over; {cluster.GOES_ON}")
        return function(*task)


def _wait_for_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _start_worker() -> None:
    """In a worker: one thread for arithmetic, and an end as soon as the parent process is gone."""
    global _turn
    _turn = threading.RLock()  # a fork of the old one may be another thread's for ever
    torch.set_num_threads(1)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _try_backward() -> None:
    try:
        torch.ones(1, requires_grad=True).sum().backward()
    except RuntimeError:
        os._exit(1)


def _fork_works() -> bool:
    """Whether a fork of this process can train. One with autograd's own threads can't."""
    child = multiprocessing.get_context("fork").Process(target=_try_backward)
    child.start()
    child.join(20)
    if child.exitcode is None:
        child.kill()
    return child.exitcode == 0


def _worker_pool(workers: int, device: torch.device) -> concurrent.futures.Executor:
    """Worker processes, forked (in 10 ms) where that works and else spawned (in 4 s)."""
    fork = sys.platform == "linux" and device.type == "cpu" and _fork_works()
    context = multiprocessing.get_context("fork" if fork else "spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker)


def parallel_map(function, tasks: list, device: str = "auto", title: str = "runs") -> list:
    """[function(*task) for task in tasks], with a progress bar. As many at a time as `at_once`
    says: one in this process; more in worker processes, each with one thread; where there is a
    `cluster`, over its workers. Raises OutOfTime, once the tasks in flight are finished, when the
    moment STUDY_DEADLINE is over."""
    if not tasks:
        return []
    target, function = resolve_device(device), functools.partial(_in_time, function)
    workers = min(len(tasks), at_once(target))
    with contextlib.ExitStack() as stack:
        bar = tqdm(total=len(tasks), desc=title, unit="run", file=sys.stderr, mininterval=0.5)
        stack.enter_context(bar)
        completed = concurrent.futures.as_completed
        if cluster.address():
            from distributed import as_completed as completed

            client, given = stack.enter_context(cluster.connected())
            function = functools.partial(function, given=given)
            futures = client.map(function, tasks, pure=False)
        elif workers == 1:
            return [(function(task), bar.update())[0] for task in tasks]
        else:
            pool = _worker_pool(workers, target)
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            futures = [pool.submit(function, task) for task in tasks]
        try:
            for future in completed(futures):
                future.result()
                bar.update()
        except concurrent.futures.process.BrokenProcessPool:
            reason = "a worker process was killed (out of memory?)"
            raise StudyError(f"{reason}; {cluster.GOES_ON}") from None
        return [future.result() for future in futures]
