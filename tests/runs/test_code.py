"""The code that made a run or a measurement is part of which one it is: other code makes it anew,
comments do not; and what configurations say that they are made by is what they import."""

import ast
import importlib
import os
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch

from lib import measure, training
from lib.parameters import ROOT

LIB = ROOT / "lib"
KINDS = {"TrainingConfig": training.TrainingConfig, "Protocol": measure.Protocol}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def imported(tree: ast.Module) -> set[Path]:
    """The files of lib that a file imports; of a package as a whole, those of the names used."""
    nodes, files = list(ast.walk(tree)), set()
    for node in nodes:
        assert not isinstance(node, ast.Import) or all(n.name[:3] != "lib" for n in node.names)
        if not isinstance(node, ast.ImportFrom) or node.module.split(".")[0] != "lib":
            continue
        place = ROOT.joinpath(*node.module.split("."))
        for alias in node.names:
            names = [alias.name]
            if (place / alias.name).is_dir():
                used = [n for n in nodes if isinstance(n, ast.Attribute)]
                names = [n.attr for n in used if getattr(n.value, "id", "") == alias.name]
                files |= {defining(place / alias.name, name) for name in names}
            else:
                files.add(defining(place, alias.name))
    return files


def defining(place: Path, name: str) -> Path:
    """The file that defines `name` of the module or package at `place`."""
    for file in (place.with_suffix(".py"), place / f"{name}.py"):
        if file.is_file():
            return file
    for node in ast.parse((place / "__init__.py").read_text()).body:
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return defining(ROOT.joinpath(*node.module.split(".")), name)
    return place / "__init__.py"


def own_file(kind) -> Path:
    return Path(sys.modules[kind.__module__].__file__)


def reached(kind) -> set[Path]:
    """The files that a configuration's own reaches by imports, within the rooms of its `made_by`
    and its own."""
    rooms = {place.split("/")[0] for place in kind.made_by} | {own_file(kind).parent.name}
    files, waiting = set(), [own_file(kind)]
    while waiting:
        file = waiting.pop()
        if file not in files and file.relative_to(LIB).parts[0] in rooms:
            files.add(file)
            waiting += imported(ast.parse(file.read_text()))
    return files


def made_by(kind) -> set[Path]:
    """The files whose code makes a configuration's results."""
    files = {own_file(kind)}
    for place in (LIB / name for name in kind.made_by):
        files |= set(place.rglob("*.py")) if place.is_dir() else {place}
    return files


@every_kind
def test_made_by_names_what_is_imported(kind):
    files = made_by(kind)
    assert [file for file in files if not file.is_file()] == []
    lacking = {str(file.relative_to(LIB)) for file in reached(kind) - files}
    assert lacking <= {"data/photos.py", "data/sources.py"}  # arrays are known by their content


def test_an_import_that_made_by_lacks_is_seen(monkeypatch):
    monkeypatch.setattr(measure.Protocol, "made_by", ("data", "measure/forward.py"))
    lacking = {file.name for file in reached(measure.Protocol) - made_by(measure.Protocol)}
    assert {"at_images.py", "columns.py", "outputs.py", "paths.py", "spectrum.py"} <= lacking


