"""The run store: a frozen configuration, its key, its folder; and `sweep`, a map over independent runs.

A configuration is a frozen dataclass with `kind`, `version`, `identity()`, `described()` and
`execute(device, *needed) -> (history, weights)`, where `needed` are the runs of what its `needs()` names, if it
has that. Its run is the folder STORE/<key> with config.json, history.npz and, where there are any,
weights.safetensors; measurements are added beside them. A folder or a measurement appears by one atomic rename:
what a killed process leaves is never half a run, and of two processes that make the same run the first one's
stays.
"""

import contextlib
import hashlib
import json
import platform
import shutil
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
import torch

from lib.parallel import parallel_map, resolve_device, single_thread
from lib.parameters import StudyError, folder
from lib.training import TrainingConfig

WEIGHTS = "weights.safetensors"


def hash_of(value) -> str:
    """16 hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def key_of(config) -> str:
    """The run's key: kind, version and the configuration's identity, hashed."""
    return hash_of({"kind": config.kind, "version": config.version, **config.identity()})


def store_folder() -> Path:
    """The store: the folder STUDY_STORE, by default output/store. Raises StudyError when it can't be written."""
    root = folder("STUDY_STORE", "output/store")
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".incomplete-{uuid.uuid4().hex}"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise StudyError(
            f"store: {root} cannot be written ({error.strerror}); set STUDY_STORE to another folder"
        ) from error
    for leftover in root.glob(".incomplete-*"):  # of processes killed while writing
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover)
    return root


@dataclass(frozen=True)
class Run:
    """One finished run in the store; arrays and weights are read when asked for."""

    path: Path
    record: dict = field(repr=False)

    @property
    def key(self) -> str:
        return self.path.name

    @property
    def config(self) -> dict:
        return self.record["config"]

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch (or step), and the configuration's fields as columns of equal values."""
        with readable(self.path / "history.npz"), np.load(self.path / "history.npz", allow_pickle=False) as arrays:
            return pd.DataFrame({name: arrays[name] for name in arrays if arrays[name].ndim == 1}).assign(
                **{k: v for k, v in self.config.items() if k not in arrays}, key=self.key
            )

    def array(self, name: str) -> np.ndarray:
        with readable(self.path / "history.npz"), np.load(self.path / "history.npz", allow_pickle=False) as arrays:
            return arrays[name]

    def weights(self, epoch: int) -> dict[str, torch.Tensor]:
        """The state dict kept at `epoch`."""
        file = self.path / WEIGHTS
        if not file.is_file():
            raise StudyError(f"store: run {self.key} came without its weights; copy them (study export --weights) or "
                             "delete its folder to train it anew")  # fmt: skip
        with readable(file), safetensors.safe_open(file, "pt") as tensors:
            names = [name for name in tensors.keys() if name.startswith(f"{epoch}/")]  # noqa: SIM118
            if not names:
                kept = sorted({int(name.partition("/")[0]) for name in tensors.keys()})  # noqa: SIM118
                raise StudyError(f"epoch: got {epoch}; accepted: {', '.join(map(str, kept))}, kept by run {self.key}")
            return {name.partition("/")[2]: tensors.get_tensor(name) for name in names}


@contextlib.contextmanager
def readable(file: Path):
    """Turn whatever a damaged file raises into one line that names it."""
    try:
        yield
    except StudyError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, safetensors.SafetensorError) as error:
        raise StudyError(f"store: run {file.parent.name} is damaged: {file.name} cannot be read "
                         f"({type(error).__name__}); delete its folder to make it anew") from error  # fmt: skip


