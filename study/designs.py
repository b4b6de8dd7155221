"""The designs that claims are tested by: each makes of a table, one row a network, and a measure (a
column) an effect over seeds or conditions, and says it in units that mean something."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from lib import stats
from lib.stats import Effect

Design = Callable[[pd.DataFrame, str], tuple[Effect, str]]
GAINS = ("gain", "noise_fitting", "control")  # in names of columns that are told as differences
EVEN, EVEN_ACCURACY = 0.1, 0.01  # of what a gain is in the mean, and of 1


def is_ratio(measure: str) -> bool:
    """Whether a measure is told as a ratio; gains, noise fitting and accuracy are differences."""
    return not any(part in measure for part in (*GAINS, "accuracy"))


def even(table: pd.DataFrame, measure: str) -> float:
    """The bound of an effect on a measure that does not matter: as a ratio 1.1, of a gain or noise
    fitting a tenth of its mean size in the table, of accuracy a point."""
    if is_ratio(measure):
        return stats.EVEN
    return EVEN_ACCURACY if "accuracy" in measure else EVEN * float(table[measure].abs().mean())


def said(effect: Effect, unit: str, parts: float = 1.0, ratio: bool = True) -> str:
    """An effect as text: a `parts`-th of it, as a ratio or a difference, with its interval."""
    if math.isnan(effect.estimate):
        return "no estimate"
    each = np.array([effect.estimate, effect.low, effect.high]) / parts
    numbers = np.exp(each) if ratio else each
    middle, low, high = (_number(one, ratio) for one in numbers)
    interval = "" if math.isnan(effect.low) else f" [{low}, {high}]"
    return f"{'x ' * ratio}{middle}{interval} {unit}"


def _number(value: float, ratio: bool) -> str:
    """Three digits; of a ratio near 1 three decimals."""
    if not ratio:
        return f"{value:+.3f}"
    return f"{value:.3f}" if 0.9 < value < 1.1 else f"{value:.3g}"


def _untested(table: pd.DataFrame, reason: str) -> tuple[Effect, str]:
    effect = Effect(math.nan, n=table["seed"].nunique(), reason=reason)
    return effect, said(effect, "")


def over_doses(dose: str, of_what: str) -> Design:
    """The slope of ln(measure), or of a gain, on ln(dose), one a seed. Told a doubling of
    `of_what`. A dose of 0 has no logarithm and takes no part."""

    def design(table: pd.DataFrame, measure: str) -> tuple[Effect, str]:
        ratio, doses = is_ratio(measure), table.loc[table[dose] > 0, dose]
        if doses.nunique() < 2:
            return _untested(table, f"fewer than two values of {of_what} above 0")
        effect = stats.t_test(stats.slopes(table, dose, measure, ratio), even(table, measure))
        doublings = math.log2(doses.max() / doses.min())
        unit = f"a doubling of {of_what}{' (0 left out)' * bool((table[dose] == 0).any())}"
        return effect, said(effect, unit, doublings, ratio)

    return design


def over_time(time: str, words: str) -> Design:
    """ln(measure at the last / at the first value of column `time`), one a seed."""

    def design(table: pd.DataFrame, measure: str) -> tuple[Effect, str]:
        start, end = table[time].min(), table[time].max()
        if not start < end:
            return _untested(table, f"fewer than two values of {words}")
        narrow = table[["seed", time, measure]]
        first, last = (narrow[narrow[time] == one] for one in (start, end))
        effect = stats.t_test(stats.log_ratios(last, first, measure))
        return effect, said(effect, f"from {words} {start:g} to {end:g}")

    return design


def against(column: str, treated, control) -> Design:
    """ln(treated / control), or their difference, paired by seed: rows where `column` has these
    values."""

    def design(table: pd.DataFrame, measure: str) -> tuple[Effect, str]:
        narrow = table[["seed", column, measure]]
        both = [narrow[narrow[column] == one] for one in (treated, control)]
        for name, rows in zip((treated, control), both, strict=True):
            if rows.empty:
                return _untested(table, f"no network with {column} {name}")
        if ratio := is_ratio(measure):
            effect = stats.t_test(stats.log_ratios(*both, measure))
        else:
            first, second = (rows.groupby("seed")[measure].mean(skipna=False) for rows in both)
            effect = stats.t_test(first.sub(second), even(table, measure))
        return effect, said(effect, f"{treated} against {control}", ratio=ratio)

    return design


def interaction(columns: tuple[str, str], slow, fast, without, with_: float) -> Design:
    """Of a gain: how much more the fast wave loses than the slow one between two values of a dose,
    (fast without - with) - (slow without - with), one a seed. columns: of the wave and the dose."""

    def design(table: pd.DataFrame, measure: str) -> tuple[Effect, str]:
        wanted = pd.MultiIndex.from_product([(slow, fast), (without, with_)])
        cells = table.groupby(["seed", *columns])[measure].mean(skipna=False).unstack([1, 2])
        a, b, c, d = cells.reindex(columns=wanted).to_numpy().T
        effect = stats.t_test((c - d) - (a - b), even(table, measure))
        return effect, said(effect, "more lost by the fast wave", ratio=False)

    return design


def with_accuracy(group: str | None = None) -> Design:
    """Spearman's correlation with accuracy over condition means (of the logarithm where the measure
    is told as a ratio); within each value of column `group`, where it is given. A condition that
    several of them share, as the baseline, counts in the first alone: twice, it would not be
    independent of itself. One without a value, as at its floor, is left out."""

    def design(table: pd.DataFrame, measure: str) -> tuple[Effect, str]:
        value = stats.logarithm(table[measure]) if is_ratio(measure) else table[measure]
        by = [*([group] if group else []), "condition"]
        both = table[[*by, "test_accuracy"]].assign(value=value)
        means = both.groupby(by).mean(skipna=False)
        means = means[~means.index.get_level_values("condition").duplicated()]
        count, there = len(means), means.dropna()
        means = there if len(there) >= stats.LEAST_CONDITIONS else means
        groups = means.index.get_level_values(0) if group else None
        effect = stats.rank_test(means["test_accuracy"], means["value"], groups)
        if math.isnan(effect.estimate):
            return effect, said(effect, "")
        interval = "" if math.isnan(effect.low) else f" [{effect.low:.2f}, {effect.high:.2f}]"
        words = f"conditions{f', {lost} without a value' if (lost := count - len(means)) else ''}"
        return effect, f"rho {effect.estimate:.2f}{interval} over {effect.n} {words}"

    return design
