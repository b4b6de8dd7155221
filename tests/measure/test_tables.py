"""What tables say of a measurement: intervals over images, means, the effect of the spacing."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, measure
from lib.measure import Measurement, Protocol
from lib.study.report import ALIASING_TOLERANCE

PROTOCOL = Protocol(num_pairs=45, spacing=0.5, cutoff=0.2)
MEASURES = ("hff", "power_softmax", "power_calibrated", "power_logits", "absolute_softmax")
MEASURES += ("variation_softmax", "variation_logits", "degree_logits")


@pytest.fixture
def measurement():
    """Paths between four images, by hand: HFF 0, 1, 5 within classes, every other measure a
    hundred more than HFF."""
    rows = [
        ("within", 0, 1, True, 0.0),
        ("within", 1, 2, True, 1.0),
        ("within", 0, 2, False, 5.0),
        ("between", 0, 3, False, 7.0),
    ]
    paths = pd.DataFrame(rows, columns=["kind", "a", "b", "correct", "hff"])
    for column in MEASURES[1:]:
        paths[column] = 100 + paths["hff"]
    norm = {"jacobian_norm": 2.0, "jacobian_low": 1.0, "jacobian_high": 4.0, "accuracy": 0.5}
    return Measurement(pd.DataFrame([norm]), paths, pd.DataFrame())


def test_intervals_are_over_images(measurement):
    """Three images, three paths: of the 27 draws 6 take each image once, 6 leave one path alone,
    for each of the paths, and 3 leave none."""
    table = measure.intervals(measurement).set_index(["measure", "kind"])
    columns = ["estimate", "low", "high", "num_paths", "column", "selection"]
    assert table.columns.tolist() == columns
    assert table.loc[("HFF, all paths", "within")].tolist() == [2.0, 0.0, 5.0, 3, "hff", "all"]
    correct = table.loc[("HFF, correct ends", "within")]
    assert correct[["estimate", "num_paths", "selection"]].tolist() == [0.5, 2, "correct"]
    power = table.loc[("power share, logits", "within")]
    assert (power["estimate"], power["num_paths"], power["column"]) == (100.5, 2, "power_logits")
    norm = table.loc[("Jacobian norm, softmax, at images", "")]
    assert norm[["estimate", "low", "high"]].tolist() == [2, 1, 4]
    assert len(table) == 2 * 9 + 1


def test_intervals_are_wider_where_paths_share_images(measurement):
    """600 paths between 30 images, each image with an effect of its own."""
    rng = np.random.default_rng(3)
    effect, ends = rng.normal(size=30), np.stack([rng.permutation(30)[:2] for _ in range(600)])
    columns = dict.fromkeys(MEASURES, effect[ends].sum(1))
    ends = {"kind": "within", "a": ends[:, 0], "b": ends[:, 1], "correct": True}
    table = measure.intervals(measurement._replace(paths=pd.DataFrame(ends | columns)))
    rows = table[table["kind"] == "within"]
    half = 1.96 * 2 * effect.std() / math.sqrt(30)  # every image counts twice a path
    assert len(rows) == 9
    np.testing.assert_allclose(rows["high"] - rows["low"], 2 * half, rtol=0.25)


def test_no_path_with_correct_ends_is_a_row_of_nan(measurement):
    table = measure.intervals(measurement).set_index(["measure", "kind"])
    between = table.xs("between", level="kind")
    assert between["estimate"].isna().sum() == 8
    assert (between["num_paths"] == (between["selection"] == "all")).all()
    means = measure.means(measurement).set_index(["kind", "selection"])
    assert means.loc[("between", "correct"), "num_paths"] == 0
    assert np.isnan(means.loc[("between", "correct"), "hff"])


def test_means_are_over_the_paths_of_a_kind_and_selection(measurement):
    means = measure.means(measurement).set_index(["kind", "selection"])
    expected = {("within", "all"): (2.0, 3), ("within", "correct"): (0.5, 2)}
    expected |= {("between", "all"): (7.0, 1), ("between", "correct"): (math.nan, 0)}
    assert len(means) == 4
    for row, (hff, num_paths) in expected.items():
        assert means.loc[row, "hff"] == pytest.approx(hff, nan_ok=True)
        assert means.loc[row, "degree_logits"] == pytest.approx(100 + hff, nan_ok=True)
        assert means.loc[row, "num_paths"] == num_paths


def test_summary_has_the_runs_configuration_and_accuracy(trained):
    config, run = trained
    measured = measure.measured(run, 2, PROTOCOL, config, "cpu")
    summary = measure.summarize(run, 2, measured)
    accuracy = run.history.set_index("epoch")["test_accuracy"]
    assert summary["test_accuracy"].tolist() == [accuracy[2]] * 4
    assert accuracy[2] == pytest.approx(measured.network["accuracy"].item())
    assert set(summary["model"]) == {"mlp-1-16"}
    assert set(summary["key"]) == {run.key}
    assert set(summary["jacobian_norm"]) == set(measured.network["jacobian_norm"])
    untrained = measure.summarize(run, 0, measure.measured(run, 0, PROTOCOL, config, "cpu"))
    assert untrained["test_accuracy"].isna().all()
    assert set(untrained["epoch"]) == {0}


@pytest.fixture
def sines():
    """Two images of each class, 16 apart on the way of a sine; and the sine, as a network."""
    images = torch.zeros(4, 1, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([0.0, 16.0, 0.0, 16.0])
    images[:, 0, 1, 1] = torch.tensor([0.0, 0.0, 6.0, 6.0])
    labels, zero = torch.tensor([0, 0, 1, 1]), torch.zeros(1)
    dataset = data.Dataset("sine", images, labels, images, labels, 2, zero, zero + 1, "")

    def of(cycles):
        def sine(x):
            wave = torch.sin(2 * torch.pi * cycles * x[:, 0, 0, 0] / 8 + 0.3)
            return torch.stack([wave, -wave], 1)

        return sine

    return dataset, of


@pytest.mark.parametrize(("cycles", "aliases"), [(2.0, False), (15.5, True)])
def test_a_sine_beyond_the_nyquist_frequency_is_warned_of(cycles, aliases, sines):
    """Sampled twice a nu, a sine of 2 - 1/16 cycles/nu looks like one of 1/16; sampled four times a
    nu it does not."""
    dataset, sine = sines
    protocol = Protocol(num_pairs=2, spacing=0.5, cutoff=0.1)
    moved = measure.aliasing(sine(cycles), dataset, protocol, "cpu")
    assert (moved > ALIASING_TOLERANCE) == aliases


def test_aliasing_is_the_change_that_half_the_spacing_makes():
    """Of the larger of the two views, against two measurements with the same paths."""
    torch.manual_seed(0)
    dataset = data.load("digits", 300)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 10))
    with torch.no_grad():  # logits of mean 0, so that a measurement's are these but for their scale
        for values in (network[3].weight, network[3].bias):
            values -= values.mean(0)
    shares = []
    for spacing in (0.8, 0.4):
        protocol = Protocol(num_pairs=8, spacing=spacing, cutoff=0.25)
        paths = measure.measure(network, dataset, protocol, "cpu").paths
        shares.append(paths[["power_softmax", "power_logits"]].mean())
    expected = ((shares[0] - shares[1]).abs() / np.maximum(*shares)).max()
    protocol = Protocol(num_pairs=40, spacing=0.8, cutoff=0.25)  # of which 8 of each kind are taken
    moved = measure.aliasing(network, dataset, protocol, "cpu")
    assert moved == pytest.approx(expected, rel=1e-4)
    assert moved > 0.01
