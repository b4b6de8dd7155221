"""The notebooks as files: executed, paired, of cells that fit a screen, with a claim; and nbval
sees a claim that was tampered with."""

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from lib.parameters import LIMITS, ROOT, TYPES
from study import claims, profiles, results

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RESULTS = sorted((ROOT / "results").glob("*/[0-9]*.ipynb"))
MARKER = "# NBVAL_CHECK_OUTPUT"
HEADINGS = ("Parameters", "Claims", "The answer", "What to make of it", "Exercises", "Provenance")
MOST_LINES, MOST_CHARACTERS, MOST_COLUMNS = 40, 1200, 100
MOST_OF_PARAMETERS = 52, 2050, 100


def each(paths):
    names = [f"{path.parent.name}/{path.stem}" for path in paths]
    return pytest.mark.parametrize("path", paths, ids=names)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def faults(notebook, pair=None) -> list[str]:
    """What is wrong with an executed notebook, given the text notebook it is paired with."""
    wrong = []
    code = code_cells(notebook)
    outputs = [output for cell in code for output in cell.outputs]
    if any(cell.execution_count is None for cell in code):
        wrong.append("a cell was not executed")
    if any(output.output_type == "error" for output in outputs):
        wrong.append("a cell failed")
    if any(output.get("name") == "stderr" for output in outputs):
        wrong.append("a cell wrote to stderr")
    if pair is not None:
        sources = (
            [(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, pair)
        )
        if next(sources) != next(sources):
            wrong.append("the pair is out of step")
    checked = [cell for cell in code if cell.source.startswith(MARKER)]
    printed = "\n".join(output.get("text", "") for cell in checked for output in cell.outputs)
    claimed = results.payload(notebook).get("claims", [])
    said = [claim["statement"] in printed for claim in claimed]
    if not said or not all(said):
        wrong.append("no claim that nbval checks")
    if not any("parameters" in cell.metadata.get("tags", []) for cell in code):
        wrong.append("no cell of parameters")
    return wrong


def too_large(notebook) -> list[str]:
    """The cells that are longer or wider than a cell may be, by their number and first line."""
    named = []
    for number, cell in enumerate(notebook.cells):
        lines = cell.source.splitlines() or [""]
        sizes = (len(lines), len(cell.source), max(map(len, lines)))
        listed = "parameters" in cell.metadata.get("tags", [])  # the formatter's one entry a line
        most = MOST_OF_PARAMETERS if listed else (MOST_LINES, MOST_CHARACTERS, MOST_COLUMNS)
        if any(size > limit for size, limit in zip(sizes, most, strict=True)):
            named.append(f"{number} {sizes}: {lines[0]}")
    return named


def test_there_are_fifteen_in_pairs():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(15)]
    texts = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
    assert [path.stem for path in NOTEBOOKS] == [path.stem for path in texts]


@each(NOTEBOOKS)
def test_notebook_is_executed_paired_and_claims_something(path):
    assert faults(nbformat.read(path, 4), jupytext.read(path.with_suffix(".py"))) == []


@each(RESULTS)
def test_result_is_executed_and_claims_something(path):
    assert faults(nbformat.read(path, 4)) == []


@each(NOTEBOOKS)
def test_cells_fit_a_screen(path):
    assert too_large(nbformat.read(path, 4)) == []


def test_cells_that_do_not_fit_are_seen():
    sources = ("x\n" * 40, "x\n" * 41, "x" * 101, ("x" * 99 + "\n") * 12 + "x", "")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    large = too_large(nbformat.v4.new_notebook(cells=cells))
    assert [line[0] for line in large] == ["1", "2", "3"]


def test_text_notebooks_are_formatted():
    ruff = Path(sys.executable).with_name("ruff")
    files = sorted(str(path) for path in (ROOT / "notebooks").glob("[0-9]*.py"))
    command = [ruff, "format", "--check", "--no-cache", *files]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert f"{len(files)} files" in checked.stdout  # none is excluded


def unexecuted(notebook):
    code_cells(notebook)[-1].execution_count = None


def edited(notebook):
    code_cells(notebook)[0].source += "\nchanged = True"


