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
from lib.spectrum import bootstrap

MIME = "application/vnd.spectral-bias-study+json"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One tested statement. The verdict compares the whole interval [low, high] with `expected`.

    finding: F1 ... F11, or the notebook's own number. measure: published, corrected or exact. expected: an
    inequality on the statistic, such as "< 0". n: how many `unit` (seeds, mostly) the interval is over.
    decimals: how many of the statistic's decimals are stable across processors; None: only the verdict is.
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

    @property
    def verdict(self) -> str:
        """supported when the whole interval meets `expected`, contradicted when none of it does, else inconclusive."""
        sign, threshold = _parse(self.expected)
        if math.isnan(self.low) or math.isnan(self.high):
            return "inconclusive"
        meets = [bound < threshold if sign == "<" else bound > threshold for bound in (self.low, self.high)]
        return "supported" if all(meets) else "inconclusive" if any(meets) else "contradicted"

    def line(self) -> str:
        """What nbval compares: the verdict, and the number where it is the same on every machine."""
        number = "" if self.decimals is None else f"  [{self.estimate + 0.0:.{self.decimals}f} {self.expected}]"
        count = "exact" if self.measure == "exact" else f"n = {self.n} {self.unit}"
        return f"{self.finding:<4}{self.measure:<11}{self.verdict:<13}{count:<14}{self.statement}{number}"

    def row(self) -> dict:
        return dataclasses.asdict(self) | {"verdict": self.verdict}


def _parse(expected: str) -> tuple[str, float]:
    match = re.fullmatch(r"([<>]) (-?[\d.]+(?:e-?\d+)?)", expected)
    if match is None:
        raise StudyError(f"expected: got {expected!r}; accepted: an inequality such as '< 0' or '> 0.9'")
    return match[1], float(match[2])


def over_seeds(finding: str, measure: str, statement: str, statistic: str, values, seeds, expected: str) -> Claim:
    """A claim about the mean of `values`, (n,), with a 95 % bootstrap interval over `seeds`, (n,)."""
    _parse(expected)
    return Claim(finding, measure, statement, statistic, expected, *bootstrap(values, seeds))


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

    return pd.Series({key: correlate(group) for key, group in table.groupby(by)}, dtype=float)


def trend(finding: str, measure: str, statement: str, table: pd.DataFrame, x: str, y: str, expected: str) -> Claim:
    """A claim about the rank correlation of columns x and y of `table`, computed within each seed."""
    correlations = rank_correlation(table, x, y)
    statistic = f"Spearman correlation of {x} and {y}"
    return over_seeds(finding, measure, statement, statistic, correlations.values, correlations.index, expected)


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
    payload = json.loads(json.dumps(payload, default=str).replace("NaN", "null"))
    display({"text/plain": "\n".join(lines), MIME: payload}, raw=True)


def commit() -> str:
    """Short hash of the checked-out commit, with + where files differ from it; unknown without git."""
    try:
        described = subprocess.run(["git", "describe", "--always", "--dirty=+", "--exclude=*"], cwd=ROOT,
                                   capture_output=True, text=True, check=True)  # fmt: skip
        return described.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
