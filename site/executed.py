"""A page of an executed notebook: folded code, figures with words, parameters, other profiles."""

import base64
import copy
import html
import re
import struct
from pathlib import Path

import nbformat
import yaml
from links import Links, branch, toctree

from lib.parameters import ROOT
from study import copies, profiles
from study.provenance import MIME

ALT = yaml.load((Path(__file__).parent / "alt.yaml").read_text("utf-8"), yaml.BaseLoader)
COLAB = """import importlib.util, os, sys
if importlib.util.find_spec("lib") is None:  # the first time
    !git clone -q https://github.com/{0}
    %cd {1}
    !pip install -q -e .
    sys.path.append(os.getcwd())  # which pip's link does for the next kernel
    %cd notebooks"""

OTHER = """Numbers and figures here are of profile **{}**; how long it takes is said of digits, and
of this profile among [the profiles](../profiles.md)."""


def page(name: str, executed, profile: str, others: list[str], links: Links):
    """The notebook that Sphinx reads, of a copy executed under a profile. others: the profiles
    that have a copy, this one too."""
    at, cells = f"{profile}/{name}", []
    table = parameter_table(name, executed)
    for number, cell in enumerate(copy.deepcopy(executed.cells)):
        if cell.cell_type == "markdown":
            text = links.relinked(cell.source, "notebooks", at, profile)
            if not number:
                title, _, rest = text.partition("\n")
                head = [
                    title,
                    tabs(name, profile, others),
                    elsewhere(name, executed, profile, links),
                ]
                if profile != "digits":
                    head.append(OTHER.format(profile))
                text = "\n\n".join([*head, rest.strip()])
            if cell.source.startswith("## Parameters"):
                text += f"\n\n{table}"
            cells.append(nbformat.v4.new_markdown_cell(text))
        elif cell.cell_type == "code" and cell.source.strip():
            cells += code(name, cell, headings(executed.cells[:number]))
    if beneath := [f"{other} <../{other}/{name}>" for other in others[1:] if profile == others[0]]:
        cells.append(nbformat.v4.new_markdown_cell(toctree(beneath)))
    told = {"kernelspec": executed.metadata["kernelspec"], "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=told)


def headings(cells: list) -> str:
    """The last heading in cells."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return (re.findall(r"^#+ (.*)", text, re.MULTILINE) or [""])[-1]


def tabs(name: str, profile: str, others: list[str]) -> str:
    """Links to the same notebook under other profiles, shown as tabs; site.js keeps the place."""
    links = []
    for other in others:
        here = ' aria-current="page"' if other == profile else ""
        links.append(f'<a href="../{other}/{name}.html"{here}>{html.escape(other)}</a>')
    return f'<nav class="profiles" aria-label="Profiles">{"".join(links)}</nav>'


def elsewhere(name: str, executed, profile: str, links: Links) -> str:
    """Links to the notebook's files, and to where it runs."""
    folder = "notebooks" if profile == "digits" else f"results/{profile}"
    at, text, run = f"{profile}/{name}", f"notebooks/{name}.py", f"{folder}/{name}.ipynb"
    content = nbformat.writes(executed).encode()
    found = {"notebook (.ipynb)": links.local(run, content, at)}
    found["source (.py)"] = links.local(text, (ROOT / text).read_bytes(), at)
    after = ""
    if its := links.repository:
        found["on GitHub"] = links.file(text, at)
        found["Binder"] = f"https://mybinder.org/v2/gh/{its}/{branch()}?labpath={run}"
        found["Colab"] = f"https://colab.research.google.com/github/{its}/blob/{branch()}/{run}"
        first = html.escape(COLAB.format(its, its.split("/")[1]))
        after = f"<details><summary>First cell in Colab</summary><pre>{first}</pre></details>"
    anchors = [f'<a href="{address}">{words}</a>' for words, address in found.items()]
    return f'<div class="elsewhere">{" ".join(anchors)}{after}</div>'


def parameter_table(name: str, executed) -> str:
    """A line a parameter: its value in this copy, unit and meaning."""
    used = copies.payload(executed).get("parameters", {})
    rows = ["| parameter | here | unit | what it is |", "|---|---|---|---|"]
    for key, its in profiles.inspect(name).items():
        value = str(used.get(key, its["default"])).replace("|", "\\|")
        shown = f"`{value}`" if value else ""
        rows.append(f"| `{key}` | {shown} | {its['unit']} | {its['help']} |")
    return "\n".join(rows)


def code(name: str, cell, heading: str) -> list:
    """The cells of a code cell: folded, the solution with what it prints; a second figure stands in
    a cell of its own, so that it has words of its own."""
    solution = "solution" in cell.metadata.get("tags", [])
    told = {"tags": ["hide-cell" if solution else "hide-input"]}
    if solution:
        words = {"show": "Show the solution", "hide": "Hide the solution"}
        told["mystnb"] = {f"code_prompt_{which}": text for which, text in words.items()}
    for output in cell.outputs:
        output.get("data", {}).pop(MIME, None)  # for the scoreboard, no reader's
    figures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    shown = [output for output in cell.outputs if output not in figures[1:]]
    made = [nbformat.v4.new_code_cell(cell.source, outputs=shown, metadata=told)]
    for figure in figures[1:]:
        only = {"tags": ["remove-input"]}
        made.append(nbformat.v4.new_code_cell("", outputs=[figure], metadata=only))
    texts = alt_texts(name, cell, heading, len(figures))
    for one, figure, text in zip(made, figures, texts, strict=False):
        wide, _ = size(base64.b64decode(figure["data"]["image/png"]))
        options = one.metadata.setdefault("mystnb", {})
        options["image"] = {"alt": text, "width": f"{wide}px"}
    return made


def alt_texts(name: str, cell, heading: str, count: int) -> list[str]:
    """What each figure of a cell shows: of alt.yaml; of a cell that is not there, what its code
    says of titles and axes, under the last heading."""
    given = ALT.get(name, {}).get(cell.id)
    texts = given if isinstance(given, list) else [given] if given else []
    if len(texts) < count:
        named = r"(?:title|label|set_\w+)\W{1,4}f?\"([^\"{}]{3,})\""
        said = list(dict.fromkeys(re.findall(named, cell.source)))
        texts += [": ".join([f"Figure, {heading}", *filter(None, ["; ".join(said)])])] * count
    return texts[:count]


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a picture, pixels."""
    return struct.unpack(">II", png[16:24])
