import contextlib
import errno
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def full_disk(monkeypatch):
    """A context in which every file that is written by Path or shutil ends after its first half."""

    def no_space():
        raise OSError(errno.ENOSPC, "No space left on device")

    def halved(write):
        def half(self, content, *arguments, **options):
            write(self, content[: len(content) // 2], *arguments, **options)
            no_space()

        return half

    def copy(source, target):
        Path(target).write_bytes(Path(source).read_bytes()[:9])

    @contextlib.contextmanager
    def full():
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copy2", copy)
            for name in ("write_text", "write_bytes"):
                patch.setattr(Path, name, halved(getattr(Path, name)))
            yield

    return full
