"""Networks along matched paths, with measurements made by hand: who chooses, who is left out."""

import math

import numpy as np
import pandas as pd
import pytest

from lib.measure import Measurement, compare, left_out, matched_counts, spectra
from lib.parameters import StudyError

MULTIPLES = ("1", "1.41", "2", "2.83", "4")


@pytest.fixture
def network():
    """A function that makes one network's fields and its measurement. correct: for each of six
    paths, three between classes and three within, whether both ends are right; power: of the
    paths; changes: of the class."""

    def make(correct, power=(1, 2, 4, 8, 16, 32), changes=1, accuracy=0.9, seed=0, **fields):
        ends = {"kind": ["between"] * 3 + ["within"] * 3, "a": range(6), "b": range(6, 12)}
        power = np.array(power, float)
        columns = {"distance": 50.0, "changes": changes, "hff": power / 100, "variation": power / 2}
        for factor, output in ((1, "softmax"), (3, "logits")):
            columns[f"variance_{output}"] = 10 * factor * power
            for part, multiple in enumerate(MULTIPLES):
                columns[f"power_{output}_{multiple}"] = factor * power / 2**part
                columns[f"floor_{output}_{multiple}"] = factor * power / 1000
        paths = pd.DataFrame(ends | {"correct": np.array(list(correct)) == "+"}).assign(**columns)
        at_images = {"accuracy": accuracy, "jacobian_norm": 2.0}
        at_images |= {"jacobian_low": 1.0, "jacobian_high": 3.0}
        config = {"model": "one", "seed": seed, "key": f"{fields}{seed}", "epoch": 8} | fields
        return config, Measurement(pd.DataFrame([at_images]), paths)

    return make


def compared(*networks):
    return compare([config for config, _ in networks], [measured for _, measured in networks])


def by(summary, kind, *columns):
    return summary[summary["kind"] == kind].set_index(list(columns))


def test_networks_are_compared_where_all_of_them_are_right(network):
    first = network("++-+++", model="one")
    second = network("+++-++", power=(3, 3, 3, 5, 7, 9), model="two")
    summary = compared(first, second)
    assert len(summary) == 4
    between, within = (by(summary, kind, "model") for kind in ("between", "within"))
    assert between["num_paths"].tolist() == [2, 2]  # the first two
    assert within["num_paths"].tolist() == [2, 2]  # the last two
    assert between.loc["one", "power_softmax_1"] == (1 + 2) / 2
    assert between.loc["two", "power_softmax_1"] == 3
    assert within.loc["one", "power_logits_1.41"] == 3 * (16 + 32) / 2 / 2
    assert within.loc["two", "power_logits_1.41"] == 3 * (7 + 9) / 2 / 2
    assert within.loc["one", "floor_softmax_4"] == pytest.approx(0.024)
    assert between["share_softmax_1"].tolist() == pytest.approx([0.1, 0.1])
    assert between["variation"].tolist() == [0.75, 1.5]
    # the published measure is over all paths
    assert between.loc["one", "hff"] == pytest.approx(7 / 300)
    assert within.loc["one", "hff"] == pytest.approx(56 / 300)
    assert summary["included"].all()
    assert summary["test_accuracy"].eq(0.9).all()
    assert summary["jacobian_norm"].eq(2).all()


def test_the_path_in_the_middle_stands_beside_the_mean(network):
    """One path of a thousand times the power moves the mean and not the median."""
    summary = compared(network("++++++", power=(1, 2, 4, 1, 2, 2000)))
    between, within = (by(summary, kind, "model").loc["one"] for kind in ("between", "within"))
    assert between["power_median"] == within["power_median"] == 2
    assert between["floor_median"] == within["floor_median"] == 0.002
    assert within["power_softmax_1"] > 600
    assert within["effective_paths"] == pytest.approx(1, abs=0.01)
    assert between["effective_paths"] == pytest.approx(49 / 21)


def test_seeds_have_matched_paths_of_their_own(network):
    summary = compared(
        network("+++---", model="one", seed=0),
        network("+--+++", model="two", seed=0),
        network("++++++", model="one", seed=1),
        network("++-+++", model="two", seed=1),
    )
    counts = summary.set_index(["seed", "kind", "model"])["num_paths"].unstack()
    assert counts.loc[(0, "between")].tolist() == [1, 1]
    assert counts.loc[(0, "within")].tolist() == [0, 0]
    assert counts.loc[(1, "between")].tolist() == [2, 2]
    assert counts.loc[(1, "within")].tolist() == [3, 3]
    nothing = summary[summary["num_paths"] == 0]
    assert nothing["power_softmax_1"].isna().all()
    assert nothing["hff"].notna().all()


