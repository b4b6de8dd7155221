"""Where results land, and how: whole, and never among sources."""

import contextlib
import os
import tempfile
from pathlib import Path

from lib.parameters import ROOT, StudyError, folder, hash_of, refusal

SOURCES = ("benchmarks", "lib", "notebooks", "params", "study", "tests")


def output_folder(output: Path, name: str, files: list[Path], options: list, out) -> Path:
    """Where results of a profile called `name` land: `out`, or output/<name>, with parameters or
    notebook files of one's own a folder beside it. Raises StudyError for a folder of sources, or of
    runs."""
    own = [str(file) for file in files if file.parent != ROOT / "notebooks"]
    given = sorted([*options, *own])
    place = (out or output / (name + (f"-{hash_of(given)[:8]}" if given else ""))).resolve()
    held = [*(ROOT / part for part in SOURCES), folder("STUDY_STORE", "output/store")]
    beside = [ROOT, *(file.parent for file in files)]
    if place in beside or any(place.is_relative_to(part) for part in held):
        raise refusal("out", str(place), "a folder without sources or runs")
    if len({file.name for file in files}) < len(files):
        names = ", ".join(file.name for file in files)
        raise refusal("notebook", names, "files of different names, for one folder")
    return place


def unwritable(place: Path, error: OSError) -> StudyError:
    return StudyError(f"out: {place} cannot be written ({error.strerror or error})")


def create(place: Path) -> None:
    """Make the folder, and a file in it: before anything is computed. Raises StudyError."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise unwritable(place, error) from error


def put(file: Path, save) -> None:
    """Call save(partial), then move that to `file`: what was there stays when the disk is full.
    Raises StudyError."""
    partial = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        save(partial)
        partial.replace(file)
    except OSError as error:
        raise unwritable(file.parent, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
