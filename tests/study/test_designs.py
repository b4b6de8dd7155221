"""The designs: the right rows, the right pairs, effects in units that mean something; and a reason,
never a traceback, where a table cannot be tested."""

import math

import numpy as np
import pandas as pd
import pytest

from lib import stats
from lib.stats import Effect
from study import designs
from tests.simulated import networks

NOISE = np.array([-0.02, 0.01, 0.0, 0.03, -0.02])  # of five seeds


def table_of(values, num_seeds=5, **columns):
    """Networks whose measure has these values, a condition each, times noise by seed."""
    table = networks(num_seeds, **columns)
    noise = 1 + NOISE[table["seed"] % 5] * (1 + np.repeat(np.arange(len(values)), num_seeds))
    return table.assign(power=np.repeat(values, num_seeds) * noise)


def test_a_dose_is_told_a_doubling_and_tested_from_end_to_end():
    doses = [1, 2, 4, 8]
    table = table_of(np.array(doses) ** 0.5, dose=doses)
    effect, text = designs.over_doses("dose", "the dose")(table, "power")
    assert effect == stats.t_test(stats.slopes(table, "dose", "power"))
    assert effect.estimate == pytest.approx(math.log(8) / 2, abs=0.02)
    ratio = math.exp(effect.estimate / 3)
    assert text.startswith(f"x {ratio:.3g} [")
    assert text.endswith("] a doubling of the dose")
    assert ratio == pytest.approx(math.sqrt(2), rel=0.01)


def test_a_dose_of_zero_is_left_out_of_the_slope_and_it_is_said():
    doses = [0, 1, 2, 4]
    table = table_of([7.0, 1.0, 2.0, 4.0], dose=doses)
    positive = table[table["dose"] > 0]
    design = designs.over_doses("dose", "decay")
    (with_zero, said), (without, plain) = (design(one, "power") for one in (table, positive))
    assert with_zero == without
    assert said == f"{plain} (0 left out)"


def test_gains_and_accuracies_are_told_as_differences():
    doses = [1, 2, 4]
    table = table_of([0.4, 0.3, 0.2], dose=doses).rename(columns={"power": "mean_gain"})
    effect, text = designs.over_doses("dose", "the frequency")(table, "mean_gain")
    assert effect.estimate == pytest.approx(-0.2, abs=0.01)
    assert text.startswith("-0.100 [-0.1")
    assert [designs.is_ratio(name) for name in ("power_softmax_1", "hff", "dip_epoch")] == [
        True
    ] * 3
    told = ("mean_gain", "min_noise_fitting", "beyond_control", "test_accuracy")
    assert [designs.is_ratio(name) for name in told] == [False] * 4


def test_what_is_negligible_depends_on_the_measure():
    """5 % of a power, of a gain and of an accuracy: of the last it is not."""
    table = table_of([0.80, 0.84], arm=["none", "f"])
    columns = {name: table["power"] for name in ("hff", "mean_gain", "test_accuracy")}
    table = table.assign(**columns)
    design = designs.against("arm", "f", "none")
    found = {name: design(table, name)[0].negligible for name in columns}
    assert found == {"hff": True, "mean_gain": True, "test_accuracy": False}
    small = table.assign(mean_gain=0.1 * table["power"] + 0.2 * (table["arm"] == "f"))
    assert not design(small, "mean_gain")[
        0
    ].negligible  # a tenth of what it is, not of a whole wave


def test_time_compares_the_last_with_the_first():
    table = table_of([1.0, 99.0, 3.0], epoch=[2, 5, 20]).sample(frac=1, random_state=0)
    effect, text = designs.over_time("epoch", "epoch")(table, "power")
    assert effect.estimate == pytest.approx(math.log(3), abs=0.01)
    assert text.startswith("x 3")
    assert text.endswith("] from epoch 2 to 20")


