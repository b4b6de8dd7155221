"""The README says what is: its numbers come from executed notebooks, its commands work."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lib import scoreboard
from lib.parameters import ROOT

README = (ROOT / "README.md").read_text()


def test_scoreboard_is_the_one_of_the_executed_notebooks():
    table = re.search(r"<!-- scoreboard -->\n(.*?)\n?<!-- /scoreboard -->", README, re.DOTALL)[1]
    assert table == scoreboard.markdown()
    assert table.count("\n") > 5


def test_rates_are_those_of_the_report():
    report = json.loads((ROOT / "results/bench/x86-64-cpu--2-cores.json").read_text())
    wide = next(row for row in report["models"] if row["model"] == "wrn-28-2")
    sweep, measuring, training = report["sweep of resnet8-16"], wide["measuring"], wide["training"]
    rates = [measuring["compiled"] / measuring["eager"], sweep["fp32, 2 at once"] / sweep["eager"],
             sweep["bf16, 2 at once"] / sweep["eager"], training["fast"] / training["eager"],
             training["bf16"] / training["eager"]]  # fmt: skip
    said = README.partition("against the eager fp32 loop")[2].partition("\n\n")[0]
    assert re.findall(r"\d\.\d", said) == [f"{rate:.1f}" for rate in rates]


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_notebook_and_profile_is_named():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{path.name}" in README
    for path in (ROOT / "params").iterdir():
        assert f"`{path.name}`" in README


def test_its_two_commands_are_make_targets():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.slow
def test_example_runs(store, tmp_path):
    example = re.search(r"^\.venv/bin/study (run 02 -p .*) --out output/mine$", README, re.MULTILINE)[1]
    study = Path(sys.executable).with_name("study")
    done = subprocess.run([study, *shlex.split(example), "--out", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "claims.json").is_file()
