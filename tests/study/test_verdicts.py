"""Verdicts: what follows from p-values together, and how it is said."""

import dataclasses
import math

import numpy as np
import pytest

from lib.measure import VARIANTS
from lib.stats import Effect
from study import verdicts
from study.claims import Claim, described, exact

YES, NO, EVEN, OPEN, UNTESTED = verdicts.VERDICTS


def effect(estimate=0.5, p=0.001, **fields):
    return Effect(estimate, estimate - 0.1, estimate + 0.1, p, 5, **fields)


def claim(one=None, expected=">", name="between", published=None, variants=(), **fields):
    """variants: (estimate, p) of each."""
    of_columns = zip(VARIANTS, (effect(*pair) for pair in variants), strict=False)
    parts = (one or effect(), "x 1.5 [1.4, 1.6] in all", published, "x 2", dict(of_columns))
    usual = {"finding": "F2", "name": name, "statement": "it rises", "expected": expected}
    return Claim(*(usual | fields).values(), *parts)


def judged(*claimed):
    return verdicts.judge([one.row() for one in claimed])


@pytest.mark.parametrize(
    ("one", "expected", "verdict"),
    [
        (effect(0.5), ">", YES),
        (effect(0.5), "<", NO),
        (effect(0.5), "!=", YES),
        (effect(-0.5), ">", NO),
        (effect(-0.5), "<", YES),
        (effect(-0.5), "!=", YES),
        (effect(0.5, 0.05), ">", YES),
        (effect(0.5, 0.051), ">", OPEN),
        (effect(0.5, 0.051), "!=", OPEN),
        (effect(0.01, 0.9, negligible=True), ">", EVEN),
        (effect(0.01, 0.9, negligible=True), "!=", EVEN),
        (effect(0.05, 0.01, negligible=True), ">", YES),  # small, and there
        (Effect(0.5, n=3, reason="n = 3 seeds"), ">", UNTESTED),
        (Effect(0.5, 0.4, 0.6, 0.001, 5, reason="the premise fails"), ">", UNTESTED),
        (Effect(math.nan, reason="missing"), "<", UNTESTED),
    ],
)
def test_verdict(one, expected, verdict):
    (row,) = judged(claim(one, expected))
    assert row["verdict"] == verdict
    assert row["q"] == (
        pytest.approx(one.p) if verdict != UNTESTED else pytest.approx(math.nan, nan_ok=True)
    )


def test_every_primary_claim_of_a_profile_goes_through_one_correction():
    """p = .03 alone is decided; beside two that are not, its q is .09."""
    alone = judged(claim(effect(p=0.03)))
    assert [(row["q"], row["verdict"]) for row in alone] == [(0.03, YES)]
    three = judged(*(claim(effect(p=p)) for p in (0.03, 0.5, 0.9)))
    assert [row["q"] for row in three] == pytest.approx([0.09, 0.75, 0.9])
    assert {row["verdict"] for row in three} == {OPEN}


def test_what_is_described_or_not_testable_does_not_count_in_the_correction():
    others = [claim(effect(p=0.9), name=""), claim(effect(p=0.9, reason="few paths"))]
    rows = judged(claim(effect(p=0.03)), *others, exact("01", "s", 1.0, "> 0"))
    assert [row["verdict"] for row in rows] == [YES, UNTESTED]
    assert rows[0]["q"] == pytest.approx(0.03)


def test_published_claims_have_a_correction_of_their_own():
    published = [effect(-0.5, 0.04), None, effect(0.5, 0.03), effect(0.1, 0.5, negligible=True)]
    rows = judged(*(claim(published=one) for one in published))
    assert [row.get("published_verdict") for row in rows] == [OPEN, None, OPEN, EVEN]
    assert rows[0]["published_q"] == pytest.approx(0.06)
    assert {row["q"] for row in rows} == {0.001}
    assert judged(claim(published=effect(-0.5)))[0]["published_verdict"] == NO


def agreement(*variants, one=None):
    (row,) = judged(claim(one, variants=variants))
    return row["agreeing"], row["depends"]


