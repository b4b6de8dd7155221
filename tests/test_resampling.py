"""Bootstrap intervals: against normal theory, and by hand."""

import math

import numpy as np
import pytest
import scipy.stats

from lib.parameters import StudyError
from lib.resampling import bootstrap


@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_bootstrap_agrees_with_normal_theory(confidence):
    values = np.random.default_rng(1).normal(3, 2, 1000)
    interval = bootstrap(values, np.arange(1000), confidence=confidence)
    half = scipy.stats.norm.ppf(0.5 + confidence / 2) * values.std() / math.sqrt(1000)
    assert interval.estimate == pytest.approx(values.mean(), abs=1e-12)
    assert interval.n == 1000
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_of_clusters_counts_clusters():
    """25 groups of 16 equal values: an interval as of 25 values, four times as wide as of 400."""
    centres = np.random.default_rng(2).normal(size=25)
    values = np.repeat(centres, 16)
    clustered = bootstrap(values, np.repeat(np.arange(25), 16))
    alone = bootstrap(values, np.arange(400))
    assert clustered.n == 25
    assert (clustered.high - clustered.low) / (alone.high - alone.low) == pytest.approx(4, rel=0.1)
    half = 1.96 * centres.std() / 5
    assert clustered.high - clustered.low == pytest.approx(2 * half, rel=0.1)


def test_bootstrap_of_unequal_clusters_is_a_mean_over_values():
    """Groups of 1 and 3: draws give 8 (1/4), (8 + 3 * 4) / 4 = 5 (1/2) or 4 (1/4)."""
    values, groups = [8.0, 4.0, 4.0, 4.0], ["a", "b", "b", "b"]
    assert bootstrap(values, groups, confidence=0.9) == (5.0, 4.0, 8.0, 2)
    inner = bootstrap(values, groups, confidence=0.4)  # quantiles 0.3 and 0.7
    assert (inner.low, inner.high) == (5.0, 5.0)


def test_bootstrap_over_the_two_images_of_a_path():
    """Three images, three paths of values 0, 1 and 5. Of the 27 draws 6 take each image once (mean
    2), 6 leave one path alone, for each of the paths (0, 1 or 5), 3 leave none (the mean stands
    in: 2)."""
    values, images = [0.0, 1.0, 5.0], [[0, 1], [1, 2], [0, 2]]
    assert bootstrap(values, images) == (2.0, 0.0, 5.0, 3)
    inner = bootstrap(values, images, confidence=0.4)  # quantiles .3, .7 of 2/9, 2/9, 3/9, 2/9
    assert (inner.low, inner.high) == (1.0, 2.0)


def test_shared_images_widen_the_interval():
    """The mean over paths of a sum over two ends has twice the standard error of an end's mean."""
    rng = np.random.default_rng(3)
    effect = rng.normal(size=30)
    images = np.stack([rng.permutation(30)[:2] for _ in range(600)])
    values = effect[images].sum(1)
    by_image, by_path = bootstrap(values, images), bootstrap(values, np.arange(600))
    assert by_image.n == 30
    standard_error = 2 * effect.std() / math.sqrt(30)
    assert by_image.high - by_image.low == pytest.approx(2 * 1.96 * standard_error, rel=0.2)
    assert by_image.high - by_image.low > 2 * (by_path.high - by_path.low)


def test_bootstrap_of_one_group_has_no_interval():
    interval = bootstrap([1.0, 2.0, 6.0], [7, 7, 7])
    assert (interval.estimate, interval.n) == (3.0, 1)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_bootstrap_is_the_same_every_time_and_not_by_chance():
    values = np.random.default_rng(4).normal(size=50)
    first, again, fewer = (bootstrap(values, np.arange(50), num) for num in (2000, 2000, 100))
    assert first == again
    assert first != fewer


@pytest.mark.parametrize(
    ("values", "groups"),
    [([], []), ([1.0, math.nan], [0, 1]), ([1.0, math.inf], [0, 1]), ([1.0, 2.0], [0])],
)
def test_bootstrap_refuses_nan_and_unequal_lengths(values, groups):
    said = f"^bootstrap: got {len(values)} values, {len(groups)} groups; accepted: "
    with pytest.raises(StudyError, match=said):
        bootstrap(values, groups)


# --- Student's t over seeds
