"""Executing notebooks: what is executed anew, what a copy keeps, what stops a study."""

import json
import shutil

import nbformat
import pandas as pd
import papermill
import pytest

from lib.parameters import OutOfTime
from study import execution

SMALL = ("model=mlp-1-16", "num_epochs=2", "seeds=[0, 1]", "frequencies=[0.5, 2.0]")
SMALL += ("only_class=-1",)
OPTIONS = [part for option in SMALL for part in ("-p", option)]


@pytest.fixture
def source(tmp_path):
    """A notebook of one cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    nbformat.write(notebook, tmp_path / "source.ipynb")
    return tmp_path / "source.ipynb"


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A helper module of one room in place of lib."""
    (tmp_path / "code" / "room").mkdir(parents=True)
    (tmp_path / "code" / "room" / "file.py").write_text("a = 1\n")
    monkeypatch.setattr(execution, "CODE", tmp_path / "code")
    return tmp_path / "code"


@pytest.fixture
def executed(monkeypatch):
    """Calls of papermill, which only copies the notebook, then raises what is in `fails`."""
    calls, fails = [], []

    def copy(source, partial, parameters, **_):
        calls.append(parameters)
        shutil.copy(source, partial)
        if fails:
            raise fails.pop(0)

    monkeypatch.setattr(papermill, "execute_notebook", copy)
    return calls, fails


def test_only_what_changed_is_executed_anew(source, code, executed, tmp_path):
    calls, _ = executed

    def num_executed(parameters):
        before = len(calls)
        assert execution.execute(source, tmp_path / "out", parameters)
        return len(calls) - before

    assert num_executed({"lr": 0.1}) == 1
    assert num_executed({"lr": 0.1}) == 0
    assert num_executed({"lr": 0.2}) == 1
    (code / "room" / "file.py").write_text("a = 2\n")
    assert num_executed({"lr": 0.2}) == 1
    assert num_executed({"lr": 0.2}) == 0
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 2")])
    nbformat.write(notebook, source)
    assert num_executed({"lr": 0.2}) == 1


def error(name):
    return papermill.PapermillExecutionError(0, 1, "x = 1", name, "said", ["traceback"])


def test_a_failed_cell_is_named_and_its_notebook_executed_again(source, executed, tmp_path, capsys):
    calls, fails = executed
    fails.append(error("StudyError"))
    assert not execution.execute(source, tmp_path / "out", {})
    assert "source: cell 0 (x = 1): StudyError: said" in capsys.readouterr().err
    assert (tmp_path / "out" / "source.ipynb").is_file()
    assert execution.execute(source, tmp_path / "out", {})
    assert len(calls) == 2


def test_out_of_time_keeps_the_copy_from_before(source, executed, tmp_path):
    execution.execute(source, tmp_path / "out", {"lr": 0.1})
    before = (tmp_path / "out" / "source.ipynb").read_bytes()
    executed[1].append(error("OutOfTime"))
    with pytest.raises(OutOfTime, match=r"^source: said"):
        execution.execute(source, tmp_path / "out", {"lr": 0.2})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["source.ipynb"]
    assert (tmp_path / "out" / "source.ipynb").read_bytes() == before


@pytest.mark.parametrize("failures", [2, 3])
def test_a_kernel_that_does_not_start_is_started_again(source, executed, tmp_path, failures):
    calls, fails = executed
    fails += [RuntimeError("port")] * failures
    if failures < execution.START_ATTEMPTS:
        assert execution.execute(source, tmp_path / "out", {})
    else:
        with pytest.raises(RuntimeError, match="port"):
            execution.execute(source, tmp_path / "out", {})
    assert len(calls) == execution.START_ATTEMPTS


@pytest.mark.parametrize(
    ("deadline", "bad", "expected", "last"),
    [
        (None, None, ([], ""), 3),
        (None, "b", (["b"], ""), 2),
        ("1", None, ([], "time budget: over (round 1 of 3)"), 1),
    ],
)
def test_rounds_end_with_a_failure_or_with_the_time(
    monkeypatch, tmp_path, deadline, bad, expected, last
):
    rounds = [{"a": {"round": number}, "b": {"round": number}} for number in (1, 2, 3)]
    done = []

    def execute(source, out, parameters):
        done.append((source.stem, parameters["round"]))
        return done[-1] != (bad, 2)

    monkeypatch.setattr(execution, "execute", execute)
    if deadline:
        monkeypatch.setenv("STUDY_DEADLINE", deadline)
    assert execution.in_rounds(rounds, tmp_path) == expected
    assert done == [(name, number) for number in range(1, last + 1) for name in "ab"]


def test_executed_copies_keep_no_path_or_progress_bar(tmp_path):
    tags = {"tags": ["injected-parameters"]}
    cell = nbformat.v4.new_code_cell("dataset = 'npz:/somewhere/x.npz'", metadata=tags)
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="50%")]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    used = {"dataset": "npz:/somewhere/x.npz", "lr": 0.1}
    notebook.metadata["papermill"] = {"input_path": "/a/b", "parameters": used}
    nbformat.write(notebook, tmp_path / "partial.ipynb")
    execution.clean(tmp_path / "partial.ipynb", tmp_path / "clean.ipynb")
    text = (tmp_path / "clean.ipynb").read_text()
    assert [word for word in ("somewhere", "input_path", "50%") if word in text] == []
    assert '"dataset": "npz:x.npz"' in text
    assert not (tmp_path / "partial.ipynb").exists()


@pytest.mark.slow
def test_run_leaves_notebook_claims_runs_and_figures(study, store, tmp_path):
    status, out, err = study("run", "02", *OPTIONS, "--out", tmp_path)
    assert status == 0, err
    executed = nbformat.read(tmp_path / "02_noise_fitting.ipynb", 4)
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in executed.cells)
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert {claim["finding"] for claim in claims} == {"F1"}
    assert [claim["statement"] in out for claim in claims if claim["name"]] == [True]
    table = pd.read_parquet(tmp_path / "runs.parquet")
    assert len(table) == 6
    assert set(table["wave"]) == {"uniform", "radial"}
    assert sorted(table["key"]) == sorted(path.name for path in store.iterdir())
    figures = sorted((tmp_path / "figures").iterdir())
    assert figures
    assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in figures)


@pytest.mark.slow
def test_failed_notebook_leaves_its_traceback_and_names_the_cell(study, store, tmp_path):
    status, _, err = study("run", "02", *OPTIONS, "-p", "lr=1.0e+30", "--out", tmp_path)
    assert status == 1
    assert "02_noise_fitting: cell" in err
    assert "diverged" in err
    executed = nbformat.read(tmp_path / "02_noise_fitting.ipynb", 4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    errors = [output for output in outputs if output.output_type == "error"]
    assert errors[0].ename == "StudyError"