@pytest.mark.parametrize(("accuracy", "included"), [(0.54, True), (0.539, False)])
def test_a_network_below_60_percent_of_the_best_chooses_no_paths(network, accuracy, included):
    """Its own values are over those matched paths that it gets right too."""
    good = network("+++++-", accuracy=0.9, model="good")
    poor = network("-++--+", accuracy=accuracy, model="poor")
    summary = compared(good, poor)
    assert by(summary, "between", "model")["included"].to_dict() == {"good": True, "poor": included}
    between, within = (by(summary, kind, "model") for kind in ("between", "within"))
    assert between["num_paths"].to_dict() == {"good": 2 if included else 3, "poor": 2}
    assert within["num_paths"].to_dict() == {"good": 0 if included else 2, "poor": 0}
    assert between.loc["poor", "power_softmax_1"] == (2 + 4) / 2
    assert between.loc["good", "power_softmax_1"] == (3 if included else 7 / 3)
    said = left_out(summary, "model")
    if included:
        assert said == ""
    else:
        assert "60%" in said
        assert said.endswith(": poor.")


def test_a_condition_is_left_out_for_its_mean_over_seeds(network):
    """Not one seed of it alone: or seeds would be compared with others."""
    rows = [("good", 0, 0.9), ("good", 1, 0.9), ("poor", 0, 0.5), ("poor", 1, 0.6)]
    networks = [network("++++++", accuracy=a, model=m, seed=s) for m, s, a in rows]
    assert compared(*networks)["included"].all()  # .55 in the mean
    networks[3] = network("++++++", accuracy=0.57, model="poor", seed=1)
    included = compared(*networks).groupby("model")["included"].unique().map(list)
    assert included.to_dict() == {"good": [True], "poor": [False]}


def test_a_number_that_is_left_out_is_named(network):
    networks = [
        network("++++++", accuracy=accuracy, epoch=epoch, weight_decay=decay)
        for epoch, decay, accuracy in ((1, 5e-4, 0.2), (2, 5e-3, 0.4), (4, 5e-2, 0.9))
    ]
    summary = compared(*networks)
    assert left_out(summary, "weight_decay").endswith(": 0.0005, 0.005.")
    assert left_out(summary, "epoch").endswith(": 1, 2.")


def test_conditions_are_networks_that_differ_in_their_seed_alone(network):
    summary = compared(
        *(network("++++++", seed=seed) for seed in (0, 1)),
        network("++++++", epoch=4),
        network("++++++", weight_decay=0.1),
    )
    names = by(summary, "within", "key")["condition"].tolist()
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_power_for_each_change_of_class(network):
    """Of the means; no number where the class never changes."""
    changing = network("++++++", changes=np.array([0, 1, 2, 0, 0, 0]), model="one")
    (between, within) = (by(compared(changing), kind, "model") for kind in ("between", "within"))
    assert between.loc["one", "changes"] == 1
    assert between.loc["one", "power_per_change"] == 7 / 3
    assert within.loc["one", "changes"] == 0
    assert math.isnan(within.loc["one", "power_per_change"])


def test_matched_counts_in_words(network):
    rows = [("++++++", 0), ("+--+++", 1)]
    summary = compared(*(network(correct, seed=seed) for correct, seed in rows))
    between, within = "1 to 3 between classes", "3 within classes"
    low, high = (summary.groupby("kind")["effective_paths"].agg(end) for end in ("min", "max"))
    assert low["between"] < high["between"]
    counted = [f"{between} ({low['between']:.0f} to {high['between']:.0f} effective)"]
    counted += [f"{within} ({low['within']:.0f} to {high['within']:.0f} effective)"]
    assert matched_counts(summary) == f"Matched paths a seed: {', '.join(counted)}."


def test_spectra_are_power_above_each_frequency(network):
    networks = [network("++++++", seed=seed) for seed in (0, 1)]
    table = spectra(compared(*networks), 0.05)
    assert table.groupby(["seed", "kind", "output"]).size().tolist() == [5] * 8
    own = table[(table["seed"] == 1) & (table["kind"] == "within") & (table["output"] == "logits")]
    own = own.sort_values("frequency")
    expected = 0.05 * 2 ** (np.arange(5) / 2)
    np.testing.assert_allclose(own["frequency"], expected, rtol=5e-3)
    np.testing.assert_allclose(own["power"], 3 * 56 / 3 / 2 ** np.arange(5))
    np.testing.assert_allclose(own["floor"], 3 * 56 / 3 / 1000)


def test_no_network_is_refused():
    with pytest.raises(StudyError, match=r"^measure: got no network; accepted: at least one"):
        compare([], [])


def test_networks_measured_between_different_images_are_refused(network):
    """As many paths, so that nothing else would notice."""
    first, (config, measured) = network("++++++", model="one"), network("++++++", model="two")
    others = Measurement(measured.network, measured.paths.assign(b=range(7, 13)))
    with pytest.raises(StudyError, match=r"^measure: got paths between different images"):
        compared(first, (config, others))
    other_seed = (config | {"seed": 1}, others)
    assert len(compared(first, other_seed)) == 4
