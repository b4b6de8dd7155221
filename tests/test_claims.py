"""Claims: the verdict follows from the interval, and the interval from the right rows."""

import math

import numpy as np
import pandas as pd
import pytest

from lib import claims
from lib.claims import Claim
from lib.measure import PATH_MEASURES
from lib.parameters import StudyError


def claim(low, high, expected, **fields):
    usual = {"finding": "F1", "measure": "corrected", "statement": "it is so", "n": 5}
    usual |= {"statistic": "mean", "estimate": (low + high) / 2}
    return Claim(**(usual | fields), expected=expected, low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "expected", "verdict"),
    [
        (-2, -1, "< 0", "supported"),
        (1, 2, "< 0", "contradicted"),
        (-1, 1, "< 0", "inconclusive"),
        (1, 2, "> 0", "supported"),
        (-2, -1, "> 0", "contradicted"),
        (-1, 1, "> 0", "inconclusive"),
        (0.91, 0.95, "> 0.9", "supported"),
        (0.89, 0.95, "> 0.9", "inconclusive"),
        (0.8, 0.89, "> 0.9", "contradicted"),
        (-0.4, -0.3, "< -0.25", "supported"),
        (1e-4, 2e-4, "< 1e-3", "supported"),
        (2e-3, 3e-3, "< 1e-3", "contradicted"),
        (-2, -1, "!= 0", "supported"),
        (1, 2, "!= 0", "supported"),
        (-1, 1, "!= 0", "inconclusive"),
        (1, 2, "!= 3", "supported"),
        (1, 2, "!= 1.5", "inconclusive"),
    ],
)
def test_verdict(low, high, expected, verdict):
    assert claim(low, high, expected).verdict == verdict


