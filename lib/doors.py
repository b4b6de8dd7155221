"""Doors for one's own networks, datasets and augmentations: module:NAME or FILE.py:NAME."""

import contextlib
import functools
import hashlib
import importlib.util
import re
import sys
from pathlib import Path

from lib.parameters import ROOT, StudyError, refusal

FORM = (
    r"(?!torchvision:|timm:|npz:|folder:|zoo:)([\w./\\~-]+\.py|[^\W\d]\w*(?:\.\w+)*):([^\W\d]\w*)"
)
ACCEPTED = "module:NAME, or FILE.py:NAME with FILE.py from the project's folder"


def is_own(name: str) -> bool:
    """Whether `name` has the form of a door."""
    return re.fullmatch(FORM, name) is not None


def plain(name: str) -> str:
    """A name, or names joined by +, without the folders of their files."""
    return re.sub(r"[^+:]*/(?=[^+:/]*\.py:)", "", name)


def source(names: str) -> str:
    """SHA-256 of the files that `names`, joined by +, come from, "" where none is one's own."""
    files = [_file(name) for name in names.split("+") if is_own(name)]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest() if files else ""


def _file(name: str) -> Path:
    place = re.fullmatch(FORM, name)[1]
    if not place.endswith(".py"):
        try:
            spec = importlib.util.find_spec(place)
        except (Exception, SystemExit):  # what it lies in is anyone's, too
            spec = None
        place = spec.origin if spec else None
    file = ROOT / Path(place or "").expanduser()
    if not file.is_file():
        raise StudyError(f"{name}: there is no such file or module; accepted: {ACCEPTED}")
    return file


@contextlib.contextmanager
def in_one_line(name: str):
    """Whatever the code behind a door raises: it is anyone's."""
    try:
        yield
    except StudyError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())[:150]
        raise StudyError(f"{name}: {type(error).__name__}: {reason}") from error


def enter(name: str):
    """What `name` names, to be called, its file executed anew when it changed. Raises StudyError,
    also when it is called: for what it raises, and for images that come out in another shape."""
    found = getattr(_module(str(_file(name)), source(name), name), name.rpartition(":")[2], None)
    if not callable(found):
        raise StudyError(f"{name}: nothing callable of that name there; accepted: {ACCEPTED}")

    def call(*arguments):
        with in_one_line(name):
            result = found(*arguments)
        shapes = [getattr(one, "shape", None) for one in (*arguments[:1], result)]
        if arguments and shapes[0] not in (None, shapes[1]):
            got = type(result).__name__ if shapes[1] is None else tuple(shapes[1])
            raise refusal(f"{name} returned", got, f"images {tuple(shapes[0])}")
        return result

    return call


@functools.lru_cache(maxsize=32)
def _module(file: str, digest: str, name: str):
    spec = importlib.util.spec_from_file_location(f"own_{digest[:16]}", file)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    with in_one_line(name):
        # compiled here: Python's own cache takes a file of the same size and second for the same
        exec(spec.loader.source_to_code(spec.loader.get_data(file), file), module.__dict__)
    return module