def test_variants_that_agree_and_variants_that_do_not():
    yes, no, open_ = (0.5, 0.001), (-0.5, 0.001), (0.5, 0.3)
    assert agreement(*[yes] * 12) == ("12/12", False)
    assert agreement(*[yes] * 11, open_) == ("11/12", False)
    assert agreement(*[yes] * 11, no) == ("11/12", True)
    assert agreement(*[no] * 12) == ("0/12", False)
    assert agreement(*[no] * 12, one=effect(-0.5)) == ("12/12", False)
    assert agreement(*[open_] * 12) == ("0/12", False)
    assert agreement(*[yes] * 2, open_) == ("2/3", False)
    assert agreement() == ("", False)


def test_variants_against_an_effect_are_counted_where_none_is_decided_with_it():
    undecided = effect(0.5, 0.4)
    (row,) = judged(claim(undecided, variants=[(-0.5, 0.001)] * 4 + [(0.5, 0.3)] * 8))
    assert (row["agreeing"], row["against"], row["depends"]) == ("0/12", ", 4 against", False)
    (row,) = judged(claim(Effect(math.nan, reason="missing"), variants=[(0.5, 0.001), (0.5, 0.3)]))
    assert (row["agreeing"], row["against"]) == ("0/2", "")  # no sign to be for or against


def test_variants_are_corrected_together():
    """Of twelve p of .04 all, of one .04 among .9 none, are decided."""
    assert agreement(*[(0.5, 0.04)] * 12) == ("12/12", False)
    assert agreement((0.5, 0.04), *[(0.5, 0.9)] * 11) == ("0/12", False)
    assert agreement((0.5, 0.001), (-0.5, 0.02), *[(0.5, 0.9)] * 10) == ("1/12", False)
    assert agreement((0.5, 0.001), (0.5, math.nan)) == ("1/1", False)  # of what could be tested


def test_rows_may_come_from_json_or_from_before():
    """NaN is null there, and older claims have neither name nor effect."""
    row = claim(Effect(math.nan, reason="missing"), variants=[(math.nan, math.nan)]).row()
    row["effect"] |= {"estimate": None, "p": None}
    row["variants"] = {name: [None, None] for name in row["variants"]}
    old = {"finding": "F1", "verdict": "supported", "headline": "falls|published"}
    (found,) = verdicts.judge([old, row])
    assert (found["verdict"], found["agreeing"], found["depends"]) == (UNTESTED, "", False)
    assert verdicts.judge([old]) == []


def test_judging_leaves_its_rows_as_they_were():
    row = claim().row()
    before = dict(row)
    verdicts.judge([row])
    assert row == before


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (effect(0.5, 0.0001), "above 0"),
        (effect(-0.5, 0.003), "below 0"),
        (effect(-0.5, 0.02), "p .003 to .32"),
        (effect(0.5, 0.03), "p .003 to .32"),
        (effect(0.5, 0.1), "p .003 to .32"),
        (effect(0.5, 0.33), "p above .32"),
        (Effect(0.5, n=5, reason="few"), "not testable"),
        (dataclasses.replace(effect(0.5, 0.0001), unit="conditions"), "rho above 0"),
        (dataclasses.replace(effect(-0.2, 0.6), unit="conditions"), "rho below 0"),
        (dataclasses.replace(effect(-0.05, 0.9), unit="conditions"), "rho near 0"),
    ],
)
def test_lines_that_are_compared_have_no_number_that_differs_between_machines(one, state):
    assert words(verdicts.line(claim(one))) == f"F2 primary {state} n = 5 it rises"
    if not one.reason:
        moved = dataclasses.replace(one, estimate=one.estimate * 1.001, p=one.p * 0.999)
        assert verdicts.line(claim(moved)) == verdicts.line(claim(one))


