"""A claim: a statement, the statistic that tests it, an interval, and a verdict that follows from them."""

import dataclasses
import json
import math
import platform
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import scipy.stats
import torch

from lib import runs
from lib.parameters import ROOT, StudyError, check_typed
from lib.spectrum import Interval, bootstrap

MIME = "application/vnd.spectral-bias-study+json"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One tested statement. The verdict compares the whole interval [low, high] with `expected`.

    finding: F1 ... F11, or the notebook's own number. measure: published, corrected or exact. expected: an
    inequality on the statistic, such as "< 0". n: how many `unit` (seeds, mostly) the interval is over.
    decimals: how many of the statistic's decimals are stable across processors; None: only the verdict is.
    headline: the line of the README's scoreboard where it stands, if any, and after "|" the column.
    """

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

    @property
    def verdict(self) -> str:
        """supported when the whole interval meets `expected`, contradicted when none of it does, else inconclusive;
        of "!= x", supported when x is outside the interval, else inconclusive."""
        sign, threshold = _parse(self.expected)
        if math.isnan(self.low) or math.isnan(self.high):
            return "inconclusive"
        if sign == "!=":
            return "supported" if self.low > threshold or self.high < threshold else "inconclusive"
        meets = [bound < threshold if sign == "<" else bound > threshold for bound in (self.low, self.high)]
        return "supported" if all(meets) else "inconclusive" if any(meets) else "contradicted"

    def line(self) -> str:
        """What nbval compares: the verdict, and the number where it is the same on every machine."""
        number = "" if self.decimals is None else f"  [{self.estimate:z.{self.decimals}f} {self.expected}]"
        count = "exact" if self.measure == "exact" else f"n = {self.n} {self.unit}"
        return f"{self.finding:<4}{self.measure:<11}{self.verdict:<13}{count:<14}{self.statement}{number}"

    def row(self) -> dict:
        return dataclasses.asdict(self) | {"verdict": self.verdict}


def _parse(expected: str) -> tuple[str, float]:
    match = re.fullmatch(r"([<>]|!=) (-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)", expected)
    if match is None:
        raise StudyError(f"expected: got {expected!r}; accepted: an inequality such as '< 0', '> 0.9' or '!= 0'")
    return match[1], float(match[2])


def over_seeds(finding, measure, statement, statistic, values, seeds, expected, headline: str = "") -> Claim:
    """A claim about the mean of `values`, (n,), with a 95 % bootstrap interval over `seeds`, (n,).

    A value that is not finite (of a seed without a path of two correct ends, a ratio to 0), or no value, makes it
    inconclusive without an estimate; n is then the number of finite ones.
    """
    _parse(expected)
    values = np.asarray(values, dtype=float)
    there = int(np.isfinite(values).sum())
    interval = bootstrap(values, seeds) if 0 < there == len(values) else Interval(*[math.nan] * 3, there)
    return Claim(finding, measure, statement, statistic, expected, *interval, headline=headline)


def exact(finding: str, statement: str, statistic: str, value: float, expected: str, decimals: int = 3) -> Claim:
    """A claim about a number without randomness: its interval is the number itself."""
    _parse(expected)
    return Claim(finding, "exact", statement, statistic, expected, *[float(value)] * 3, 1, "", decimals)


def rank_correlation(table: pd.DataFrame, x: str, y: str, by: str = "seed") -> pd.Series:
    """Spearman's rank correlation of columns x and y within each value of `by`; 0 where one is constant."""

    def correlate(group: pd.DataFrame) -> float:
        if group[x].nunique() < 2 or group[y].nunique() < 2:
            return 0.0
        return float(scipy.stats.spearmanr(group[x], group[y]).statistic)

    return pd.Series({key: correlate(group) for key, group in table.dropna(subset=[x, y]).groupby(by)}, dtype=float)


def trend(finding, measure, statement, table: pd.DataFrame, x: str, y: str, expected, headline: str = "") -> Claim:
    """A claim about the rank correlation of columns x and y of `table`, computed within each seed."""
    correlations = rank_correlation(table, x, y)
    statistic = f"Spearman correlation of {x} and {y}"
    return over_seeds(
        finding, measure, statement, statistic, correlations.values, correlations.index, expected, headline
    )


def partial_rank_correlation(x, y, given=None, axis=-1):
    """Spearman's rank correlation of x and y along `axis`; with `given`, the partial one (their ranks less what is
    linear in its ranks)."""
    ranks = [scipy.stats.rankdata(values, axis=axis) for values in (x, y, *([] if given is None else [given]))]
    x, y, *given = [values - values.mean(axis, keepdims=True) for values in ranks]
    for control in given:
        norm = np.maximum((control**2).sum(axis, keepdims=True), 1e-9)  # a constant explains nothing
        slopes = [(v * control).sum(axis, keepdims=True) / norm for v in (x, y)]
        x, y = x - slopes[0] * control, y - slopes[1] * control
    scale = np.sqrt((x**2).sum(axis) * (y**2).sum(axis))
    return np.divide((x * y).sum(axis), scale, out=np.zeros_like(scale), where=scale > 1e-9)


