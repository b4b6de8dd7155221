"""Claims: declared before, tested on the right rows, and never a traceback for poor input."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from lib import stats
from lib.measure import PRIMARY, SUMMARIES, VARIANTS, Protocol
from lib.parameters import StudyError
from study import claims, designs, verdicts
from study.claims import PRIMARIES, exact
from study.pages import FINDINGS
from tests.simulated import along_paths, along_waves, networks

DOSES = [100, 200, 400, 800]
DOSE = designs.over_doses("num_train", "the training set")
FREQUENCY = designs.over_doses("frequency", "the wave's frequency")
SLOPES = np.arange(1, 14) / 13  # of the twelve variants and of HFF


def of_paths(num_seeds=5, doses=DOSES, **shift):
    """Powers rise between classes by SLOPES, and fall within by them."""
    table = networks(num_seeds, num_train=doses)
    rng, step = np.random.default_rng(0), np.arange(len(doses)).repeat(num_seeds)[:, None]
    signs = {"between": 1, "within": -1}

    def logarithms(kind):
        return signs[kind] * SLOPES * step + 0.01 * rng.normal(size=(len(table), 13))

    return along_paths(table, logarithms)


def of_waves(num_seeds=5, frequencies=(1.0, 2.0, 4.0)):
    """Gains fall with frequency by .1, .2, .3 a doubling; the published minimum by .4."""
    table = networks(num_seeds, frequency=frequencies)
    noise = 0.01 * np.random.default_rng(0).normal(size=(len(table), 4))
    falls = np.log2(table["frequency"]).to_numpy()[:, None] * np.array([0.1, 0.2, 0.3, 0.4])
    return along_waves(table, noise - falls)


def test_primary_claims_are_declared_for_every_finding():
    """About two each, and of the signs that are known."""
    assert list(PRIMARIES) == list(FINDINGS)
    declared = [one for own in PRIMARIES.values() for one in own.values()]
    assert {one.expected for one in declared} == {">", "<", "!="}
    assert 18 <= len(declared) <= 26


def test_claims_about_paths_read_their_own_kind_and_columns():
    summary = of_paths()
    claimed = claims.over_paths("F4", summary, DOSE)
    assert [(one.finding, one.name) for one in claimed] == [("F4", "between"), ("F4", "within")]
    for claim, sign in zip(claimed, (1, -1), strict=True):
        assert (claim.statement, claim.expected) == PRIMARIES["F4"][claim.name]
        found = [one.estimate for one in (*claim.variants.values(), claim.published)]
        np.testing.assert_allclose(found, sign * 3 * SLOPES, atol=0.05)
        assert list(claim.variants) == VARIANTS
        assert claim.effect == claim.variants[PRIMARY]
        rows = summary[summary["kind"] == claim.name]
        effect, text = DOSE(rows, PRIMARY)
        assert (claim.effect, claim.text) == (effect, f"{text}, 150 paths or more")
        assert (claim.published, claim.published_text) == DOSE(rows, "hff")


def test_the_median_path_is_told_and_decides_nothing():
    """It falls where the mean rises; at its floor there is no estimate."""
    summary = of_paths()
    falls = summary[PRIMARY] ** -2.0
    beside = summary.assign(power_median=falls, floor_median=falls / 100)
    between, within = claims.over_paths("F4", beside, DOSE)
    plain = claims.over_paths("F4", summary, DOSE)
    assert [one.effect for one in (between, within)] == [one.effect for one in plain]
    assert between.median.estimate == pytest.approx(-2 * between.effect.estimate)
    assert re.fullmatch(r"x [\d.]+ \[[\d.]+, [\d.]+\]", between.median_text)
    assert math.exp(between.median.estimate) < 1 < math.exp(within.median.estimate)
    assert [one.median for one in plain] == [None, None]
    floor = claims.over_paths("F4", beside.assign(floor_median=falls), DOSE)
    assert [one.median_text for one in floor] == ["no estimate", "no estimate"]
    assert all(math.isnan(one.median.estimate) for one in floor)
    assert "median path" in verdicts.table([between]).columns


def test_claims_may_be_of_one_kind_and_have_a_prefix():
    (claim,) = claims.over_paths("F10", of_paths(), DOSE, kinds=["within"])
    assert (claim.finding, claim.name) == ("F10", "within")
    design = designs.against("num_train", 800, 100)
    names = [one.name for one in claims.over_paths("F9", of_paths(), design, prefix="1/f, ")]
    assert names == ["1/f, between", "1/f, within"]


def test_networks_that_are_left_out_take_no_part():
    summary = of_paths()
    odd = summary[summary["num_train"] == 100].assign(num_train=1, included=False, num_paths=3)
    odd[VARIANTS] = 99.0
    assert claims.over_paths("F4", pd.concat([summary, odd]), DOSE) == claims.over_paths(
        "F4", summary, DOSE
    )


def test_a_value_near_its_floor_takes_no_part():
    """Less than ten times above it, of one network at one cutoff: power and share."""
    summary = of_paths()
    rows = summary.index[(summary["kind"] == "within")][:2]
    summary.loc[rows[0], "floor_logits_2"] = summary.loc[rows[0], "power_logits_2"] / 9.9
    summary.loc[rows[1], "floor_logits_4"] = summary.loc[rows[1], "power_logits_4"] / 10.1
    between, within = claims.over_paths("F4", summary, DOSE)
    assert not any(one.reason for one in between.variants.values())
    lost = {name for name, one in within.variants.items() if one.reason}
    assert lost == {"power_logits_2", "share_logits_2"}
    (row,) = verdicts.judge([within.row()])
    assert (row["verdict"], row["agreeing"]) == ("supported", "10/10")
    summary.loc[rows[0], "floor_softmax_1"] = summary.loc[rows[0], PRIMARY]
    _, within = claims.over_paths("F4", summary, DOSE)
    assert within.effect.reason == stats.MISSING
    assert verdicts.judge([within.row()])[0]["verdict"] == "not testable"


def test_a_claim_about_waves_has_three_variants_and_the_published_minimum():
    table = of_waves()
    claim = claims.over_waves("F1", table, FREQUENCY)
    assert (claim.name, claim.expected) == ("gain", "<")
    assert list(claim.variants) == list(SUMMARIES)
    found = [one.estimate for one in (*claim.variants.values(), claim.published)]
    np.testing.assert_allclose(found, [-0.2, -0.4, -0.6, -0.8], atol=0.03)
    assert (claim.effect, claim.text) == FREQUENCY(table, "mean_gain")


def test_waves_below_one_period_take_no_part():
    table = of_waves()
    slow = table[table["frequency"] == 1].assign(frequency=0.1, included=False, mean_gain=-9.0)
    assert claims.over_waves("F1", pd.concat([table, slow]), FREQUENCY) == claims.over_waves(
        "F1", table, FREQUENCY
    )


# --- bad input: one clear line, or not testable with its reason


def reasons(claimed):
    """Of the effect and of the published one, each claim judged not testable where there is one."""
    found = []
    for row in verdicts.judge([json.loads(json.dumps(one.row())) for one in claimed]):
        found.append((row["effect"]["reason"], row["published"]["reason"]))
        assert (row["verdict"] == "not testable") == bool(found[-1][0])
        assert (row["published_verdict"] == "not testable") == bool(found[-1][1])
        assert found[-1][0] in verdicts.answer(claimed)
    assert "nan" not in verdicts.answer(claimed)
    assert verdicts.table(claimed)["why not"].tolist() == [one.effect.reason for one in claimed]
    return found


def test_a_protocol_that_cannot_resolve_its_cutoff_is_refused_in_one_line():
    refused = r"^cutoff: got 0\.2; accepted: at most .* at spacing 0\.5 nu$"
    with pytest.raises(StudyError, match=refused) as caught:
        Protocol(num_pairs=300, spacing=0.5, cutoff=0.2)
    assert "\n" not in str(caught.value)


def test_fewer_than_100_matched_paths():
    """Of one network and kind: that kind's claim; HFF is over all paths."""
    summary = of_paths()
    summary.loc[summary.index[summary["kind"] == "within"][3], "num_paths"] = 99
    few = "99 matched paths; a verdict needs 100"
    assert reasons(claims.over_paths("F4", summary, DOSE)) == [("", ""), (few, "")]
    enough = summary.assign(num_paths=100)
    assert reasons(claims.over_paths("F4", enough, DOSE)) == [("", ""), ("", "")]


