"""What stands atop each notebook, and the glossary that it leads to."""

import re

import jupytext
import pytest

from lib.parameters import ROOT

FOLDER = ROOT / "notebooks"
GLOSSARY = (FOLDER / "glossary.md").read_text()
TERMS = re.findall(r"^## (.+)$", GLOSSARY, re.MULTILINE)
ANCHORS = {re.sub(r"[^\w-]", "", term.lower().replace(" ", "-")) for term in TERMS}
TEXTS = sorted(FOLDER.glob("[0-9]*.py"))
PARTS = ("You will be able to", "You need", "Takes", "Level", "Words")
LEVELS = ("first steps", "core", "further", "advanced")


@pytest.mark.parametrize("path", TEXTS, ids=[path.stem for path in TEXTS])
def test_a_box_says_what_a_notebook_is_for(path):
    text = jupytext.read(path).cells[0].source
    title, *box = [line for line in text.splitlines() if line]
    assert title.startswith("# ")
    assert [line for line in box if not line.startswith(">")] == []
    box = " ".join(line.lstrip("> ") for line in box)
    assert [part for part in PARTS if f"**{part}**" not in box] == []
    assert re.search(r"(about \d+ minutes?|half a minute) with digits on two cores", box)
    assert re.search(r"\*\*Level\*\*: ([a-z ]+)\.", box)[1] in LEVELS
    links = re.findall(r"\]\(([^)]+)\)", box)
    assert [link for link in links if not (FOLDER / link.partition("#")[0]).exists()] == []
    terms = {link.partition("#")[2] for link in links if link.startswith("glossary.md#")}
    assert len(terms) >= 3
    assert terms - ANCHORS == set()


def test_the_glossary_is_in_order_and_closed():
    assert sorted(TERMS, key=str.lower) == TERMS
    linked = re.findall(r"\]\(#([^)]+)\)", GLOSSARY)
    assert linked
    assert set(linked) - ANCHORS == set()

    assert {"nu", "leakage", "nyquist", "band-limited", "prolate-sequences"} <= ANCHORS
    assert {"confidence-interval", "false-discovery-rate", "hff", "label-wave", "ntk"} <= ANCHORS
    assert {"noise-fitting", "gain", "matched-paths", "floor", "null-band"} <= ANCHORS