def test_lines_are_shown_aligned(capsys):
    numbers = (exact("01", "it rises", 0.25, f"{sign} 0.2", 2) for sign in "<>")
    claimed = [claim(), claim(name="", finding="F11"), *numbers]
    verdicts.show(claimed)
    lines = capsys.readouterr().out.splitlines()
    assert [words(one) for one in lines] == [
        "F2 primary above 0 n = 5 it rises",
        "F11 described above 0 n = 5 it rises",
        "01 does not hold it rises: 0.25 < 0.2",
        "01 holds it rises: 0.25 > 0.2",
    ]
    assert len({one.index("it rises") for one in lines[:2]}) == 1


def test_the_table_judges_primary_claims_by_themselves():
    claimed = [
        described("F2", "beside", effect(), "x 3"),
        claim(variants=[(0.5, 0.001)] * 12, published=effect(-0.5)),
        claim(Effect(0.1, n=2, reason="n = 2 seeds")),
    ]
    table = verdicts.table(claimed)
    assert table.index.tolist() == ["F2"] * 3
    assert table["by itself"].tolist() == ["", "as claimed", "not testable"]
    assert table["variants"].tolist() == ["", "12/12", ""]
    assert table["effect"].tolist() == ["x 3", claimed[1].text, claimed[2].text]
    assert table["p"].tolist()[:2] == ["", "0.001"]
    assert table["why not"].tolist() == ["", "", "n = 2 seeds"]
    assert verdicts.table([exact("01", "s", 1.0, "> 0")])["effect"].tolist() == ["1.000 > 0"]


def test_the_answer_in_words():
    yes, no = (0.5, 0.001), (-0.5, 0.001)
    claimed = [
        claim(variants=[yes] * 12, published=effect(-0.5)),
        claim(variants=[yes] * 11 + [no]),
        claim(Effect(0.1, n=2, reason="n = 2 seeds")),
        exact("01", "s", 1.0, "> 0"),
    ]
    first, second, third, note = verdicts.answer(claimed).split("\n\n")
    said = (
        "It rises: as claimed, x 1.5 [1.4, 1.6] in all. Variants decided upwards: power softmax (3)"
    )
    others = "share softmax (3), power logits (3), share logits"
    signs = "Testable variants decided with its sign"
    assert first == f"{said}, {others} (3). {signs}: 12/12. As published: x 2."
    assert second.startswith(f"{said}, {others} (2). Variants decided downwards: share logits (1).")
    assert second.endswith(f"{signs}: 11/12. It depends on the measure.")
    assert third == "It rises: not testable (n = 2 seeds), x 1.5 [1.4, 1.6] in all."
    assert note == verdicts.NOTE
    assert verdicts.answer(claimed[3:]) == ""


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (effect(0.5, 0.03), "as claimed"),
        (effect(-0.5, 0.03), "against the claim"),
        (effect(0.5, 0.3), "inconclusive"),
        (effect(0.01, 0.3, negligible=True), "negligible"),
        (effect(0.5, 0.03, reason="few"), "not testable"),
    ],
)
def test_a_claim_by_itself_is_not_corrected_for_others(one, words):
    rows = judged(claim(one), *[claim(effect(p=0.9))] * 9)
    assert verdicts.alone(rows[0]) == words


def test_the_level_of_a_claim_is_that_of_its_profile():
    """A notebook's own two claims, and the same among a profile's twenty."""
    two = [claim(effect(p=p)) for p in (0.02, 0.04)]
    assert [row["verdict"] for row in judged(*two)] == [YES, YES]
    rng = np.random.default_rng(0)
    others = [claim(effect(p=p)) for p in rng.uniform(0.3, 1, 18)]
    assert {row["verdict"] for row in judged(*two, *others)} == {OPEN}


def test_false_discoveries_by_hand():
    """q = min over larger p of p n / rank: .01 * 4 / 1, .03 * 4 / 3, .03 * 4 / 3, .5."""
    q = verdicts.false_discoveries([0.5, 0.02, math.nan, 0.01, 0.03])
    np.testing.assert_allclose(q, [0.5, 0.04, math.nan, 0.04, 0.04])
    assert np.isnan(verdicts.false_discoveries([math.nan, math.nan])).all()
    assert len(verdicts.false_discoveries([])) == 0
