"""The command line: what it accepts, what it refuses in one line, what it prints."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from lib import runs
from lib.parameters import ROOT, OutOfTime
from study import execution, results

BAD_OPTIONS = {
    "amplitud=0.3": "amplitud",
    "num_epochs=ten": "num_epochs",
    "num_epochs=0": "num_epochs",
    "num_epochs": "name=value",
    "lr=1e-3": "write 1.0e-3",
    "lr=[": "lr",
    "frequencies=[]": "frequencies",
    "seeds=[0.5]": "seeds",
    "dataset=imagenet": "dataset",
    "dataset=npz:nowhere.npz": "nowhere.npz",
    "model=lenet": "model",
    "augmentation=blur": "augmentation",
    "num_train=100000": "num_train",
    "num_test=100000": "num_test",
    "device=tpu": "device",
    "amplitude=0.7": "amplitude",
    "cutoff=5.0": "cutoff",
}


def refused(result, word, store):
    status, out, err = result
    assert (status, out) == (2, "")
    assert err.startswith("study: ")
    assert word in err
    assert len(err.strip().splitlines()) == 1
    assert not store.exists() or list(store.iterdir()) == []


@pytest.mark.parametrize(("option", "word"), BAD_OPTIONS.items())
def test_bad_parameter_is_refused_before_anything_runs(study, store, tmp_path, option, word):
    refused(study("run", "03", "02", "-p", option, "--out", tmp_path / "out"), word, store)
    assert not (tmp_path / "out").exists()


def test_bad_data_are_refused_before_anything_runs(study, store, tmp_path):
    images, labels = np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 4
    arrays = {"x_train": images, "y_train": labels, "x_test": images}
    np.savez(tmp_path / "data.npz", **arrays)
    refused(study("run", "02", "-p", f"dataset=npz:{tmp_path / 'data.npz'}"), "y_test", store)


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


def test_truncated_run_stops_a_study_and_nothing_is_deleted(study, store, configure):
    run = runs.find_or_execute(configure())
    file = run.path / "history.npz"
    file.write_bytes(file.read_bytes()[:-20])
    before = sorted(path.name for path in store.rglob("*"))
    status, _, err = study("run", "02")
    assert status == 2
    assert run.key in err
    assert "history.npz" in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in store.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [("run", "99"), ("run", "02", "--profile", "nowhere"), ("claims", "--profile", "x")],
)
def test_unknown_notebook_or_profile(study, store, arguments):
    refused(study(*arguments), arguments[-1], store)


def test_run_hands_on_what_it_was_asked_for(study, store, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(execution, "execute", lambda *_: seen.append(dict(os.environ)) or True)
    limits = ("--at-once", 3, "--time-budget", 1)
    status, _, _ = study("run", "02", *limits, "-p", "seeds=[0]", "--out", tmp_path)
    assert status == 0
    assert seen[0]["STUDY_AT_ONCE"] == "3"
    assert 0 < float(seen[0]["STUDY_DEADLINE"]) - time.time() < 60
    assert not {"STUDY_AT_ONCE", "STUDY_DEADLINE"} & set(os.environ)


def test_run_out_of_time_says_where_it_stopped(study, store, tmp_path, monkeypatch):
    def execute(source, out, parameters):
        if parameters["seeds"] != [5]:
            raise OutOfTime("time budget: over")
        return True

    monkeypatch.setattr(execution, "execute", execute)
    options = ("-p", "seeds=[5, 6, 7]", "--time-budget", 1, "--out", tmp_path)
    status, out, err = study("run", "02", *options)
    assert (status, err.strip()) == (0, "study: time budget: over (round 2 of 3)")
    assert "0 primary claims" in out  # what is there is collected


def test_list_shows_type_default_and_unit(study):
    status, out, _ = study("list")
    assert status == 0
    line = next(line for line in out.splitlines() if line.startswith("  frequencies"))
    assert "list[float]" in line
    assert "cycles/nu" in line


def test_claims_shows_what_came_with_the_study(study):
    status, out, _ = study("claims")
    assert status == 0
    assert " primary claims: " in out.splitlines()[-1]


def test_claims_write_renews_the_pages(study, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "pages", lambda: {tmp_path / "page.md": "new\n"})
    assert study("claims", "--write")[:2] == (0, "")
    assert (tmp_path / "page.md").read_text() == "new\n"


def test_runs_lists_the_store(study, store, configure):
    run = runs.find_or_execute(configure())
    status, out, _ = study("runs")
    assert status == 0
    assert run.key in out
    assert "1 runs" in out


def test_export_copies_the_store(study, store, configure, tmp_path):
    run = runs.find_or_execute(configure())
    assert study("export", tmp_path / "other")[0] == 0
    names = {file.name for file in (tmp_path / "other" / run.key).iterdir()}
    assert names == {"config.json", "history.npz"}
    assert study("export", tmp_path / "other", "--weights")[0] == 0
    assert (tmp_path / "other" / run.key / "weights.safetensors").is_file()


def test_the_command_starts_without_torch():
    code = "import sys, study.command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
