"""The run store: STORE/<key>-<code>, of a configuration and its code, holds config.json,
history.npz and, where there are any, weights; measurements are added beside them. What is damaged
is set aside, said, and made anew."""

import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import safetensors
import torch

from lib.parameters import Config, StudyError, folder, refusal
from lib.runs.code import code_of
from lib.runs.sealed import FOLDER, REMEDY, Damage, readable, unsealed, verified

WEIGHTS = "weights.safetensors"
older_used: set[str] = set()  # what this process took that other code had made


def store_folder() -> Path:
    """The store: the folder STUDY_STORE, by default output/store. Raises StudyError when it can't
    be made."""
    root = folder("STUDY_STORE", "output/store")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(root, error) from error
    for leftover in root.glob(".incomplete-*"):  # of processes killed while writing
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover)
    return root


def _unwritable(root: Path, error: OSError) -> StudyError:
    remedy = "set STUDY_STORE to another folder"
    return StudyError(f"store: {root} cannot be written ({error.strerror}); {remedy}")


def writable_store() -> Path:
    """`store_folder`. Raises StudyError when it can't be written."""
    root = store_folder()
    try:
        tempfile.TemporaryDirectory(prefix=".incomplete-", dir=root).cleanup()
    except OSError as error:
        raise _unwritable(root, error) from error
    return root


@dataclass(frozen=True)
class Run:
    """One finished run in the store; arrays and weights are read, and verified, when asked for."""

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
        file = verified(self.path, "history.npz", self.record)
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
        if not (self.path / WEIGHTS).is_file():
            remedy = "copy them (study export --weights) or delete its folder to train it anew"
            raise StudyError(f"store: run {self.key} came without its weights; {remedy}")
        file = verified(self.path, WEIGHTS, self.record)
        with readable(file), safetensors.safe_open(file, "pt") as tensors:
            names = [name.partition("/") for name in tensors.keys()]  # noqa: SIM118
            kept = sorted({int(start) for start, _, _ in names})
            if epoch not in kept:
                raise refusal("epoch", epoch, f"one of {kept}, kept by run {self.key}")
            own = [name for start, _, name in names if int(start) == epoch]
            return {name: tensors.get_tensor(f"{epoch}/{name}") for name in own}


def open_run(path: Path) -> Run:
    """The run in folder `path`. Raises Damage; only the weights may be missing, as in what `export`
    wrote."""
    record = unsealed(path, (WEIGHTS,))
    with readable(path / "config.json"):
        if kind := Config.kinds.get(record["kind"]):
            record["config"] = kind.defaults() | record["config"]
    return Run(path, record)


def _whole(path: Path) -> Run:
    run = open_run(path)
    for name in run.record["files"]:
        if name != WEIGHTS or (path / name).is_file():
            verified(path, name, run.record)
    return run


def _intact(path: Path, read):
    """read(path); None where there is no such folder, or one whose damage is said and which is set
    aside."""
    if not path.is_dir():
        return None
    try:
        return read(path)
    except Damage as damage:
        aside = path.with_name(f".damaged-{path.name}-{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(OSError):  # a store that can only be read
            path.rename(aside)
        where = "left as it is" if path.is_dir() else f"set aside as {aside.name}"
        print(f"study: {str(damage).removesuffix(REMEDY)}{where}", file=sys.stderr)
        return None


def look_up(place: Path, key: str, kind: type[Config], read):
    """read(PLACE/<key>-<code>), of the code that there is now; where STUDY_OLDER_CODE is keep, else
    of other code, the last written, noted in `older_used`. None where there is none; damaged ones
    are set aside."""
    found = _intact(place / f"{key}-{code_of(kind)}", read)
    if found is None and os.environ.get("STUDY_OLDER_CODE") == "keep":
        records = place.glob(f"{key}-*/config.json")
        for file in sorted(records, key=lambda one: one.stat().st_mtime)[::-1]:
            if (found := _intact(file.parent, read)) is not None:
                older_used.add(file.parent.name)
                break
    return found


def find(config: Config, whole: bool = False) -> Run | None:
    """The run of `config` in the store, see `look_up`; whole: every file verified now, not when it
    is read."""
    return look_up(store_folder(), config.key(), type(config), _whole if whole else open_run)


def all_runs() -> list[Run]:
    """Every run in the store, oldest first. Damaged ones are set aside and other folders passed
    over, both with a word."""
    folders = sorted(path for path in store_folder().iterdir() if path.is_dir())
    runs = [path for path in folders if re.fullmatch(FOLDER, path.name)]
    if others := [path.name for path in folders if path not in runs and path.name[0] != "."]:
        few = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        print(f"study: store: passed over what is no run of this version: {few}", file=sys.stderr)
    opened = (_intact(path, open_run) for path in runs)
    return sorted((run for run in opened if run), key=lambda run: run.record["created"])


@contextlib.contextmanager
def lease(name: str):
    """Alone on the run `name` among all processes that share the store: waits while another makes
    it. A process that is killed loses its lease."""
    place = writable_store() / ".leases"
    place.mkdir(exist_ok=True)
    with filelock.FileLock(place / name):
        yield
