"""The run store: what is read is what was written, whole, or one line says which run is not."""

import json
import os
import shutil
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import safetensors.torch
import torch

from lib import measure, runs
from lib.parameters import ROOT, StudyError, hash_of
from lib.training import TrainingConfig
from study import export as exporting
from study.export import export
from study.provenance import MIME

FILES = {"config.json", "history.npz", "weights.safetensors"}


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def rewrite(path, change):
    """A run's record as if it had been written so: `change` is called on it."""
    record = json.loads((path / "config.json").read_text())
    del record["hash"]
    change(record)
    (path / "config.json").write_text(json.dumps(record | {"hash": hash_of(record)}))


def test_reading_back_gives_what_was_trained(configure, store):
    config = configure(wave="radial", frequency=0.2, amplitude=0.3, num_epochs=3)
    run = runs.find_or_execute(config, "cpu")
    with runs.single_thread():
        history, weights = config.execute(torch.device("cpu"))
    assert run.key == f"{config.key()}-{runs.code_of(TrainingConfig)}"
    assert run.path == store / run.key
    assert set(visible(run.path)) == FILES
    assert run.arrays().keys() == history.keys()
    for name, values in history.items():
        np.testing.assert_array_equal(run.arrays()[name], values)
        if values.ndim == 1:  # of the epochs, not of every image
            np.testing.assert_array_equal(run.history[name], values)
    kept = {f"{epoch}/{name}": w for epoch in (1, 2, 3) for name, w in run.weights(epoch).items()}
    assert kept.keys() == weights.keys()
    assert all(torch.equal(kept[name], weights[name]) for name in weights)
    assert run.config == config.described()
    assert set(run.history["seed"]) == {0}
    assert set(run.history["key"]) == {run.key}


def test_history_has_a_row_a_step_and_leaves_out_what_has_none(store, toy):
    class Wide(toy):
        kind = "wide"

        def execute(self, device):
            return {"value": np.array([7, 8]), "output": np.ones((2, 5))}, {}

    run = runs.find_or_execute(Wide(1), "cpu")
    assert run.history["value"].tolist() == [7, 8]  # the array, not the field of that name
    assert "output" not in run.history
    assert run.arrays()["output"].shape == (2, 5)


def test_record_says_how_a_run_was_made_and_names_no_folder(configure, store, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 4, 4), dtype=np.uint8), np.arange(20) % 2
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "mine.npz", **arrays)
    run = runs.find_or_execute(configure(dataset=f"npz:{tmp_path / 'mine.npz'}"), "cpu")
    assert run.config["dataset"] == "npz:mine.npz"
    assert str(tmp_path) not in (run.path / "config.json").read_text()
    assert run.record["kind"] == TrainingConfig.kind
    assert run.record["version"] == TrainingConfig.version
    assert run.record["device"].endswith(" CPU")
    assert run.record["torch"] == torch.__version__
    made = time.strptime(run.record["created"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(time.mktime(made) - time.mktime(time.gmtime())) < 60
    assert 0 <= run.record["core_seconds"] <= run.record["seconds"] + 0.1 < 60


def test_weights_of_an_epoch_that_was_not_kept(configure, store):
    run = runs.find_or_execute(configure(num_epochs=3))
    with pytest.raises(StudyError, match=r"^epoch: got 7; accepted: .*1, 2, 3"):
        run.weights(7)


def test_run_without_weights(store, toy):
    run = runs.find_or_execute(toy(3, fate="weightless"), "cpu")
    assert set(visible(run.path)) == FILES - {"weights.safetensors"}
    assert runs.open_run(run.path).history["twice"].tolist() == [0.5, 6.0]
    with pytest.raises(StudyError, match=f"run {run.key} came without its weights"):
        run.weights(1)


def test_all_runs_are_there_oldest_first(store, toy):
    keys = [runs.find_or_execute(toy(value), "cpu").key for value in (3, 1, 2)]
    for second, key in zip((30, 10, 20), keys, strict=True):
        made = {"created": f"2026-01-01T00:00:{second}Z"}
        rewrite(store / key, lambda record, made=made: record.update(made))
    assert [run.key for run in runs.all_runs()] == [keys[1], keys[2], keys[0]]


def test_the_store_is_a_folder_of_the_project_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "here"))
    assert runs.store_folder() == tmp_path.resolve() / "here"
    monkeypatch.delenv("STUDY_STORE")
    assert runs.store_folder() == ROOT / "output" / "store"