def test_a_difference_is_paired_by_seed():
    """Seeds that differ by far more than the treatment does."""
    table = table_of([1.0, 2.0], arm=["none", "f"])
    level = 10.0 ** table["seed"]
    table = table.assign(power=table["power"] * level, test_accuracy=table["power"] / 10 + level)
    design = designs.against("arm", "f", "none")
    effect, text = design(table.sample(frac=1, random_state=0), "power")
    assert (effect.estimate, effect.p < 1e-5) == (pytest.approx(math.log(2), abs=0.01), True)
    assert text.endswith("] f against none")
    assert text.startswith("x 2")
    effect, text = design(table, "test_accuracy")
    assert (effect.estimate, effect.p < 1e-5) == (pytest.approx(0.1, abs=0.01), True)
    assert text.startswith("+0.1")
    reverse, _ = designs.against("arm", "none", "f")(table, "power")
    assert reverse.estimate == -design(table, "power")[0].estimate


def cells(values, dtype=float):
    """Gains of a slow and a fast wave, each without and with decay."""
    names = {"wave": ["slow", "slow", "fast", "fast"], "decay": [dtype(0), dtype(1)] * 2}
    return table_of(values, **names).rename(columns={"power": "mean_gain"})


@pytest.mark.parametrize("dtype", [int, float])
def test_interaction_is_what_the_fast_wave_loses_more(dtype):
    design = designs.interaction(("wave", "decay"), "slow", "fast", 0.0, 1.0)
    effect, text = design(cells([0.9, 0.8, 0.7, 0.3], dtype), "mean_gain")
    assert effect.estimate == pytest.approx(0.3, abs=0.01)
    assert text.startswith("+0.3")
    assert text.endswith("more lost by the fast wave")


def conditions(k, num_seeds=3, group=None):
    """Networks more accurate from condition to condition, whose measure rises with accuracy."""
    table = networks(num_seeds, number=range(k))
    noise = NOISE[table["seed"]] / 10
    table["test_accuracy"] = 0.5 + table["number"] / 100 + noise
    return table.assign(power=np.exp(table["number"] + noise))


def test_accuracy_is_correlated_over_condition_means():
    table = conditions(13)
    effect, text = designs.with_accuracy()(table, "power")
    means = table.groupby("condition")[["test_accuracy", "power"]].mean()
    assert effect == stats.rank_test(means["test_accuracy"], means["power"])
    assert (effect.estimate, effect.n) == (pytest.approx(1), 13)
    assert text == "rho 1.00 [1.00, 1.00] over 13 conditions"


def test_more_seeds_are_not_more_conditions():
    effect, text = designs.with_accuracy()(conditions(11, 5), "power")
    assert (effect.n, effect.reason) == (11, "11 conditions; a verdict needs 12")
    assert text == "rho 1.00 over 11 conditions"


def test_within_interventions_and_a_condition_in_several_counts_once():
    table = conditions(14)
    table["intervention"] = np.where(table["number"] < 7, "decay", "width")
    table.loc[table["number"] >= 7, "power"] *= 1e-9  # falls from one to the other
    shared = table[table["number"] == 0].assign(intervention="width")
    design = designs.with_accuracy("intervention")
    effect, _ = design(pd.concat([table, shared]), "power")
    assert (effect.estimate, effect.n) == (pytest.approx(1.0), 14)
    assert effect == design(table, "power")[0]


