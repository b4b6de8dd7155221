"""The tests behind every verdict: Student's t over seeds, permutation of conditions."""

import dataclasses
import math

import numpy as np
import pandas as pd
import scipy.stats

LEAST_SEEDS = 5
LEAST_CONDITIONS = 12
NUM_PERMUTATIONS = 9999
NUM_RESAMPLES = 2000
QUANTILES = (0.025, 0.05, 0.95, 0.975)  # of 95 % and of 90 % intervals
EVEN = math.log(1.1)  # an effect within 10 % end to end is negligible
WEAK = 0.3  # and so is a rank correlation below it
MISSING = "a measure is 0, at its floor, or missing"


@dataclasses.dataclass(frozen=True)
class Effect:
    """What a test of "no effect" found. estimate with its 95 % interval low to high; p: two-sided;
    n: how many `unit` it is over; negligible: the 90 % interval lies within the bounds of a
    negligible effect. reason: why there is no test (then low, high and p are NaN), else ""."""

    estimate: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: int = 0
    unit: str = "seeds"
    negligible: bool = False
    reason: str = ""


def t_test(values, negligible: float = EVEN) -> Effect:
    """Whether the mean of `values`, one a seed, is 0, by Student's t. negligible: the bound of an
    effect that does not matter, in the values' unit. Fewer than 5 seeds are not tested."""
    values = np.asarray(values, dtype=np.float64)
    count, mean = len(values), float(values.mean()) if len(values) else math.nan
    if not np.isfinite(values).all():
        return Effect(math.nan, n=count, reason=MISSING)
    if count < LEAST_SEEDS:
        return Effect(mean, n=count, reason=f"n = {count} seeds; a verdict needs {LEAST_SEEDS}")
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return Effect(mean, n=count, reason="all seeds give the same value")
    result = scipy.stats.ttest_1samp(values, 0.0)
    low, high = result.confidence_interval(0.95)
    inner = result.confidence_interval(0.90)
    even = -negligible < inner.low and inner.high < negligible
    return Effect(mean, float(low), float(high), float(result.pvalue), count, negligible=bool(even))


def _unit_ranks(values) -> np.ndarray:
    """Ranks along the last axis, centred and of length 1; 0 where all values are equal."""
    ranks = scipy.stats.rankdata(values, axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    length = np.sqrt((ranks**2).sum(-1, keepdims=True))
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 1e-9)


def rank_correlation(x, y):
    """Spearman's rank correlation of x and y along the last axis, 0 where one is constant."""
    return (_unit_ranks(x) * _unit_ranks(y)).sum(-1)


def rank_test(x, y, groups=None) -> Effect:
    """Whether conditions with a higher x have a higher y: Spearman's correlation over conditions,
    by permutation of them (two-sided), interval by bootstrap over them. x, y: (k,), one a
    condition; groups: (k,), the intervention of each: then the statistic is the mean of the
    correlations within interventions, weighted by their conditions less one, and conditions are
    permuted and resampled within them. Fewer than 12 conditions are not tested."""
    x, y = (np.asarray(values, dtype=np.float64) for values in (x, y))
    groups = np.zeros(len(x)) if groups is None else np.asarray(groups)
    order = np.lexsort((y, x, groups))  # else chance would depend on the order that they came in
    x, y, groups = x[order], y[order], groups[order]
    parts = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    parts = [part for part in parts if len(part) > 1]
    count, rng = sum(map(len, parts)), np.random.default_rng(0)
    ranked = [(_unit_ranks(x[part]), _unit_ranks(y[part])) for part in parts]

    def over_parts(of_part):
        weights = np.array([len(part) - 1 for part in parts]) / (count - len(parts))
        return weights @ np.stack([of_part(*both) for both in ranked])

    def permuted(x, y):
        return rng.permuted(np.broadcast_to(y, (NUM_PERMUTATIONS, len(y))), axis=1) @ x

    def resampled(x, y):
        counts = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), NUM_RESAMPLES)
        x, y = (counts @ np.sign(ranks - ranks[:, None]) for ranks in (x, y))  # centred ranks
        scale = np.sqrt((counts * x**2).sum(1) * (counts * y**2).sum(1))
        return (counts * x * y).sum(1) / np.maximum(scale, 1e-9)

    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Effect(math.nan, n=count, unit="conditions", reason=MISSING)
    estimate = float(over_parts(np.dot)) if parts else math.nan
    reason = f"{count} conditions; a verdict needs {LEAST_CONDITIONS}"
    if parts and all(np.ptp(x[part]) == 0 or np.ptp(y[part]) == 0 for part in parts):
        estimate, reason = math.nan, "all conditions have the same value"
    if count < LEAST_CONDITIONS or math.isnan(estimate):
        return Effect(estimate, n=count, unit="conditions", reason=reason)
    extreme = np.abs(over_parts(permuted)) >= abs(estimate) - 1e-12
    p = (1 + int(extreme.sum())) / (1 + NUM_PERMUTATIONS)
    low, least, most, high = np.quantile(over_parts(resampled), QUANTILES).tolist()
    return Effect(estimate, low, high, p, count, "conditions", least > -WEAK and most < WEAK)


def slopes(table: pd.DataFrame, dose: str, measure: str, log: bool = True) -> pd.Series:
    """One value a seed, from the smallest to the largest dose: the least-squares slope of the
    measure (log: of its logarithm) on ln(dose), times the range of ln(dose). Doses of 0 have no
    logarithm and are left out. NaN of a seed with fewer than two doses, or without a value."""
    used = table[table[dose] > 0]
    y = (logarithm(used[measure]) if log else used[measure]).to_numpy()
    x = np.log(used[dose].to_numpy(dtype=np.float64))
    seeds, of_seed = np.unique(used["seed"], return_inverse=True)
    offset = x - (np.bincount(of_seed, x) / np.bincount(of_seed))[of_seed]
    spread = np.bincount(of_seed, offset**2)
    slope = np.bincount(of_seed, offset * y) / np.where(spread > 1e-9, spread, math.nan)
    return pd.Series(np.ptp(x) * slope, seeds).reindex(table["seed"].unique())


def logarithm(values: pd.Series) -> pd.Series:
    """ln(values); NaN where there is none."""
    return np.log(values.where(values > 0))


def log_ratios(treated: pd.DataFrame, control: pd.DataFrame, measure: str) -> pd.Series:
    """ln(treated / control) of a measure, one value a seed, paired by it: the means of each seed's
    logarithms, since the logarithm of a mean over several networks is greater than one network's by
    chance alone. A seed without its pair is NaN."""
    first, second = (
        logarithm(table[measure]).groupby(table["seed"]).mean(skipna=False)
        for table in (treated, control)
    )
    return first.sub(second)
