"""The matrix of claims x measures: what stands in its cells, and which cells are empty."""

import math

import numpy as np
import pytest

from lib import plots
from study import matrix, verdicts


def row(name="between", unit="seeds", variants=None, published=(0.5, 0.01), reason="", way=">"):
    """A row as `Claim.row` makes it, of claim F2 `name`."""

    def effect(estimate, p):
        return {"estimate": estimate, "p": p, "reason": "", "unit": unit, "negligible": False}

    shown = effect(*published) | {"reason": reason}
    one = {"finding": "F2", "name": name, "expected": way, "effect": effect(0.7, 0.001)}
    return one | {"published": shown, "variants": variants or {}}


@pytest.fixture
def judged():
    paths = {"power_softmax_1": (math.log(2), 0.001), "share_logits_4": (-0.1, 0.9)}
    waves = {"mean_gain": (-0.25, 0.001), "final_gain": (math.nan, math.nan)}
    ranks = {"power_softmax_1": (-0.62, 0.04)}
    rows = [row(variants=paths), row("gain", variants=waves, reason="no waves", way="<")]
    rows.append(row("within", "conditions", ranks, published=(0.3, 0.2), way="!="))
    return verdicts.judge(rows)


def test_a_cell_is_an_effect_of_its_kind_decided_within_its_claim(judged):
    table = matrix.effects(judged).set_index(["claim", "column"])
    assert len(table) == 6  # without what was not tested, or is NaN
    found = table.loc[("F2 between", "power_softmax_1")]
    assert found.tolist() == [math.log(2), "ratio", True]
    assert table.loc[("F2 between", "share_logits_4")].tolist() == [-0.1, "ratio", False]
    assert table.loc[("F2 between", "published")].tolist() == [0.5, "ratio", True]
    assert table.loc[("F2 gain", "mean_gain")].tolist() == [-0.25, "difference", True]
    assert table.loc[("F2 within", "power_softmax_1")].tolist() == [-0.62, "correlation", True]
    assert table.loc[("F2 within", "published")].tolist() == [0.3, "correlation", False]


@pytest.mark.parametrize(
    ("effect", "kind", "text"),
    [
        (math.log(2), "ratio", "2.00"),
        (math.log(42.4), "ratio", "42"),
        (math.log(0.0084), "ratio", "0.008"),
        (-0.621, "correlation", "-0.62"),
        (0.011, "difference", "+0.01"),
    ],
)
def test_an_effect_as_a_number(effect, kind, text):
    assert matrix.told(effect, kind) == text


def test_the_picture_has_a_dot_a_decided_effect_and_a_text_a_cell(judged):
    figure = matrix.figure(judged, "mine")
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "F2 between ↑",
        "F2 gain ↓",
        "F2 within ↕",
    ]
    words = [label.get_text() for label in ax.get_xticklabels()]
    assert words == [
        "published",
        "power softmax above 1 cutoff",
        "share logits above 4 cutoff",
        "mean gain",
    ]
    (dots,) = ax.lines
    places = np.floor(np.column_stack(dots.get_data())).astype(int).tolist()
    assert places == [[0, 0], [1, 0], [3, 1], [1, 2]]
    texts = sorted(text.get_text() for text in ax.texts)
    assert texts == sorted(["1.65", "2.00", "0.90", "-0.25", "+0.30", "-0.62"])
    plots.plt.close(figure)
