"""Bootstrap intervals and rank correlations against formulas, by hand and by their coverage."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from lib import stats
from lib.parameters import StudyError
from lib.stats import bootstrap


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


def three_columns(n=80, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    columns = [np.exp(z + rng.normal(size=n)), z**3 - rng.normal(size=n), z]  # ranks matter
    return [column.round(0 if ties else 6) for column in columns]


def partial_by_formula(x, y, z):
    pairs = ((x, y), (x, z), (y, z))
    xy, xz, yz = (scipy.stats.spearmanr(*pair).statistic for pair in pairs)
    return (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_and_the_partial_one_by_their_formulas(ties):
    x, y, z = three_columns(ties=ties)
    plain, partial = scipy.stats.spearmanr(x, y).statistic, partial_by_formula(x, y, z)
    assert stats.rank_correlation(x, y) == pytest.approx(plain, abs=1e-12)
    assert stats.rank_correlation(x, y, z) == pytest.approx(partial, abs=1e-12)
    assert abs(partial - plain) > 0.1


def test_rank_correlation_by_hand():
    """1 - 6 sum d^2 / (n (n^2 - 1)), without ties: ranks 1 2 3 4 5 against 2 1 4 5 3."""
    expected = 1 - 6 * (1 + 1 + 1 + 1 + 4) / (5 * 24)
    found = stats.rank_correlation([1, 2, 3, 4, 5], [20, 10, 40, 50, 30])
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "axis"), [((6, 80), -1), ((6, 80), 1), ((80, 6), 0), ((2, 80, 3), 1)]
)
def test_rank_correlation_along_an_axis(shape, axis):
    tables = [three_columns(seed=seed) for seed in range(6)]
    others = [n for n in shape if n != 80]
    stacked = [np.reshape([table[k] for table in tables], (*others, 80)) for k in range(3)]
    x, y, z = (np.moveaxis(column, -1, axis) for column in stacked)
    plain, partial = stats.rank_correlation(x, y, axis=axis), stats.rank_correlation(x, y, z, axis)
    assert plain.shape == partial.shape == tuple(others)
    expected = [scipy.stats.spearmanr(*table[:2]).statistic for table in tables]
    np.testing.assert_allclose(plain.ravel(), expected, atol=1e-12)
    expected = [partial_by_formula(*table) for table in tables]
    np.testing.assert_allclose(partial.ravel(), expected, atol=1e-12)


def test_rank_correlation_with_a_constant_is_0_and_given_one_is_the_plain_one():
    x, y, _ = three_columns()
    with np.errstate(all="raise"):
        assert stats.rank_correlation(np.ones(80), y) == 0
        assert stats.rank_correlation(x, y, x) == pytest.approx(0, abs=1e-9)
        given_nothing = stats.rank_correlation(x, y, np.ones(80))
    assert given_nothing == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)


def test_rank_correlations_within_each_seed():
    """In one seed y rises with x, in one it falls, in one it stays; rows without a value, one of
    which would turn the first around, do not count."""
    x = np.array([0.5, 1.0, 2.0, 4.0])
    signs = {3: 1, 5: -1, 8: 0}
    parts = [pd.DataFrame({"seed": s, "x": x, "y": sign * np.exp(x)}) for s, sign in signs.items()]
    gap = pd.DataFrame({"seed": 3, "x": [9.0, math.nan], "y": [math.nan, -1.0]})
    table = pd.concat([*parts, gap]).sample(frac=1, random_state=0)
    assert stats.rank_correlations(table, "x", "y").to_dict() == pytest.approx({3: 1, 5: -1, 8: 0})
    by_model = table.rename(columns={"seed": "model"})
    assert stats.rank_correlations(by_model, "x", "y", by="model").index.tolist() == [3, 5, 8]


def normal_columns(correlation, n=100, seed=0):
    """x and y of a given linear correlation, and z."""
    rng = np.random.default_rng(seed)
    x, noise, z = rng.normal(size=(3, n))
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise, z


def spearman(correlation):
    """Spearman's of two normal variables of a linear correlation."""
    return 6 / math.pi * math.asin(correlation / 2)


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.5])
def test_interval_of_a_rank_correlation_contains_the_truth(correlation):
    """In about 95 % of 20 samples of 100."""
    expected = spearman(correlation)
    samples = [normal_columns(correlation, seed=seed)[:2] for seed in range(20)]
    intervals = [stats.bootstrap_rank_correlation(*sample) for sample in samples]
    assert sum(one.low <= expected <= one.high for one in intervals) >= 17
    estimates = [scipy.stats.spearmanr(*sample).statistic for sample in samples]
    assert [one.estimate for one in intervals] == pytest.approx(estimates, abs=1e-12)
    assert {one.n for one in intervals} == {100}


def test_interval_of_a_partial_rank_correlation_contains_the_truth():
    linear = (0.5 + 1) / 2, math.sqrt(0.5), math.sqrt(0.5)  # of x + z, y + z, each with z
    xy, xz, yz = map(spearman, linear)
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    samples = [normal_columns(0.5, seed=seed) for seed in range(20)]
    intervals = [stats.bootstrap_rank_correlation(x + z, y + z, z) for x, y, z in samples]
    assert sum(one.low <= expected <= one.high for one in intervals) >= 17


def test_interval_of_a_rank_correlation_has_the_width_of_its_standard_error():
    """About 1 / sqrt(n - 1) of independent columns, and less with more rows."""
    for n in (50, 400):
        interval = stats.bootstrap_rank_correlation(*normal_columns(0.0, n)[:2])
        expected = 2 * 1.96 / math.sqrt(n - 1)
        assert interval.high - interval.low == pytest.approx(expected, rel=0.2)
