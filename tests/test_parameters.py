import math

import pytest
import yaml

from lib import parameters
from lib.parameters import StudyError, check

GOOD = [
    ("num_epochs", 1, "int"), ("num_epochs", 10**6, "int"), ("lr", 0.1, "float"), ("lr", 1, "float"),
    ("title", "text", "str"), ("title", "", "str"), ("flag", True, "bool"), ("flag", False, "bool"),
    ("seeds", [0, 1], "list[int]"), ("seeds", (0, 1), "tuple[int, ...]"), ("frequencies", [0.1, 1], "list[float]"),
    ("models", ["mlp-1-16"], "list[str]"), ("num_train", None, "int | None"), ("num_train", 5, "int | None"),
    ("seeds", None, "list[int] | None"), ("free", -1e300, "float"), ("device", "cpu", "str"),
    ("device", "auto", "str"), ("detrend", "hann", "str"), ("wave_on", "clean", "str"),
    # ends of intervals
    ("amplitude", 0, "float"), ("amplitude", 0.5, "float"), ("momentum", 0.0, "float"), ("momentum", 0.999, "float"),
    ("frequency", 0.0, "float"), ("seed", 0, "int"), ("weight_decay", 0.0, "float"), ("cutoff", 1e-12, "float"),
    ("num_points", 8, "int"), ("epoch_grid", [0, 1], "list[int]"),
]  # fmt: skip

BAD = [
    ("num_epochs", 1.0, "int"), ("num_epochs", "3", "int"), ("num_epochs", None, "int"), ("num_epochs", True, "int"),
    ("num_epochs", [3], "int"), ("lr", "0.1", "float"), ("lr", True, "float"), ("lr", None, "float"),
    ("lr", math.nan, "float"), ("lr", math.inf, "float"), ("free", math.nan, "float"), ("free", -math.inf, "float"),
    ("title", 3, "str"), ("title", None, "str"), ("flag", 1, "bool"), ("flag", 0, "bool"), ("flag", "yes", "bool"),
    ("seeds", [], "list[int]"), ("seeds", 3, "list[int]"), ("seeds", "01", "list[int]"), ("seeds", {0}, "list[int]"),
    ("seeds", [0, 1.5], "list[int]"), ("seeds", [0, -1], "list[int]"), ("seeds", [False], "list[int]"),
    ("seeds", [0, None], "list[int]"), ("frequencies", [0.1, 0.0], "list[float]"),
    ("frequencies", [0.1, math.nan], "list[float]"), ("seeds", [], "list[int] | None"),
    ("num_train", 0, "int | None"), ("num_train", "all", "int | None"), ("device", "gpu", "str"),
    ("detrend", "none", "str"), ("wave_on", "", "str"), ("anything", 1, "complex"), ("anything", {}, "dict[str, int]"),
    # ends of intervals
    ("amplitude", 0.5001, "float"), ("amplitude", -1e-9, "float"), ("momentum", 1.0, "float"),
    ("frequency", -0.1, "float"), ("lr", 0.0, "float"), ("grad_clip", 0.0, "float"), ("cutoff", 0.0, "float"),
    ("spacing", 0, "float"), ("num_epochs", 0, "int"), ("batch_size", 0, "int"), ("seed", -1, "int"),
    ("num_points", 7, "int"), ("weight_decay", -5e-4, "float"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "annotation"), GOOD)
def test_accepted(name, value, annotation):
    found = check(name, value, annotation)
    assert found == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(("name", "value", "annotation"), BAD)
def test_refused_in_one_line_that_names_the_parameter(name, value, annotation):
    with pytest.raises(StudyError) as caught:
        check(name, value, annotation)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert annotation in ("complex", "dict[str, int]") or "accepted: " in message


@pytest.mark.parametrize(
    ("name", "value", "annotation", "parts"),
    [
        ("lr", -1, "float", ["-1", "(0, inf)"]),
        ("amplitude", 0.7, "float", ["0.7", "[0, 0.5]"]),
        ("device", "tpu", "str", ["'tpu'", "auto, cpu, cuda"]),
        ("seeds", [], "list[int]", ["[]", "at least one int"]),
        ("num_epochs", "ten", "int", ["'ten'", "int"]),
    ],
)
def test_message_says_what_came_and_what_is_accepted(name, value, annotation, parts):
    with pytest.raises(StudyError) as caught:
        check(name, value, annotation)
    assert all(part in str(caught.value) for part in parts)


@pytest.mark.parametrize("text", ["1e-3", "5e-4", "-2E6", "1e5", "+1e+2", "1.5e5", "2.e3"])
def test_number_that_yaml_reads_as_text_is_explained(text):
    assert yaml.safe_load(text) == text
    with pytest.raises(StudyError, match="YAML reads") as caught:
        check("weight_decay", text, "float")
    hint = str(caught.value).rpartition("write ")[2].rstrip(")")
    assert yaml.safe_load(hint) == float(text)  # what it tells to write is a number to YAML, and the one meant


def test_other_text_gets_no_hint_about_yaml():
    with pytest.raises(StudyError) as caught:
        check("lr", "fast", "float")
    assert "YAML" not in str(caught.value)


def test_typed_names_of_a_notebook():
    notebook = {}
    exec("num_epochs: int = 3\nseeds: list[int] = [0]\nnum_train: int | None = None\nother = 'x'", notebook)
    assert parameters.check_typed(notebook) == {"num_epochs": 3, "seeds": [0], "num_train": None}
    notebook["seeds"] = [0, "1"]
    with pytest.raises(StudyError, match=r"^seeds: "):
        parameters.check_typed(notebook)


def test_notebook_without_typed_names():
    assert parameters.check_typed({}) == {}


def test_study_error_is_a_value_error():
    assert issubclass(StudyError, ValueError)


def test_folder_is_the_environments_or_the_projects(monkeypatch, tmp_path):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "here"))
    assert parameters.folder("STUDY_DATA", "data") == tmp_path.resolve() / "here"
    for absent in (lambda: monkeypatch.delenv("STUDY_DATA"), lambda: monkeypatch.setenv("STUDY_DATA", "")):
        absent()
        assert parameters.folder("STUDY_DATA", "data") == parameters.ROOT / "data"


def test_folder_does_not_move_with_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("STUDY_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert parameters.folder("STUDY_STORE", "output/store") == parameters.ROOT / "output" / "store"