def over_runs(finding, measure, statement, table: pd.DataFrame, x: str, y: str, expected, given: str | None = None,
              headline: str = "") -> Claim:  # fmt: skip
    """A claim about the rank correlation of columns x and y over the rows of `table`, one a run, given a third
    column or not; the interval is a percentile bootstrap over runs, through scipy."""
    _parse(expected)
    names = [x, y, *([] if given is None else [given])]
    table = table.dropna(subset=names)  # a network without a path of two correct ends has no measure of them
    columns = [table[name].to_numpy(float) for name in names]
    if len(table) < 2:
        nan = [math.nan] * 3
        return Claim(finding, measure, statement, "", expected, *nan, len(table), "runs", headline=headline)
    result = scipy.stats.bootstrap(columns, partial_rank_correlation, paired=True, vectorized=True, n_resamples=2000,
                                   method="percentile", rng=np.random.default_rng(0))  # fmt: skip
    statistic = f"Spearman correlation of {x} and {y}" + (f" given {given}" if given else "")
    estimate = float(partial_rank_correlation(*columns))
    return Claim(finding, measure, statement, statistic, expected, estimate, *map(float, result.confidence_interval),
                 len(table), "runs", headline=headline)  # fmt: skip


# The rows that every finding about paths reports: measure, column, selection of paths, what it is called.
PATH_MEASURES = (
    ("published", "hff", "all", "HFF, all paths"),
    ("published", "hff", "correct", "HFF, correct ends"),
    ("corrected", "power_softmax", "correct", "power share, softmax"),
    ("corrected", "power_calibrated", "correct", "power share, calibrated softmax"),
    ("corrected", "power_logits", "correct", "power share, logits"),
    ("corrected", "absolute_softmax", "correct", "absolute power, softmax"),
)
HEADLINES = {
    "HFF, all paths": "published",
    "power share, softmax": "corrected",
    "power share, logits": "corrected, logits",
}
OTHER_PATH_MEASURES = (
    ("corrected", "variation_softmax", "correct", "total variation, softmax"),
    ("corrected", "variation_logits", "correct", "total variation, logits"),
    ("corrected", "degree_logits", "correct", "effective degree, logits"),
)


def path_trends(finding: str, summary: pd.DataFrame, x: str, said: str, between="> 0", within="< 0") -> list[Claim]:
    """The claims that every measure between classes and within classes goes with column x, within each seed.

    summary: of `measure.sweep`. said: x in words, such as "training time". between, within: what is expected.
    """
    words = {"> 0": "rises", "< 0": "falls", "!= 0": "changes"}
    found = []
    for kind, expected in (("between", between), ("within", within)):
        for name, column, selection, title in PATH_MEASURES:
            rows = summary[(summary["kind"] == kind) & (summary["selection"] == selection)]
            statement = f"{kind} classes, {title} {words[expected]} with {said}"
            headline = path_headline(title, f"{kind} classes: {words[expected]} with {said}")
            found.append(trend(finding, name, statement, rows, x, column, expected, headline))
    return found


def path_headline(title: str, line: str) -> str:
    """The headline of a path measure called `title` on that line, "" for the measures that are not shown there."""
    return f"{line}|{HEADLINES[title]}" if title in HEADLINES else ""


def show(found: list[Claim]) -> None:
    """Print the claims, a line each: the cell that nbval compares."""
    for claim in found:
        print(claim.line())


def table(found: list[Claim]) -> pd.DataFrame:
    """The claims with their statistics and intervals, for the reader."""
    columns = ["finding", "measure", "verdict", "estimate", "low", "high", "n", "expected", "statistic"]
    return pd.DataFrame([claim.row() for claim in found])[columns].round(3)


def record(found: list[Claim], made: list[runs.Run], namespace: dict) -> None:
    """The notebook's last cell: print what made it and leave claims and run keys in the notebook itself.

    found: its claims; made: the runs that it read; namespace: its globals(), for the parameters.
    """
    from IPython.display import display

    if not found:
        raise StudyError("record: got no claim; accepted: at least one")
    used = check_typed(namespace)
    used = {name: re.sub(r":.*/", ":", value) if isinstance(value, str) else value for name, value in used.items()}
    keys = sorted({run.key for run in made})
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                "platform": sys.platform}  # fmt: skip
    lines = [
        "versions    " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "device      " + ", ".join(sorted({run.record["device"] for run in made})),
        f"commit      {commit()}",
        f"parameters  {runs.hash_of(used)}",
        f"runs        {len(keys)}: {' '.join(keys[:6])}{' ...' if len(keys) > 6 else ''}",
    ]
    payload = {"claims": [claim.row() for claim in found], "runs": keys, "parameters": used, "versions": versions,
               "commit": commit()}  # fmt: skip
    payload = json.loads(json.dumps(payload, default=str), parse_constant=lambda name: None)
    display({"text/plain": "\n".join(lines), MIME: payload}, raw=True)


def commit() -> str:
    """Short hash of the checked-out commit, with + where files differ from it; unknown without git."""
    try:
        described = subprocess.run(["git", "describe", "--always", "--dirty=+", "--exclude=*"], cwd=ROOT,
                                   capture_output=True, text=True, check=True)  # fmt: skip
        return described.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
