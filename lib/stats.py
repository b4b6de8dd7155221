"""Rank correlations and bootstrap intervals, for every room; scipy behind each."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats

from lib.parameters import StudyError


class Interval(NamedTuple):
    """An estimate with its bootstrap interval; n: the number of groups that were resampled."""

    estimate: float
    low: float
    high: float
    n: int


def _percentile_bootstrap(samples, statistic, num_resamples: int, **options) -> tuple[float, float]:
    """The percentile interval, 95 % unless told, of a vectorized statistic, with a fixed seed."""
    options |= {"n_resamples": num_resamples, "method": "percentile", "vectorized": True}
    options |= {"rng": np.random.default_rng(0), "batch": 100}
    result = scipy.stats.bootstrap(samples, statistic, **options)
    return tuple(map(float, result.confidence_interval))


def bootstrap(values, groups, num_resamples: int = 2000, confidence: float = 0.95) -> Interval:
    """Mean of `values` with a percentile bootstrap interval over whole groups. values: (n,).
    groups: (n,), for instance the training seed of each value; or (n, 2), the two images that a
    path joins: then images are resampled, and a path counts as often as the product of its ends'
    draws. One group alone has no interval: low and high are NaN."""
    values, groups = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if len(values) == 0 or len(values) != len(groups) or not np.isfinite(values).all():
        got = f"{len(values)} values, {len(groups)} groups"
        raise StudyError(f"bootstrap: got {got}; accepted: as many, all finite")
    names, index = np.unique(groups, return_inverse=True)
    index = index.reshape(len(values), -1)
    mean, num = float(values.mean()), len(names)
    if num < 2:
        return Interval(mean, np.nan, np.nan, num)

    def weighted_mean(drawn, axis):
        drawn = np.moveaxis(np.atleast_2d(drawn), axis, -1).astype(int)
        rows = drawn.reshape(-1, drawn.shape[-1])
        counts = np.stack([np.bincount(row, minlength=num) for row in rows])
        weights = counts[:, index].prod(2)
        total, empty = weights.sum(1), np.full(len(weights), mean)
        means = np.divide(weights @ values, total, out=empty, where=total > 0)
        return means.reshape(drawn.shape[:-1])

    options = {"axis": -1, "confidence_level": confidence}
    bounds = _percentile_bootstrap((np.arange(num),), weighted_mean, num_resamples, **options)
    return Interval(mean, *bounds, num)


def rank_correlation(x, y, given=None, axis=-1):
    """Spearman's rank correlation of x and y along `axis`, 0 where one is constant; with `given`
    the partial one: of their ranks less what is linear in its ranks."""
    samples = (x, y) if given is None else (x, y, given)
    ranks = [scipy.stats.rankdata(values, axis=axis) for values in samples]
    x, y, *given = [values - values.mean(axis, keepdims=True) for values in ranks]
    for control in given:
        norm = (control**2).sum(axis, keepdims=True).clip(1e-9)  # a constant explains nothing
        slopes = [(v * control).sum(axis, keepdims=True) / norm for v in (x, y)]
        x, y = x - slopes[0] * control, y - slopes[1] * control
    scale = np.sqrt((x**2).sum(axis) * (y**2).sum(axis))
    return np.divide((x * y).sum(axis), scale, out=np.zeros_like(scale), where=scale > 1e-9)


def rank_correlations(table: pd.DataFrame, x: str, y: str, by: str = "seed") -> pd.Series:
    """`rank_correlation` of columns x and y within each value of column `by`."""
    groups = table.dropna(subset=[x, y]).groupby(by)
    correlations = {key: float(rank_correlation(part[x], part[y])) for key, part in groups}
    return pd.Series(correlations, dtype=float)


def bootstrap_rank_correlation(x, y, given=None) -> Interval:
    """`rank_correlation` of x and y, (n,), with a 95 % percentile bootstrap over the n rows."""
    samples = [np.asarray(values, float) for values in (x, y, given) if values is not None]
    estimate = float(rank_correlation(*samples))
    bounds = _percentile_bootstrap(samples, rank_correlation, 2000, paired=True)
    return Interval(estimate, *bounds, len(samples[0]))
