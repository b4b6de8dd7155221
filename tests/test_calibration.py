"""No design decides more of its nulls than it may, through the functions that notebooks call; and
each finds what is there. Effects are simulated for the twelve variants, for HFF, and for both kinds
of path: 26 to a table."""

import functools
import math

import numpy as np
import pandas as pd
import pytest

from lib import stats
from study import claims, designs, verdicts
from tests.simulated import along_paths, along_waves, networks

NUM_NULLS = 2000
DOSES = {"num_train": [100 * 2**step for step in range(6)]}
STEP = np.linspace(0, 1, 6)  # the logarithm of a dose, from the first to the last
DOSE = designs.over_doses("num_train", "the training set")
TIME = designs.over_time("epoch", "epoch")
DIFFERENCE = designs.against("arm", "f", "none")
INTERACTION = designs.interaction(("wave", "decay"), "slow", "fast", 0.0, 1e-3)


def simulate(design, draw, count=NUM_NULLS, finding="F4") -> list[stats.Effect]:
    """`count` effects of a design. draw: a function of a generator, a summary of paths or waves."""
    rng, effects = np.random.default_rng(0), []
    while len(effects) < count:
        table = draw(rng)
        if "mean_gain" in table:
            made = [claims.over_waves("F5", table, design)]
        else:
            made = claims.over_paths(finding, table, design)
        effects += [one for claim in made for one in (*claim.variants.values(), claim.published)]
    return effects[:count]


def decided(effects) -> float:
    return float(np.mean([effect.p <= verdicts.LEVEL for effect in effects]))


def covered(effects, truth=0.0) -> float:
    return float(np.mean([effect.low <= truth <= effect.high for effect in effects]))


def most(count) -> float:
    """6 % of 2,000; of fewer, what 5 % of them exceed as rarely."""
    return 0.05 + 0.01 * math.sqrt(NUM_NULLS / count)


def noise(rng, table, num=13) -> np.ndarray:
    """Each network's own, and one that a seed's networks share."""
    seeds = table["seed"].nunique()
    own, shared = rng.normal(size=(len(table), num)), 2 * rng.normal(size=(seeds, num))
    return own + shared[table["seed"]]


def of_doses(rng, effect=0.0, scale=1.0, walks=False):
    """Five seeds and six doses, `effect` from the first to the last one."""
    table = networks(5, **DOSES)
    expected = effect * np.repeat(STEP, 5)[:, None]

    def logarithms(_kind):
        random = noise(rng, table)
        if walks:
            random = random.reshape(6, 5, 13).cumsum(0).reshape(-1, 13)
        return expected + scale * random

    return along_paths(table, logarithms)


def of_two(rng, effect=0.0, scale=1.0):
    """Eight seeds and two networks each."""
    table = networks(8, epoch=[1, 20], arm=["none", "f"])
    expected = effect * (table["arm"] == "f").to_numpy()[:, None]
    return along_paths(table, lambda _: expected + scale * noise(rng, table))


def of_students(rng):
    """Eight seeds, of each one network and four others to compare it with; powers far apart."""
    table = networks(8, arm=["none", "f", "f", "f", "f"])
    return along_paths(table, lambda _: rng.normal(size=(len(table), 13)))


def of_waves(rng, effect=0.0, scale=0.1):
    """Eight seeds, two waves and two decays; decay lowers the fast wave's gain by `effect` more."""
    cells = pd.MultiIndex.from_product([("slow", "fast"), (0.0, 1e-3)], names=["wave", "decay"])
    table = networks(8, **cells.to_frame(index=False))
    lost = (table["wave"] == "fast") & (table["decay"] > 0)
    return along_waves(table, scale * noise(rng, table, 4) - effect * lost.to_numpy()[:, None])


NULLS = {
    "dose": (DOSE, of_doses, 2000),
    "dose, walks": (DOSE, functools.partial(of_doses, walks=True), 500),
    "time": (TIME, of_two, 500),
    "difference": (DIFFERENCE, of_two, 500),
    "difference, many against one": (DIFFERENCE, of_students, 500),
    "interaction": (INTERACTION, of_waves, 400),
}


@functools.cache
def nulls(name: str) -> list[stats.Effect]:
    return simulate(*NULLS[name])


@pytest.mark.parametrize("name", NULLS)
def test_nulls_over_seeds(name):
    effects = nulls(name)
    assert 0.03 < decided(effects) <= most(len(effects))
    assert covered(effects) == pytest.approx(1 - decided(effects), abs=1e-9)


@pytest.mark.parametrize("name", ["dose", "time", "interaction"])
def test_intervals_over_seeds_hold_the_truth(name):
    design, draw, _ = NULLS[name]
    effects = simulate(design, functools.partial(draw, effect=1.5), 260)
    assert covered(effects, 1.5) >= 1 - most(260)
    assert np.mean([effect.estimate for effect in effects]) == pytest.approx(1.5, abs=0.15)


def test_power_of_a_dose():
    """Five seeds, six doses, two standard deviations of a run from end to end: .79."""
    effects = simulate(DOSE, functools.partial(of_doses, effect=2.0), 520)
    assert decided(effects) == pytest.approx(0.79, abs=0.04)


@pytest.mark.parametrize(
    ("effect", "scale", "least", "greatest"),
    [
        (0.0, 0.02, 0.99, 1.0),
        (math.log(1.1), 0.02, 0.0, 0.07),  # at the bound, 5 %
        (-math.log(1.1), 0.02, 0.0, 0.07),
        (0.0, 1.0, 0.0, 0.0),  # too few seeds to tell
    ],
)
def test_negligible_only_when_it_is(effect, scale, least, greatest):
    effects = simulate(DOSE, functools.partial(of_doses, effect=effect, scale=scale), 260)
    assert least <= np.mean([one.negligible for one in effects]) <= greatest


