"""Executing notebooks: what is executed anew, what a copy keeps, what stops a study."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import papermill
import pytest

from lib import runs
from lib.parameters import ROOT, OutOfTime, StudyError
from study import execution
from study.provenance import MIME

SMALL = ("model=mlp-1-16", "num_epochs=2", "seeds=[0, 1]", "frequencies=[0.5, 2.0]")
SMALL += ("only_class=-1",)
OPTIONS = [part for option in SMALL for part in ("-p", option)]


def write_notebook(file, *cells):
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), file)


@pytest.fixture
def source(tmp_path, store):
    """The name of a notebook of one cell."""
    write_notebook(tmp_path / "source.ipynb", "x = 1")
    return str(tmp_path / "source")


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A helper module of one room in place of lib and study."""
    (tmp_path / "code" / "room").mkdir(parents=True)
    (tmp_path / "code" / "room" / "file.py").write_text("a = 1\n")
    monkeypatch.setattr(execution, "CODE", (tmp_path / "code",))
    return tmp_path / "code"


@pytest.fixture
def executed(monkeypatch):
    """Calls of papermill, which only copies the notebook, then raises what is in `fails`; `leaves`
    is what provenance.record would leave in it."""
    calls, fails, leaves = [], [], {}

    def copy(source, partial, parameters, **_):
        calls.append(parameters)
        notebook = nbformat.read(source, 4)
        if leaves:
            output = nbformat.v4.new_output("display_data", data={MIME: dict(leaves)})
            notebook.cells[0].outputs = [output]
        nbformat.write(notebook, partial)
        if fails:
            raise fails.pop(0)

    monkeypatch.setattr(papermill, "execute_notebook", copy)
    return calls, fails, leaves


@pytest.fixture
def num_executed(source, code, executed, tmp_path):
    """A function that executes the notebook: how many times papermill was called."""

    def count(**parameters):
        before = len(executed[0])
        assert execution.execute(source, tmp_path / "out", parameters) is not False
        return len(executed[0]) - before

    return count


def test_only_what_changed_is_executed_anew(num_executed, source, code):
    assert num_executed(lr=0.1) == 1
    assert num_executed(lr=0.1) == 0
    assert num_executed(lr=0.2) == 1
    (code / "room" / "file.py").write_text("a = 2\n")
    assert num_executed(lr=0.2) == 1
    assert num_executed(lr=0.2) == 0
    write_notebook(f"{source}.ipynb", "x = 2")
    assert num_executed(lr=0.2) == 1


def test_another_tag_is_executed_anew(num_executed, source):
    """Else the copy that stands would bring the tags of before back."""
    assert [num_executed(), num_executed()] == [1, 0]
    notebook = nbformat.read(f"{source}.ipynb", 4)
    notebook.cells[0].metadata["tags"] = ["slide"]
    nbformat.write(notebook, f"{source}.ipynb")
    assert [num_executed(), num_executed()] == [1, 0]


def test_the_code_is_that_of_lib_and_study():
    assert {folder.name for folder in execution.CODE} == {"lib", "study"}


def test_other_data_in_the_same_file_are_executed_anew(num_executed, tmp_path):
    images, labels = np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 4
    images[0] = 9
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    given = {"dataset": f"npz:{tmp_path / 'mine.npz'}"}
    np.savez(tmp_path / "mine.npz", **arrays)
    assert num_executed(**given) == 1
    assert num_executed(**given) == 0
    images[1] = 7
    np.savez(tmp_path / "mine.npz", **arrays)
    assert num_executed(**given) == 1
    images[1] = 0  # as before: no key of today
    np.savez(tmp_path / "mine.npz", **arrays)
    assert num_executed(**given) == 1
    assert num_executed(**given) == 0


def test_other_weights_and_code_in_the_same_file_are_executed_anew(num_executed, tmp_path):
    given = {"networks": ["timm:resnet18,weights=" + str(tmp_path / "w.pt")]}
    given["model"] = f"{tmp_path / 'own.py'}:Net"
    for file in ("w.pt", "own.py"):
        (tmp_path / file).write_text("1")
    assert [num_executed(**given) for _ in range(2)] == [1, 0]
    for file in ("w.pt", "own.py"):
        (tmp_path / file).write_text("2")
        assert [num_executed(**given) for _ in range(2)] == [1, 0]