def test_crash_while_writing_leaves_nothing(store, toy, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    said = r"^store: run [0-9a-f]{16}-[0-9a-f]{8} could not be written \(No space left"
    with pytest.raises(StudyError, match=said):
        runs.find_or_execute(toy(1), "cpu")
    assert visible(store) == []
    assert not list(store.glob(".incomplete-*"))


@pytest.mark.parametrize("below", [(), ("deeper", "still")])
def test_store_that_cannot_be_written(tmp_path, toy, executed, monkeypatch, below):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STUDY_STORE", str(tmp_path.joinpath("file", *below)))
    with pytest.raises(StudyError, match=r"^store: .*cannot be written .*STUDY_STORE") as caught:
        runs.sweep([toy(1)], "cpu")
    assert "\n" not in str(caught.value)
    assert executed() == []


def test_what_killed_processes_left_is_swept_out_after_an_hour(store):
    for name, age in (("old", 7200), ("young", 60)):
        folder = store / f".incomplete-{name}"
        folder.mkdir(parents=True)
        (folder / "history.npz").write_text("half")
        os.utime(folder, (time.time() - age, time.time() - age))
    assert runs.all_runs() == []
    assert [path.name for path in store.iterdir()] == [".incomplete-young"]


def test_the_first_of_two_writers_stays(store, monkeypatch):
    """The other one's folder appears at the worst moment: just before this one's is renamed."""
    rename = Path.rename

    def late(self, target):
        if not target.exists():
            target.mkdir()
            (target / "theirs").write_text("first")
        return rename(self, target)

    store.mkdir()
    monkeypatch.setattr(Path, "rename", late)
    runs.write_sealed(store / "run", {}, lambda folder: (folder / "mine").write_text("second"))
    assert visible(store / "run") == ["theirs"]
    assert [path.name for path in store.iterdir()] == ["run"]


def test_each_file_of_a_run_opens_with_a_reader_that_cannot_run_code(configure, store):
    run = runs.find_or_execute(configure())
    json.loads((run.path / "config.json").read_text())
    with np.load(run.path / "history.npz", allow_pickle=False) as arrays:
        assert {array.dtype.kind for array in dict(arrays).values()} <= {"i", "f"}
    assert safetensors.torch.load_file(run.path / "weights.safetensors")


def test_a_run_older_than_a_field_has_its_default(configure, store):
    run = runs.find_or_execute(configure())

    def without(record):
        for name in ("eval_every", "true_label_weight", "generation"):
            del record["config"][name]

    rewrite(run.path, without)
    assert runs.open_run(run.path).config == configure().described()


def test_a_run_of_a_kind_that_is_gone_can_be_read(store, toy):
    run = runs.find_or_execute(toy(1), "cpu")
    rewrite(run.path, lambda record: record.update(kind="gone"))
    (gone,) = runs.all_runs()
    assert gone.config == toy(1).described()
    assert gone.history["twice"].tolist() == [0.5, 2.0]


def test_measures_travel_without_weights(configure, store, tmp_path, monkeypatch):
    protocol = measure.Protocol(num_pairs=45, spacing=0.1, cutoff=0.5)
    configs = [configure(seed=seed) for seed in range(2)]
    made = runs.sweep(configs, "cpu")
    expected = measure.sweep(configs, protocol, "cpu")
    assert export(tmp_path / "other") == 2
    shutil.rmtree(store)
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    monkeypatch.setattr(type(configs[0]), "execute", lambda *_: pytest.fail("trained again"))
    there = runs.sweep(configs, "cpu")
    assert [run.record for run in there] == [run.record for run in made]
    summary = measure.sweep(configs, protocol, "cpu")
    assert summary.equals(expected)
    assert not list((tmp_path / "other").rglob("*.safetensors"))
    with pytest.raises(StudyError, match=f"run {there[0].key} came without its weights"):
        there[0].weights(2)


def test_weights_that_an_executed_notebook_read_travel(store, toy, tmp_path, monkeypatch):
    """So that the notebook can be executed again from what was exported."""
    runs_of = [runs.find_or_execute(toy(number), "cpu") for number in (1, 2)]
    content = {MIME: {"opened": [runs_of[1].key, "0123456789abcdef-01234567"]}}
    cell = nbformat.v4.new_code_cell("provenance.record(...)")
    cell.outputs = [nbformat.v4.new_output("display_data", data=content)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    (tmp_path / "output" / "mine").mkdir(parents=True)
    nbformat.write(notebook, tmp_path / "output" / "mine" / "03_own.ipynb")
    monkeypatch.setattr(exporting, "ROOT", tmp_path)
    assert export(tmp_path / "other") == 2
    (kept,) = (tmp_path / "other").rglob("*.safetensors")
    assert kept.parent.name == runs_of[1].key


def test_weights_travel_when_asked_for(store, toy, tmp_path):
    """Also after the rest: what is missing is added, what is there stays."""
    run = runs.find_or_execute(toy(1), "cpu")
    other = tmp_path / "other"
    export(other)
    history = (other / run.key / "history.npz").stat()
    export(other, weights=True)
    assert runs.open_run(other / run.key).weights(1)["w"].tolist() == [1, 1]
    assert (other / run.key / "history.npz").stat().st_ino == history.st_ino
    assert not list(other.rglob(".*"))
