"""A map over independent tasks, with a progress bar: one process a CPU core, one GPU, or a Dask cluster."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import sys
import threading
import time

import torch
from tqdm import tqdm

from lib.parameters import OutOfTime, StudyError
from lib.training import resolve_device


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


def out_of_time() -> bool:
    """Whether the moment STUDY_DEADLINE (seconds since 1970) is over; never where it is not set."""
    return time.time() > float(os.environ.get("STUDY_DEADLINE") or "inf")


def _in_time(function, task):
    if out_of_time():
        raise OutOfTime("time budget: over; finished runs are kept, the same command goes on")
    return function(task)


def parallel_map(function, tasks: list, device: str = "auto", title: str = "runs") -> list:
    """[function(task) for task in tasks], with a progress bar.

    On a GPU one after the other in this process; on a CPU in one worker process per core, each with one
    thread, forked (in 10 ms) where that works and else spawned (in 4 s); where DASK_SCHEDULER_ADDRESS is set,
    over that Dask cluster (whose workers share the store). Raises OutOfTime, once the tasks in flight are
    finished, when the moment STUDY_DEADLINE is over.
    """
    if not tasks:
        return []
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
        workers = min(len(tasks), num_workers())
        if workers == 1 or resolve_device(device).type == "cuda":
            results = []
            for task in tasks:
                results.append(function(task))
                bar.update()
            return results
        method = "fork" if sys.platform == "linux" and _fork_works() else "spawn"
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
