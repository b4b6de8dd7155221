import json
import math
import subprocess

import IPython.display
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from lib import claims, runs
from lib.claims import Claim
from lib.parameters import StudyError


def claim(low, high, expected, **fields):
    values = {"finding": "F1", "measure": "corrected", "statement": "it is so", "statistic": "mean",
              "estimate": (low + high) / 2, "n": 5}  # fmt: skip
    return Claim(**(values | fields), expected=expected, low=low, high=high)


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
        (-0.4, -0.3, "< -0.25", "supported"),
        (1e-4, 2e-4, "< 1e-3", "supported"),
        (-1, 0, "< 0", "inconclusive"),  # the inequality is strict
        (0, 0, "< 0", "contradicted"),
        (0, 0, "> 0", "contradicted"),
        (-2, -1, "!= 0", "supported"),
        (1, 2, "!= 0", "supported"),
        (-1, 1, "!= 0", "inconclusive"),
        (0, 1, "!= 0", "inconclusive"),
        (math.nan, math.nan, "> 0", "inconclusive"),
        (1, math.nan, "> 0", "inconclusive"),
        (math.nan, math.nan, "!= 0", "inconclusive"),
    ],
)
def test_verdict(low, high, expected, verdict):
    assert claim(low, high, expected).verdict == verdict


@pytest.mark.parametrize("expected", ["", "<0", "0", "<= 0", "== 1", "< ", "< zero", "< 1.2.3", "< .", "< -", "< 1 ",
                                      "> 1e", "< nan", "!="])  # fmt: skip
def test_expectation_that_cannot_be_read(expected):
    for make in (lambda: claims.exact("01", "s", "t", 1.0, expected),
                 lambda: claims.over_seeds("F1", "corrected", "s", "t", [1, 2], [0, 1], expected)):  # fmt: skip
        with pytest.raises(StudyError, match=r"^expected: got .*accepted: an inequality"):
            make()


def test_over_seeds_is_a_bootstrap_of_the_mean():
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = claims.over_seeds("F1", "published", "s", "t", values, range(5), "> 0")
    assert (found.estimate, found.n, found.verdict) == (3.0, 5, "supported")
    assert 1.0 < found.low < 3.0 < found.high < 5.0
    half = 1.96 * np.std(values) / math.sqrt(5)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_one_seed_is_inconclusive():
    found = claims.over_seeds("F1", "published", "s", "t", [1.0], [0], "> 0")
    assert found.verdict == "inconclusive"
    assert found.n == 1


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("expected", ["> 0", "< 0"])
def test_statistic_that_is_not_finite_is_inconclusive_and_has_no_estimate(expected, missing):
    found = claims.over_seeds("F1", "published", "s", "t", [1.0, missing], [0, 1], expected)
    assert found.verdict == "inconclusive"
    assert math.isnan(found.estimate)
    assert found.n == 1


def monotone(signs):
    """A column y that rises (1), falls (-1) or stays (0) with x, by seed."""
    x = np.array([0.5, 1.0, 2.0, 4.0])
    return pd.concat(
        [pd.DataFrame({"seed": seed, "x": x, "y": sign * np.exp(x)}) for seed, sign in enumerate(signs)]
    ).sample(frac=1, random_state=0)


def test_rank_correlation_of_monotone_data():
    found = claims.rank_correlation(monotone([1, -1, 0]), "x", "y")
    assert found.to_dict() == pytest.approx({0: 1.0, 1: -1.0, 2: 0.0})
    assert claims.rank_correlation(monotone([1, -1]).assign(x=3.0), "x", "y").tolist() == [0, 0]


def test_rank_correlation_by_its_formula():
    """1 - 6 sum d^2 / (n (n^2 - 1)), without ties: ranks 1 2 3 4 5 against 2 1 4 5 3."""
    table = pd.DataFrame({"seed": 7, "x": [1, 2, 3, 4, 5], "y": [20, 10, 40, 50, 30]})
    assert claims.rank_correlation(table, "x", "y")[7] == pytest.approx(1 - 6 * (1 + 1 + 1 + 1 + 4) / (5 * 24))


@pytest.mark.parametrize(
    ("signs", "verdict"), [([1, 1, 1], "contradicted"), ([-1, -1, -1], "supported"), ([1, -1, 1], "inconclusive")]
)
def test_trend(signs, verdict):
    found = claims.trend("F1", "corrected", "it falls", monotone(signs), "x", "y", "< 0")
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(np.mean(signs))
    assert (found.n, found.unit) == (3, "seeds")
    assert "x" in found.statistic
    assert "y" in found.statistic


