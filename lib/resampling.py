"""Bootstrap intervals over groups: seeds, or the images that paths join."""

from typing import NamedTuple

import numpy as np
import scipy.stats

from lib.parameters import StudyError


class Interval(NamedTuple):
    """An estimate with its bootstrap interval; n: the number of groups that were resampled."""

    estimate: float
    low: float
    high: float
    n: int


def bootstrap(values, groups, num_resamples: int = 2000, confidence: float = 0.95) -> Interval:
    """Mean of `values` with a percentile bootstrap interval over whole groups. values: (n,).
    groups: (n,), for instance the training seed of each value; or (n, 2), the two images that a
    path joins: then images are resampled, and a path counts as often as the product of its ends'
    draws (Owen 2007; sqrt 3 too wide where no two share an image). One group: low, high are NaN."""
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

    options = {"confidence_level": confidence, "method": "percentile", "vectorized": True}
    options |= {"n_resamples": num_resamples, "rng": np.random.default_rng(0), "batch": 100}
    result = scipy.stats.bootstrap((np.arange(num),), weighted_mean, **options)
    return Interval(mean, *map(float, result.confidence_interval), num)