def test_a_copy_whose_runs_the_store_has_not_is_executed_anew(
    num_executed, executed, store, configure
):
    run = runs.find_or_execute(configure(), "cpu")
    executed[2]["runs"] = [run.key]
    assert [num_executed(), num_executed()] == [1, 0]
    shutil.rmtree(run.path)
    assert num_executed() == 1


def test_a_copy_of_other_codes_runs_stands_while_these_are_kept(
    num_executed, executed, monkeypatch
):
    executed[2]["older_code"] = ["0123456789abcdef-01234567"]
    assert num_executed() == 1
    monkeypatch.setenv("STUDY_OLDER_CODE", "keep")
    assert num_executed() == 0
    monkeypatch.setenv("STUDY_OLDER_CODE", "anew")
    assert num_executed() == 1


def test_a_damaged_copy_is_executed_anew(num_executed, tmp_path):
    num_executed()
    file = tmp_path / "out" / "source.ipynb"
    file.write_bytes(file.read_bytes()[:-20])
    assert [num_executed(), num_executed()] == [1, 0]


def error(name):
    return papermill.PapermillExecutionError(0, 1, "x = 1", name, "said", ["traceback"])


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_cell_is_named_and_its_notebook_executed_again(source, executed, tmp_path, capsys):
    calls, fails, _ = executed
    fails.append(error("StudyError"))
    assert execution.execute(source, tmp_path / "out", {}) is False
    assert "source: cell 0 (x = 1): StudyError: said" in capsys.readouterr().err
    assert (tmp_path / "out" / "source.ipynb").is_file()
    assert execution.execute(source, tmp_path / "out", {})
    assert len(calls) == 2


def test_a_failing_re_run_keeps_the_good_copy(source, executed, tmp_path, capsys):
    out = tmp_path / "out"
    execution.execute(source, out, {})
    before = (out / "source.ipynb").read_bytes()
    for _ in range(2):
        executed[1].append(error("StudyError"))
        assert execution.execute(source, out, {"lr": 0.2}) is False
        assert "see source.failed.ipynb" in capsys.readouterr().err
        assert names_in(out) == ["source.failed.ipynb", "source.ipynb"]
    assert (out / "source.ipynb").read_bytes() == before
    assert execution.execute(source, out, {}) is None
    assert execution.execute(source, out, {"lr": 0.2})
    assert names_in(out) == ["source.ipynb"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOTDIR])
def test_a_full_or_read_only_disk_keeps_the_good_copy(source, executed, tmp_path, number):
    out = tmp_path / "out"
    execution.execute(source, out, {})
    before = (out / "source.ipynb").read_bytes()
    executed[1].append(OSError(number, os.strerror(number)))
    with pytest.raises(StudyError, match=f"^out: .* cannot be written .*{os.strerror(number)}"):
        execution.execute(source, out, {"lr": 0.2})
    assert names_in(out) == ["source.ipynb"]
    assert (out / "source.ipynb").read_bytes() == before