def correlated(n=400, seed=0):
    """x and y that have only z in common."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return pd.DataFrame({"x": z + 0.5 * rng.normal(size=n), "y": z + 0.5 * rng.normal(size=n), "z": z})


def test_partial_rank_correlation_by_its_formula():
    table = correlated(60).round(1)  # with ties
    r = scipy.stats.spearmanr(table).statistic
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / math.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    columns = [table[name].to_numpy() for name in "xyz"]
    assert claims.partial_rank_correlation(*columns) == pytest.approx(expected, abs=1e-12)
    assert claims.partial_rank_correlation(*columns[:2]) == pytest.approx(r[0, 1], abs=1e-12)
    stacked = [np.stack([column, column[::-1]]) for column in columns]
    np.testing.assert_allclose(claims.partial_rank_correlation(*stacked, axis=-1), [expected] * 2, atol=1e-12)


def test_over_runs_sees_what_is_left_given_a_third_column():
    table = correlated()
    alone = claims.over_runs("F11", "corrected", "s", table, "x", "y", "> 0.5")
    given = claims.over_runs("F11", "corrected", "s", table, "x", "y", "> 0", given="z")
    assert (alone.verdict, given.verdict) == ("supported", "inconclusive")
    assert (alone.n, alone.unit) == (400, "runs")
    standard_error = 1 / math.sqrt(400 - 4)
    assert given.high - given.low == pytest.approx(2 * 1.96 * standard_error, rel=0.2)
    assert "given z" in given.statistic


def test_line_of_an_exact_claim():
    line = claims.exact("01", "one is more than a half", "one", 1.0, "> 0.5").line()
    assert " ".join(line.split()) == "01 exact supported exact one is more than a half [1.000 > 0.5]"


@pytest.mark.parametrize("value", [-1e-9, -0.0, 0.0])
def test_zero_has_no_sign(value):
    assert "[0.000 < 1]" in claims.exact("01", "s", "t", value, "< 1").line()


def test_exact_claim_has_the_number_as_its_interval():
    found = claims.exact("01", "s", "t", 0.25, "> 0.3", decimals=1)
    assert (found.low, found.estimate, found.high) == (0.25, 0.25, 0.25)
    assert found.verdict == "contradicted"


def test_line_of_a_claim_about_seeds_has_no_number_that_differs_between_machines():
    lines = {claim(low, 2.0, "> 0").line() for low in (0.5, 0.51)}
    assert len(lines) == 1
    assert " ".join(lines.pop().split()) == "F1 corrected supported n = 5 seeds it is so"


def test_show_prints_a_line_a_claim(capsys):
    found = [claim(1, 2, "> 0"), claim(-1, 2, "> 0"), claims.exact("01", "s", "t", 0.0, "< 1")]
    claims.show(found)
    assert capsys.readouterr().out.splitlines() == [one.line() for one in found]


def test_lines_are_aligned():
    found = [claim(1, 2, "> 0"), claim(-1, 2, "> 0", finding="F11", measure="published"),
             claims.exact("01", "it is so", "t", 0.0, "< 1")]  # fmt: skip
    assert len({one.line().index("it is so") for one in found}) == 1


def test_table_has_a_row_a_claim():
    found = claims.table([claim(1, 2, "> 0"), claim(-2, -1, "> 0")])
    assert found["verdict"].tolist() == ["supported", "contradicted"]
    assert found["estimate"].tolist() == [1.5, -1.5]


def test_path_trends_gives_each_measure_between_and_within_classes():
    """A column that rises with x between classes and falls within them, in each selection."""
    rows = []
    for kind, sign in (("between", 1), ("within", -1)):
        for _, column, selection, _ in claims.PATH_MEASURES:
            rows.append(monotone([sign] * 3).rename(columns={"y": column}).assign(kind=kind, selection=selection))
    summary = pd.concat(rows).groupby(["kind", "selection", "seed", "x"], as_index=False).first()
    found = claims.path_trends("F2", summary, "x", "time")
    assert len(found) == 2 * len(claims.PATH_MEASURES)
    assert {(one.statement.split()[0], one.expected, one.verdict) for one in found} == {
        ("between", "> 0", "supported"), ("within", "< 0", "supported")
    }  # fmt: skip
    assert all(one.estimate == pytest.approx(1 if one.expected == "> 0" else -1) for one in found)


def test_record_leaves_claims_runs_and_parameters_in_the_notebook(configure, store, monkeypatch, capsys):
    displayed = []
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: displayed.append(bundle))
    run = runs.find_or_execute(configure(), "cpu")
    namespace = {}
    exec("dataset: str = 'npz:/home/me/mine.npz'\nseeds: list[int] = [0, 1]\nother = 3", namespace)
    found = [claim(1, 2, "> 0"), claim(math.nan, math.nan, "> 0")]
    claims.record(found, [run, run], namespace)
    (bundle,) = displayed
    payload = bundle[claims.MIME]
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    assert payload["runs"] == [run.key]
    assert payload["parameters"] == {"dataset": "npz:mine.npz", "seeds": [0, 1]}
    assert [row["verdict"] for row in payload["claims"]] == ["supported", "inconclusive"]
    assert payload["claims"][1]["low"] is None
    text = bundle["text/plain"]
    assert [line.split()[0] for line in text.splitlines()] == ["versions", "device", "commit", "parameters", "runs"]
    assert run.key in text
    assert "/home/me" not in text + json.dumps(payload)


def test_record_of_no_claim_is_refused():
    with pytest.raises(StudyError, match=r"^record: "):
        claims.record([], [], {})


def test_commit_without_git(monkeypatch):
    def absent(*_args, **_kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert claims.commit() == "unknown"
