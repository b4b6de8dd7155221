"""Damage: a bit that changed is noticed in any file; its run is set aside, said, and made anew.
What is foreign to the store is passed over; a store may be read-only."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lib import runs
from lib.parameters import StudyError
from study.export import export

FILES = ("config.json", "history.npz", "weights.safetensors")
FLIPS = 60


def flip(file, seed):
    """Change one bit."""
    rng, content = np.random.default_rng(seed), bytearray(file.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    file.write_bytes(content)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-7])


def empty(file):
    file.write_bytes(b"")


def lengthen(file):
    file.write_bytes(file.read_bytes() + b"more")


def remove(file):
    file.unlink()


def state(run):
    """What a run is, but for when it was made: the record, and the content of its files."""
    times = ("created", "seconds", "core_seconds", "hash")
    record = {name: value for name, value in run.record.items() if name not in times}
    return record, {name: (run.path / name).read_bytes() for name in record["files"]}


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_noticed_and_the_run_made_anew(store, toy, executed, capfd, name):
    (run,) = runs.sweep([toy(1)], "cpu")
    before = state(run)
    for seed in range(FLIPS):
        flip(run.path / name, seed)
        capfd.readouterr()
        (again,) = runs.sweep([toy(1)], "cpu")
        said = [line for line in capfd.readouterr().err.splitlines() if "damaged" in line]
        assert len(said) == 1
        assert said[0].startswith(f"study: store: run {run.key} is damaged: {name} ")
        assert "set aside as .damaged-" in said[0]
        assert again.path == run.path
        assert state(again) == before
        assert set(again.weights(1)) == {"w"}
    assert len(list(store.glob(f".damaged-{run.key}-*"))) == FLIPS
    assert executed() == ["1.0"] * (FLIPS + 1)


READS = [
    ("history.npz", lambda run: run.history),
    ("history.npz", lambda run: run.arrays()),
    ("weights.safetensors", lambda run: run.weights(1)),
]


@pytest.mark.parametrize(("name", "read"), READS)
def test_a_bit_flipped_after_a_run_was_opened_is_noticed_when_it_is_read(store, toy, name, read):
    run = runs.find_or_execute(toy(1), "cpu")
    flip(run.path / name, 0)
    with pytest.raises(StudyError, match=f"^store: run {run.key} is damaged: {name}") as caught:
        read(run)
    assert "\n" not in str(caught.value)


DAMAGES = [(name, damage) for name in FILES for damage in (truncate, empty, remove, lengthen)]
DAMAGES.remove(("weights.safetensors", remove))  # left behind on purpose, by `export`


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_file_that_is_not_whole_is_no_dead_end(store, toy, executed, capfd, name, damage):
    damaged, other = runs.sweep([toy(1), toy(2)], "cpu")
    before = state(damaged)
    damage(damaged.path / name)
    with pytest.raises(
        StudyError, match=f"^store: run {damaged.key} is damaged: {name} "
    ) as caught:
        runs.open_run(damaged.path)
    assert "\n" not in str(caught.value)
    capfd.readouterr()
    assert [run.key for run in runs.all_runs()] == [other.key]
    assert f"run {damaged.key} is damaged: {name} " in capfd.readouterr().err
    assert not damaged.path.exists()
    (aside,) = store.glob(f".damaged-{damaged.key}-*")
    assert {path.name for path in aside.iterdir()} | {name} == set(FILES)
    again = runs.find_or_execute(toy(1), "cpu")
    assert state(again) == before
    assert sorted(executed()) == ["1.0", "1.0", "2.0"]
    assert "damaged" not in capfd.readouterr().err  # said once


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '"text"', "null", '{"hash": 1}', "[" * 9999])
def test_any_text_in_place_of_the_record_is_damage(store, toy, text):
    run = runs.find_or_execute(toy(1), "cpu")
    (run.path / "config.json").write_text(text)
    assert runs.find(toy(1)) is None
    assert runs.find_or_execute(toy(1), "cpu").history["twice"].tolist() == [0.5, 2.0]


def test_what_is_foreign_is_passed_over_with_a_word(store, toy, executed, tmp_path, capfd):
    """Also an exported store within, whose runs are another store's."""
    run = runs.find_or_execute(toy(1), "cpu")
    export(store / "exported", weights=True)
    for name in ("lost+found", ".Trash", "0123-abc", run.key.upper()):
        (store / name).mkdir()
    (store / "notes.txt").write_text("mine")
    capfd.readouterr()
    assert [one.key for one in runs.all_runs()] == [run.key]
    others = sorted(["0123-abc", run.key.upper(), "exported", "lost+found"])
    told = f"study: store: passed over what is no run of this version: {', '.join(others[:3])}, ..."
    assert capfd.readouterr().err.splitlines() == [told]
    assert runs.sweep([toy(1)], "cpu")[0].path == run.path
    assert export(tmp_path / "other") == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == [run.key]
    assert executed() == ["1.0"]
    assert {"exported", "lost+found", "notes.txt"} <= {path.name for path in store.iterdir()}


def test_what_was_set_aside_does_not_travel(store, toy, tmp_path):
    damaged, other = runs.sweep([toy(1), toy(2)], "cpu")
    truncate(damaged.path / "history.npz")
    assert export(tmp_path / "other") == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == [other.key]


@pytest.fixture
def make_read_only(store, monkeypatch):
    """A function that makes the store read-only, also for one whom no permission stops."""
    patched, folders = {"mkdir", "rename", "open", "rmdir", "unlink"}, []

    def refuse(name):
        real = getattr(os, name)

        def refusing(path, *arguments, **options):
            writes = name != "open" or arguments[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and Path(path).is_relative_to(store):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return real(path, *arguments, **options)

        monkeypatch.setattr(os, name, refusing)

    def make():
        folders.extend([store, *(path for path in store.rglob("*") if path.is_dir())])
        for folder in folders:
            folder.chmod(0o555)
        if os.access(store, os.W_OK):
            for name in patched:
                refuse(name)

    yield make
    monkeypatch.undo()
    for folder in folders:
        folder.chmod(0o755)


def test_a_read_only_store_can_be_read(store, toy, make_read_only, executed, capfd):
    configs = [toy(1), toy(2)]
    made = runs.sweep(configs, "cpu")
    truncate(made[1].path / "history.npz")
    make_read_only()
    assert runs.sweep(configs[:1], "cpu")[0].weights(1)["w"].tolist() == [1, 1]
    assert runs.find(configs[0], whole=True).history["twice"].tolist() == [0.5, 2.0]
    assert [run.key for run in runs.all_runs()] == [made[0].key]
    said = f"run {made[1].key} is damaged: history.npz has"
    assert said in (told := capfd.readouterr().err)
    assert "left as it is" in told
    for missing in (configs[1], toy(3)):
        with pytest.raises(StudyError, match=r"^store: .* cannot be written \(") as caught:
            runs.sweep([missing], "cpu")
        assert "\n" not in str(caught.value)
    assert sorted(executed()) == ["1.0", "2.0"]


def test_an_export_is_read_from_a_read_only_store(store, toy, make_read_only, tmp_path):
    run = runs.find_or_execute(toy(1), "cpu")
    make_read_only()
    assert export(tmp_path / "other", weights=True) == 1
    assert state(runs.open_run(tmp_path / "other" / run.key)) == state(run)
    shutil.rmtree(tmp_path / "other")
