"""The store, or what can be shared of it, as another store."""

import contextlib
import shutil
import uuid
from pathlib import Path

from lib import runs
from lib.parameters import ROOT, StudyError
from study.copies import executed_in, payload


def weights_read() -> set[str]:
    """Keys of the runs whose weights executed notebooks of this project read themselves."""
    places = [*(ROOT / "output").glob("*"), *(ROOT / "results").glob("*"), ROOT / "notebooks"]
    held = [payload(executed) for place in places for _, executed in executed_in(place)]
    return {key for content in held for key in content.get("opened", [])}


def export(target: Path, weights: bool = False) -> int:
    """Copy every run and its measurements into the store `target`, by default without weights but
    those that executed notebooks here read; the count. A run that is there already gets what it
    lacks, unless it was made elsewhere. Raises StudyError when `target` can't be written."""
    present = runs.all_runs()
    opened = set() if weights else weights_read()
    for run in present:
        record = target / run.key / "config.json"
        if record.is_file() and record.read_bytes() != (run.path / "config.json").read_bytes():
            continue
        try:
            without = () if weights or run.key in opened else (runs.WEIGHTS,)
            _copy(run.path, target / run.key, without)
            for folder in sorted(run.path.glob("measure-*")):
                _copy(folder, target / run.key / folder.name, ())
        except OSError as error:
            reason = f"{target} cannot be written ({error.strerror or error})"
            raise StudyError(f"export: {reason}; the store is as it was") from error
    return len(present)


def _copy(folder: Path, copy: Path, without: tuple[str, ...]) -> None:
    """The files of a folder, all at once; of one that is there already what it lacks."""
    partial = copy.with_name(f".incomplete-{uuid.uuid4().hex}")
    files = [file for file in folder.iterdir() if file.is_file() and file.name not in without]
    if not (missing := [file for file in files if not (copy / file.name).is_file()]):
        return
    try:
        partial.mkdir(parents=True)
        for file in missing:
            shutil.copy2(file, partial / file.name)
        if not copy.is_dir():
            partial.rename(copy)
            return
        for file in missing:
            (partial / file.name).replace(copy / file.name)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial, ignore_errors=True)
