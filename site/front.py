"""The pages that are no notebook: the front page, the three doors, what the results say."""

import collections
import re

import executed
import nbformat
from links import Links, toctree

from lib.parameters import ROOT, StudyError
from study import editions, summary, verdicts
from study.copies import claims_of, images_in

MAIN = ("F1", "F2")  # the findings of the front page's sentences
FIGURE = "03_training_time"  # the notebook of its figure
TABLE = re.compile(r"<!-- findings -->\n(.*?)<!-- /findings -->\n(.*?)(?=^## )", re.S | re.M)
PAPERS = """Vector figures at the width of a column or a page, with their fonts in them:

```sh
.venv/bin/study figures 03 --profile digits --format pdf,svg,png --width 3.4
```"""
DOORS = {
    "student": "Read the notebooks in their order, with code folded; exercises have solutions.",
    "researcher": "Verdicts with intervals, other data and networks, your own, figures for papers.",
    "teacher": "The course, handouts of every notebook, and how notebooks are edited.",
}


def section(text: str, heading: str, file: str = "README.md") -> str:
    """What stands under a heading of second level. Raises StudyError."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise StudyError(f"site: {file} has no section {heading}")
    return found[1].strip()


def claims_under(copies: dict) -> list[dict]:
    """The primary claims of a profile's executed copies, judged."""
    return verdicts.judge(claims_of([(ROOT / f"{name}.ipynb", copies[name]) for name in copies]))


def main_result(profile: str, copies: dict) -> str:
    """A profile's main result in a sentence, and the count of its verdicts."""
    judged = claims_under(copies)
    told = []
    for row in judged:
        if row["finding"] in MAIN:
            statement = re.sub(r"\bit\b", "power out of band", row["statement"], count=1)
            effect = re.sub(r", \d+ paths or more", "", row["text"])
            verdict = row["verdict"] + ", but it depends on the measure" * row["depends"]
            parts = ", but the median path goes the other way"
            verdict += parts * summary.median_parts(row)
            told.append(f"{statement} (*{verdict}*{verdicts.why(row)}: {effect})")
    lines = []
    for which in ("verdict", "published_verdict"):
        count = collections.Counter(row[which] for row in judged if which in row)
        lines.append(
            ", ".join(f"{count[name]} {name}" for name in verdicts.VERDICTS if count[name])
        )
    depend = sum(row["depends"] for row in judged)
    text = f"- **Under profile {profile}**, {'; '.join(told)}."
    text += f" Of {len(judged)} primary claims, by this study's measures: {lines[0]}; "
    return f"{text}{depend} depend on the measure. As published: {lines[1]}."


def main_figure(profile: str, copies: dict, links: Links) -> str:
    """Power above f over training, of the profile's executed copy."""
    cells = copies[FIGURE].cells
    cell = next(cell for cell in cells if "plots.power_above(" in cell.source)
    place = links.source / "pictures" / f"{profile}-power_above.png"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(next(iter(images_in(nbformat.v4.new_notebook(cells=[cell])))))
    (alt,) = executed.alt_texts(FIGURE, cell, "Over training", 1)
    caption = f"*Under profile {profile}: {alt} [How it was made]({profile}/{FIGURE}.ipynb).*"
    return f"![{alt}](pictures/{place.name})\n\n{caption}"


def pages(copies: dict[str, dict], links: Links) -> dict[str, str]:
    """The Markdown of every page that is no notebook, by its place in the site."""
    readme = (ROOT / "README.md").read_text("utf-8")
    made = {"index.md": index(readme, copies, links), "student.md": student(links)}
    made |= {
        "researcher.md": researcher(readme, copies, links),
        "teacher.md": teacher(readme, copies, links),
    }
    for file, page in links.pages.items():
        if file.endswith(".md") and page not in made:
            text = (ROOT / file).read_text("utf-8")
            made[page] = links.relinked(text, file.rpartition("/")[0], page.removesuffix(".md"))
    return made


def index(readme: str, copies: dict[str, dict], links: Links) -> str:
    """The front page: the main result, its figure, three doors, the findings."""
    if not (table := TABLE.search(readme)):
        raise StudyError("site: README.md has no table of findings")
    shown = [name for name, its in copies.items() if FIGURE in its]
    doors = [
        f":::{{container}} door\n**[For a {name}]({name}.md)**\n\n{words}\n:::"
        for name, words in DOORS.items()
    ]
    cards = "\n".join(["::::{container} three-doors", *doors, "::::"])
    names = [name for its in copies.values() for name in its]
    titles = {name: f"{name[:2]} {name[3:].replace('_', ' ')}" for name in sorted(set(names))}
    first = {name: next(one for one in copies if name in copies[one]) for name in titles}
    results_pages = [one for one in copies if f"results/{one}/README.md" in links.pages]
    text = [
        "# Spectral bias in practice",
        links.relinked(readme.split("\n\n")[1], "", "index"),
        "**Low frequencies first?**",
        "\n".join(main_result(profile, copies[profile]) for profile in shown),
        main_figure(shown[-1], copies[shown[-1]], links),
        cards,
        "## Findings",
        links.relinked("\n\n".join(table.groups()), "", "index"),
        toctree([f"For a {name} <{name}>" for name in DOORS], "Doors"),
        toctree([f"{titles[n]} <{first[n]}/{n}>" for n in titles], "Notebooks"),
        toctree(["course", "glossary"], "Course"),
        toctree(["results", *results_pages, "profiles", "bench", "reproduce"], "Results"),
    ]
    return "\n\n".join(text)


def student(links: Links) -> str:
    """The notebooks in the order of reading."""
    order = (ROOT / "notebooks" / "README.md").read_text("utf-8").partition("\n")[2]
    text = f"# For a student: the notebooks in the order of reading\n{order}"
    return links.relinked(text, "notebooks", "student")


def researcher(readme: str, copies: dict[str, dict], links: Links) -> str:
    """Results, other data and networks, figures for papers."""
    text = [
        "# For a researcher",
        "## Results",
        "",
        "- [What holds, and what not](results/README.md)",
    ]
    written = [name for name in copies if f"results/{name}/README.md" in links.pages]
    text += [f"- [Profile {name}](results/{name}/README.md)" for name in written]
    text += [
        "- [How fast it is](results/bench/README.md)",
        "- [What another processor changes](results/reproduce.md)",
        "",
    ]
    for heading in ("Re-run", "Measure a network of your own"):
        text += [f"## {heading}", section(readme, heading), ""]
    text += [f"## Figures for papers\n\n{PAPERS}", "", "## Cite\n"]
    text += ["```yaml", (ROOT / "CITATION.cff").read_text("utf-8").strip(), "```"]
    return links.relinked("\n".join(text), "", "researcher")


def teacher(readme: str, copies: dict[str, dict], links: Links) -> str:
    """How to teach with it, and every notebook as students get it."""
    rows = ["| notebook | handout: blanks for solutions, answers and verdicts |", "|---|---|"]
    for name, copy in next(iter(copies.values())).items():
        content = nbformat.writes(editions.student(copy)).encode()
        address = links.local(f"handouts/{name}.ipynb", content, "teacher")
        notebook = f"[{name}](notebooks/{name}.ipynb)"
        rows.append(f'| {notebook} | <a href="{address}">student edition</a> |')
    text = ["# For a teacher", section(readme, "Teach"), "## Handouts", "\n".join(rows)]
    return links.relinked("\n\n".join(text), "", "teacher")
