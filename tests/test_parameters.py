"""What a parameter may be, and what makes two configurations one run."""

import contextlib
import dataclasses
import math
import os
import re
from typing import ClassVar

import pytest
import yaml

from lib import parameters
from lib.measure import Protocol
from lib.parameters import Config, StudyError, check
from lib.plain import from_yaml
from lib.training import TrainingConfig
from notebooks.primer import OneDimensionalConfig

GOOD = {
    "num_epochs: int": [1, 10**6],
    "lr: float": [0.1, 1],
    "title: str": ["text", ""],
    "flag: bool": [True, False],
    "seeds: list[int]": [[0, 1], (0, 1)],
    "seeds: tuple[int, ...]": [(0, 1)],
    "frequencies: list[float]": [[0.1, 1]],
    "models: list[str]": [["mlp-1-16"]],
    "num_train: int | None": [None, 5],
    "seeds: list[int] | None": [None, [0]],
    "free: float": [-1e300, 0],
    "device: str": ["cpu", "auto"],
    "detrend: str": ["hann"],
    "wave_on: str": ["clean"],
    # ends of intervals
    "amplitude: float": [0, 0.5],
    "momentum: float": [0.0, 0.999],
    "frequency: float": [0.0],
    "seed: int": [0],
    "cutoff: float": [1e-12],
    "num_points: int": [8],
    "shares: list[float]": [[1e-9, 1]],
}
BAD = {
    "num_epochs: int": [1.0, "3", None, True, [3], 0],
    "lr: float": ["0.1", True, None, math.nan, math.inf, 0.0],
    "free: float": [math.nan, -math.inf],
    "title: str": [3, None],
    "flag: bool": [1, 0, "yes"],
    "seeds: list[int]": [[], 3, "01", {0}, [0, 1.5], [0, -1], [False], [0, None]],
    "frequencies: list[float]": [[0.1, 0.0], [0.1, math.nan]],
    "seeds: list[int] | None": [[]],
    "num_train: int | None": [0, "all"],
    "device: str": ["gpu"],
    "detrend: str": ["none"],
    "wave_on: str": [""],
    # ends of intervals
    "amplitude: float": [0.5001, -1e-9],
    "momentum: float": [1.0],
    "frequency: float": [-0.1],
    "cutoff: float": [0.0],
    "spacing: float": [0],
    "seed: int": [-1],
    "num_points: int": [7],
    "weight_decay: float": [-5e-4],
    "shares: list[float]": [[0], [1.01]],
}


def each(table):
    return [
        (*declared.split(": "), value) for declared, values in table.items() for value in values
    ]


@pytest.mark.parametrize(("name", "annotation", "value"), each(GOOD))
def test_accepted(name, annotation, value):
    checked = check(name, value, annotation)
    assert checked == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(("name", "annotation", "value"), each(BAD))
def test_refused_in_one_line_that_names_the_parameter(name, annotation, value):
    with pytest.raises(StudyError, match=f"^{name}: got .*; accepted: ") as caught:
        check(name, value, annotation)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("annotation", ["complex", "dict[str, int]", "list[list[int]]", "object"])
def test_unknown_kind_of_value_is_refused(annotation):
    with pytest.raises(StudyError, match=r"^anything: type .* is not one of int, float, str, bool"):
        check("anything", 1, annotation)


