"""How the code is laid out: small files, arrows that point downwards, nothing that runs a file."""

import ast
import graphlib
import re

import pytest

from lib.parameters import ROOT

MOST_LINES = {"lib": 4000, "study": 2700}
CODE = sorted(path for folder in MOST_LINES for path in (ROOT / folder).rglob("*.py"))
FOLDERS = ("lib", "study", "tests", "notebooks", "benchmarks", "site")
WRITTEN = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LAYERS = (
    "parameters",
    "doors plain resampling stats",
    "data",
    "models",
    "training",
    "runs",
    "measure",
    "plots",
    "study",
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms.split()}
APART = {"runs": "training"}


def module(path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): ast.parse(path.read_text()) for path in CODE}


def imported(tree) -> set[str]:
    """The modules of lib and study that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {part if part in MODULES else node.module for part in parts}
    return {name for name in names if name.split(".")[0] in MOST_LINES}


def room(name: str) -> str:
    """Of lib its file or folder; study is one room."""
    return name.removeprefix("lib.").split(".")[0]


def upwards(name: str, tree) -> list[str]:
    """The imports of a file that do not point downwards."""
    own = room(name)
    others = {other for other in imported(tree) if other != "lib" and room(other) != own}
    return [
        other
        for other in sorted(others)
        if LEVEL[room(other)] >= LEVEL[own] or APART.get(own) == room(other)
    ]


def faults(tree) -> list[str]:
    """Calls and imports through which a file that is read could run code."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None), *(alias.name for alias in node.names)]
            wrong += [name for name in names if name in ("pickle", "dill", "joblib", "cloudpickle")]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if called == "torch.load" and options.get("weights_only") != "True":
                wrong.append("torch.load")
            if called == "np.load" and options.get("allow_pickle") != "False":
                wrong.append("np.load")
            if called.endswith("read_pickle") or called == "yaml.load":
                wrong.append(called)
    return wrong


def test_files_are_small():
    lengths = {module(path): len(path.read_text().splitlines()) for path in CODE}
    assert {name: length for name, length in lengths.items() if length > 200} == {}
    for folder, most in MOST_LINES.items():
        own = [length for name, length in lengths.items() if name.split(".")[0] == folder]
        assert sum(own) <= most, folder


def test_functions_are_small():
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    functions = [
        (f"{name}.{node.name}", node.end_lineno - node.lineno + 1)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]
    assert [function for function in functions if function[1] > 40] == []


@pytest.mark.parametrize("path", WRITTEN, ids=[str(path.relative_to(ROOT)) for path in WRITTEN])
def test_lines_fit_and_the_layout_is_the_formatters(path):
    lines = path.read_text().splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 100] == []
    switch = re.compile("fmt" + r":\s*(skip|off)")
    assert [number for number, line in enumerate(lines, 1) if switch.search(line)] == []


def test_every_room_has_a_layer():
    assert {room(name) for name in MODULES if name != "lib"} == set(LEVEL)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "lib"])
def test_imports_point_downwards(name):
    assert upwards(name, MODULES[name]) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("lib.data.sources", "from lib import models"),
        ("lib.stats", "import study.claims"),
        ("lib.runs.store", "from lib.training import TrainingConfig"),
        ("lib.measure.sweep", "def f():\n    from study.claims import Claim"),
    ],
)
def test_an_import_upwards_is_seen(name, line):
    assert len(upwards(name, ast.parse(line))) == 1


def test_no_circle_of_imports():
    graph = {name: imported(tree) - {"lib"} for name, tree in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", MODULES)
def test_nothing_in_a_file_that_is_read_is_run(name):
    assert faults(MODULES[name]) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(f)",
        "np.load(f)",
        "yaml.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
    ],
)
def test_a_line_that_could_is_seen(line):
    assert len(faults(ast.parse(line))) == 1
