"""The notebooks as files: executed, paired, with a claim; and nbval sees a claim that was tampered with."""

import copy
import re
import subprocess
import sys

import jupytext
import nbformat
import pytest

from lib import scoreboard
from lib.parameters import LIMITS, ROOT, TYPES
from lib.profiles import inspect

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RESULTS = sorted((ROOT / "results").glob("*/[0-9]*.ipynb"))
MARKER = "# NBVAL_CHECK_OUTPUT"


def names(paths):
    return [f"{path.parent.name}/{path.stem}" for path in paths]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def faults(notebook, pair=None) -> list[str]:
    """What is wrong with an executed notebook, given the text notebook that it is paired with."""
    found = []
    code = code_cells(notebook)
    if any(cell.execution_count is None for cell in code):
        found.append("a cell was not executed")
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        found.append("a cell failed")
    if any(output.get("name") == "stderr" for cell in code for output in cell.outputs):
        found.append("a cell wrote to stderr")
    if pair is not None:
        sources = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, pair)]
        if sources[0] != sources[1]:
            found.append("the pair is out of step")
    checked = [cell for cell in code if cell.source.startswith(MARKER)]
    printed = "\n".join(output.get("text", "") for cell in checked for output in cell.outputs)
    claims = scoreboard.payload(notebook).get("claims", [])
    if not claims or any(claim["statement"] not in printed or claim["verdict"] not in printed for claim in claims):
        found.append("no claim that nbval checks")
    if not any("parameters" in cell.metadata.get("tags", []) for cell in code):
        found.append("no cell of parameters")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_notebook_is_executed_paired_and_claims_something(path):
    assert faults(nbformat.read(path, 4), jupytext.read(path.with_suffix(".py"))) == []


@pytest.mark.parametrize("path", RESULTS, ids=names(RESULTS))
def test_result_is_executed_and_claims_something(path):
    assert faults(nbformat.read(path, 4)) == []


def test_every_pair_is_complete():
    assert [path.stem for path in NOTEBOOKS] == [path.stem for path in sorted((ROOT / "notebooks").glob("*.py"))]
    assert len(NOTEBOOKS) >= 4


def unexecuted(notebook):
    code_cells(notebook)[-1].execution_count = None


def edited(notebook):
    code_cells(notebook)[0].source += "\nchanged = True"


def without_claim(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace(MARKER, "#")


def other_verdict(notebook):
    scoreboard.payload(notebook)["claims"][0]["verdict"] = "unheard of"


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (unexecuted, "a cell was not executed"),
        (edited, "the pair is out of step"),
        (without_claim, "no claim that nbval checks"),
        (other_verdict, "no claim that nbval checks"),
    ],
)
def test_guard_sees(tamper, fault):
    notebook = nbformat.read(NOTEBOOKS[0], 4)
    pair = jupytext.read(NOTEBOOKS[0].with_suffix(".py"))
    tampered = copy.deepcopy(notebook)
    tamper(tampered)
    assert fault in faults(tampered, pair)


@pytest.mark.parametrize("path", NOTEBOOKS + RESULTS, ids=names(NOTEBOOKS + RESULTS))
def test_notebook_holds_no_absolute_path(path):
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text())
    assert re.findall(r"(?<![\w.:/])/(?:home|Users|root|tmp|work|var|opt|usr|mnt)/\S*", text) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_every_parameter_is_typed_with_unit_and_limits(path):
    parameters = inspect(path.stem)
    assert parameters
    for name, parameter in parameters.items():
        kind = parameter["inferred_type_name"].removeprefix("list[").removesuffix("]")
        assert kind in TYPES, name
        assert parameter["unit"], name
        assert parameter["help"], name
        if kind in ("int", "float"):
            assert name in LIMITS, name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_notebook_has_the_anatomy(path):
    notebook = nbformat.read(path, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].source.startswith("# ")
    assert "$$" in text
    for heading in ("Parameters", "Claims", "What to make of it", "Exercises", "Provenance"):
        assert f"## {heading}\n" in text + "\n", heading
    assert any("solution" in cell.metadata.get("tags", []) for cell in notebook.cells)
    assert max(len(cell.source.splitlines()) for cell in code_cells(notebook)) <= 40
    assert any("image/png" in output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs)


@pytest.mark.slow
def test_nbval_sees_a_tampered_claim(tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / "03_training_time.ipynb", 4)
    tampered = 0
    for cell in code_cells(notebook):
        if cell.source.startswith(MARKER) and "claims.show" in cell.source:
            lines = cell.outputs[0].text.splitlines(keepends=True)
            swap = {"supported   ": "contradicted", "contradicted": "supported   "}
            verdict = next(word for word in swap if word in lines[0])
            cell.outputs[0].text = "".join([lines[0].replace(verdict, swap[verdict]), *lines[1:]])
            tampered += 1
    assert tampered == 1
    nbformat.write(notebook, tmp_path / "tampered.ipynb")
    options = ["--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    places = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path / "tampered.ipynb")]
    command = [sys.executable, "-m", "pytest", *options, *places]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout
    assert "claims.show" in done.stdout
