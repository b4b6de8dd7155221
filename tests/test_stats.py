"""The tests behind verdicts: against formulas, scipy, and by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from lib import stats


def test_t_test_by_its_formula():
    values = np.array([0.3, 0.5, 0.1, 0.4, 0.7])
    effect = stats.t_test(values)
    error = values.std(ddof=1) / math.sqrt(5)
    half = 2.776445 * error  # the 97.5 % point of t with four degrees of freedom
    assert effect.estimate == pytest.approx(0.4)
    assert (effect.low, effect.high) == pytest.approx((0.4 - half, 0.4 + half), abs=1e-6)
    assert effect.p == pytest.approx(2 * scipy.stats.t.sf(0.4 / error, 4))
    assert (effect.n, effect.unit, effect.negligible, effect.reason) == (5, "seeds", False, "")


@pytest.mark.parametrize(
    ("spread", "negligible", "expected"), [(0.01, 0.1, True), (0.2, 0.1, False), (0.2, 1.0, True)]
)
def test_an_effect_is_negligible_when_its_90_percent_interval_lies_within_the_bounds(
    spread, negligible, expected
):
    values = 0.05 + spread * np.array([-1, -0.5, 0, 0.5, 1])
    assert stats.t_test(values, negligible).negligible == expected
    assert stats.t_test(-values, negligible).negligible == expected


@pytest.mark.parametrize("low", [0, 0.06])
def test_a_mean_outside_the_bounds_is_never_negligible(low):
    assert not stats.t_test(np.array([0.1, 0.11, 0.12, 0.11, 0.1]) + low).negligible


UNTESTED = [
    ([], "n = 0 seeds; a verdict needs 5"),
    ([0.1], "n = 1 seeds; a verdict needs 5"),
    ([0.1, 0.2, 0.3, 0.2], "n = 4 seeds; a verdict needs 5"),
    ([0.1, 0.2, 0.3, 0.2, math.nan], stats.MISSING),
    ([0.1, 0.2, 0.3, 0.2, -math.inf], stats.MISSING),
    ([0.1] * 5, "all seeds give the same value"),
    ([0.0] * 5, "all seeds give the same value"),
]


@pytest.mark.parametrize(("values", "reason"), UNTESTED)
def test_values_that_are_not_tested(values, reason):
    effect = stats.t_test(values)
    assert (effect.reason, effect.n, effect.negligible) == (reason, len(values), False)
    assert [math.isnan(number) for number in (effect.low, effect.high, effect.p)] == [True] * 3
    finite = len(values) > 0 and np.isfinite(values).all()
    assert effect.estimate == pytest.approx(np.mean(values) if finite else math.nan, nan_ok=True)


def doses_of(seeds, doses, values):
    """A table of networks, one a seed and dose. values: (seeds, doses)."""
    rows = itertools.product(seeds, doses)
    table = pd.DataFrame(rows, columns=["seed", "dose"]).assign(y=np.ravel(values))
    return table.sample(frac=1, random_state=0)


def test_slopes_run_from_the_smallest_to_the_largest_dose():
    """y = dose^a: ln(y) moves by a ln(32) from end to end; and with noise, as polyfit has it."""
    doses, powers = np.array([1.0, 4.0, 8.0, 32.0]), np.array([0.5, -1.0, 0.0])
    exact = doses_of([3, 5, 8], doses, doses ** powers[:, None])
    found = stats.slopes(exact, "dose", "y")
    expected = dict(zip([3, 5, 8], powers * math.log(32), strict=True))
    assert found.to_dict() == pytest.approx(expected, abs=1e-12)
    noisy = np.random.default_rng(0).normal(size=(3, 4))
    found = stats.slopes(doses_of([3, 5, 8], doses, noisy), "dose", "y", log=False)
    fits = [np.polyfit(np.log(doses), row, 1)[0] * math.log(32) for row in noisy]
    assert found.sort_index().tolist() == pytest.approx(fits)


def test_a_dose_of_zero_has_no_logarithm_and_takes_no_part():
    table = doses_of([0, 1], [0.0, 1.0, 2.0], [[99, 1, 2], [0, 1, 4]])
    expected = {0: math.log(2), 1: math.log(4)}
    assert stats.slopes(table, "dose", "y").to_dict() == pytest.approx(expected)


def test_a_seed_without_two_doses_or_with_a_measure_of_zero_has_no_slope():
    table = doses_of([0, 1, 2, 3], [0, 1, 2], [[1, 1, 2], [1, 0, 2], [1, math.nan, 2], [1, 1, 2]])
    table = table[(table["seed"] < 3) | (table["dose"] < 2)]
    found = stats.slopes(table, "dose", "y").sort_index()
    np.testing.assert_allclose(found, [math.log(2), math.nan, math.nan, math.nan])
    table = table[(table["seed"] < 3) | (table["dose"] == 0)]
    assert stats.slopes(table, "dose", "y").isna().sum() == 3


def test_log_ratios_are_paired_by_seed():
    treated = pd.DataFrame({"seed": [2, 1, 1, 4, 5, 6], "y": [4.0, 4.0, 9.0, 1.0, 0.0, math.nan]})
    control = pd.DataFrame({"seed": [1, 2, 3, 5, 6], "y": [3.0, 8.0, 1.0, 2.0, 1.0]})
    found = stats.log_ratios(treated, control, "y").to_dict()
    expected = {1: math.log(2), 2: -math.log(2)} | dict.fromkeys((3, 4, 5, 6), math.nan)
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_missing_value_is_not_averaged_away():
    treated = pd.DataFrame({"seed": [0, 0], "y": [4.0, math.nan]})
    control = pd.DataFrame({"seed": [0], "y": [1.0]})
    assert stats.log_ratios(treated, control, "y").isna().all()


# --- rank correlation over conditions


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_scipys(ties):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 80)).round(0 if ties else 6)
    expected = [scipy.stats.spearmanr(*pair).statistic for pair in zip(x, y, strict=True)]
    np.testing.assert_allclose(stats.rank_correlation(x, y), expected, atol=1e-12)
    assert stats.rank_correlation(x[0], y[0]) == pytest.approx(expected[0], abs=1e-12)


def test_rank_correlation_by_hand():
    """1 - 6 sum d^2 / (n (n^2 - 1)), without ties: ranks 1 2 3 4 5 against 2 1 4 5 3."""
    expected = 1 - 6 * (1 + 1 + 1 + 1 + 4) / (5 * 24)
    found = stats.rank_correlation([1, 2, 3, 4, 5], [20, 10, 40, 50, 30])
    assert found == pytest.approx(expected, abs=1e-12)


def test_rank_correlation_with_a_constant_is_0():
    with np.errstate(all="raise"):
        assert stats.rank_correlation(np.ones(80), np.arange(80)) == 0


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_rank_test_agrees_with_scipys_permutation_and_bootstrap(rho):
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(2, 15))
    y = rho * x + math.sqrt(1 - rho**2) * noise
    effect = stats.rank_test(x, y)

    def statistic(x, y):
        return scipy.stats.spearmanr(x, y).statistic

    options = {"permutation_type": "pairings", "rng": 0, "n_resamples": 1000}
    p = scipy.stats.permutation_test((x, y), statistic, **options).pvalue
    assert effect.p == pytest.approx(p, abs=0.05)
    assert effect.estimate == pytest.approx(statistic(x, y), abs=1e-12)
    options = {"paired": True, "method": "percentile", "rng": 0, "n_resamples": 1000}
    interval = scipy.stats.bootstrap((x, y), statistic, **options).confidence_interval
    assert (effect.low, effect.high) == pytest.approx(tuple(interval), abs=0.07)
    assert (effect.n, effect.unit) == (15, "conditions")


def test_rank_test_sees_order_alone_and_both_sides():
    x = np.arange(12.0)
    rises, falls = stats.rank_test(x, np.exp(x)), stats.rank_test(x, -np.exp(x))
    assert (rises.estimate, falls.estimate) == (1, -1)
    assert rises.p == falls.p == 1 / (stats.NUM_PERMUTATIONS + 1)


def test_rank_test_within_groups():
    """Within a rises, within b (of one condition less) falls: (4 - 3) / 7; between them no matter
    what; a condition alone says nothing."""
    x = [1, 2, 3, 4, 5, 11, 12, 13, 14, 100]
    y = [1, 2, 3, 4, 5, 54, 53, 52, 51, -99]
    effect = stats.rank_test(x, y, list("aaaaabbbbc"))
    assert effect.estimate == pytest.approx(1 / 7)
    assert (effect.n, effect.reason) == (9, "9 conditions; a verdict needs 12")
    double = stats.rank_test([*x, *x], [*y, *y], [*"aaaaabbbbc", *"AAAAABBBBC"])
    assert double.estimate == pytest.approx(1 / 7)
    assert (double.n, double.reason) == (18, "")
    assert 0.05 < double.p < 1


def test_weak_correlations_over_many_conditions_are_negligible():
    x = np.arange(400)
    y = np.random.default_rng(0).permutation(400)
    assert stats.rank_test(x, y).negligible
    assert not stats.rank_test(x[:20], y[:20]).negligible
    assert not stats.rank_test(x, y + x).negligible


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], "0 conditions; a verdict needs 12"),
        ([1], [1], "0 conditions; a verdict needs 12"),
        (range(11), range(11), "11 conditions; a verdict needs 12"),
        ([1] * 12, range(12), "all conditions have the same value"),
        (range(12), [3] * 12, "all conditions have the same value"),
        (range(12), [math.nan, *range(11)], stats.MISSING),
        ([math.inf, *range(11)], range(12), stats.MISSING),
    ],
)
def test_conditions_that_are_not_tested(x, y, reason):
    effect = stats.rank_test(x, y)
    assert (effect.reason, effect.negligible) == (reason, False)
    assert math.isnan(effect.p)
    assert effect.estimate == 1 if reason.startswith("11") else math.isnan(effect.estimate)


def test_a_rank_test_does_not_depend_on_the_order_of_its_conditions():
    rng = np.random.default_rng(5)
    x, y, groups = rng.normal(size=30), rng.normal(size=30), np.repeat(["a", "b"], 15)
    order = rng.permutation(30)
    assert stats.rank_test(x, y, groups) == stats.rank_test(x[order], y[order], groups[order])
