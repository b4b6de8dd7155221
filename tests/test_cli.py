"""The command line: what it accepts, what it refuses in one line, what it leaves behind."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib import execute, profiles, runs
from lib.parameters import ROOT


def npz(folder, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 255, (40, 8, 8, 1), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": rng.integers(0, 255, (20, 8, 8, 1), dtype=np.uint8),
        "y_test": np.arange(20) % 4,
    } | changes
    np.savez(folder / "data.npz", **{name: value for name, value in arrays.items() if value is not None})
    return f"dataset=npz:{folder / 'data.npz'}"


BAD_OPTIONS = {
    "amplitud=0.3": "amplitud",
    "num_epochs=ten": "num_epochs",
    "num_epochs=0": "num_epochs",
    "num_epochs": "name=value",
    "lr=1e-3": "write 1.0e-3",
    "lr=[": "lr",
    "frequencies=[]": "frequencies",
    "frequencies=[0.5, -1.0]": "frequencies",
    "frequencies=0.5": "frequencies",
    "seeds=[0.5]": "seeds",
    "amplitude=0.6": "amplitude",
    "dataset=imagenet": "dataset",
    "dataset=npz:nowhere.npz": "nowhere.npz",
    "model=lenet": "model",
    "augmentation=blur": "augmentation",
    "num_train=100000": "num_train",
    "num_test=100000": "num_test",
    "device=tpu": "device",
    "clean_arm=1": "clean_arm",
}


def refused(result, word, store):
    status, out, err = result
    assert status == 2
    assert out == ""
    assert err.startswith("study: ")
    assert word in err
    assert len(err.strip().splitlines()) == 1
    assert not store.exists() or list(store.iterdir()) == []


@pytest.mark.parametrize(("option", "word"), BAD_OPTIONS.items())
def test_bad_parameter_is_refused_before_anything_runs(study, store, tmp_path, option, word):
    refused(study("run", "03", "02", "-p", option, "--out", tmp_path / "out"), word, store)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"y_test": None}, "y_test"),
        ({"y_train": np.arange(40) % 4 - 1}, "y_train"),
        ({"y_test": np.full(20, 9)}, "y_test"),
        ({"x_train": np.full((40, 8, 8, 1), np.nan)}, "NaN"),
        ({"x_train": np.zeros((40, 8), np.uint8)}, "x_train"),
        ({"x_train": np.array([None] * 40)}, "pickle"),
    ],
)
def test_bad_npz_is_refused(study, store, tmp_path, changes, word):
    refused(study("run", "02", "-p", npz(tmp_path, **changes), "-p", "num_train=20", "-p", "num_test=20"), word, store)


def test_cuda_asked_for_and_absent(study, store, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(study("run", "02", "-p", "device=cuda"), "cuda", store)


def test_unwritable_store(study, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "file"))
    status, _, err = study("run", "02")
    assert status == 2
    assert "STUDY_STORE" in err
    assert len(err.strip().splitlines()) == 1


def test_truncated_run_stops_a_study_and_nothing_is_deleted(study, store):
    config = runs_config()
    run = runs.find_or_execute(config)
    file = run.path / "history.npz"
    file.write_bytes(file.read_bytes()[:-20])
    before = sorted(path.name for path in store.rglob("*"))
    status, _, err = study("run", "02")
    assert status == 2
    assert run.key in err
    assert "history.npz" in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in store.rglob("*")) == before


def runs_config(**changes):
    from lib.training import TrainingConfig

    common = {"dataset": "digits", "model": "mlp-1-16", "seed": 0, "num_epochs": 1, "augmentation": "none"}
    return TrainingConfig(**common | changes)


@pytest.mark.parametrize(
    "arguments", [("run", "99"), ("run", "02", "--profile", "nowhere"), ("claims", "--profile", "x")]
)
def test_unknown_notebook_or_profile(study, store, arguments):
    refused(study(*arguments), arguments[-1], store)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("amplitud: 0.3", "amplitud"),
        ("lr: 1e-3", "write 1.0e-3"),
        ("- 3", "name: value"),
        ("lr: [", "YAML"),
        ("lr: !!python/object/apply:os.getcwd []", "YAML"),
    ],
)
def test_bad_profile_is_refused(study, store, tmp_path, monkeypatch, text, word):
    (tmp_path / "params" / "mine").mkdir(parents=True)
    (tmp_path / "params" / "mine" / "common.yaml").write_text(text)
    monkeypatch.setattr(profiles, "PARAMS", tmp_path / "params")
    refused(study("run", "02", "--profile", "mine"), word, store)


@pytest.mark.parametrize("profile", [path.name for path in sorted((ROOT / "params").iterdir())])
def test_every_profile_names_known_parameters_of_the_right_type(profile):
    assert set(profiles.resolve(profiles.notebook_names(), profile, [])) == set(profiles.notebook_names())


def test_profile_files_belong_to_notebooks():
    stems = {path.stem for path in (ROOT / "params").rglob("*.yaml")}
    assert stems <= {"common", *profiles.notebook_names()}


def test_option_beats_notebook_yaml_beats_common(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "common.yaml").write_text("lr: 0.3\nnum_epochs: 7\nbatch_size: 9")
    (tmp_path / "mine" / "02_noise_fitting.yaml").write_text("lr: 0.2\nnum_epochs: 8")
    monkeypatch.setattr(profiles, "PARAMS", tmp_path)
    resolved = profiles.resolve(["02_noise_fitting", "03_training_time"], "mine", ["lr=0.1", "frequencies=[1.0]"])
    assert resolved["02_noise_fitting"] == {"lr": 0.1, "num_epochs": 8, "batch_size": 9, "frequencies": [1.0]}
    assert resolved["03_training_time"] == {"lr": 0.1, "num_epochs": 7, "batch_size": 9}


def test_list_shows_type_default_and_unit(study):
    status, out, _ = study("list")
    assert status == 0
    line = next(line for line in out.splitlines() if line.startswith("  frequencies"))
    assert "list[float]" in line
    assert "cycles/nu" in line


def test_runs_lists_the_store(study, store):
    run = runs.find_or_execute(runs_config())
    status, out, _ = study("runs")
    assert status == 0
    assert run.key in out
    assert "1 runs" in out


SMALL = ["-p", "model=mlp-1-16", "-p", "num_epochs=2", "-p", "seeds=[0, 1]", "-p", "frequencies=[0.5, 2.0]"]


@pytest.mark.slow
def test_run_leaves_notebook_claims_runs_and_figures(study, store, tmp_path):
    status, out, err = study("run", "02", *SMALL, "--out", tmp_path)
    assert status == 0, err
    executed = nbformat.read(tmp_path / "02_noise_fitting.ipynb", 4)
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in executed.cells)
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert {claim["finding"] for claim in claims} == {"F1"}
    assert all(claim["statement"] in out for claim in claims)
    table = pd.read_parquet(tmp_path / "runs.parquet")
    assert len(table) == 6
    assert set(table["wave"]) == {"uniform", "radial"}
    assert sorted(table["key"]) == sorted(path.name for path in store.iterdir())
    figures = sorted((tmp_path / "figures").iterdir())
    assert figures
    assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in figures)

    before = (tmp_path / "02_noise_fitting.ipynb").read_bytes()
    status, _, err = study("run", "02", *SMALL, "--out", tmp_path)
    assert status == 0
    assert "already executed" in err
    assert (tmp_path / "02_noise_fitting.ipynb").read_bytes() == before


@pytest.mark.slow
def test_failed_notebook_leaves_its_traceback_and_names_the_cell(study, store, tmp_path):
    status, _, err = study("run", "02", *SMALL, "-p", "lr=1.0e+30", "--out", tmp_path)
    assert status == 1
    assert "02_noise_fitting: cell" in err
    assert "diverged" in err
    executed = nbformat.read(tmp_path / "02_noise_fitting.ipynb", 4)
    errors = [output for cell in executed.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert errors[0].ename == "StudyError"


def test_executed_copies_keep_no_path_or_progress_bar(tmp_path):
    cell = nbformat.v4.new_code_cell("dataset = 'npz:/somewhere/x.npz'", metadata={"tags": ["injected-parameters"]})
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="50%")]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["papermill"] = {
        "input_path": "/a/b",
        "parameters": {"dataset": "npz:/somewhere/x.npz", "lr": 0.1},
    }
    nbformat.write(notebook, tmp_path / "partial.ipynb")
    execute.clean(tmp_path / "partial.ipynb", tmp_path / "clean.ipynb")
    text = (tmp_path / "clean.ipynb").read_text()
    assert "somewhere" not in text
    assert "input_path" not in text
    assert "50%" not in text
    assert '"dataset": "npz:x.npz"' in text
