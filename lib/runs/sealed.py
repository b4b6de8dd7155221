"""Sealed folders: config.json has the size and the SHA-256 of every file beside it, verified when
one is read. A folder appears by one atomic rename: what a killed process leaves is never half of
one, and of two processes that make the same one the first one's stays."""

import contextlib
import hashlib
import json
import re
import shutil
import uuid
import zipfile
from pathlib import Path

import safetensors

from lib.parameters import StudyError, hash_of

FOLDER = r"[0-9a-f]{16}-[0-9a-f]{8}"
REMEDY = "the next study run sets it aside and makes it anew"


class Damage(StudyError):
    """A file of the store is not what was written."""


@contextlib.contextmanager
def readable(file: Path):
    """Turn whatever a damaged file raises into one line that names it."""
    damage = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
    try:
        yield
    except (*damage, zipfile.BadZipFile, safetensors.SafetensorError) as error:
        if isinstance(error, StudyError):
            raise
        reason = f"{file.name} cannot be read ({type(error).__name__})"
        raise _damage(file.parent, reason) from error


def _place(path: Path) -> str:
    run = re.fullmatch(FOLDER, path.parent.name)
    return f"run {path.parent.name}, {path.name}" if run else f"run {path.name}"


def _damage(path: Path, reason: str) -> Damage:
    return Damage(f"store: {_place(path)} is damaged: {reason}; {REMEDY}")


def seal(path: Path, record: dict) -> None:
    """Write config.json into a folder that is complete: the record, size and SHA-256 of every file
    there, and the record's own hash."""
    files = {}
    for file in sorted(path.iterdir()):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files[file.name] = [file.stat().st_size, digest]
    record = json.loads(json.dumps(record | {"files": files}))
    (path / "config.json").write_text(json.dumps(record | {"hash": hash_of(record)}, indent=1))


def unsealed(path: Path, optional: tuple[str, ...] = ()) -> dict:
    """The record of a sealed folder. Raises Damage when it is not as it was written, or a file has
    another size; only `optional` ones may be missing."""
    with readable(path / "config.json"):
        record = json.loads((path / "config.json").read_text())
        if record.pop("hash") != hash_of(record):
            raise _damage(path, "config.json was changed")
        files = record["files"].items()
    for name, (size, _) in files:
        actual = (path / name).stat().st_size if (path / name).is_file() else None
        if actual != size and not (name in optional and actual is None):
            raise _damage(path, f"{name} has {actual or 0} of {size} bytes")
    return record


def verified(path: Path, name: str, record: dict) -> Path:
    """The file `name` of a sealed folder. Raises Damage when its content is another."""
    with readable(path / name), (path / name).open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != record["files"][name][1]:
            raise _damage(path, f"{name} was changed")
    return path / name


def write_sealed(target: Path, record: dict, write) -> None:
    """Call write(folder) on a fresh folder beside `target`, seal and rename it; an existing target
    stays as it is. Raises StudyError when the disk is full or can't be written."""
    partial = target.parent / f".incomplete-{uuid.uuid4().hex}"
    try:
        partial.mkdir()
        write(partial)
        seal(partial, record)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    except (OSError, safetensors.SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        reason = f"{_place(target)} could not be written ({why})"
        raise StudyError(f"store: {reason}; nothing else is lost") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