class Copy:
    """A copy of lib that is edited, and imported as another process would."""

    def __init__(self, folder: Path):
        self.lib, self.edits = folder / "lib", 0
        shutil.copytree(LIB, self.lib, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(self, name, change) -> None:
        file, self.edits = self.lib / name, self.edits + 1
        file.write_text(change(file.read_text()))
        os.utime(file, (self.edits, self.edits))  # or what was compiled before may pass for it

    def replace(self, name, old, new) -> None:
        assert old in (self.lib / name).read_text()
        self.edit(name, lambda text: text.replace(old, new))

    def rooms(self):
        """The rooms, imported anew."""
        for name in [name for name in sys.modules if name.split(".")[0] == "lib"]:
            del sys.modules[name]
        names = ("runs", "training", "measure")
        rooms = {name: importlib.import_module(f"lib.{name}") for name in names}
        assert Path(rooms["runs"].__file__).is_relative_to(self.lib)
        return types.SimpleNamespace(**rooms)

    def codes(self):
        rooms = self.rooms()
        kinds = (rooms.training.TrainingConfig, rooms.measure.Protocol)
        return [rooms.runs.code_of(kind) for kind in kinds]

    def made(self, **fields):
        """(the run of a configuration by the code as it is now, the rooms, the configuration)"""
        quick = {"dataset": "digits", "model": "mlp-1-8", "seed": 0, "num_epochs": 1}
        quick |= {"augmentation": "none", "num_train": 256, "num_test": 200}
        rooms = self.rooms()
        config = rooms.training.TrainingConfig(**(quick | fields))
        return rooms.runs.sweep([config], "cpu")[0], rooms, config


@pytest.fixture
def copy(tmp_path, monkeypatch, store):
    before = {name: its for name, its in sys.modules.items() if name.split(".")[0] == "lib"}
    monkeypatch.setenv("STUDY_AT_ONCE", "1")
    monkeypatch.syspath_prepend(tmp_path)
    yield Copy(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "lib"]:
        del sys.modules[name]
    sys.modules.update(before)


def names(store):
    return {path.name for path in store.iterdir() if path.name[0] != "."}


def same(one, other):
    """Whether two runs hold equal weights."""
    first, second = one.weights(1), other.weights(1)
    return all(torch.equal(first[name], second[name]) for name in first)


def test_another_activation_makes_the_run_anew(copy, store, capfd):
    first, *_ = copy.made()
    assert "other code" not in capfd.readouterr().err
    copy.replace("models/families.py", "nn.ReLU", "nn.Tanh")
    second, *_ = copy.made()
    told = "study: runs: 1 of 1 runs in the store were made by other code: made anew"
    assert told in capfd.readouterr().err
    assert first.key.split("-")[0] == second.key.split("-")[0]
    assert not same(first, second)
    assert second.record["code"] == second.key.split("-")[1]
    assert names(store) == {first.key, second.key}
    copy.replace("models/families.py", "nn.Tanh", "nn.ReLU")
    third, *_ = copy.made()
    assert (third.key, third.record) == (first.key, first.record)


def added(text: str) -> str:
    return f"{text}\nADDED = 1\n"


def reworded(text: str) -> str:
    """The same code, laid out anew without comments, with other docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        defines = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if defines and ast.get_docstring(node) is not None:
            node.body[0].value.value = "Another word."
    return f"# A comment.\n{ast.unparse(tree)}\n"


def test_comments_docstrings_and_layout_change_nothing(copy, store):
    codes = copy.codes()
    first, *_ = copy.made()
    for file in copy.lib.rglob("*.py"):
        before = file.read_text()
        copy.edit(file, reworded)
        assert len(before.splitlines()) < 3 or file.read_text() != before
    assert copy.codes() == codes
    assert copy.made()[0].record == first.record
    assert names(store) == {first.key}


MAKES = {
    "data/datasets.py": [True, True],
    "data/augmentation.py": [True, False],
    "data/photos.py data/sources.py": [False, False],
    "training/another.py": [True, False],
    "models/residual.py": [True, False],
    "measure/network.py measure/columns.py resampling.py": [False, True],
    "measure/tables.py models/pretrained.py measure/waves.py": [False, False],
    "stats.py runs/store.py plots.py": [False, False],
}


def test_a_line_in_a_file_that_makes_a_result_changes_its_code_alone(copy):
    """A run's, a measurement's; also in a new file of a folder."""
    (copy.lib / "training/another.py").touch()
    before = copy.codes()
    for files, makes in MAKES.items():
        for file in files.split():
            copy.edit(file, added)
        after = copy.codes()
        assert [one != other for one, other in zip(before, after, strict=True)] == makes, files
        before = after


@pytest.fixture
def older(copy):
    """Three runs of one configuration by three codes, the second one written last, and a fourth
    code that has made none."""
    runs, activation = [], "ReLU"
    for number, other in enumerate(("Tanh", "GELU", "SiLU", "ELU")):
        copy.replace("models/families.py", f"nn.{activation}", f"nn.{other}")
        activation = other
        if number < 3:
            runs.append(copy.made()[0])
    for run, written in zip(runs, (100, 300, 200), strict=True):
        os.utime(run.path / "config.json", (written, written))
    return runs


def test_older_code_is_kept_when_asked_for(copy, store, older, monkeypatch, capfd):
    """The run written last, whatever was added to which one since; counted; nothing is made."""
    (older[0].path / "added").mkdir()
    monkeypatch.setenv("STUDY_OLDER_CODE", "keep")
    run, rooms, _ = copy.made()
    assert run.key == older[1].key
    assert rooms.runs.older_used == {run.key}
    assert names(store) == {one.key for one in older}
    assert "made anew" not in capfd.readouterr().err
    monkeypatch.setenv("STUDY_OLDER_CODE", "anew")
    own, rooms, _ = copy.made()
    assert own.key not in {one.key for one in older}
    assert rooms.runs.older_used == set()
    monkeypatch.setenv("STUDY_OLDER_CODE", "keep")
    again, rooms, _ = copy.made()  # with one of the code of now, that one
    assert again.key == own.key
    assert rooms.runs.older_used == set()


def test_a_damaged_older_one_is_passed_over(copy, older, monkeypatch):
    (older[1].path / "history.npz").write_bytes(b"")
    monkeypatch.setenv("STUDY_OLDER_CODE", "keep")
    assert copy.made()[0].key == older[2].key


def test_what_is_made_now_is_taught_by_what_the_code_of_now_makes(copy, older, monkeypatch):
    """Else the student's name would say a code that its teacher's weights are not of."""
    monkeypatch.setenv("STUDY_OLDER_CODE", "keep")
    _, rooms, teacher = copy.made()
    student, rooms, _ = copy.made(teacher=teacher, true_label_weight=0.5)
    taught_by = rooms.runs.find(teacher)
    assert taught_by.key.split("-")[1] == student.key.split("-")[1]
    assert rooms.runs.older_used == set()


def test_measurements_go_with_the_code_that_measures(copy, monkeypatch):
    def measured():
        run, rooms, config = copy.made()
        protocol = rooms.measure.Protocol(num_pairs=10, spacing=0.1, cutoff=0.5)
        assert len(rooms.measure.measured(run, 1, protocol, config, "cpu").paths) == 20
        folders = {path.name for path in run.path.glob("measure-*")}
        return run.key, folders, rooms.runs.older_used

    key, first, older_used = measured()
    assert older_used == set()
    copy.edit("measure/spectrum.py", added)
    monkeypatch.setenv("STUDY_OLDER_CODE", "keep")
    assert measured() == (key, first, first)
    monkeypatch.setenv("STUDY_OLDER_CODE", "")
    same_key, both, older_used = measured()
    assert (same_key, older_used) == (key, set())
    assert len(first) == 1
    assert first < both
    assert len(both) == 2