@pytest.mark.parametrize(
    ("name", "value", "annotation", "message"),
    [
        ("lr", -1, "float", "lr: got -1; accepted: float in (0, inf)"),
        ("amplitude", 0.7, "float", "amplitude: got 0.7; accepted: float in [0, 0.5]"),
        ("device", "tpu", "str", "device: got 'tpu'; accepted: auto, cpu, cuda"),
        ("seeds", [], "list[int]", "seeds: got []; accepted: a list of at least one int"),
        ("num_epochs", "ten", "int", "num_epochs: got 'ten'; accepted: int"),
    ],
)
def test_message_says_what_came_and_what_is_accepted(name, value, annotation, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(name, value, annotation)


@pytest.mark.parametrize("text", ["1e-3", "5e-4", "-2E6", "1e5", "+1e+2", "1.5e5", "2.e3"])
def test_number_that_yaml_1_1_reads_as_text_is_one(text):
    assert yaml.safe_load(text) == text
    assert check("effect", from_yaml("-p effect", text), "float") == float(text)


@pytest.mark.parametrize("text", ["fast", "e5", "1e", "", "1e-3"])
def test_text_is_never_taken_for_a_number(text):
    with pytest.raises(StudyError) as caught:
        check("lr", text, "float")
    assert str(caught.value) == f"lr: got {text!r}; accepted: float"


def test_typed_names_of_a_notebook():
    notebook = {}
    exec("num_epochs: int = 3\nseeds: list[int] = [0]\nnum_train: int | None = None", notebook)
    notebook["other"] = "x"
    expected = {"num_epochs": 3, "seeds": [0], "num_train": None}
    assert parameters.check_typed(notebook) == expected
    notebook["seeds"] = [0, "1"]
    with pytest.raises(StudyError, match=r"^seeds: "):
        parameters.check_typed(notebook)
    assert parameters.check_typed({}) == {}


def test_hash_is_canonical():
    first, second = {"b": 1, "a": [1.5, None]}, {"a": [1.5, None], "b": 1}
    assert parameters.hash_of(first) == parameters.hash_of(second)
    assert parameters.hash_of(first) != parameters.hash_of({"b": 1, "a": [None, 1.5]})
    assert parameters.hash_of({}) == "44136fa355b3678a"  # sha256sum of {}
    with pytest.raises(ValueError, match="JSON"):
        parameters.hash_of(float("nan"))


CLASSIFIER = {"dataset": "digits", "model": "mlp-1-16", "seed": 0}
ON_A_LINE = {"network": "relu", "frequencies": (1, 2), "seed": 0}
MEASUREMENT = {"num_pairs": 45, "spacing": 0.5, "cutoff": 0.02}


@pytest.mark.parametrize(
    ("kind", "fields", "integers"),
    [
        (TrainingConfig, CLASSIFIER, {"lr": 1, "grad_clip": 5, "weight_decay": 0, "momentum": 0}),
        (OneDimensionalConfig, ON_A_LINE, {"lr": 1, "sigma": 4, "second_noise": 3}),
        (Protocol, MEASUREMENT, {"spacing": 1}),
    ],
)
def test_1_and_1_0_are_one_run(kind, fields, integers):
    whole = kind(**fields | integers)
    written = kind(**fields | {name: float(value) for name, value in integers.items()})
    assert whole == written
    assert whole.key() == written.key()
    assert whole.described() == written.described()
    assert {type(getattr(whole, name)) for name in integers} == {float}
    assert whole.key() != kind(**fields).key()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep(Config):
    kind: ClassVar[str] = "sweep"

    seeds: tuple[int, ...]
    title: str = ""
    lr: float | None = None


def test_a_list_and_a_tuple_are_one_run():
    one, other = Sweep(seeds=[0, 1], lr=1), Sweep(seeds=(0, 1), lr=1.0)
    assert one == other
    assert one.key() == other.key()
    assert hash(one) == hash(other)
    assert one.described() == {"seeds": "0 1", "title": "", "lr": 1.0}


def test_key_ignores_defaults_and_goes_with_kind_and_version(monkeypatch):
    usual = Sweep(seeds=[0])
    assert usual.identity() == {"seeds": (0,)}
    assert usual.key() == Sweep(seeds=[0], title="", lr=None).key()
    keys = {usual.key(), Sweep(seeds=[1]).key(), Sweep(seeds=[0], lr=1).key()}
    for name, value in (("kind", "other"), ("version", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(Sweep, name, value)
            keys.add(usual.key())
    assert len(keys) == 5


def test_fields_are_checked_when_a_configuration_is_made_and_stay():
    with pytest.raises(StudyError, match=r"^seeds: got \[\]; accepted: a list of at least one int"):
        Sweep(seeds=[])
    with pytest.raises(StudyError, match=r"^lr: got '1'; accepted: float"):
        Sweep(seeds=[0], lr="1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sweep(seeds=[0]).lr = 2.0

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Odd(Config):
        kind: ClassVar[str] = "odd"
        table: dict

    with pytest.raises(StudyError, match=r"^table: type 'dict' is not one of"):
        Odd(table={})


def test_fields_among_a_notebooks_parameters():
    notebook = {"seeds": [0], "title": "a", "device": "cpu"}
    assert Sweep.fields_in(notebook) == {"seeds": [0], "title": "a"}
    assert Sweep.fields_in(notebook, but=("seeds",)) == {"title": "a"}
    assert Sweep.defaults() == {"title": "", "lr": None}


def test_environment_is_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("STUDY_A", "before")
    monkeypatch.delenv("STUDY_B", raising=False)
    changed = parameters.environment(STUDY_A=1, STUDY_B="b", STUDY_C=None)
    with contextlib.suppress(KeyError), changed:
        assert (os.environ["STUDY_A"], os.environ["STUDY_B"]) == ("1", "b")
        assert "STUDY_C" not in os.environ
        raise KeyError
    assert os.environ["STUDY_A"] == "before"
    assert "STUDY_B" not in os.environ


@pytest.mark.parametrize("absent", [None, ""])
def test_folder_is_the_environments_or_the_projects(monkeypatch, tmp_path, absent):
    monkeypatch.chdir(tmp_path)  # which does not matter
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "here"))
    assert parameters.folder("STUDY_DATA", "data") == tmp_path.resolve() / "here"
    monkeypatch.delenv("STUDY_DATA")
    with parameters.environment(STUDY_DATA=absent):
        assert parameters.folder("STUDY_DATA", "data") == parameters.ROOT / "data"
