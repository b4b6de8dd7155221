"""Slides of notebooks: their question, and the cells tagged `slide` under their headings; a deck is
one file that asks for nothing outside: reveal.js 5.2.1 (deck/) is in it, formulas are pictures."""

import base64
import html
import io
import json
import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

DECK = Path(__file__).with_name("deck")  # template; tex.json: TeX that matplotlib puts otherwise
FORMULA = re.compile(r"(`[^`]*`)|\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)\$", re.DOTALL)


def picture(formula: str, display: bool) -> str:
    """HTML of a formula in TeX, an SVG in it; where matplotlib cannot draw it, its source."""
    from matplotlib import font_manager, mathtext

    text, drawn = " ".join(formula.split()), io.BytesIO()
    alt, size = html.escape(text), font_manager.FontProperties(size=10)
    for pattern, instead in json.loads((DECK / "tex.json").read_text()).items():
        text = re.sub(pattern, instead, text)
    try:
        depth = mathtext.math_to_image(f"${text}$", drawn, prop=size, dpi=72, format="svg")
    except ValueError:
        return f"<code>{alt}</code>"
    width = float(re.search(rb'width="([\d.]+)pt"', drawn.getvalue())[1])
    style = f"width: {width / 10:.2f}em; vertical-align: {-depth / 10:.2f}em"
    data = base64.b64encode(drawn.getvalue()).decode()
    kind = f'class="formula{" display" * display}" alt="{alt}" style="{style}"'
    return f'<img {kind} src="data:image/svg+xml;base64,{data}">'


def page(notebook: nbformat.NotebookNode, name: str) -> str:
    """HTML of a deck: title and first formula, then each cell tagged `slide`: text as it is, of
    code what it shows, under the heading that it stands below."""
    from nbconvert.exporters import SlidesExporter

    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading, formula = text.splitlines()[0], re.search(r"\$\$.+?\$\$", text, re.DOTALL)
    cells = [_slide(f"{heading}\n\n{formula[0] if formula else ''}")]
    for cell in notebook.cells:
        tags, is_text = cell.metadata.get("tags", ()), cell.cell_type == "markdown"
        if is_text and "exercise" not in tags:
            heading = [heading, *re.findall(r"^##+ .+$", cell.source, re.MULTILINE)][-1]
        if "slide" in tags:
            cells += [_slide(cell.source)] if is_text else [_slide(heading), cell]
    exporter = SlidesExporter(template_name="deck", extra_template_basedirs=[str(DECK.parent)])
    deck = new_notebook(cells=cells, metadata=notebook.metadata)
    return exporter.from_notebook_node(deck, {"metadata": {"name": name}})[0]


def _slide(text: str) -> nbformat.NotebookNode:
    drawn = FORMULA.sub(lambda m: m[1] or picture(m[2] or m[3], display=bool(m[2])), text)
    return new_markdown_cell(drawn, metadata={"slideshow": {"slide_type": "slide"}})
