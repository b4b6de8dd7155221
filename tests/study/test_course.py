"""The course's page: two explained questions a notebook, plans that name exercises there are."""

import re

import pytest

from lib.parameters import ROOT
from study import checks, editions, profiles

PAGE = (ROOT / "notebooks" / "course.md").read_text()
NAMES = profiles.notebook_names()
LETTERS = {"P": "predict", "I": "implement", "V": "vary", "T": "think", "E": "extend"}


def kinds(name) -> set[str]:
    source = profiles.opened(profiles.notebook_file(name))
    found = (editions.HEADING.match(cell.source) for cell in source.cells)
    return {heading[2] for heading in found if heading}


@pytest.mark.parametrize("name", NAMES)
def test_two_questions_with_one_right_option_and_why_the_others_are_not(name):
    part = PAGE.split(f"### [{name}]({name}.ipynb)\n")[1].split("\n### ")[0]
    number = name.split("_")[0]
    asked = re.split(r"^\*\*\d\d\.[AB]\*\* ", part, flags=re.MULTILINE)[1:]
    assert re.findall(r"^\*\*(\d\d\.[AB])\*\*", part, re.MULTILINE) == [
        f"{number}.A",
        f"{number}.B",
    ]
    for question in asked:
        options = re.findall(r"^- \((\w)\) \S", question, re.MULTILINE)
        assert options == ["a", "b", "c", "d"]
        answer = re.search(
            r"<summary>Answer</summary>\n\n\*\*\((\w)\)\*\*(.*?)</details>", question, re.S
        )
        others = set(options) - {answer[1]}
        assert len(answer[2]) > 80
        assert all(f"({other})" in answer[2] for other in others)


def test_the_right_options_are_spread():
    right = re.findall(r"^\*\*\(([a-d])\)\*\*", PAGE, re.MULTILINE)
    assert len(right) == 2 * len(NAMES)
    assert all(3 <= right.count(letter) <= 12 for letter in "abcd")


def test_plans_name_exercises_that_there_are():
    plans = PAGE.split("## Plans")[1].split("## Grading")[0]
    named = re.findall(r"\b(\d\d),? ((?:[PIVTE]\b ?)+)", plans)
    assert len(named) >= 15
    for number, letters in named:
        (name,) = [name for name in NAMES if name.startswith(number)]
        assert {LETTERS[letter] for letter in letters.split()} <= kinds(name), (number, letters)
    for title in ("### 90 minutes", "### Three sessions", "### Six sessions"):
        assert title in plans


def test_its_commands_are_commands():
    commands = {command.__name__ for command in checks.COMMANDS}
    for name in re.findall(r"^\.venv/bin/study (\w+)", PAGE, re.MULTILINE):
        assert name in commands
    assert {"student", "instructor", "slides"} <= commands