@pytest.mark.parametrize(("own_pairs", "least", "greatest"), [(True, 0, 0.08), (False, 0.3, 1)])
def test_seeds_that_share_their_images_decide_nulls(own_pairs, least, greatest):
    """Images and seeds of equal variance; 10,000 images, 300 pairs: why a seed draws its own."""
    rng, effects = np.random.default_rng(0), []
    for _ in range(400):
        images = rng.normal(size=10_000)
        pairs = rng.integers(10_000, size=(5 if own_pairs else 1, 300, 2))
        of_images = images[pairs].sum(2).mean(1)
        effects.append(stats.t_test(of_images + rng.normal(scale=math.sqrt(2 / 300), size=5)))
    assert least <= decided(effects) <= greatest


@pytest.fixture
def fewer_draws(monkeypatch):
    monkeypatch.setattr(stats, "NUM_PERMUTATIONS", 499)
    monkeypatch.setattr(stats, "NUM_RESAMPLES", 500)


def of_conditions(rng, k=12, seeds=2, rho=0.0, within_runs=0.8):
    """k conditions whose accuracy and measure correlate by rho. Noise between runs is a third of
    the spread over conditions (seen on digits and CIFAR-10: .3), and correlates too; a seed's
    networks share more."""
    table = networks(seeds, epoch=[20] * k)
    number = np.repeat(np.arange(k), seeds)
    luck, shared = rng.normal(size=len(table)) / 3, rng.normal(size=seeds)
    accuracy = rng.normal(size=k)
    table["test_accuracy"] = 0.8 + 0.02 * (accuracy[number] + luck + shared[table["seed"]])

    def logarithms(_kind):
        conditions = rho * accuracy[:, None] + math.sqrt(1 - rho**2) * rng.normal(size=(k, 13))
        own = within_runs * luck[:, None] + 0.6 / 3 * rng.normal(size=(len(table), 13))
        return conditions[number] + own

    return along_paths(table, logarithms)


@pytest.mark.parametrize(("k", "seeds", "count"), [(12, 2, 1000), (20, 2, 500), (16, 5, 260)])
def test_nulls_over_conditions(fewer_draws, k, seeds, count):
    draw = functools.partial(of_conditions, k=k, seeds=seeds)
    effects = simulate(designs.with_accuracy(), draw, count)
    assert {(effect.n, effect.unit) for effect in effects} == {(k, "conditions")}
    assert 0.03 < decided(effects) <= most(count)
    assert covered(effects) >= 1 - most(count)


def test_correlations_over_conditions_are_found(fewer_draws):
    draw = functools.partial(of_conditions, k=16, seeds=5, rho=0.9, within_runs=0.0)
    effects = simulate(designs.with_accuracy(), draw, 260)
    assert decided(effects) > 0.95
    truth = float(np.mean([effect.estimate for effect in effects]))
    assert truth == pytest.approx(6 / math.pi * math.asin(0.9 / 2), abs=0.06)
    assert covered(effects, truth) >= 1 - most(260)


def of_interventions(rng, sizes=(12, 6, 12, 5, 6, 4), within=0.0):
    """Interventions that are apart in accuracy and measure, and share the baseline."""
    groups = np.repeat([f"intervention {number}" for number in range(len(sizes))], sizes)
    table = networks(2, intervention=groups)
    baseline = np.r_[0, np.cumsum(sizes)[:-1]]
    number = np.arange(sum(sizes))
    number[baseline] = 0
    of_group = np.repeat(np.arange(len(sizes)), sizes)  # Simpson: all rise over interventions
    of_group[baseline] = 0
    accuracy = rng.normal(size=sum(sizes))
    table["condition"] = np.repeat([f"condition {one}" for one in number], 2)
    where = np.repeat(number, 2)
    table["test_accuracy"] = 0.5 + 0.01 * (accuracy + 5 * of_group)[where]

    def logarithms(_kind):
        own = rng.normal(size=(sum(sizes), 13)) * math.sqrt(1 - within**2)
        return (own + within * accuracy[:, None] + 5 * of_group[:, None])[where]

    return along_paths(table, logarithms)


def test_nulls_within_interventions(fewer_draws):
    """Also where all rises from intervention to intervention, and where they share the baseline."""
    effects = simulate(designs.with_accuracy("intervention"), of_interventions, 520, "F11")
    assert {effect.n for effect in effects} == {40}  # of 45 rows a seed; the baseline counts once
    assert 0.03 < decided(effects) <= most(520)
    assert covered(effects) >= 1 - most(520)
    draw = functools.partial(of_interventions, within=-0.8)
    effects = simulate(designs.with_accuracy("intervention"), draw, 52, "F11")
    assert decided(effects) > 0.99
    assert all(effect.estimate < 0 for effect in effects)


def test_a_profile_of_nulls_is_rarely_decided():
    """Twenty primary claims: in 5 % of profiles any of them, by Benjamini and Hochberg."""
    effects = [one for name in ("dose", "time") for one in nulls(name)]
    rows = [
        claims.Claim("F2", "between", "it rises", ">", effect, "").row()
        for effect in np.random.default_rng(0).permutation(np.array(effects, dtype=object))
    ]
    profiles = [verdicts.judge(rows[start : start + 20]) for start in range(0, len(rows), 20)]
    found = [any(row["q"] <= verdicts.LEVEL for row in profile) for profile in profiles]
    assert len(found) == 125
    assert np.mean(found) <= 0.08
    assert sum(effect.p <= verdicts.LEVEL for effect in effects) > 100  # one by one
