"""Figures from tables as they come: missing values, and labels of rows that occur twice."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib import plots
from lib.measure import PRIMARY, spectra
from notebooks import accuracy
from tests.simulated import along_paths, networks


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def curves(ax):
    """The values of every line that is drawn."""
    return [line.get_ydata().tolist() for line in ax.get_lines() if len(line.get_ydata())]


def two_arms(**shift):
    """Rows 0..7 twice, one value missing; arm b is one above arm a."""
    part = pd.DataFrame({"seed": [0, 1, 2, 3] * 2, "epoch": [1] * 4 + [2] * 4})
    part["share"] = [1.0, 2.0, 3.0, 6.0, np.nan, 4.0, 5.0, 9.0]
    arms = {"a": 0, "b": 1} | shift
    return pd.concat([part.assign(arm=name, share=part["share"] + s) for name, s in arms.items()])


def test_means_and_bands_over_seeds_of_a_table_glued_from_parts():
    labels = {"title": "title", "xlabel": "epoch", "ylabel": "share"}
    ax = plots.over_seeds(two_arms(), "epoch", "share", "arm", **labels)
    assert curves(ax) == [[3.0, 6.0], [4.0, 7.0]]
    bands = [band.get_paths()[0].vertices[:, 1] for band in ax.collections]
    assert [(band.min(), band.max()) for band in bands] == [(1.0, 9.0), (2.0, 10.0)]
    assert ax.get_xlabel() == "epoch\n(mean and range over 4 seeds)"
    assert (ax.get_title(), ax.get_ylabel()) == ("title", "share")
    assert ax.get_legend().get_title().get_text() == "arm"


def test_logarithmic_axis_has_a_tick_a_value():
    table = two_arms().replace({"epoch": {1: 0.5, 2: 16}})
    ax = plots.over_seeds(table, "epoch", "share", logx=True)
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.5", "16"]
    assert ax.get_legend() is None


@pytest.mark.parametrize("steps", [3, 6])
def test_a_legend_of_many_steps_stands_beside_the_axes(steps):
    arms = np.repeat(np.arange(steps), 2) / 10
    table = pd.DataFrame({"seed": 0, "epoch": [1, 2] * steps, "arm": arms, "share": 1.0})
    ax = plots.over_seeds(table, "epoch", "share", "arm")
    ax.figure.canvas.draw()
    beside = ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1
    assert beside == (steps > 4)


def test_a_row_has_a_panel_a_table():
    below = two_arms(a=-10, b=-20)
    panels = [(two_arms(), "share", "left", "share (%)"), (below, "share", "right", "share")]
    axes = plots.row(panels, "epoch", "arm", title="both", xlabel="epoch", legend="arms")
    assert [curves(ax) for ax in axes] == [[[3, 6], [4, 7]], [[-7, -4], [-17, -14]]]
    assert [ax.get_title() for ax in axes] == ["left", "right"]
    assert [ax.get_ylabel() for ax in axes] == ["share (%)", "share"]
    assert {ax.get_legend().get_title().get_text() for ax in axes} == {"arms"}
    assert axes[0].figure.get_suptitle() == "both"
    assert axes[0].figure is axes[1].figure
    (alone,) = plots.row(panels[:1], "epoch")
    assert curves(alone) == [[3.5, 6.5]]


LEVELS = {"between": 4.0, "within": 2.0}
GEOMETRIC = {"between": 20**0.5, "within": 6**0.5}  # means over two seeds, 4 and 5, 2 and 3


def summary(widths=(4, 8), num_seeds=2):
    """What `measure.sweep` gives: every measure 2 within classes and 4 between; seed 1 one more."""
    table = networks(num_seeds, width=list(widths), model=[f"mlp-1-{width}" for width in widths])
    table["test_accuracy"] = 0.9 - table["width"] / 100

    def logarithms(kind):
        return np.log(LEVELS[kind] + table["seed"].to_numpy())[:, None]

    return along_paths(table, logarithms)


def means_in(ax):
    """Of the curves over two widths."""
    lines = [line for line in ax.get_lines() if line.get_marker() != "x"]
    values = [tuple(np.round(line.get_ydata(), 9)) for line in lines]
    return sorted(value for value in values if len(value) == 2)


def test_hff_and_power_out_of_band_stand_side_by_side_with_the_floor():
    options = {"cutoff": 0.2, "xlabel": "width", "title": "networks"}
    left, right = plots.published_and_out_of_band(summary(), "width", **options)
    assert means_in(left) == [(2.5, 2.5), (4.5, 4.5)]
    within, between = (round(GEOMETRIC[kind], 9) for kind in ("within", "between"))
    floors = [(0.025, 0.025), (0.045, 0.045)]
    assert means_in(right) == [*floors, (within, within), (between, between)]
    assert [ax.get_xlabel() for ax in (left, right)] == [
        "width\n(mean and range over 2 seeds)",
        "width\n(geometric mean and range over 2 seeds)",
    ]
    assert "Published" in left.get_title()
    assert right.get_ylabel() == "power above 0.2 cycles/nu"
    assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")
    note = " ".join(text.get_text() for text in left.figure.texts)
    assert "150 between classes (50 to 50 effective)" in note


def test_networks_that_are_left_out_of_the_matched_paths_are_crosses():
    table = summary((4, 8, 16))
    table.loc[table["width"] == 16, "included"] = False
    axes = plots.published_and_out_of_band(table, "width", 0.2, xlabel="width")
    for ax, means in zip(axes, ((2.5, 4.5), (6**0.5, 20**0.5)), strict=True):
        assert means_in(ax)[-2:] == [(round(mean, 9),) * 2 for mean in means]
        crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
        drawn = {tuple(point.round(9)) for line in crosses for point in line.get_xydata()}
        assert drawn == {(16, value) for value in (2, 3, 4, 5)}


@pytest.mark.parametrize("hue", ["width", "model"])
def test_power_above_f_has_a_panel_a_kind_and_output(hue):
    table = spectra(summary(), cutoff=0.3)
    grid = plots.power_above(table, hue, legend="network")
    assert set(grid.axes_dict) == {(k, o) for k in LEVELS for o in ("softmax", "logits")}
    for (kind, output), ax in grid.axes_dict.items():
        drawn = [line.get_data() for line in ax.get_lines() if len(line.get_xdata())]
        assert len(drawn) == 3  # two networks and the floor
        for x, _ in drawn:
            np.testing.assert_allclose(x, [0.3, 0.6, 1.2])
        found = sorted(y[0] for _, y in drawn)
        floor = (LEVELS[kind] + 0.5) / 100
        assert found == pytest.approx([floor, GEOMETRIC[kind], GEOMETRIC[kind]])
        assert kind in ax.get_title()
        assert ("logits" in ax.get_title()) == (output == "logits")
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert grid.legend.get_title().get_text() == "network"


def test_accuracy_is_drawn_against_both_measures_within_and_between_classes():
    axes = accuracy.against_accuracy(summary(), "model", 0.2, "networks")
    assert [ax.get_title() for ax in axes.flat] == ["between classes", "within classes"] * 2
    for ax, linear in zip(axes.flat, (True, True, False, False), strict=True):
        kind = ax.get_title().split()[0]
        level = LEVELS[kind] + 0.5 if linear else round(GEOMETRIC[kind], 9)
        points = {tuple(np.round(one, 9)) for line in ax.get_lines() for one in line.get_xydata()}
        assert {(0.14, level), (0.18, level)} <= points  # test errors
        assert {text.get_text() for text in ax.texts} == {"1", "2"}
    key = " ".join(text.get_text() for text in axes[0, 0].figure.texts)
    assert "1  mlp-1-4\n2  mlp-1-8" in key
    assert PRIMARY not in key


def test_numbers_of_close_points_keep_apart():
    close = summary()
    close["test_accuracy"] = np.where(close["model"] == "mlp-1-4", 0.82, 0.8201)
    axes = accuracy.against_accuracy(close, "model", 0.2, "networks")
    for ax in axes.flat:
        first, second = (text.get_window_extent() for text in ax.texts)
        assert not first.overlaps(second)


def test_the_null_band_is_shaded():
    band = pd.DataFrame({"epoch": [1, 1, 2], "low": [-0.1, -0.2, -0.3], "high": [0.1, 0.3, 0.2]})
    ax = plt.subplots()[1]
    plots.null_band(ax, band, "epoch")
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(one) for one in corners} >= {(1, -0.2), (1, 0.3), (2, -0.3), (2, 0.2)}
    ax = plt.subplots()[1]
    plots.null_band(ax, band)
    (patch,) = ax.patches
    assert (patch.get_y(), patch.get_y() + patch.get_height()) == pytest.approx((-0.3, 0.3))


class Network(NamedTuple):
    model: str
    seed: int


def test_correlation_with_accuracy_by_how_paths_are_summed_up():
    """Typical paths grow flat with accuracy, and one of ten steep: the sign is the summary's."""
    paths, tested = {}, {"a": 0.6, "b": 0.7, "c": 0.8}
    for number, model in enumerate(tested):
        power = np.full(11, 10.0**-number)
        power[:2] = [50 * 10**number, 1e6]  # the second is not matched
        own = pd.DataFrame({"kind": "within", PRIMARY: power, "hff": 0.3 - number / 10})
        own[PRIMARY.replace("power", "floor")], own["correct"] = 1e-6, [True, False] + [True] * 9
        both = pd.concat([own, own.assign(kind="between")], ignore_index=True)
        paths[Network(model, 0)] = both
    table = accuracy.by_summary(paths, pd.Series(tested)).loc["within"]
    assert table[["mean", "without the top 2%"]].tolist() == [1, 1]
    assert table[["without the top 10%", "without the top 20%", "median"]].tolist() == [-1] * 3
    assert table[["HFF, all paths", "HFF, matched paths"]].tolist() == [-1, -1]
    assert table["families"] == 3
