"""A map over independent tasks, with a progress bar: one process a CPU core, one GPU, or a Dask cluster."""

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


def resolve_device(device: str) -> torch.device:
    """auto: CUDA where there is some, else the CPU. Raises StudyError when CUDA is asked for and absent."""
    check("device", device, "str")
    if device == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as said:  # a driver that is too old is a warning
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if device == "cuda" and not available:
        reason = f" ({str(said[0].message).strip().splitlines()[0][:200]})" if said else ""
        raise StudyError(f"device: got cuda, but no CUDA device answers{reason}; accepted: auto, cpu")
    return torch.device("cuda" if available else "cpu")


@contextlib.contextmanager
def single_thread():
    """One thread on the CPU: a run's numbers then do not depend on how many cores happen to be there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _watch_parent() -> None:
    """In a worker: one thread for arithmetic, and an end as soon as the parent process is gone."""
    torch.set_num_threads(1)

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _try_backward() -> None:
    try:
        torch.ones(1, requires_grad=True).sum().backward()
    except RuntimeError:
        os._exit(1)


def _fork_works() -> bool:
    """Whether a fork of this process can train. One whose parent has started autograd's own threads can't."""
    child = multiprocessing.get_context("fork").Process(target=_try_backward)
    child.start()
    child.join(20)
    if child.exitcode is None:
        child.kill()
    return child.exitcode == 0


def num_workers() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def at_once(device: torch.device) -> int:
    """The tasks that are executed at a time: STUDY_AT_ONCE where it is set, else one a CPU core, and one on a GPU."""
    asked = os.environ.get("STUDY_AT_ONCE") or (1 if device.type == "cuda" else num_workers())
    if not str(asked).isdigit() or int(asked) < 1:
        raise StudyError(f"STUDY_AT_ONCE: got {asked!r}; accepted: a whole number from 1 up")
    return int(asked)


def out_of_time() -> bool:
    """Whether the moment STUDY_DEADLINE (seconds since 1970) is over; never where it is not set."""
    return time.time() > float(os.environ.get("STUDY_DEADLINE") or "inf")


def _in_time(function, task):
    if out_of_time():
        raise OutOfTime("time budget: over; finished runs are kept, the same command goes on")
    return function(task)


def parallel_map(function, tasks: list, device: str = "auto", title: str = "runs") -> list:
    """[function(task) for task in tasks], with a progress bar.

    As many at a time as `at_once` says: one in this process; more in worker processes, each with one thread, forked
    (in 10 ms) where that works and else spawned (in 4 s); where DASK_SCHEDULER_ADDRESS is set, over that Dask
    cluster (whose workers share the store). Raises OutOfTime, once the tasks in flight are finished, when the
    moment STUDY_DEADLINE is over.
    """
    if not tasks:
        return []
    target = resolve_device(device)
    function = functools.partial(_in_time, function)
    bar = tqdm(total=len(tasks), desc=title, unit="run", file=sys.stderr, mininterval=0.5)
    with contextlib.ExitStack() as stack:
        stack.enter_context(bar)
        if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
            from distributed import Client, as_completed

            client = stack.enter_context(Client(address))
            futures = client.map(function, tasks, pure=False)
            for future in as_completed(futures):
                future.result()
                bar.update()
            return [future.result() for future in futures]
        workers = min(len(tasks), at_once(target))
        if workers == 1:
            results = []
            for task in tasks:
                results.append(function(task))
                bar.update()
            return results
        method = "fork" if sys.platform == "linux" and target.type == "cpu" and _fork_works() else "spawn"
        pool = concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context(method), _watch_parent)
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        futures = [pool.submit(function, task) for task in tasks]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                bar.update()
        except concurrent.futures.process.BrokenProcessPool:
            raise StudyError(
                "a worker process was killed (out of memory?); finished runs are kept, start again"
            ) from None
        return [future.result() for future in futures]
