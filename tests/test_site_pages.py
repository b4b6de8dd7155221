"""What the site's pages are written from, without Sphinx and a browser (those: test_site.py)."""

import importlib
import os
import subprocess
import sys

import pytest

from lib.parameters import ROOT, StudyError
from study import profiles, results
from study.copies import executed_in

NAME = "02_noise_fitting"


@pytest.fixture
def site(monkeypatch):
    """A module of site/ by name."""
    monkeypatch.syspath_prepend(str(ROOT / "site"))
    return importlib.import_module


@pytest.fixture
def links(site, tmp_path, monkeypatch):
    """Links of a site that knows no repository and has pages of one notebook."""
    monkeypatch.setattr(site("links"), "repository", lambda: "")
    page = f"digits/{NAME}.ipynb"
    pages = {
        "params/README.md": "profiles.md",
        f"digits/{NAME}": page,
        f"notebooks/{NAME}.ipynb": page,
    }
    return site("links").Links(pages, tmp_path / "source", tmp_path / "extra")


@pytest.fixture(scope="module")
def shipped():
    return {file.stem: copy for file, copy in executed_in(ROOT / "notebooks")}


def test_every_figure_has_words_of_its_own(site, shipped):
    """site/alt.yaml has a text for each figure, by cell, and no other."""
    figures = {
        (name, cell.id): sum("image/png" in one.get("data", {}) for one in cell.outputs)
        for name, copy in shipped.items()
        for cell in copy.cells
        if cell.cell_type == "code"
    }
    alt = site("executed").ALT
    texts = {(name, cell): text for name, its in alt.items() for cell, text in its.items()}
    given = {key: len(text) if isinstance(text, list) else 1 for key, text in texts.items()}
    assert given == {key: count for key, count in figures.items() if count}
    each = [one for text in texts.values() for one in (text if isinstance(text, list) else [text])]
    assert min(map(len, each)) > 25


def test_links_lead_to_pages_files_and_the_repository(links, tmp_path):
    text = "[a](../params/README.md#here) [b](03_training_time.ipynb) [c](primer.py)"
    text += " [d](https://e.org)"
    text = links.relinked(text, "notebooks", f"digits/{NAME}", "digits")
    assert "[a](../profiles.md#here)" in text
    assert '<a href="../files/notebooks/03_training_time.ipynb">b</a>' in text
    assert '<a href="../files/notebooks/primer.py">c</a>' in text
    assert "[d](https://e.org)" in text
    copied = tmp_path / "extra" / "files" / "notebooks" / "primer.py"
    assert copied.read_bytes() == (ROOT / "notebooks" / "primer.py").read_bytes()
    links.repository = "someone/study"
    text = links.relinked("[c](primer.py)", "notebooks", f"digits/{NAME}", "digits")
    assert text == '<a href="https://github.com/someone/study/blob/main/notebooks/primer.py">c</a>'
    with pytest.raises(StudyError, match=r"links to notebooks/nothing\.py, which there is not"):
        links.relinked("[c](nothing.py)", "notebooks", "student")


@pytest.mark.parametrize(
    ("remote", "expected"),
    [("git@github.com:a/b.git", "a/b"), ("https://github.com/a/b", "a/b"), ("/srv/b.git", "")],
)
def test_repository_of_a_remote(site, remote, expected):
    found = site("links").GITHUB.search(remote)
    assert (found[1] if found else "") == expected


def test_page_of_a_notebook(site, links, shipped):
    """Folded code, solutions apart; a table of every parameter; a tab a profile; the copy stays."""
    before = str(shipped[NAME])
    page = site("executed").page(NAME, shipped[NAME], "digits", ["digits", "other"], links)
    assert str(shipped[NAME]) == before
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    tags = [cell.metadata["tags"] for cell in code]
    solutions = sum("solution" in cell.metadata.get("tags", []) for cell in shipped[NAME].cells)
    assert tags.count(["hide-cell"]) == solutions > 0
    assert tags.count(["hide-input"]) == len(code) - solutions
    text = "\n".join(cell.source for cell in page.cells if cell.cell_type == "markdown")
    assert f'<a href="../other/{NAME}.html">other</a>' in text
    assert f'<a href="../digits/{NAME}.html" aria-current="page">digits</a>' in text
    for name, its in profiles.inspect(NAME).items():
        assert f"| `{name}` | `{its['default']}` | {its['unit']} |" in text


def test_a_figure_without_words_is_called_by_its_code(site, shipped):
    cell = next(cell for cell in shipped[NAME].cells if "Noise fitting over" in cell.source).copy()
    cell["id"] = "unknown"
    (text,) = site("executed").alt_texts(NAME, cell, "What the runs show", 1)
    assert text.startswith("Figure, What the runs show: Noise fitting over training")


def test_main_result_is_that_of_the_claims(site, shipped):
    text = site("front").main_result("digits", shipped)
    rows = {row["finding"]: row for row in results.verdicts.judge(results.shipped("digits"))}
    assert f"(*{rows['F1']['verdict']}*: {rows['F1']['text']})" in text
    judged = results.verdicts.judge(results.shipped("digits"))
    supported = sum(row["verdict"] == "supported" for row in judged)
    assert f"{len(judged)} primary claims, by this study's measures: {supported} supported" in text
    assert "Under profile digits" in text
    within = next(row for row in judged if (row["finding"], row["name"]) == ("F2", "within"))
    assert within["depends"] == ("but it depends on the measure" in text)


COLAB = """
import os, sys
from IPython.core.interactiveshell import InteractiveShell
sys.path = [place for place in sys.path if place != {root!r}]
shell = InteractiveShell.instance()
for _ in range(2):  # executed again, it changes nothing
    shell.run_cell({cell!r}).raise_error()
    print(os.getcwd(), sys.path.count(os.path.dirname(os.getcwd())))
import lib
print(lib.__file__, open("../installed").read())
"""


def test_the_first_cell_in_colab_finds_the_study_once(site, tmp_path, monkeypatch):
    origin = tmp_path / "origin" / "some" / "study.git"
    for folder in ("lib", "notebooks"):
        (origin / folder).mkdir(parents=True)
        (origin / folder / "__init__.py").touch()
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    pip, content = tmp_path / "bin" / "pip", tmp_path / "content"
    pip.parent.mkdir()
    content.mkdir()
    pip.write_text('#!/bin/sh\necho "$*" >> installed\n')
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{pip.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/origin/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    cell = site("executed").COLAB.format("some/study.git", "study")
    code = COLAB.format(root=str(ROOT), cell=cell)
    options = {"cwd": content, "capture_output": True, "text": True}
    ran = subprocess.run([sys.executable, "-c", code], **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *_, first, again, found = [line for line in ran.stdout.splitlines() if line.strip()]
    assert first == again == f"{content}/study/notebooks 1"
    assert found == f"{content}/study/lib/__init__.py install -q -e ."