def without_claim(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace(MARKER, "#")


def other_statement(notebook):
    results.payload(notebook)["claims"][0]["statement"] = "unheard of"


TAMPERED = {
    unexecuted: "a cell was not executed",
    edited: "the pair is out of step",
    without_claim: "no claim that nbval checks",
    other_statement: "no claim that nbval checks",
}


@pytest.mark.parametrize(("tamper", "fault"), TAMPERED.items())
def test_guard_sees(tamper, fault):
    notebook = nbformat.read(NOTEBOOKS[0], 4)
    pair = jupytext.read(NOTEBOOKS[0].with_suffix(".py"))
    tampered = copy.deepcopy(notebook)
    tamper(tampered)
    assert fault in faults(tampered, pair)


@each(NOTEBOOKS + RESULTS)
def test_notebook_holds_no_absolute_path(path):
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text())
    folders = "home|Users|root|tmp|work|var|opt|usr|mnt"
    assert re.findall(rf"(?<![\w.:/])/(?:{folders})/\S*", text) == []


@each(NOTEBOOKS)
def test_nbval_compares_the_claims_of_every_notebook(path):
    shown = [cell for cell in code_cells(nbformat.read(path, 4)) if "verdicts.show(" in cell.source]
    assert [cell.source.startswith(MARKER) for cell in shown] == [True]


@each(NOTEBOOKS)
def test_jupyterlab_opens_a_notebook_that_is_newer_than_its_text(path, tmp_path):
    """Its extension of jupytext refuses one that differs, if only in the order of metadata."""
    for file in (path, path.with_suffix(".py")):
        shutil.copy(file, tmp_path)
    os.utime(tmp_path / path.with_suffix(".py").name, (0, 0))
    manager = jupytext.TextFileContentsManager(root_dir=str(tmp_path))
    assert manager.get(path.name)["content"].cells


@each(NOTEBOOKS)
def test_every_parameter_is_typed_with_unit_and_limits(path):
    parameters = profiles.inspect(path.stem)
    assert parameters
    for name, parameter in parameters.items():
        kind = parameter["type"].removeprefix("list[").removesuffix("]")
        assert kind in TYPES, name
        assert parameter["unit"], name
        assert parameter["help"], name
        if kind in ("int", "float"):
            assert name in LIMITS, name


def test_every_primary_claim_is_made_once():
    made = [(claim["finding"], claim["name"]) for claim in results.shipped("digits")]
    primary = [(finding, name) for finding, names in claims.PRIMARIES.items() for name in names]
    assert sorted(claim for claim in made if claim[1]) == sorted(primary)


@each(NOTEBOOKS)
def test_notebook_has_the_anatomy(path):
    notebook = nbformat.read(path, 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = notebook.cells[0].source.splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?")  # a statement would be contradicted by some profile
    assert "$$" in text
    for heading in HEADINGS:
        assert f"## {heading}\n" in text + "\n", heading
    assert any("solution" in cell.metadata.get("tags", []) for cell in notebook.cells)
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)


SHOWN = """from lib.stats import Effect
from study import claims, verdicts

effect = Effect(0.4, 0.3, 0.5, 0.001, 5)
claimed = [claims.Claim("F1", "gain", "it is learned later", ">", effect, "0.4")]"""


def test_nbval_sees_a_tampered_claim(tmp_path, capsys):
    there: dict = {}
    exec(SHOWN, there)
    there["verdicts"].show(there["claimed"])
    told = capsys.readouterr().out
    assert "above 0" in told
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOWN)])
    for text in (told, told.replace("above 0", "below 0")):
        cell = nbformat.v4.new_code_cell(f"{MARKER}\nverdicts.show(claimed)", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        notebook.cells.append(cell)
    nbformat.write(notebook, tmp_path / "tampered.ipynb")
    options = ["--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    places = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options, *places, str(tmp_path / "tampered.ipynb")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    options = {"capture_output": True, "text": True, "cwd": tmp_path, "env": environment}
    ran = subprocess.run(command, **options)
    assert ran.returncode == 1, ran.stdout
    assert "1 failed, 2 passed" in ran.stdout, ran.stdout
    assert "below 0" in ran.stdout


VARIED = {
    "families": "04_architecture",
    "shares": "05_training_examples",
    "weight_decays": "06_weight_decay",
    "augmentations": "07_augmentation",
    "true_label_weights": "08_distillation",
    "num_generations": "08_distillation",
    "norms": "10_frequency_augmentation",
}


@pytest.mark.parametrize("profile", ["digits", "cifar10-cpu", "cifar10", "paper"])
def test_the_synthesis_takes_the_conditions_of_the_other_notebooks(profile):
    names = {"13_generalization", *VARIED.values()}
    given = profiles.resolve(sorted(names), profile, [])

    def value(notebook, name):
        default = profiles.inspect(notebook)[name]["default"]
        return given[notebook].get(name, default)

    differ = [n for n, own in VARIED.items() if value("13_generalization", n) != value(own, n)]
    assert differ == []