def test_a_disk_that_is_full_while_a_network_is_trained_is_one_line(store, configure):
    """Here no file may grow beyond 20 kB: the history fits, the weights do not."""
    resource = pytest.importorskip("resource")
    small = runs.find_or_execute(configure(), "cpu")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(
            StudyError, match=r"^store: run \S+ could not be written .*nothing else"
        ):
            runs.find_or_execute(configure(model="mlp-2-99"), "cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [run.key for run in runs.all_runs()] == [small.key]
    assert [path.name for path in store.iterdir() if path.name != ".leases"] == [small.key]
    assert runs.find_or_execute(configure(model="mlp-2-99"), "cpu")


def test_out_of_time_keeps_the_copy_from_before(source, executed, tmp_path):
    execution.execute(source, tmp_path / "out", {"lr": 0.1})
    before = (tmp_path / "out" / "source.ipynb").read_bytes()
    executed[1].append(error("OutOfTime"))
    with pytest.raises(OutOfTime, match=r"^source: said"):
        execution.execute(source, tmp_path / "out", {"lr": 0.2})
    assert names_in(tmp_path / "out") == ["source.ipynb"]
    assert (tmp_path / "out" / "source.ipynb").read_bytes() == before


@pytest.mark.parametrize("failures", [2, 3])
def test_a_kernel_that_does_not_start_is_started_again(source, executed, tmp_path, failures):
    calls, fails, _ = executed
    fails += [RuntimeError("port")] * failures
    if failures < execution.START_ATTEMPTS:
        assert execution.execute(source, tmp_path / "out", {})
    else:
        with pytest.raises(StudyError, match=r"^source: its kernel did not start \(port\)"):
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

    def execute(name, out, parameters):
        done.append((name, parameters["round"]))
        return done[-1] != (bad, 2)

    monkeypatch.setattr(execution, "execute", execute)
    if deadline:
        monkeypatch.setenv("STUDY_DEADLINE", deadline)
    assert execution.in_rounds(rounds, tmp_path) == expected
    assert sorted(done) == sorted((name, n) for n in range(1, last + 1) for name in "ab")


def test_one_line_over_the_whole_study_after_each_notebook(monkeypatch, tmp_path, capsys):
    """Those that were there already make no forecast."""
    names = iter([None, None, True, True])
    monkeypatch.setattr(execution, "execute", lambda *_: next(names))
    monkeypatch.setattr(runs, "num_workers", lambda: 1)
    seconds = iter([0, 1, 2, 122, 242, 242])
    monkeypatch.setattr(time, "time", lambda: next(seconds))
    assert execution.in_rounds([{name: {} for name in "abcd"}], tmp_path) == ([], "")
    *skipped, third, last = capsys.readouterr().err.splitlines()
    assert skipped == [f"study: {number} of 4 notebooks in 0.0 min" for number in (1, 2)]
    assert third == "study: 3 of 4 notebooks in 2.0 min, about 2 min left"
    assert last == "study: 4 of 4 notebooks in 4.0 min"


def test_a_killed_kernel_is_told_as_killed(tmp_path, store, monkeypatch, capfd):
    """Here in a temporary folder whose name has no room for a socket's."""
    folder = tmp_path / ("long" * 30) / ("longer" * 10)
    folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    name = str(tmp_path / "with {braces}")
    write_notebook(
        f"{name}.ipynb", "x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert execution.execute(name, tmp_path / "out", {}) is False
    err = capfd.readouterr().err
    assert "study: with {braces}: its kernel was killed" in err
    assert "did not start" not in err
    assert names_in(tmp_path / "out") == []
    assert names_in(folder) == []


SLEEPY = (
    "import pathlib, os, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(600)"
)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_kernels_and_leaves_no_temporary_folder(tmp_path, store):
    sign, folder = tmp_path / "sign", tmp_path / "tmp"
    folder.mkdir()
    write_notebook(tmp_path / "own.ipynb", SLEEPY.format(str(sign)))
    command = [sys.executable, "-c", "from study.command import main; main()", "run"]
    command += [str(tmp_path / "own.ipynb"), "--out", str(tmp_path / "out")]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"TMPDIR": str(folder)}
    streams["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # not ignored
    running = subprocess.Popen(command, cwd=ROOT, env=environment, **streams)
    while not (sign.is_file() and sign.read_text()) and running.poll() is None:
        time.sleep(0.05)
    for _ in range(3):  # as someone in a hurry does
        running.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = running.communicate()
    assert (running.returncode, out) == (130, ""), err
    last = "study: stopped; finished runs are kept, the same command goes on"
    assert err.splitlines()[-1] == last
    assert [line for line in err.splitlines() if line.startswith("study: ")] == [last]
    assert "Traceback" not in err
    while alive(int(sign.read_text())):  # until the system has noticed
        time.sleep(0.05)
    assert names_in(folder) == []
    assert names_in(tmp_path / "out") == []


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