@pytest.mark.parametrize("bounds", [(-1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize("expected", ["< 0", "> 0", "!= 0"])
def test_a_bound_that_touches_the_threshold_leaves_the_claim_open(bounds, expected):
    assert claim(*bounds, expected).verdict == "inconclusive"


@pytest.mark.parametrize("bounds", [(math.nan, math.nan), (1, math.nan), (math.nan, -1)])
@pytest.mark.parametrize("expected", ["< 0", "> 0", "!= 0"])
def test_a_claim_without_an_interval_is_open(bounds, expected):
    assert claim(*bounds, expected).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("value", "expected", "verdict"),
    [
        (0.25, "> 0.2", "supported"),
        (0.25, "< 0.3", "supported"),
        (0.25, "> 0.3", "contradicted"),
        (0.25, "< 0.2", "contradicted"),
        (0.25, "> 0.25", "contradicted"),  # the inequality is strict
        (0.25, "< 0.25", "contradicted"),
        (0.25, "!= 0", "supported"),
        (math.nan, "> 0", "inconclusive"),
    ],
)
def test_a_number_is_its_own_interval_and_never_open(value, expected, verdict):
    exact = claims.exact("01", "s", "t", value, expected)
    assert (exact.low, exact.high) == pytest.approx((value, value), abs=0, nan_ok=True)
    assert exact.verdict == verdict


EXPECTED = ["", "<0", "0", "<= 0", "== 1", "< ", "< zero", "< 1.2.3", "< .", "< -", "< 1 "]
EXPECTED += ["> 1e", "< nan", "!="]


@pytest.mark.parametrize("expected", EXPECTED)
def test_expectation_that_cannot_be_read(expected):
    with pytest.raises(StudyError, match=r"^expected: got .*accepted: an inequality"):
        claim(1, 2, expected)


def test_over_seeds_is_a_bootstrap_of_the_mean():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    mean = claims.over_seeds("F1", "published", "s", "t", values, range(5), "> 0", "line|column")
    assert (mean.estimate, mean.n, mean.unit, mean.verdict) == (3.0, 5, "seeds", "supported")
    assert mean.headline == "line|column"
    half = 1.96 * np.std(values) / math.sqrt(5)
    assert mean.low == pytest.approx(3 - half, abs=0.2)
    assert mean.high == pytest.approx(3 + half, abs=0.2)


def test_over_seeds_resamples_seeds_and_not_values():
    """Two values a seed, far apart: of each seed alone the mean is 3."""
    mean = claims.over_seeds("F1", "published", "s", "t", [1, 5, 0, 6], [0, 0, 1, 1], "> 2")
    assert (mean.low, mean.estimate, mean.high, mean.n) == (3, 3, 3, 2)


def test_one_seed_is_inconclusive():
    alone = claims.over_seeds("F1", "published", "s", "t", [1.0], [0], "> 0")
    assert (alone.verdict, alone.estimate, alone.n) == ("inconclusive", 1.0, 1)


@pytest.mark.parametrize("values", [[1.0, math.nan], [1.0, math.inf], [-math.inf, 1.0], []])
def test_statistic_that_is_not_finite_is_inconclusive_and_has_no_estimate(values):
    for expected in ("> 0", "< 0"):
        seeds = range(len(values))
        over = claims.over_seeds("F1", "published", "s", "t", values, seeds, expected)
        assert over.verdict == "inconclusive"
        assert math.isnan(over.estimate)
        assert over.n == len(values[:1])


def moving(signs, steps=4):
    """A column y that rises (1), falls (-1) or stays (0) with x, by seed."""
    x = np.arange(float(steps))
    parts = [pd.DataFrame({"seed": s, "x": x, "y": sign * x**3}) for s, sign in enumerate(signs)]
    return pd.concat(parts).sample(frac=1, random_state=0)


@pytest.mark.parametrize(
    ("signs", "verdicts"),
    [
        ((1, 1, 1), {"> 0": "supported", "< 0": "contradicted", "!= 0": "supported"}),
        ((-1, -1, -1), {"> 0": "contradicted", "< 0": "supported", "!= 0": "supported"}),
        ((1, -1, 1), {"> 0": "inconclusive", "< 0": "inconclusive", "!= 0": "inconclusive"}),
        ((0, 0, 0), {"> 0": "inconclusive", "< 0": "inconclusive", "!= 0": "inconclusive"}),
    ],
)
def test_trend_is_the_mean_rank_correlation_over_seeds(signs, verdicts):
    for expected, verdict in verdicts.items():
        trend = claims.trend("F1", "corrected", "s", moving(signs), "x", "y", expected)
        assert trend.verdict == verdict
        assert trend.estimate == pytest.approx(np.mean(signs))
        assert (trend.n, trend.unit) == (3, "seeds")
        assert trend.statistic == "Spearman correlation of x and y"


def correlated(correlation, n=400, seed=0):
    """x and y of a linear correlation, and both plus what they have in common with z."""
    rng = np.random.default_rng(seed)
    x, noise, z = rng.normal(size=(3, n))
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    columns = {"x": x, "y": y, "z": z, "x with z": x + 2 * z, "y with z": y + 2 * z}
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("correlation", "verdicts"),
    [
        (0.7, {"> 0": "supported", "< 0": "contradicted", "!= 0": "supported"}),
        (-0.7, {"> 0": "contradicted", "< 0": "supported", "!= 0": "supported"}),
        (0.0, {"> 0": "inconclusive", "< 0": "inconclusive", "!= 0": "inconclusive"}),
    ],
)
def test_verdicts_over_runs(correlation, verdicts):
    for expected, verdict in verdicts.items():
        table = correlated(correlation, 100)
        over = claims.over_runs("F1", "corrected", "s", table, "x", "y", expected)
        assert over.verdict == verdict


def test_over_runs_sees_what_is_left_given_a_third_column():
    table, columns = correlated(0.0), ("x with z", "y with z")
    alone = claims.over_runs("F11", "corrected", "s", table, *columns, "> 0.5", headline="line")
    given = claims.over_runs("F11", "corrected", "s", table, *columns, "> 0", given="z")
    assert (alone.verdict, given.verdict) == ("supported", "inconclusive")
    assert alone.statistic == "Spearman correlation of x with z and y with z"
    assert given.statistic == f"{alone.statistic} given z"
    assert (alone.headline, alone.unit, alone.n) == ("line", "runs", 400)
    standard_error = 1 / math.sqrt(400 - 4)
    assert given.high - given.low == pytest.approx(2 * 1.96 * standard_error, rel=0.2)


@pytest.mark.parametrize("given", [None, "z"])
def test_over_runs_counts_the_rows_that_have_every_value(given):
    table = correlated(0.5, 33)
    table.loc[[3, 8], "y"] = math.nan
    table.loc[11, "z"] = math.nan
    over = claims.over_runs("F11", "corrected", "s", table, "x", "y", "> 0", given)
    n = 31 if given is None else 30
    assert over.n == n
    assert f"n = {n} runs" in over.line()
    assert math.isfinite(over.low)


@pytest.mark.parametrize("rows", [0, 1])
def test_over_fewer_than_two_runs_nothing_is_claimed(rows):
    over = claims.over_runs("F11", "corrected", "s", correlated(0.5, rows), "x", "y", "> 0")
    assert (over.n, over.verdict) == (rows, "inconclusive")
    assert math.isnan(over.estimate)


KINDS = ("between", "within")
ROWS = [(kind, *row) for kind in KINDS for row in PATH_MEASURES]


def flat_summary(seeds=3, steps=4):
    """What `measure.sweep` gives, every measure of path constant."""
    columns = {column: 0.5 for _, column, _, _ in PATH_MEASURES}
    selections = [(kind, selection) for kind in KINDS for selection in ("all", "correct")]
    rows = [
        {"kind": kind, "selection": selection, "seed": seed, "x": float(step), **columns}
        for kind, selection in selections
        for seed in range(seeds)
        for step in range(steps)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("kind", "name", "column", "selection", "title"), ROWS, ids=[f"{r[0]}, {r[4]}" for r in ROWS]
)
def test_path_trends_reads_each_claim_from_its_own_rows(kind, name, column, selection, title, sign):
    """One column moves, on paths of one kind and selection: one claim sees it."""
    summary = flat_summary()
    moved = (summary["kind"] == kind) & (summary["selection"] == selection)
    summary.loc[moved, column] += sign * summary.loc[moved, "x"]
    claimed = claims.path_trends("F2", summary, "x", "training time")
    (seen,) = [one for one in claimed if one.estimate != 0]
    assert seen.estimate == pytest.approx(sign)
    assert (seen.measure, seen.finding, seen.n) == (name, "F2", 3)
    assert seen.statement.startswith(f"{kind} classes, {title} ")
    assert seen.verdict == ("supported" if (sign > 0) == (kind == "between") else "contradicted")


@pytest.mark.parametrize(
    ("expected", "signs", "words"),
    [
        ({}, ("> 0", "< 0"), ("rises", "falls")),
        ({"between": "< 0"}, ("< 0", "< 0"), ("falls", "falls")),
        ({"between": "!= 0", "within": "!= 0"}, ("!= 0", "!= 0"), ("changes", "changes")),
    ],
)
def test_path_trends_gives_a_claim_per_kind_and_measure(expected, signs, words):
    claimed = claims.path_trends("F4", flat_summary(), "x", "more images", **expected)
    sign, word = dict(zip(KINDS, signs, strict=True)), dict(zip(KINDS, words, strict=True))
    assert [(one.statement, one.measure, one.expected) for one in claimed] == [
        (f"{kind} classes, {title} {word[kind]} with more images", name, sign[kind])
        for kind, name, _, _, title in ROWS
    ]
    headlines = {one.headline for one in claimed} - {""}
    assert headlines == {
        f"{kind} classes: {word[kind]} with more images|{column}"
        for kind in KINDS
        for column in ("published", "corrected", "corrected, logits")
    }


def words(line):
    return " ".join(line.split())


def test_line_of_an_exact_claim():
    line = claims.exact("01", "one is more than a half", "one", 1.0, "> 0.5").line()
    assert words(line) == "01 exact supported exact one is more than a half [1.000 > 0.5]"


@pytest.mark.parametrize("value", [-1e-9, -0.0, 0.0])
def test_zero_has_no_sign(value):
    assert "[0.000 < 1]" in claims.exact("01", "s", "t", value, "< 1").line()
    assert "[0.0 < 1]" in claims.exact("01", "s", "t", value, "< 1", decimals=1).line()


def test_line_of_a_claim_about_seeds_has_no_number_that_differs_between_machines():
    lines = {words(claim(low, 2.0, "> 0").line()) for low in (0.5, 0.51)}
    assert lines == {"F1 corrected supported n = 5 seeds it is so"}


def test_lines_are_shown_aligned(capsys):
    other = claim(-1, 2, "> 0", finding="F11", measure="published", n=1000, unit="runs")
    claimed = [claim(1, 2, "> 0"), other, claims.exact("01", "it is so", "t", 0.0, "< 1")]
    claims.show(claimed)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [one.line() for one in claimed]
    assert len({line.index("it is so") for line in lines}) == 1


def test_table_has_a_row_a_claim_and_three_digits():
    table = claims.table([claim(1, 2, "> 0"), claim(-2 / 3, -1 / 3, "> 0", finding="F2")])
    assert table.index.tolist() == ["F1", "F2"]
    assert table["verdict"].tolist() == ["supported", "contradicted"]
    assert table["estimate"].astype(float).tolist() == [1.5, -0.5]
    assert table["low"].astype(float).tolist() == [1, -0.667]
