"""Where results land: whole, or not at all."""

import errno
import os

import pytest

from lib.parameters import StudyError
from study import places


def test_what_was_there_stays_when_the_disk_is_full(tmp_path, full_disk):
    file = tmp_path / "x"
    places.put(file, lambda partial: partial.write_text("before"))
    with full_disk(), pytest.raises(StudyError, match=r"^out: .* \(No space left on device\)$"):
        places.put(file, lambda partial: partial.write_text("after"))
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_an_interruption_leaves_nothing(tmp_path):
    def stopped(partial):
        partial.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        places.put(tmp_path / "x", stopped)
    assert list(tmp_path.iterdir()) == []


def test_a_file_on_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(StudyError, match=r"^out: .* cannot be written"):
            places.create(tmp_path / place)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch, number):
    def refuse(**_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(StudyError, match=os.strerror(number)):
        places.create(tmp_path)
