"""YAML without its traps."""

import math

import pytest
import yaml

from lib.parameters import ROOT, StudyError
from lib.plain import from_yaml

VALUES = {
    "1": 1,
    "-7": -7,
    "+7": 7,
    "0": 0,
    "1.5": 1.5,
    "1.": 1.0,
    ".5": 0.5,
    "1e2": 100.0,
    "1E-3": 0.001,
    "-2.5e+3": -2500.0,
    "5e-4": 0.0005,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "true": True,
    "False": False,
    "~": None,
    "null": None,
    "": None,
    "[1, 2.0, a]": [1, 2.0, "a"],
    "{a: 1, b: [x]}": {"a": 1, "b": ["x"]},
    "'1'": "1",
    "mlp-1-16": "mlp-1-16",
    "digits+merged:1-2:0": "digits+merged:1-2:0",
}
TEXTS = """
0x1F 0o17 010 00 0b1 1_000 12:30:45 1:30.5 190:20 2020-01-01 2020-01-01T10:00:00Z yes No on OFF y n
= << e5 .e5 1e 1e+ 1.2.3 - + . +.nan
"""


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_values(text, value):
    read = from_yaml("x", text)
    assert read == value
    assert type(read) is type(value)


def test_not_a_number():
    assert math.isnan(from_yaml("x", ".nan"))


@pytest.mark.parametrize("text", [text for text in TEXTS.split() if text != "-"])
def test_what_only_looks_like_a_number_is_text(text):
    assert from_yaml("x", text) == text


REFUSED = {
    "[": "while parsing",
    "&a 1": "tags, anchors",
    "*a": "tags, anchors",
    "!!int 3": "tags, anchors",
    "! x": "tags, anchors",
    "a: !!python/name:os.system": "tags, anchors",
    "{a: 1, b: 2, a: 3}": "'a' twice",
    "[{b: {c: 1, c: 1}}]": "'c' twice",
    "a: 1\n---\nb: 2": "document",
    "9" * 5000: "limit",
    "[" * 2000: "recursion",
    "x" * 100_001: "over 100000 characters",
    "\x00": "special characters",
    '"\\UFFFFFFFF"': "too large",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_refused_is_one_line(text, reason):
    with pytest.raises(StudyError, match=r"^lr: not valid YAML: ") as caught:
        from_yaml("lr", text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("file", sorted((ROOT / "params").glob("*/*.yaml")), ids=str)
def test_the_studys_own_profiles_mean_what_they_meant(file):
    assert from_yaml(file.name, file.read_text()) == yaml.safe_load(file.read_text())
