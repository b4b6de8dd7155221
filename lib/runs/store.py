"""The run store: STORE/<key> holds config.json, history.npz and, where there are any, weights;
measurements are added beside them. A folder or a measurement appears by one atomic rename: what a
killed process leaves is never half a run, and of two processes that make the same run the first
one's stays."""

import contextlib
import json
import shutil
import tempfile
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors
import torch

from lib.parameters import Config, StudyError, folder, refusal

WEIGHTS = "weights.safetensors"
REMEDY = "delete its folder to make it anew"


def store_folder() -> Path:
    """The store: the folder STUDY_STORE, by default output/store. Raises StudyError when it can't
    be written."""
    root = folder("STUDY_STORE", "output/store")
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(prefix=".incomplete-", dir=root).cleanup()
    except OSError as error:
        reason = f"{root} cannot be written ({error.strerror})"
        raise StudyError(f"store: {reason}; set STUDY_STORE to another folder") from error
    for leftover in root.glob(".incomplete-*"):  # of processes killed while writing
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover)
    return root


@contextlib.contextmanager
def readable(file: Path):
    """Turn whatever a damaged file raises into one line that names it."""
    damage = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
    try:
        yield
    except (*damage, safetensors.SafetensorError) as error:
        if isinstance(error, StudyError):
            raise
        reason = f"{file.name} cannot be read ({type(error).__name__})"
        raise StudyError(f"store: run {file.parent.name} is damaged: {reason}; {REMEDY}") from error


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

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that the run's history holds, by name."""
        file = self.path / "history.npz"
        with readable(file), np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch (or step), and the configuration's fields as columns of equal values."""
        arrays = self.arrays()
        columns = {name: values for name, values in arrays.items() if values.ndim == 1}
        constant = {name: value for name, value in self.config.items() if name not in arrays}
        return pd.DataFrame(columns).assign(**constant, key=self.key)

    def weights(self, epoch: int) -> dict[str, torch.Tensor]:
        """The state dict kept at `epoch`."""
        file = self.path / WEIGHTS
        if not file.is_file():
            remedy = "copy them (study export --weights) or delete its folder to train it anew"
            raise StudyError(f"store: run {self.key} came without its weights; {remedy}")
        with readable(file), safetensors.safe_open(file, "pt") as tensors:
            names = [name.partition("/") for name in tensors.keys()]  # noqa: SIM118
            kept = sorted({int(start) for start, _, _ in names})
            if epoch not in kept:
                raise refusal("epoch", epoch, f"one of {kept}, kept by run {self.key}")
            own = [name for start, _, name in names if int(start) == epoch]
            return {name: tensors.get_tensor(f"{epoch}/{name}") for name in own}


def open_run(path: Path) -> Run:
    """The run in folder `path`. Raises StudyError when a file is missing or shorter than when it
    was written; only the weights may be missing, as in what `export` wrote."""
    with readable(path / "config.json"):
        record = json.loads((path / "config.json").read_text())
        sizes = record["files"]
        if kind := Config.kinds.get(record["kind"]):
            record["config"] = kind.defaults() | record["config"]
    for name, size in sizes.items():
        actual = (path / name).stat().st_size if (path / name).is_file() else None
        if actual != size and not (name == WEIGHTS and actual is None):
            reason = f"{name} has {actual or 0} of {size} bytes"
            raise StudyError(f"store: run {path.name} is damaged: {reason}; {REMEDY}")
    return Run(path, record)


def all_runs() -> list[Run]:
    """Every run in the store, each checked for truncated files, oldest first."""
    folders = [path for path in store_folder().iterdir() if path.is_dir()]
    runs = [open_run(path) for path in folders if not path.name.startswith(".")]
    return sorted(runs, key=lambda run: run.record["created"])


def export(target: Path, weights: bool = False) -> int:
    """Copy every run and its measurements, by default without weights, into the store `target`;
    the count. A run that is there already gets the measurements that it lacks."""
    runs = all_runs()
    for run in runs:
        for part in sorted(part for part in run.path.rglob("*") if part.is_file()):
            copy = target / run.key / part.relative_to(run.path)
            if not copy.exists() and (weights or part.name != WEIGHTS):
                copy.parent.mkdir(parents=True, exist_ok=True)
                partial = copy.with_name(f".incomplete-{uuid.uuid4().hex}")
                shutil.copy2(part, partial).replace(copy)
    return len(runs)


def write_atomically(target: Path, write) -> None:
    """Call write(folder) on a fresh folder beside `target` and rename it; an existing target stays
    as it is."""
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