def test_a_dose_of_zero_is_left_out():
    with_zero = of_paths(doses=[0, *DOSES])
    positive = with_zero[with_zero["num_train"] > 0]
    both = [claims.over_paths("F4", summary, DOSE) for summary in (with_zero, positive)]
    assert [one.effect for one in both[0]] == [one.effect for one in both[1]]
    with_it, without = ([one.text.split(", ")[:-1] for one in claimed] for claimed in both)
    assert [", ".join(one) for one in with_it] == [
        f"{', '.join(one)} (0 left out)" for one in without
    ]


@pytest.mark.parametrize("num_seeds", [1, 4])
def test_too_few_seeds(num_seeds):
    reason = f"n = {num_seeds} seeds; a verdict needs 5"
    claimed = claims.over_paths("F4", of_paths(num_seeds), DOSE)
    assert reasons(claimed) == [(reason, reason)] * 2
    ratio = math.exp(claimed[0].effect.estimate / 3)
    text = f"x {ratio:.3f} a doubling of the training set, 150 paths or more"
    assert claimed[0].text == text
    assert reasons([claims.over_waves("F1", of_waves(num_seeds), FREQUENCY)]) == [(reason, reason)]


def test_equal_doses():
    reason = "fewer than two values of the training set above 0"
    claimed = claims.over_paths("F4", of_paths(doses=[100, 100]), DOSE)
    assert reasons(claimed) == [(reason, reason)] * 2
    reason = "fewer than two values of the wave's frequency above 0"
    assert reasons([claims.over_waves("F1", of_waves(5, [2.0]), FREQUENCY)]) == [(reason, reason)]


