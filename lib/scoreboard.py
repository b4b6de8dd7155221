"""The claims that executed notebooks hold, gathered: a text scoreboard, and the README's table."""

import collections
from pathlib import Path

import nbformat

from lib.claims import MIME
from lib.parameters import ROOT


def payload(executed: nbformat.NotebookNode) -> dict:
    """What `claims.record` left in an executed notebook: claims, run keys, parameters, versions; {} if nothing."""
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            if MIME in output.get("data", {}):
                return output["data"][MIME]
    return {}


def executed_in(folder: Path) -> dict[str, nbformat.NotebookNode]:
    """The notebooks of a folder by name, in order; {} when there is no such folder."""
    return {file.stem: nbformat.read(file, 4) for file in sorted(folder.glob("[0-9]*.ipynb"))}


def claims_in(folder: Path) -> list[dict]:
    """The claims that the executed notebooks of a folder hold, in order."""
    executed = executed_in(folder)
    return [{"notebook": name, **row} for name in executed for row in payload(executed[name]).get("claims", [])]


def shipped(profile: str) -> list[dict]:
    """The claims that come with the study: of notebooks/ for digits, else of results/<profile>."""
    return claims_in(ROOT / "notebooks" if profile == "digits" else ROOT / "results" / profile)


def interval(row: dict) -> str:
    """Estimate and interval of a claim as text; ? for what it does not have."""
    estimate, low, high = ("?" if row[name] is None else f"{row[name]:.3g}" for name in ("estimate", "low", "high"))
    return f"{estimate} [{low}, {high}]"


def lines(rows: list[dict]) -> str:
    """The scoreboard as text: a line a claim, then the count of verdicts."""
    form = "{:<24}{:<8}{:<10}{:<13}{:<28}{:>3}  {}"
    text = ["", form.format("notebook", "finding", "measure", "verdict", "statistic [95 % interval]", "n", "claim")]
    for row in rows:
        cells = [row[column] for column in ("notebook", "finding", "measure", "verdict")]
        text.append(form.format(*cells, interval(row), row["n"], row["statement"]))
    counts = collections.Counter(row["verdict"] for row in rows)
    text += ["", f"{len(rows)} claims: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())]
    return "\n".join(text)


COLUMNS = ("published", "corrected", "corrected, logits")


def markdown() -> str:
    """The README's tables, one a profile whose results are shipped: the headline claims, a line each."""
    folder = ROOT / "results"
    text = []
    for profile in [*sorted(path.name for path in folder.glob("*/") if (path / "claims.json").is_file()), "digits"]:
        table: dict[tuple, dict] = {}
        for row in shipped(profile):
            line, _, column = row["headline"].partition("|")
            if line:
                table.setdefault((row["finding"], line), {})[column] = row
        text += [f"**{profile}**", "", f"| | claim | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
        for (finding, line), found in table.items():
            cells = ["" if (row := found.get(column)) is None
                     else f"{row['verdict']} {interval(row)}, n = {row['n']}" for column in COLUMNS]  # fmt: skip
            text.append(f"| {finding} | {line} | {' | '.join(cells)} |")
        text.append("")
    return "\n".join(text).strip()