DOSE = designs.over_doses("dose", "the dose")
TIME = designs.over_time("epoch", "epoch")
AGAINST = designs.against("arm", "f", "none")
INTERACTION = designs.interaction(("wave", "decay"), "slow", "fast", 0.0, 1.0)
FEW = "n = 1 seeds; a verdict needs 5"
TWO = [1.0, 2.0]
UNTESTED = [
    (DOSE, table_of(TWO, dose=[3, 3]), "fewer than two values of the dose above 0"),
    (DOSE, table_of(TWO, dose=[0, 3]), "fewer than two values of the dose above 0"),
    (DOSE, table_of([1.0], dose=[3]), "fewer than two values of the dose above 0"),
    (DOSE, table_of(TWO, 1, dose=[1, 3]), FEW),
    (DOSE, table_of([1.0, 0.0], dose=[1, 3]), stats.MISSING),
    (DOSE, table_of(TWO, dose=[1, 3]).drop(index=9), stats.MISSING),
    (TIME, table_of(TWO, epoch=[3, 3]), "fewer than two values of epoch"),
    (TIME, table_of(TWO, 1, epoch=[1, 3]), FEW),
    (TIME, table_of(TWO, epoch=[1, 3]).drop(index=0), stats.MISSING),
    (AGAINST, table_of(TWO, arm=["f", "g"]), "no network with arm none"),
    (AGAINST, table_of(TWO, arm=["none", "g"]), "no network with arm f"),
    (AGAINST, table_of(TWO, 1, arm=["none", "f"]), FEW),
    (AGAINST, table_of(TWO, arm=["none", "f"]).drop(index=0), stats.MISSING),
    (INTERACTION, table_of(TWO, wave=["slow"] * 2, decay=[0.0, 1.0]), stats.MISSING),
    (INTERACTION, table_of(TWO, wave=["slow", "fast"], decay=[0.0, 0.0]), stats.MISSING),
    (designs.with_accuracy(), conditions(12).assign(power=0.0), stats.MISSING),
    (designs.with_accuracy(), conditions(2, 1), "2 conditions; a verdict needs 12"),
    (
        designs.with_accuracy(),
        conditions(12).assign(test_accuracy=0.5),
        "all conditions have the same value",
    ),
]


@pytest.mark.parametrize(("design", "table", "reason"), UNTESTED)
@pytest.mark.parametrize("measure", ["power", "mean_gain"])
def test_what_cannot_be_tested_has_a_reason(design, table, reason, measure):
    if measure == "mean_gain" and (table["power"] <= 0).any():
        return  # a gain may be 0
    effect, text = design(table.rename(columns={"power": measure}), measure)
    assert effect.reason == reason
    assert all(math.isnan(number) for number in (effect.low, effect.high, effect.p))
    assert not effect.negligible
    assert (text == "no estimate") == math.isnan(effect.estimate)
    assert "nan" not in text


DESIGNS = [DOSE, TIME, AGAINST, INTERACTION, *map(designs.with_accuracy, (None, "intervention"))]


@pytest.mark.parametrize("design", DESIGNS)
def test_an_empty_table_has_a_reason(design):
    columns = ["seed", "dose", "epoch", "arm", "wave", "decay", "condition", "intervention"]
    empty = pd.DataFrame(columns=[*columns, "test_accuracy", "power"])
    for table in (empty, empty.astype({"power": float, "dose": float, "epoch": int})):
        effect, text = design(table, "power")
        assert effect.reason != ""
        assert text == "no estimate"


def test_an_effect_in_words():
    effect = Effect(math.log(4), math.log(2), math.log(16), 0.01, 5)
    assert designs.said(effect, "in all") == "x 4 [2, 16] in all"
    assert designs.said(effect, "a doubling", parts=2) == "x 2 [1.41, 4] a doubling"
    assert (
        designs.said(Effect(0.25, -0.5, 1.0), "more", ratio=False) == "+0.250 [-0.500, +1.000] more"
    )
    assert designs.said(Effect(0.0), "in all") == "x 1.000 in all"
    assert designs.said(Effect(math.nan), "in all") == "no estimate"


def test_a_condition_without_a_value_is_left_out_while_twelve_remain():
    """As one whose power lies at its floor: the correlation is that of the others."""
    accuracy, power = np.linspace(0.5, 0.9, 13), np.exp(np.arange(13.0))
    table = pd.DataFrame({"seed": 0, "condition": range(13), "test_accuracy": accuracy})
    whole = table.assign(power=np.where(np.arange(13) == 12, 1e-9, power))  # else the order breaks
    effect, text = designs.with_accuracy()(
        whole.assign(power=whole["power"].replace(1e-9, np.nan)), "power"
    )
    assert effect.estimate == pytest.approx(1)
    assert effect.n == 12
    assert text.endswith("over 12 conditions, 1 without a value")
    two_lost = whole.assign(power=np.where(np.arange(13) < 2, np.nan, power))
    assert designs.with_accuracy()(two_lost, "power")[0].reason == stats.MISSING
