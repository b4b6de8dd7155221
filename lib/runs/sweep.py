"""Runs from the store or, where they are missing, executed, several at a time, see `parallel`."""

import contextlib
import platform
import sys
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from lib.parameters import StudyError, environment
from lib.runs.code import code_of
from lib.runs.parallel import one_at_a_time, parallel_map, resolve_device, single_thread
from lib.runs.sealed import write_sealed
from lib.runs.store import WEIGHTS, Run, find, lease, open_run, store_folder


def find_or_execute(config, device: str = "auto") -> Run:
    """The run of `config`: from the store, or executed now (on a CPU with one thread) and kept."""
    target = resolve_device(device)
    with one_at_a_time():  # from the key on, for which a network is tried out
        if run := find(config):
            return run
        name = f"{config.key()}-{code_of(type(config))}"
        with lease(name):
            if run := find(config):  # made meanwhile
                return run
            _execute(config, store_folder() / name, target)
        return open_run(store_folder() / name)


def _execute(config, path: Path, target: torch.device) -> None:
    started, busy = time.time(), time.process_time()
    with single_thread() if target.type == "cpu" else contextlib.nullcontext():
        with environment(STUDY_OLDER_CODE=""):  # of the code that its own name says
            needed = [find_or_execute(other, target) for other in getattr(config, "needs", list)()]
        history, weights = config.execute(target, *needed)
    name = torch.cuda.get_device_name() if target.type == "cuda" else f"{platform.machine()} CPU"
    record = {
        "config": config.described(),
        "kind": config.kind,
        "version": config.version,
        "code": code_of(type(config)),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 2),
        "core_seconds": round(time.process_time() - busy, 2),  # less than that where it had to wait
        "device": name,
        "torch": torch.__version__,
    }

    def write(partial: Path) -> None:
        np.savez(partial / "history.npz", **history)
        if weights:
            safetensors.torch.save_file(weights, partial / WEIGHTS)

    write_sealed(path, record, write)


def sweep(configs, device: str = "auto", title: str = "runs") -> list[Run]:
    """The runs of `configs`, in their order: those in the store are read, the others executed.
    Equal configurations are one run; what a configuration needs (a teacher) is executed before it.
    Every file of every run already there is verified before anything is trained."""
    configs = list(configs)
    if not configs:
        raise StudyError("sweep: got no configuration; accepted: at least one")
    resolve_device(device)
    with one_at_a_time():
        by_key = {config.key(): config for config in configs}
        found = {key: find(config, whole=True) for key, config in by_key.items()}
    missing = {key: by_key[key] for key, run in found.items() if run is None}
    if older := [key for key in missing if any(store_folder().glob(f"{key}-*"))]:
        told = f"{len(older)} of {len(by_key)} runs in the store were made by other code"
        remedy = "made anew (--older-code keep takes them as they are)"
        print(f"study: {title}: {told}: {remedy}", file=sys.stderr)
    needs = [getattr(config, "needs", list)() for config in missing.values()]
    if needed := [other for others in needs for other in others]:
        with environment(STUDY_OLDER_CODE=""):
            sweep(needed, device, f"{title} needed first")
    tasks = [(one, device) for one in missing.values() if not needed or find(one) is None]
    parallel_map(find_or_execute, tasks, device, title)
    with one_at_a_time():
        found |= {key: find(config) for key, config in missing.items()}
        return [found[config.key()] for config in configs]
