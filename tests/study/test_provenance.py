"""What a notebook leaves behind: claims, runs, parameters, and how it was made."""

import json
import math
import subprocess

import IPython.display
import numpy as np
import pytest
import torch

from lib import runs
from lib.parameters import ROOT, StudyError, hash_of
from lib.stats import Effect
from study import provenance
from study.claims import described, exact


@pytest.fixture
def recorded(monkeypatch):
    """A function that records and returns (payload, text) of what was displayed."""

    def record(*arguments):
        displayed = []

        def display(bundle, raw):
            displayed.append((bundle, raw))

        monkeypatch.setattr(IPython.display, "display", display)
        provenance.record(*arguments)
        ((bundle, raw),) = displayed
        assert raw
        return bundle[provenance.MIME], bundle["text/plain"]

    return record


def notebook(**parameters):
    kinds = {str: str, list: list[int]}
    annotations = {name: kinds[type(value)] for name, value in parameters.items()}
    return {**parameters, "__annotations__": annotations, "other": 3}


def test_record_leaves_claims_runs_and_parameters_in_the_notebook(configure, store, recorded):
    run = runs.find_or_execute(configure(), "cpu")
    claimed = [
        exact("01", "s", 1.0, "> 0"),
        described("F1", "s", Effect(math.nan, n=1, reason="one seed"), "no estimate"),
    ]
    namespace = notebook(dataset="npz:/home/me/mine.npz", seeds=[0, 1])
    payload, text = recorded(claimed, [run, run], namespace)
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    assert payload["runs"] == [run.key]
    assert payload["parameters"] == {"dataset": "npz:mine.npz", "seeds": [0, 1]}
    assert [row["effect"]["estimate"] for row in payload["claims"]] == [1.0, None]
    assert [row["effect"]["reason"] for row in payload["claims"]] == ["", "one seed"]
    assert payload["versions"]["torch"] == torch.__version__
    assert payload["versions"]["numpy"] == np.__version__
    lines = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert lines.keys() == {"versions", "device", "commit", "parameters", "runs"}
    assert lines["device"] == run.record["device"]
    assert lines["runs"] == f"1: {run.key}"
    assert lines["parameters"] == hash_of(payload["parameters"])
    assert lines["commit"] == payload["commit"]
    assert "/home/me" not in text + json.dumps(payload)


def test_record_without_a_run_names_the_device_that_measured(recorded):
    payload, text = recorded([exact("01", "s", math.pi, "> 3")], [], notebook(), "an abacus")
    assert (payload["runs"], payload["opened"]) == ([], [])
    lines = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert (lines["device"], lines["runs"]) == ("an abacus", "none trained")


def test_record_names_what_other_code_made(recorded, monkeypatch):
    older = {"measure-0002-0123456789abcdef-01234567", "0123456789abcdef-76543210"}
    monkeypatch.setattr(runs, "older_used", older)
    payload, text = recorded([exact("01", "s", 1.0, "> 0")], [], notebook(), "cpu")
    assert payload["older_code"] == sorted(older)
    told = f"made 2 of the runs and measurements: {' '.join(sorted(older))}"
    assert [line.split(maxsplit=2)[2] for line in text.splitlines() if "older" in line] == [told]
    monkeypatch.setattr(runs, "older_used", set())
    payload, text = recorded([exact("01", "s", 1.0, "> 0")], [], notebook(), "cpu")
    assert payload["older_code"] == []
    assert "older" not in text


def test_record_of_no_claim_is_refused():
    with pytest.raises(StudyError, match=r"^record: got no claim"):
        provenance.record([], [], {})


def test_record_checks_the_parameters():
    namespace = notebook(device="tpu")
    with pytest.raises(StudyError, match=r"^device: got 'tpu'"):
        provenance.record([exact("01", "s", 1.0, "> 0")], [], namespace)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_commit_is_the_checked_out_one_and_says_when_files_differ():
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    changes = ["git", "status", "--porcelain", "--untracked-files=no"]
    changed = subprocess.run(changes, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    described = provenance.commit()
    assert commit.stdout.startswith(described.removesuffix("+"))
    assert len(described) >= 7
    assert described.endswith("+") == bool(changed)


def test_commit_is_never_that_of_a_repository_around_an_unpacked_copy(monkeypatch, tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path.resolve())
    assert provenance.commit() not in ("", "unknown")
    monkeypatch.setattr(provenance, "ROOT", unpacked.resolve())
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))  # as in a hook of theirs
    assert provenance.commit() == "unknown"


def test_commit_without_git(monkeypatch):
    def absent(*_args, **_kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert provenance.commit() == "unknown"
