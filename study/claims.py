"""Claims: the primary ones, declared here before they are tested, and what was found of each."""

import dataclasses
import re
from typing import NamedTuple

import pandas as pd

from lib.measure import KINDS, PRIMARY, SUMMARIES, VARIANTS
from lib.parameters import refusal
from lib.stats import Effect
from study.designs import Design

LEAST_PATHS = 100  # matched, a kind and seed
LEAST_OVER_FLOOR = 10


class Primary(NamedTuple):
    """A claim that a verdict is given on. expected: the sign of its effect, "!=" where the paper
    names none."""

    statement: str
    expected: str


def _both(words: str, between: str = ">", within: str = "<") -> dict[str, Primary]:
    moves = {">": "rises", "<": "falls", "!=": "changes"}
    kinds = {"between": between, "within": within}
    return {k: Primary(f"{k} classes, it {moves[sign]} {words}", sign) for k, sign in kinds.items()}


# All of a profile's p-values of these go through one correction; everything else is description.
# "It" is power out of band, of the softmax above the lowest cutoff, along matched paths.
PRIMARIES: dict[str, dict[str, Primary]] = {
    "F1": {"gain": Primary("the mean gain falls with the wave's frequency", "<")},
    "F2": _both("from the first to the last checkpoint"),
    "F3": {
        "gain": Primary("the mean gain of a wave rises with width", ">"),
        **_both("with accuracy over families"),
    },
    "F4": _both("with the number of training images, steps fixed"),
    "F5": {
        **_both("with weight decay", "!=", "!="),
        "gain": Primary("decay lowers the fast wave's mean gain more than the slow one's", ">"),
    },
    "F6": _both("with accuracy over augmentations"),
    "F7": {
        "accuracy": Primary("students are more accurate than networks without a teacher", ">"),
        **_both("from no teacher to a teacher"),
    },
    "F8": {"gain": Primary("at equal periods, the mean gain falls with image frequency", "<")},
    "F9": {
        f"{arm}, {kind}": Primary(f"{kind} classes, it changes: {arm} against smoothing", "!=")
        for arm in ("f", "1/f")
        for kind in ("between", "within")
    },
    "F10": {"within": Primary("within classes, it rises with the classes merged in a label", ">")},
    "F11": _both("with accuracy, within interventions"),
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement and what was found of it.

    finding: F1 ... F11, or the notebook's own. name: which of the finding's primary claims, "" of a
    description. expected: >, < or !=, 0; of an exact one the inequality that its number meets or
    not. effect with text, in units that mean something: of the primary measure; published: the same
    test of the paper's measure; median: of the median path. variants: effects of the primary
    measure and its variants, by column. decimals: of an exact number, those that are stable."""

    finding: str
    name: str
    statement: str
    expected: str
    effect: Effect
    text: str
    published: Effect | None = None
    published_text: str = ""
    variants: dict[str, Effect] = dataclasses.field(default_factory=dict)
    decimals: int | None = None
    median: Effect | None = None
    median_text: str = ""

    def row(self) -> dict:
        """As plain values, for the scoreboard."""
        plain = {name: value for name, value in vars(self).items() if name != "variants"}
        for part in ("effect", "published", "median"):
            plain[part] = plain[part] and dataclasses.asdict(plain[part])
        short = {name: [one.estimate, one.p] for name, one in self.variants.items()}
        return plain | {"variants": short}


def exact(finding: str, statement: str, value: float, expected: str, decimals: int = 3) -> Claim:
    """A number without randomness, and the inequality that it should meet, such as "< 0.5"."""
    sign, _, threshold = expected.partition(" ")
    if sign not in ("<", ">") or not threshold:
        raise refusal("expected", expected, "an inequality such as '< 0.5'")
    met = value < float(threshold) if sign == "<" else value > float(threshold)
    effect = Effect(float(value), n=1, unit="exact", reason="" if met else "not met")
    text = f"{value:z.{decimals}f} {expected}"
    return Claim(finding, "", statement, expected, effect, text, decimals=decimals)


def described(finding: str, statement: str, effect: Effect, text: str) -> Claim:
    """An estimate with its interval and without a verdict."""
    return Claim(finding, "", statement, "", effect, text)


def primary(finding: str, name: str, design: Design, table: pd.DataFrame, **options) -> Claim:
    """The claim PRIMARIES[finding][name], tested by `design` on the rows of `table`, one a network.
    options: measure (a column), published (another or None), variants (columns), reason (why it
    can't be tested; "" when it can), few (why, of the primary measure and not of the published)."""
    measure, names = options.get("measure", PRIMARY), options.get("variants", VARIANTS)
    published, reason = options.get("published", "hff"), options.get("reason", "")
    statement, expected = PRIMARIES[finding][name]
    tested = {column: design(table, column) for column in dict.fromkeys([measure, *names])}
    effect, text = tested[measure]
    as_published, published_text = design(table, published) if published else (None, "")
    if reason and published:
        as_published = dataclasses.replace(as_published, reason=reason)
    if reason := reason or options.get("few", ""):
        effect = dataclasses.replace(effect, reason=reason)
    variants = {} if effect.reason else {column: tested[column][0] for column in names}
    parts = (effect, text, as_published, published_text, variants)
    return Claim(finding, name, statement, expected, *parts)


def over_paths(finding, summary, design: Design, prefix="", reason="", kinds=KINDS) -> list[Claim]:
    """The primary claims of a finding about paths between and within classes, tested by `design` on
    the rows of `measure.sweep`'s summary; prefix: of the claims' names."""
    claimed = []
    for kind in kinds:
        rows = summary[(summary["kind"] == kind) & summary["included"]]
        least = int(rows["num_paths"].min()) if len(rows) else 0
        few = f"{least} matched paths; a verdict needs {LEAST_PATHS}" if least < LEAST_PATHS else ""
        options, rows = {"reason": reason, "few": few}, without_floor(rows)
        claim = primary(finding, prefix + kind, design, rows, **options)
        median, words = design(rows, "power_median") if "power_median" in rows else (None, "")
        told = {"text": f"{claim.text}, {least} paths or more", "median": median}
        told["median_text"] = re.sub(r"(?<=\]) .*", "", words)
        claimed.append(dataclasses.replace(claim, **told))
    return claimed


def without_floor(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary whose powers (and shares) less than 10 times above their floor are NaN."""
    cleared = {}
    for name in summary.filter(regex="^floor_").columns:
        power = name.replace("floor", "power")
        clear = summary[power] >= LEAST_OVER_FLOOR * summary[name]
        for column in {power, name.replace("floor", "share")} & {*summary}:
            cleared[column] = summary[column].where(clear)
    return summary.assign(**cleared)


def over_waves(finding: str, table: pd.DataFrame, design: Design, name: str = "gain") -> Claim:
    """A primary claim about label waves, tested by `design` on the rows of `measure.wave_summary`:
    the mean gain, its variants, and the published minimum. Waves below one period take no part."""
    used = table[table["included"]]
    reason = "" if len(used) else "no wave has a period across the images"
    options = {"measure": "mean_gain", "variants": SUMMARIES, "published": "min_noise_fitting"}
    return primary(finding, name, design, used, reason=reason, **options)
