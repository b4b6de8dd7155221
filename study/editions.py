"""Editions of the notebooks from one source, by tags of cells: `exercise`, its `hint`, `solution`,
`check` and `answer`, and `verdict`. Students get blanks for solutions, answers and verdicts;
instructors everything, and the notes of notebooks/instructor/."""

import re
from pathlib import Path

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from study import profiles, results, slides, verdicts
from study.places import create, put

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HEADING = re.compile(r"### (Exercise \d+\.\d+) \((predict|implement|vary|think|extend)\)\n")
PARTS = {"hint", "answer", "solution", "check"}  # of an exercise, behind its text
PROFILES = ("digits", "cifar10-cpu")


def stub(source: str, exercise: str) -> str:
    """The code of a solution without what stands between its markers."""
    blank = rf'\1raise NotImplementedError("{exercise}")'
    return re.sub(rf"(?ms)^( *){BEGIN}\n.*?^ *{END}$", blank, source)


def student(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook to work in: no solution, answer or verdict, and no output at all, so that every
    prediction is made before its figure; hints, checks and blanks stay, links to other files go."""
    cells, exercise, kind = [], "", ""
    for cell in notebook.cells:
        tags, source = cell.metadata.get("tags", []), cell.source
        if found := HEADING.match(source):
            exercise, kind = found.groups()
        if "verdict" in tags:
            source = "*Your verdict, from the claims: the effect, and its grounds:*"
        elif "answer" in tags:
            source = f"*Your {'prediction' if kind == 'predict' else 'answer'}:*"
        elif "solution" in tags:
            source = stub(source, exercise) if BEGIN in source else "# Your code here."
        elif cell.cell_type == "markdown":
            link = r"\[([^\]]+)\]\((?!http|[\w.]+\.ipynb)([^)]+)\)"
            source = re.sub(link, r"\1 (\2 of the study)", source)
        text = cell.cell_type == "markdown" or "verdict" in tags
        new = new_markdown_cell if text else new_code_cell
        cells.append(new(source, id=cell.id, metadata={"tags": tags}))
    return new_notebook(cells=cells, metadata={"kernelspec": notebook.metadata.kernelspec})


def instructor(notebook, text: str, differences: str) -> nbformat.NotebookNode:
    """A notebook with everything. text: Markdown with a ## for each note; those on "Exercise N.K"
    stand behind that exercise, the others and `differences` behind the title."""
    parts = re.split(r"^## (.+)\n", f"{text}\n## Digits and CIFAR-10\n{differences}", flags=re.M)
    tagged, cells, exercise = {"metadata": {"tags": ["instructor"]}}, [], ""
    left = {
        name: new_markdown_cell(f"#### For the instructor: {name}\n\n{note.strip()}", **tagged)
        for name, note in zip(parts[1::2], parts[2::2], strict=True)
    }
    for cell in notebook.cells:
        if exercise in left and not PARTS & set(cell.metadata.get("tags", ())):
            cells.append(left.pop(exercise))
        found = HEADING.match(cell.source)
        exercise = found[1] if found else exercise
        cells.append(cell)
    cells[1:1] = left.values()
    return new_notebook(cells=cells, metadata=notebook.metadata)


def differences(name: str, judged: dict[str, list[dict]]) -> str:
    """Of a notebook, as HTML: in which parameters digits and CIFAR-10 differ, and the verdicts
    on its primary claims (`verdicts.judge`) by profile."""
    declared = {key: one["default"] for key, one in profiles.inspect(name).items()}
    own = {one: declared | profiles.resolve([name], one, [])[name] for one in PROFILES}
    table = pd.DataFrame(own).astype(str)[lambda rows: rows.nunique(axis=1) > 1]
    for profile, claims in judged.items():
        for row in (row for row in claims if row["notebook"] == name):
            told = f"{row['verdict']}: {row['text']}"
            table.loc[f"{row['finding']}: {row['statement']}", profile] = told
    with pd.option_context("display.max_colwidth", None):
        return table.fillna("not executed with this measure").to_html()


def write(edition: str, names: list[str], out: Path) -> None:
    """Write "student" or "instructor" notebooks, or "slides", of these names."""
    create(out)
    shown = PROFILES if edition == "instructor" else ()
    judged = {profile: verdicts.judge(results.shipped(profile)) for profile in shown}
    for name in names:
        source = profiles.notebook_file(name)
        notebook, file = profiles.opened(source), out / source.name
        if edition == "slides":
            file, made = file.with_suffix(".slides.html"), slides.page(notebook, file.stem)
        elif edition == "student":
            made = nbformat.writes(student(notebook))
        else:
            text = (profiles.NOTEBOOKS / "instructor" / f"{name}.md").read_text("utf-8")
            made = nbformat.writes(instructor(notebook, text, differences(name, judged)))
        put(file, lambda partial, made=made: partial.write_text(made, "utf-8"))
