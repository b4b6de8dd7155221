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
    low, high = ("?" if row[bound] is None else f"{row[bound]:.3f}" for bound in ("low", "high"))
    return f"{row['estimate']:.3f} [{low}, {high}]"


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


def markdown() -> str:
    """The README's table: every finding's claims, with a column for each profile whose results are shipped."""
    folder = ROOT / "results"
    profiles = ["digits", *sorted(path.name for path in folder.glob("*/") if (path / "claims.json").is_file())]
    table: dict[tuple, dict] = {}
    for profile in profiles:
        for row in shipped(profile):
            if row["finding"].startswith("F"):
                table.setdefault((row["finding"], row["measure"], row["statement"]), {})[profile] = row
    text = [f"| | measure | claim | {' | '.join(profiles)} |", "|---|---|---|" + "---|" * len(profiles)]
    for (finding, measure, statement), by_profile in table.items():
        cells = [
            f"**{row['verdict']}** {interval(row)}, n = {row['n']}" if (row := by_profile.get(profile)) else "-"
            for profile in profiles
        ]
        text.append(f"| {finding} | {measure} | {statement} | {' | '.join(cells)} |")
    return "\n".join(text)
