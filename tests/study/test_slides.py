"""Slides: what is on them, and that they ask for nothing outside."""

import base64
import re
import shutil
import subprocess

import nbformat
import pytest

from study import profiles, slides

NAMES = profiles.notebook_names()
OUTSIDE = r"""(?:src|href)=["'](?!data:|\#)[^"'$]+|url\(\s*["']?(?!data:)[^)]+|@import[^;]+"""


def source(name):
    return nbformat.read(profiles.notebook_file(name), 4)


def tagged(notebook):
    return [cell for cell in notebook.cells if "slide" in cell.metadata.get("tags", [])]


RENDERED = ("00_one_dimension", "03_training_time", "05_training_examples")


@pytest.fixture(scope="module")
def decks():
    return {name: slides.page(source(name), name) for name in RENDERED}


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_has_slides(name):
    cells = tagged(source(name))
    assert len(cells) >= 4
    of_code = [cell for cell in cells if cell.cell_type == "code"]
    figures = [cell for cell in of_code if "verdict" not in cell.metadata.tags]
    shown = ["image/png" in out.get("data", {}) for cell in figures for out in cell.outputs]
    assert sum(shown) >= 2
    assert cells[-1] in of_code
    assert "verdict" in cells[-1].metadata.tags
    assert any("exercise" in cell.metadata.tags for cell in cells)


@pytest.mark.parametrize("name", NAMES)
def test_every_formula_of_slides_is_drawn(name):
    title = next(cell.source for cell in source(name).cells if "$$" in cell.source)
    texts = [title, *(cell.source for cell in tagged(source(name)) if cell.cell_type == "markdown")]
    for code, display, inline in slides.FORMULA.findall("\n".join(texts)):
        assert code or slides.picture(display or inline, bool(display)).startswith("<img")


@pytest.mark.parametrize("name", RENDERED)
def test_deck_shows_title_figures_and_answer(decks, name):
    body = decks[name].split("<body>")[1]
    cells = tagged(source(name))
    assert body.count("<section><section>") == 1 + len(cells)
    assert re.search(r"<h1[^>]*>.*\?", body)
    shown = [
        out.data["image/png"].replace("\n", "")
        for cell in cells
        for out in cell.get("outputs", [])
        if "image/png" in out.get("data", {})
    ]
    assert len(shown) >= 2
    assert [image for image in shown if image[:200] not in body.replace("\n", "")] == []
    assert "(predict)" in body
    assert '<div class="highlight' not in body  # no code
    assert 'class="formula display"' in body


@pytest.mark.parametrize("name", RENDERED)
def test_deck_asks_for_nothing_outside(decks, name):
    page = re.sub(r"(<script[^>]*>).*?</script>", r"\1", decks[name], flags=re.DOTALL)
    assert re.findall(OUTSIDE, page) == []
    assert decks[name].count("Reveal.initialize(") == 1


@pytest.mark.parametrize(
    "line",
    ['<script src="https://x/y.js">', "<img src='a.png'>", "@import url(x.css);", "url(font.woff)"],
)
def test_something_outside_is_seen(line):
    assert re.findall(OUTSIDE, line)


def test_a_heading_is_that_of_the_section_not_of_an_exercise(decks):
    body = decks["03_training_time"].split("<body>")[1]
    headings = re.findall(r"<h[23][^>]*>(.*?)<a", body)
    assert "All paths" in headings
    assert headings[-1] == "The answer"
    assert sum("Exercise" in heading for heading in headings) == 1


def test_a_formula_is_a_picture_with_its_source():
    html = slides.picture(r"\frac12 \lVert x\rVert", display=True)
    assert r'alt="\frac12 \lVert x\rVert"' in html
    svg = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]).decode()
    assert "<svg" in svg
    assert "<code>" in slides.picture(r"\begin{cases} 1 & x < 0 \end{cases}", display=False)


def test_command_writes_slides(study, tmp_path):
    status, out, _ = study("slides", tmp_path / "out", "8")
    assert (status, out) == (0, f"1 files are in {tmp_path / 'out'}\n")
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "08_distillation.slides.html"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser here")
def test_a_browser_without_a_network_shows_a_slide(decks, tmp_path):
    file = tmp_path / "deck.html"
    file.write_text(decks["05_training_examples"])
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'own'}"]
    command = ["chromium", *options, "--dump-dom", f"file://{file}#/1"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert re.search(r'class="[^"]*reveal[^"]*ready', page) or "reveal-viewport" in page
    present = re.findall(r'<section[^>]*class="[^"]*present[^"]*"', page)
    assert present
