"""A claim: a statement, the statistic that tests it, an interval, and a verdict that follows."""

import dataclasses
import math
import re

import numpy as np
import pandas as pd

from lib.measure import PATH_MEASURES
from lib.parameters import refusal
from lib.stats import Interval, bootstrap, bootstrap_rank_correlation, rank_correlations

HEADLINES = {
    "HFF, all paths": "published",
    "power share, softmax": "corrected",
    "power share, logits": "corrected, logits",
}
WORDS = {"> 0": "rises", "< 0": "falls", "!= 0": "changes"}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One tested statement. The verdict compares the whole interval [low, high] with `expected`.

    finding: F1 ... F11, or the notebook's own. measure: published, corrected or exact.
    expected: an inequality on the statistic, such as "< 0". n: how many `unit` (seeds, mostly) the
    interval is over. decimals: how many of the statistic's decimals are stable across processors;
    None: only the verdict is. headline: the line of the scoreboard where it stands, if any, and
    after "|" the column."""

    finding: str
    measure: str
    statement: str
    statistic: str
    expected: str
    estimate: float
    low: float
    high: float
    n: int
    unit: str = "seeds"
    decimals: int | None = None
    headline: str = ""

    def __post_init__(self):
        if re.fullmatch(r"([<>]|!=) -?(\d+\.?\d*|\.\d+)(e-?\d+)?", self.expected) is None:
            accepted = "an inequality such as '< 0', '> 0.9' or '!= 0'"
            raise refusal("expected", self.expected, accepted)

    @property
    def verdict(self) -> str:
        """supported when the whole interval meets `expected`, contradicted when all of it lies
        beyond the threshold, else inconclusive: also where a bound touches the threshold. Of
        "!= x" supported when x is outside the interval, else inconclusive."""
        sign, threshold = self.expected.split()
        if math.isnan(self.low) or math.isnan(self.high):
            return "inconclusive"
        below, above = self.high < float(threshold), self.low > float(threshold)
        if sign == "!=":
            return "supported" if below or above else "inconclusive"
        meets, fails = (below, above) if sign == "<" else (above, below)
        if self.measure == "exact":  # a number, not an interval: it meets the inequality or not
            fails = not meets
        return "supported" if meets else "contradicted" if fails else "inconclusive"

    def line(self) -> str:
        """What nbval compares: the verdict, and the number where it is the same everywhere."""
        number = ""
        if self.decimals is not None:
            number = f"  [{self.estimate:z.{self.decimals}f} {self.expected}]"
        count = "exact" if self.measure == "exact" else f"n = {self.n} {self.unit}"
        start = f"{self.finding:<4}{self.measure:<11}{self.verdict:<13}"
        return f"{start}{count + ' ':<14}{self.statement}{number}"

    def row(self) -> dict:
        return dataclasses.asdict(self) | {"verdict": self.verdict}


def over_seeds(finding, measure, statement, statistic, values, seeds, expected, headline=""):
    """A claim about the mean of `values`, (n,), with a 95 % bootstrap interval over `seeds`, (n,).
    A value that is not finite (of a seed without a path of two correct ends, a ratio to 0), or no
    value, makes it inconclusive without an estimate; n is then the number of finite ones."""
    values = np.asarray(values, dtype=float)
    there = int(np.isfinite(values).sum())
    interval = Interval(*[math.nan] * 3, there)
    if 0 < there == len(values):
        interval = bootstrap(values, seeds)
    return Claim(finding, measure, statement, statistic, expected, *interval, headline=headline)


def exact(finding, statement, statistic, value: float, expected, decimals: int = 3) -> Claim:
    """A claim about a number without randomness: its interval is the number itself."""
    interval = Interval(*[float(value)] * 3, 1)
    return Claim(finding, "exact", statement, statistic, expected, *interval, "", decimals)


def trend(finding, measure, statement, table: pd.DataFrame, x, y, expected, headline="") -> Claim:
    """A claim about the rank correlation of columns x and y of `table`, within each seed."""
    values = rank_correlations(table, x, y)
    statistic = f"Spearman correlation of {x} and {y}"
    arguments = (values.values, values.index, expected, headline)
    return over_seeds(finding, measure, statement, statistic, *arguments)


def over_runs(finding, measure, statement, table, x, y, expected, given=None, headline="") -> Claim:
    """A claim about the rank correlation of columns x and y over the rows of `table`, one a run,
    `given` a third column or not, with a 95 % bootstrap interval over runs."""
    names = [x, y] if given is None else [x, y, given]
    columns = table.dropna(subset=names)  # of a network without a path of two correct ends: NaN
    interval = Interval(*[math.nan] * 3, len(columns))
    if len(columns) >= 2:
        interval = bootstrap_rank_correlation(*(columns[name] for name in names))
    statistic = f"Spearman correlation of {x} and {y}" + (f" given {given}" if given else "")
    claim = Claim(finding, measure, statement, statistic, expected, *interval, headline=headline)
    return dataclasses.replace(claim, unit="runs")


def path_trends(finding, summary, x: str, said: str, between="> 0", within="< 0") -> list[Claim]:
    """The claims that every measure between and within classes goes with column x, in each seed.
    summary: of `measure.sweep`. said: x in words, such as "training time". between, within: what is
    expected."""
    claimed = []
    for kind, expected in (("between", between), ("within", within)):
        for name, column, selection, title in PATH_MEASURES:
            rows = summary[(summary["kind"] == kind) & (summary["selection"] == selection)]
            statement = f"{kind} classes, {title} {WORDS[expected]} with {said}"
            headline = path_headline(title, f"{kind} classes: {WORDS[expected]} with {said}")
            claimed.append(trend(finding, name, statement, rows, x, column, expected, headline))
    return claimed


def path_headline(title: str, line: str) -> str:
    """The headline of the path measure called `title` on that line, "" for one not shown there."""
    return f"{line}|{HEADLINES[title]}" if title in HEADLINES else ""


def show(claimed: list[Claim]) -> None:
    """Print the claims, a line each: the cell that nbval compares."""
    for claim in claimed:
        print(claim.line())


def table(claimed: list[Claim]) -> pd.DataFrame:
    """The claims with their estimates and intervals, three digits each, for the reader."""
    columns = ["finding", "statement", "measure", "verdict", "estimate", "low", "high", "n"]
    rows = pd.DataFrame([claim.row() for claim in claimed])[[*columns, "expected"]]
    numbers = rows[["estimate", "low", "high"]].round(12).map("{:.3g}".format)
    return rows.assign(**numbers).set_index("finding")
