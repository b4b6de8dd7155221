"""The README says what is: its table comes from executed notebooks, its commands work."""

import json
import re
import shlex
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from torch import nn

from lib.parameters import ROOT
from study import pages, profiles, results

README = (ROOT / "README.md").read_text()


def test_what_shows_claims_is_renewed():
    """README.md's table of findings and the pages of results/: else `study claims --write`."""
    texts = pages.pages()
    assert len(texts) == 2 + len(results.SHIPPED)
    assert [str(file) for file, text in texts.items() if file.read_text() != text] == []


def test_rates_are_those_of_the_report():
    folder = ROOT / "results" / "bench"
    page, (report,) = (folder / "README.md").read_text(), list(folder.glob("*.json"))
    for row in json.loads(report.read_text())["models"]:
        for lap in (*row["measuring"], row["measuring with other work"]):
            rates = [f"{lap[way]:.0f}" for way in ("contiguous", "channels_last", "ours")]
            assert f"| {row['model']} | {lap['points']:,} |" in page
            assert f"| {' | '.join(rates)} |" in page
        rates = [f"{row['training'][way]:.0f}" for way in ("eager", "fp32", "bf16")]
        assert f"| {row['model']} | {' | '.join(rates)} |" in page


def test_its_figure_is_the_notebooks():
    (figure,) = re.findall(r"!\[[^]]+\]\((results/cifar10-cpu/\S+\.png)\)", README)
    for profile in results.SHIPPED:
        executed = nbformat.read(results.place_of(profile) / "03_training_time.ipynb", 4)
        drawn = ROOT / "results" / profile / Path(figure).name
        assert drawn.read_bytes() in results.images_in(executed)


PAGES = ["README.md", "params/README.md", "results/README.md", "results/bench/README.md"]
PAGES += [f"notebooks/{name}.md" for name in ("README", "course", "glossary")]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text())
    links = [link.partition("#")[0] for link in links if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_every_notebook_and_profile_is_named():
    order, table = ((ROOT / folder / "README.md").read_text() for folder in ("notebooks", "params"))
    assert [name for name in profiles.notebook_names() if f"({name}.ipynb)" not in order] == []
    assert [name for name in profiles.profile_names() if f"| `{name}`" not in table] == []


def test_readme_is_short():
    assert len(README.encode()) <= 6000


def test_its_commands_are_make_targets():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


@pytest.mark.slow
def test_example_runs_and_leaves_notebook_claims_runs_and_figures(study, store, tmp_path):
    pattern = r"^\.venv/bin/study (run 02 -p .*) --out output/mine$"
    example = re.search(pattern, README, re.MULTILINE)[1]
    status, out, err = study(*shlex.split(example), "--out", tmp_path)
    assert status == 0, err
    executed = nbformat.read(tmp_path / "02_noise_fitting.ipynb", 4)
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in executed.cells)
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert {claim["finding"] for claim in claims} == {"F1"}
    assert [claim["statement"] in out for claim in claims if claim["name"]] == [True]
    table = pd.read_parquet(tmp_path / "runs.parquet")
    assert set(table["seed"]) == {0, 1}
    assert set(table["wave"]) == {"uniform", "radial"}
    assert sorted(table["key"]) == sorted(path.name for path in store.glob("[!.]*"))
    figures = sorted((tmp_path / "figures").iterdir())
    assert figures
    assert all(figure.read_bytes().startswith(b"\x89PNG") for figure in figures)


def test_the_three_lines(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(block.strip().splitlines()) == 3
    exec(block, {"network": nn.Sequential(nn.Flatten(), nn.Linear(64, 10))})
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert all(word in out for word in ("estimate", "low", "high", "hff", "power_softmax_1"))
