"""A map over independent tasks: one process a CPU core, one GPU, or a Dask cluster; and runs, from
the store or, where they are missing, executed so."""

import concurrent.futures
import contextlib
import functools
import json
import multiprocessing
import os
import platform
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from tqdm import tqdm

from lib.parameters import OutOfTime, StudyError, check
from lib.runs.store import WEIGHTS, Run, open_run, store_folder, write_atomically


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


def _in_time(function, task: tuple):
    if out_of_time():
        raise OutOfTime("time budget: over; finished runs are kept, the same command goes on")
    return function(*task)


def _wait_for_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _start_worker() -> None:
    """In a worker: one thread for arithmetic, and an end as soon as the parent process is gone."""
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
    says: one in this process; more in worker processes, each with one thread; where
    DASK_SCHEDULER_ADDRESS is set, over that Dask cluster (whose workers share the store). Raises
    OutOfTime, once the tasks in flight are finished, when the moment STUDY_DEADLINE is over."""
    if not tasks:
        return []
    target, function = resolve_device(device), functools.partial(_in_time, function)
    workers = min(len(tasks), at_once(target))
    with contextlib.ExitStack() as stack:
        bar = tqdm(total=len(tasks), desc=title, unit="run", file=sys.stderr, mininterval=0.5)
        stack.enter_context(bar)
        completed = concurrent.futures.as_completed
        if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
            import distributed

            client = stack.enter_context(distributed.Client(address))
            futures = client.map(function, tasks, pure=False)
            completed = distributed.as_completed
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
            raise StudyError(f"{reason}; finished runs are kept, start again") from None
        return [future.result() for future in futures]


def find_or_execute(config, device: str = "auto") -> Run:
    """The run of `config`: from the store, or executed now (on a CPU with one thread) and kept."""
    path = store_folder() / config.key()
    if path.is_dir():
        return open_run(path)
    target, started = resolve_device(device), time.time()
    with single_thread() if target.type == "cpu" else contextlib.nullcontext():
        needed = [find_or_execute(other, device) for other in getattr(config, "needs", list)()]
        history, weights = config.execute(target, *needed)
    name = torch.cuda.get_device_name() if target.type == "cuda" else f"{platform.machine()} CPU"
    record = {
        "config": config.described(),
        "kind": config.kind,
        "version": config.version,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 2),
        "device": name,
        "torch": torch.__version__,
    }

    def write(partial: Path) -> None:
        np.savez(partial / "history.npz", **history)
        if weights:
            safetensors.torch.save_file(weights, partial / WEIGHTS)
        sizes = {file.name: file.stat().st_size for file in sorted(partial.iterdir())}
        (partial / "config.json").write_text(json.dumps(record | {"files": sizes}, indent=1))

    try:
        write_atomically(path, write)
    except OSError as error:
        reason = f"run {path.name} could not be written ({error.strerror})"
        raise StudyError(f"store: {reason}; nothing else is lost") from error
    return open_run(path)


def sweep(configs, device: str = "auto", title: str = "runs") -> list[Run]:
    """The runs of `configs`, in their order: those in the store are read, the others executed.
    Equal configurations are one run; what a configuration needs (a teacher) is executed before it.
    Every run already there is checked before anything is trained."""
    configs = list(configs)
    if not configs:
        raise StudyError("sweep: got no configuration; accepted: at least one")
    resolve_device(device)
    keys = [config.key() for config in configs]
    store = store_folder()
    for key in dict.fromkeys(keys):
        if (store / key).is_dir():
            open_run(store / key)
    missing = {k: c for k, c in zip(keys, configs, strict=True) if not (store / k).is_dir()}
    needs = [getattr(config, "needs", list)() for config in missing.values()]
    if needed := [other for others in needs for other in others]:
        sweep(needed, device, f"{title} needed first")
    tasks = [(c, device) for k, c in missing.items() if not (store / k).is_dir()]
    parallel_map(find_or_execute, tasks, device, title)
    return [open_run(store / key) for key in keys]