def open_run(path: Path) -> Run:
    """The run in folder `path`. Raises StudyError when a file is missing or shorter than when it was written; only
    the weights may be missing, as in what `export` wrote."""
    with readable(path / "config.json"):
        record = json.loads((path / "config.json").read_text())
        sizes = record["files"]
        if record["kind"] == TrainingConfig.kind:
            record["config"] = TrainingConfig.defaults() | record["config"]
    for name, size in sizes.items():
        actual = (path / name).stat().st_size if (path / name).is_file() else None
        if actual != size and not (name == WEIGHTS and actual is None):
            raise StudyError(f"store: run {path.name} is damaged: {name} has {actual or 0} of {size} bytes; "
                             "delete its folder to make it anew")  # fmt: skip
    return Run(path, record)


def all_runs() -> list[Run]:
    """Every run in the store, each checked for truncated files, oldest first."""
    runs = [open_run(path) for path in store_folder().iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(runs, key=lambda run: run.record["created"])


def export(target: Path, weights: bool = False) -> int:
    """Copy every run and its measurements, by default without weights, into the store `target`; the count. A run
    that is there already gets the measurements that it lacks."""
    runs = all_runs()
    for run in runs:
        for part in sorted(run.path.rglob("*")):
            copy = target / run.key / part.relative_to(run.path)
            if part.is_dir() or copy.exists() or (part.name == WEIGHTS and not weights):
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            partial = copy.with_name(f".incomplete-{uuid.uuid4().hex}")
            shutil.copy2(part, partial)
            partial.replace(copy)
    return len(runs)


def write_atomically(target: Path, write) -> None:
    """Call write(folder) on a fresh folder beside `target` and rename it; an existing target stays as it is."""
    partial = target.parent / f".incomplete-{uuid.uuid4().hex}"
    partial.mkdir()
    try:
        write(partial)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def find_or_execute(config, device: str = "auto", key: str | None = None) -> Run:
    """The run of `config`: from the store, or executed now (on a CPU with one thread) and kept."""
    key = key or key_of(config)
    path = store_folder() / key
    if path.is_dir():
        return open_run(path)
    target = resolve_device(device)
    started = time.time()
    with single_thread() if target.type == "cpu" else contextlib.nullcontext():
        needed = [find_or_execute(other, device) for other in getattr(config, "needs", list)()]
        history, weights = config.execute(target, *needed)

    def write(partial: Path) -> None:
        np.savez(partial / "history.npz", **history)
        if weights:
            safetensors.torch.save_file(weights, partial / WEIGHTS)
        record = {
            "config": config.described(),
            "kind": config.kind,
            "version": config.version,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.time() - started, 2),
            "device": torch.cuda.get_device_name() if target.type == "cuda" else f"{platform.machine()} CPU",
            "torch": torch.__version__,
            "files": {file.name: file.stat().st_size for file in sorted(partial.iterdir())},
        }
        (partial / "config.json").write_text(json.dumps(record, indent=1))

    try:
        write_atomically(path, write)
    except OSError as error:
        raise StudyError(f"store: run {key} could not be written ({error.strerror}); nothing else is lost") from error
    return open_run(path)


def sweep(configs, device: str = "auto", title: str = "runs") -> list[Run]:
    """The runs of `configs`, in their order: those in the store are read, the others executed.

    Equal configurations are one run; what a configuration needs (a teacher) is executed before it. Every run
    already there is checked before anything is trained.
    """
    configs = list(configs)
    if not configs:
        raise StudyError("sweep: got no configuration; accepted: at least one")
    resolve_device(device)
    keys = [key_of(config) for config in configs]
    store = store_folder()
    for key in dict.fromkeys(keys):
        if (store / key).is_dir():
            open_run(store / key)
    missing = {key: config for key, config in zip(keys, configs, strict=True) if not (store / key).is_dir()}
    if needed := [other for config in missing.values() for other in getattr(config, "needs", list)()]:
        sweep(needed, device, f"{title} needed first")
        missing = {key: config for key, config in missing.items() if not (store / key).is_dir()}
    parallel_map(_execute, [(config, device, key) for key, config in missing.items()], device, title)
    return [open_run(store / key) for key in keys]


def _execute(task) -> None:
    config, device, key = task
    find_or_execute(config, device, key)
