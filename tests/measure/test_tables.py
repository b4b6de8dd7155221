"""What tables say of a measurement: names, shares, intervals over images, the effect of spacing."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, measure
from lib.measure import PRIMARY, VARIANTS, Measurement, Protocol, column, titles, with_shares
from study.report import ALIASING_TOLERANCE


def filled(paths, values):
    """`paths` with every measure: hff as given, powers a hundred more, variance a thousand."""
    columns = {"hff": values, "changes": 0.0, "variation": 1.0}
    for output in ("softmax", "logits"):
        columns[f"variance_{output}"] = 1000.0
        for multiple in ("1", "1.41", "2", "2.83", "4"):
            columns[f"power_{output}_{multiple}"] = 100 + np.asarray(values)
            columns[f"floor_{output}_{multiple}"] = 0.0
    return paths.assign(**columns)


@pytest.fixture
def measurement():
    """Paths between four images, by hand: HFF 0, 1, 5 within classes, powers a hundred more."""
    rows = [
        ("within", 0, 1, True),
        ("within", 1, 2, True),
        ("within", 0, 2, False),
        ("between", 0, 3, False),
    ]
    paths = pd.DataFrame(rows, columns=["kind", "a", "b", "correct"])
    norm = {"jacobian_norm": 2.0, "jacobian_low": 1.0, "jacobian_high": 4.0, "accuracy": 0.5}
    norm["cutoff"] = 0.05
    return Measurement(pd.DataFrame([norm]), filled(paths, [0.0, 1, 5, 7]))


def test_there_are_twelve_variants_and_the_primary_is_one():
    """Three cutoffs x power and share x softmax and standardised logits."""
    wanted = {
        f"{measure}_{output}_{multiple}"
        for measure in ("power", "share")
        for output in ("softmax", "logits")
        for multiple in (1, 2, 4)
    }
    assert len(VARIANTS) == 12
    assert set(VARIANTS) == wanted
    assert PRIMARY == "power_softmax_1"
    assert column("floor", "logits", 2**0.5) == "floor_logits_1.41"


def test_every_variant_has_a_title_that_says_it():
    names = titles(0.5)
    assert list(names) == ["hff", *VARIANTS]
    assert len(set(names.values())) == 13
    assert names["hff"] == "HFF, all paths"
    assert names[PRIMARY] == "power above 0.5 cycles/nu, softmax"
    assert names["share_logits_4"] == "share above 2 cycles/nu, standardised logits"


def test_a_share_is_power_over_variance_and_of_a_constant_path_0(measurement):
    paths = measurement.paths
    paths.loc[2, ["variance_softmax", "power_softmax_1"]] = 0.0
    shares = with_shares(paths)
    assert shares["share_softmax_1"].tolist() == [0.1, 0.101, 0.0, 0.107]
    assert shares["share_logits_4"].tolist() == [0.1, 0.101, 0.105, 0.107]
    assert set(VARIANTS) <= set(shares)


def test_intervals_are_over_images(measurement):
    """Three images, three paths: of the 27 draws 6 take each image once, 6 leave one path alone,
    for each of the paths, and 3 leave none."""
    table = measure.intervals(measurement).set_index(["measure", "kind"])
    assert table.columns.tolist() == ["estimate", "low", "high", "num_paths"]
    assert table.loc[("hff", "within")].tolist() == [2.0, 0.0, 5.0, 3]
    power = table.loc[("power_logits_4", "within")]
    assert (power["estimate"], power["num_paths"]) == (100.5, 2)
    share = table.loc[("share_softmax_1", "within")]
    assert share["estimate"] == pytest.approx(0.1005)
    norm = table.loc[("jacobian_norm", "")]
    assert norm[["estimate", "low", "high"]].tolist() == [2, 1, 4]
    assert len(table) == 2 * 13 + 1


def test_intervals_are_wider_where_paths_share_images(measurement):
    """600 paths between 30 images, each image with an effect of its own."""
    rng = np.random.default_rng(3)
    effect, ends = rng.normal(size=30), np.stack([rng.permutation(30)[:2] for _ in range(600)])
    paths = pd.DataFrame({"kind": "within", "a": ends[:, 0], "b": ends[:, 1], "correct": True})
    paths = filled(paths, effect[ends].sum(1))
    table = measure.intervals(measurement._replace(paths=paths))
    rows = table[(table["kind"] == "within") & ~table["measure"].str.startswith("share")]
    half = 1.96 * 2 * effect.std() / math.sqrt(30)  # every image counts twice a path
    assert len(rows) == 7
    np.testing.assert_allclose(rows["high"] - rows["low"], 2 * half, rtol=0.25)


def test_one_path_has_an_estimate_and_no_interval(measurement):
    alone = measurement._replace(paths=measurement.paths.iloc[:1])
    table = measure.intervals(alone).set_index(["measure", "kind"])
    row = table.loc[(PRIMARY, "within")]
    assert (row["estimate"], row["num_paths"]) == (100, 1)
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_no_path_with_correct_ends_is_a_row_of_nan(measurement):
    table = measure.intervals(measurement)
    between = table[table["kind"] == "between"]
    assert between["estimate"].isna().tolist() == [False] + [True] * 12
    assert between["num_paths"].tolist() == [1] + [0] * 12


@pytest.fixture
def sines():
    """Three images of each class, 42 nu and more apart on the way of a sine; and the sine, as a
    network."""
    images = torch.zeros(6, 1, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([0.0, 42.0, 84.0] * 2)
    images[:, 0, 1, 1] = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    labels, zero = torch.arange(6) // 3, torch.zeros(1)
    dataset = data.Dataset("sine", images, labels, images, labels, 2, zero, zero + 1, "")

    def of(frequency):
        def sine(x):
            wave = torch.sin(2 * torch.pi * frequency * x[:, 0, 0, 0] + 0.3)
            return torch.stack([wave, -wave], 1)

        return sine

    return dataset, of


@pytest.mark.parametrize(("frequency", "aliases"), [(0.3, False), (0.97, True), (1.03, True)])
def test_a_sine_beyond_the_nyquist_frequency_is_warned_of(frequency, aliases, sines):
    """Sampled once a nu, a sine of .97 or 1.03 cycles/nu looks like one of .03, in band; sampled
    four times a nu it does not. Power of one of .3 is the same for both."""
    dataset, sine = sines
    protocol = Protocol(num_pairs=2, spacing=1.0, cutoff=0.05)
    moved = measure.aliasing(sine(frequency), dataset, protocol, "cpu")
    assert moved > 0.99 if aliases else moved < ALIASING_TOLERANCE


def test_aliasing_is_the_change_that_a_quarter_of_the_spacing_makes():
    """Of the larger of the two views, against two measurements with the same paths."""
    torch.manual_seed(0)
    dataset = data.load("digits", 300)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 10))
    with torch.no_grad():  # logits of mean 0, so that a measurement's are these but for their scale
        network[1].weight *= 20
        for values in (network[3].weight, network[3].bias):
            values -= values.mean(0)
    powers = []
    for spacing in (0.1, 0.025):
        protocol = Protocol(num_pairs=8, spacing=spacing, cutoff=0.5)
        paths = measure.measure(network, dataset, protocol, "cpu").paths
        powers.append(paths[["power_softmax_1", "power_logits_1"]].mean())
    expected = ((powers[0] - powers[1]).abs() / np.maximum(*powers)).max()
    protocol = Protocol(num_pairs=40, spacing=0.1, cutoff=0.5)  # of which 8 of each kind are taken
    moved = measure.aliasing(network, dataset, protocol, "cpu")
    assert moved == pytest.approx(expected, rel=1e-3)
    assert moved > 1e-3
