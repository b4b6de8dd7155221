"""The command line: what it accepts, what it refuses in one line, what it prints."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest

from lib import runs
from lib.parameters import ROOT, OutOfTime
from study import command, execution, pages, profiles, results

BAD_OPTIONS = {
    "amplitud=0.3": "amplitud",
    "num_epochs=ten": "num_epochs",
    "num_epochs=0": "num_epochs",
    "num_epochs": "name=value",
    "num_epochs=1e2": "got 100.0; accepted: int",
    "num_epochs=10000000000000000000000": "int in [1, 1e7]",
    "lr=0x1F": "got '0x1F'; accepted: float",
    "lr=12:30:45": "got '12:30:45'; accepted: float",
    "lr=[": "lr",
    "lr=.nan": "lr: got nan",
    "spacing=1e-7": "up to 1e+09 points",
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


@pytest.fixture
def rounds(monkeypatch, tmp_path):
    """What `study run` hands on to be executed, which is not: (rounds, folder) a call."""
    seen = []
    monkeypatch.setattr(command, "OUTPUT", tmp_path / "output")
    monkeypatch.setattr(execution, "in_rounds", lambda *given: seen.append(given) or ([], ""))
    return seen


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


def test_a_damaged_run_is_told_of_and_the_study_goes_on(study, store, configure, rounds, tmp_path):
    run = runs.find_or_execute(configure())
    file = run.path / "history.npz"
    file.write_bytes(file.read_bytes()[:-20])
    status, _, err = study("run", "02", "--out", tmp_path / "out")
    assert status == 0
    (line,) = [line for line in err.splitlines() if run.key in line]
    assert "history.npz" in line
    assert [path.name.split("-")[0] for path in store.iterdir() if path.is_dir()].count(".damaged")
    assert len(rounds) == 1


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
    assert status == 0
    assert err.splitlines()[-1] == "study: time budget: over (round 2 of 3)"
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
    monkeypatch.setattr(pages, "pages", lambda: {tmp_path / "page.md": "new\n"})
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    for profile in results.SHIPPED:
        (tmp_path / "results" / profile).mkdir(parents=True)
    assert study("claims", "--write")[:2] == (0, "")
    assert (tmp_path / "page.md").read_text() == "new\n"
    for profile in results.SHIPPED:
        picture = tmp_path / "results" / profile / "matrix.png"
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_runs_lists_the_store(study, store, configure):
    run = runs.find_or_execute(configure())
    status, out, _ = study("runs")
    assert status == 0
    assert run.key in out
    assert "1 runs" in out
    (record,) = json.loads(study("runs", "--json")[1])
    assert record["key"] == run.key
    assert record["config"]["model"] == run.config["model"]


def test_export_copies_the_store(study, store, configure, tmp_path):
    run = runs.find_or_execute(configure())
    assert study("export", tmp_path / "other")[0] == 0
    names = {file.name for file in (tmp_path / "other" / run.key).iterdir()}
    assert names == {"config.json", "history.npz"}
    assert study("export", tmp_path / "other", "--weights")[0] == 0
    assert (tmp_path / "other" / run.key / "weights.safetensors").is_file()


@pytest.mark.parametrize("wrong", ["file", "file/below"])
def test_export_to_a_wrong_place_is_one_line(study, store, configure, tmp_path, wrong):
    run = runs.find_or_execute(configure())
    (tmp_path / "file").write_text("mine")
    status, out, err = study("export", tmp_path / wrong)
    assert (status, out) == (2, "")
    assert err.startswith("study: export: ")
    assert len(err.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"
    assert runs.find(configure(), whole=True).key == run.key


def test_export_to_a_full_disk_leaves_nothing_half_written(
    study, store, configure, tmp_path, full_disk
):
    runs.find_or_execute(configure())
    with full_disk():
        status, _, err = study("export", tmp_path / "other")
    assert status == 2
    assert "No space left" in err
    assert len(err.splitlines()) == 1
    assert [file for file in (tmp_path / "other").rglob("*") if file.is_file()] == []
    assert study("export", tmp_path / "other")[0] == 0


def test_numbers_names_and_all_are_notebooks(study, store, rounds):
    for asked in (["2"], ["02"], ["02_noise_fitting", "2", "02"], ["02_noise_fitting.ipynb"]):
        assert study("run", *asked)[0] == 0
        ((executed,), _) = rounds.pop()
        assert list(executed) == ["02_noise_fitting"]
    for asked in ([], ["all"]):
        study("run", *asked, "-p", "num_epochs=1")
        assert list(rounds.pop()[0][0]) == profiles.notebook_names()


def test_results_of_parameters_of_ones_own_land_beside_the_profiles(study, store, rounds, tmp_path):
    def place(*options):
        status, _, err = study("run", "2", *options)
        assert status == 0, err
        folder = rounds.pop()[1]
        assert f"are in {folder}" in err
        return folder

    usual, first, second = "output/digits", ("-p", "lr=0.2"), ("-p", "num_epochs=3")
    assert place() == tmp_path / usual
    other = place(*first, *second)
    assert other.name.startswith("digits-")
    assert other == place(*second, *first)
    assert len({other, place(*first), place(*second), place()}) == 4
    assert place(*first, "--out", tmp_path / usual) == tmp_path / usual


def test_a_profile_is_a_folder_given_as_one(study, store, rounds, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "common.yaml").write_text("extends: digits\nlr: 0.3")
    (tmp_path / "mine" / "02_noise_fitting.yaml").write_text("num_epochs: 3")
    monkeypatch.chdir(tmp_path)
    assert study("run", "2", "--profile", "./mine")[0] == 0
    ((executed,), out) = rounds.pop()
    assert executed["02_noise_fitting"] == {"lr": 0.3, "num_epochs": 3}
    assert out == tmp_path / "output" / "mine"


def test_a_folder_is_no_profile_without_its_file_or_with_a_profiles_name(
    study, store, rounds, tmp_path
):
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "common.yaml").write_text("lr: 0.3")
    for folder in (tmp_path / "digits", ROOT / "notebooks", "../notebooks", "mine"):
        refused(study("run", "2", "--profile", folder), "profile: got", store)
    assert rounds == []


@pytest.mark.parametrize("place", ["", "notebooks", "params/digits", "lib", "study/x", "tests"])
def test_results_never_land_among_sources(study, store, rounds, place):
    refused(study("run", "2", "--out", ROOT / place), "a folder without sources", store)
    assert rounds == []


def test_results_never_land_among_runs(study, store, rounds):
    for place in (store, store / "x"):
        refused(study("run", "2", "--out", place), "a folder without sources or runs", store)


def test_a_path_is_executed_as_it_is(study, store, rounds, tmp_path):
    """Also where the study has a notebook of that name, whose results stay."""
    own = tmp_path / "02_noise_fitting.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), own)
    assert study("run", own)[0] == 0
    ((executed,), out) = rounds.pop()
    assert executed == {str(own.with_suffix("")): {}}
    assert out.name.startswith("digits-")
    refused(study("run", own, "2"), "files of different names", store)
    refused(study("run", own, "--out", tmp_path), "a folder without sources", store)
    assert study("run", ROOT / "notebooks" / own.name)[0] == 0
    assert list(rounds.pop()[0][0]) == ["02_noise_fitting"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\x00", '{"cells": 3, "nbformat": 4}'])
def test_a_path_of_no_notebook_is_one_line(study, store, rounds, tmp_path, text):
    (tmp_path / "own.ipynb").write_text(text)
    refused(study("run", tmp_path / "own.ipynb"), "own.ipynb", store)
    assert rounds == []


@pytest.mark.parametrize("wrong", ["file", "file/below"])
def test_run_into_a_wrong_place_is_one_line(study, store, rounds, tmp_path, wrong):
    (tmp_path / "file").write_text("mine")
    refused(study("run", "2", "--out", tmp_path / wrong), "out: ", store)
    assert (tmp_path / "file").read_text() == "mine"
    assert rounds == []


def test_a_failing_disk_is_one_line(study, store, rounds, monkeypatch, tmp_path):
    def fails(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "x"))

    monkeypatch.setattr(results, "collect", fails)
    status, _, err = study("run", "2")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "No space left on device; finished runs are kept" in err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_that_runs_are_kept_and_nothing_else(study, store, monkeypatch, kind, tmp_path):
    monkeypatch.setattr(execution, "in_rounds", lambda *_: signal.raise_signal(kind))
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    try:
        result = study("run", "2", "--out", tmp_path / "out")
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    said = "study: stopped; finished runs are kept, the same command goes on"
    assert (result[:2], result[2].strip()) == ((130, ""), said)


@pytest.mark.parametrize(
    "arguments", [("run", "2", "--nope"), ("nope",), ("run", "--at-once", "x"), ("measure",)]
)
def test_a_wrong_command_line_shows_no_traceback(study, arguments):
    status, out, err = study(*arguments)
    assert (status, out) == (2, "")
    assert "Error: " in err
    assert "Traceback" not in err


def test_version(study):
    status, out, _ = study("--version")
    assert status == 0
    assert re.fullmatch(r"study \d+\.\d+\.\d+\n", out)


@pytest.mark.parametrize("asked", ["--help", "run --help", "--version", "list"])
def test_help_comes_without_torch(asked):
    code = f"""
import sys
from study import command
sys.argv = ["study", *{asked.split()}]
try:
    command.main()
finally:
    print("TORCH" if "torch" in sys.modules else "LIGHT")
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "LIGHT"
