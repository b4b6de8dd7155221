"""A map over independent tasks, with a progress bar: one process a CPU core, one GPU, or a Dask cluster."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import sys
import threading

import torch
from tqdm import tqdm

from lib.parameters import StudyError
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


def num_workers() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def parallel_map(function, tasks: list, device: str = "auto", title: str = "runs") -> list:
    """[function(task) for task in tasks], with a progress bar.

    On a GPU one after the other in this process; on a CPU in one worker process per core, each with one
    thread; where DASK_SCHEDULER_ADDRESS is set, over that Dask cluster (whose workers share the store).
    """
    if not tasks:
        return []
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
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        pool = concurrent.futures.ProcessPoolExecutor(workers, context, _watch_parent)
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
