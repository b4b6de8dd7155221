"""Anything as a profile's file or as -p: a study, or one line that says why not."""

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.parameters import StudyError, check, refusal
from study import profiles, world

NOTEBOOKS = ["02_noise_fitting", "03_training_time", "09_image_frequency", "12_imagenet"]
NAMES = sorted({name for notebook in NOTEBOOKS for name in profiles.inspect(notebook)})
WORDS = r"""
12:30:45 0x1F 0o17 0b1 010 1_000 1e2 1E+400 -1e-400 .inf -.inf .nan +1 -0 1. .5 1..2 ~ null yes no
on off true 2020-01-01 2020-01-01T10:00:00Z << = ? - : :: &a *a &a,*a !!int !!python/name:os.system
!!binary !!set !!omap !!timestamp !!float [ ] { } [[] [{}] {} [1] [0,1] [0.5,1.0] ['a'] "" '' " ' |
> % @ ` # \ --- ... %YAML extends base mine ../x / params/digits none auto cpu digits npz: npz:x
digits+merged:1-2:0 folder: folder:. os:getcwd x.py:y mlp-1-16 mlp-0-1 mlp-9999-9999 vit-9999-9999
cnn-8 wrn-3-1 timm:x flip_crop flip_crop+cutout mixup:1 mixup:1e2 randaugment:2.5 crop:3 + ++
frequency:1:1 frequency:.nan:1 1e-7 "\uD800" "\UFFFFFFFF" "\x00"
"""
LONG = [
    "9" * 400,
    "9" * 5000,
    "x" * 5000,
    "/" * 300,
    "a/" * 3000,
    "[" * 400,
    "- " * 400,
    "a: " * 50,
]
LINES = [
    "<<: {lr: 0.1}",
    "<<: [{lr: 0.1}, 2]",
    "a: &a {a: *a}",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nlr: [*c, *c, *c]",
    "? [1]\n: 2",
    "lr: !!python/object/apply:os.getcwd []",
    "lr: 0.1\nlr: 0.2",
    "{a: " * 300,
]
SPACES = [
    "\n",
    "  ",
    "\t",
    "\r",
    "\x00",
    "\x7f",
    "\ufeff",
    "\ud800",
    "\U0001f600",
    "\x85",
    "\u2028",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.dates()
    | st.binary(max_size=9)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def any_of(*strategies):
    """One of these, as often as it is named."""
    return st.sampled_from(strategies).flatmap(lambda one: one)


DUMPED = st.builds(yaml.safe_dump, VALUES, default_flow_style=st.booleans())
WORD = st.sampled_from(WORDS.split()) | st.integers(0, 200).map(str)
ODD = st.sampled_from([*LONG, *SPACES]) | st.text(max_size=8) | DUMPED
LIST = st.lists(WORD, max_size=3).map(", ".join).map("[{}]".format)
MIXED = st.lists(WORD | ODD, max_size=5)
TEXT = any_of(WORD, WORD, WORD, LIST, LIST, ODD, MIXED.map("".join), MIXED.map(" ".join))
LINE = st.builds("{}: {}".format, st.sampled_from([*NAMES, "extends"]) | st.text(max_size=5), TEXT)
GOOD = st.builds("{}: {}".format, st.sampled_from(NAMES), WORD | LIST)
FILE = st.builds(
    lambda lines, encoding: "\n".join(lines).encode(encoding, "replace"),
    st.lists(GOOD, max_size=2)
    | st.lists(any_of(GOOD, LINE, st.sampled_from(LINES), TEXT), max_size=4),
    st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"]),
)
BYTES = any_of(FILE, FILE, FILE, st.binary(max_size=60))
NAMED = st.builds("{}={}".format, st.sampled_from(NAMES), TEXT)
OPTION = any_of(NAMED, NAMED, NAMED, NAMED, TEXT)
FIXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
thousand = settings(
    max_examples=1000, deadline=None, derandomize=True, database=None, suppress_health_check=FIXED
)


def starts(profile, *options):
    """Whether a study starts; if not, the reason is one short line."""
    try:
        values = profiles.resolve(NOTEBOOKS, profile, options)
        for notebook in NOTEBOOKS if options else ():
            world.check_world(notebook, values[notebook])
    except StudyError as error:
        reason = str(error)
    else:
        json.dumps(values, allow_nan=False)
        return True
    assert "\n" not in reason
    assert len(reason) < 2000
    return False


ABSURD = {
    "num_epochs: int": [10**22, 10**400, 10**7 + 1],
    "num_pairs: int": [10**8],
    "width: int": [10**5],
    "max_images: int": [10**10],
    "seeds: list[int]": [[10**10], [0, 10**400]],
    "spacing: float": [1e-13, 1e13, 10**400, 5e-324],
    "cutoff: float": [1e-300],
    "free: float": [10**400, -(10**400)],
    "lr: float": [10**309],
    "title: str": ["a\x00", "a\nb", "\ud800", "\x7f"],
    "models: list[str]": [["mlp-1-16", "\x1b[2J"]],
}
TRIED = [(*name.split(": "), value) for name, values in ABSURD.items() for value in values]


@pytest.mark.parametrize(("name", "annotation", "value"), TRIED, ids=range(len(TRIED)))
def test_absurd_values_are_refused_in_one_short_line(name, annotation, value):
    with pytest.raises(StudyError, match=f"^{name}: got .*; accepted: ") as caught:
        check(name, value, annotation)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_refusal_of_endless_values_is_short():
    endless = []
    endless += [endless, [[[[[["deep"]]]]]], "x" * 10**6, 10**999, *range(1000)]
    assert len(str(refusal("x", endless, "less"))) < 2000


@pytest.fixture
def seen(monkeypatch, tmp_path, store):
    """Whether each input was accepted; afterwards both have to have been."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "common.yaml").write_text("num_epochs: 3")
    monkeypatch.setattr(profiles, "PARAMS", tmp_path)
    accepted = []
    yield accepted
    assert len(accepted) >= 1000
    assert set(accepted) == {True, False}


@thousand
@given(content=BYTES)
def test_any_file_is_a_profile_or_one_line(seen, tmp_path, content):
    (tmp_path / "mine" / "common.yaml").write_bytes(content)
    seen.append(starts("mine"))


@thousand
@given(option=OPTION)
def test_any_option_is_a_parameter_or_one_line(seen, option):
    seen.append(starts("base", option))