def test_a_control_that_is_missing():
    """All of it, or of one seed. (Of a wave: see tests/measure, refused in one line.)"""
    table = networks(5, arm=["smoothing", "f"])
    summary = along_paths(table, lambda _: np.random.default_rng(0).normal(size=(10, 13)))
    design = designs.against("arm", "f", "smoothing")
    treated = summary[summary["arm"] == "f"]
    absent = "no network with arm smoothing"
    claimed = claims.over_paths("F9", treated, design, prefix="f, ")
    assert reasons(claimed) == [(absent, absent)] * 2
    partly = summary[(summary["arm"] == "f") | (summary["seed"] > 0)]
    claimed = claims.over_paths("F9", partly, design, prefix="f, ")
    assert reasons(claimed) == [(stats.MISSING, stats.MISSING)] * 2


def test_no_network_is_included():
    """As where all are below 60 % of the best one's accuracy, or there is none."""
    for summary in (of_paths().assign(included=False), of_paths().iloc[:0]):
        claimed = claims.over_paths("F4", summary, DOSE)
        assert {one.effect.reason for one in claimed} == {"0 matched paths; a verdict needs 100"}
        assert {verdict["verdict"] for verdict in verdicts.judge([c.row() for c in claimed])} == {
            "not testable"
        }


def test_no_wave_has_a_period():
    reason = "no wave has a period across the images"
    claim = claims.over_waves("F1", of_waves().assign(included=False), FREQUENCY)
    assert reasons([claim]) == [(reason, reason)]


def test_a_premise_that_fails():
    """Of the published claim too; no variant counts."""
    reason = "no student is more accurate"
    claimed = claims.over_paths("F4", of_paths(), DOSE, reason=reason)
    assert reasons(claimed) == [(reason, reason)] * 2
    assert [one.variants for one in claimed] == [{}, {}]


# --- claims without a verdict, and rows


@pytest.mark.parametrize(
    ("value", "expected", "met"),
    [
        (0.25, "> 0.2", True),
        (0.25, "< 0.3", True),
        (0.25, "> 0.3", False),
        (0.25, "< 0.25", False),  # the inequality is strict
        (1e-7, "< 1e-6", True),
        (math.nan, "> 0", False),
    ],
)
def test_a_number_meets_its_inequality_or_not(value, expected, met):
    claim = exact("01", "s", value, expected)
    assert (claim.effect.reason == "") == met
    assert claim.text.endswith(expected)


@pytest.mark.parametrize("expected", ["", "<0", "0", "<= 0", "== 1", "!= 0", "< "])
def test_expectation_that_cannot_be_read(expected):
    with pytest.raises(StudyError, match=r"^expected: got .*accepted: an inequality"):
        exact("01", "s", 1.0, expected)


@pytest.mark.parametrize("value", [-1e-9, -0.0, 0.0])
def test_zero_has_no_sign(value):
    assert exact("01", "s", value, "< 1").text == "0.000 < 1"


def test_a_description_has_no_name_and_no_expectation():
    effect, text = DOSE(of_paths().query("kind == 'within'"), PRIMARY)
    claim = claims.described("F4", "s", effect, text)
    assert (claim.name, claim.expected, claim.effect, claim.text) == ("", "", effect, text)
    assert verdicts.judge([claim.row()]) == []


def test_a_row_is_plain_values():
    (claim,) = claims.over_paths("F10", of_paths(), DOSE, kinds=["within"])
    row = claim.row()
    assert json.loads(json.dumps(row)) == row
    assert row["effect"]["estimate"] == claim.effect.estimate
    assert row["published"]["p"] == claim.published.p
    assert row["variants"][PRIMARY] == [claim.effect.estimate, claim.effect.p]
    assert exact("01", "s", 1.0, "> 0").row()["published"] is None


def test_statements_are_about_what_is_measured():
    for own in PRIMARIES.values():
        for name, (statement, expected) in own.items():
            words = {">": "rise|lower|more", "<": "fall", "!=": "change"}[expected]
            assert re.search(words, statement), statement
            kind = name.rpartition(" ")[2]
            if kind in ("between", "within"):
                assert statement.startswith(f"{kind} classes, it ")
