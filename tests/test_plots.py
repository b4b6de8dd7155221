"""Figures from tables as they come: missing values, and labels of rows that occur twice."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib import plots
from lib.measure import PATH_MEASURES


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def curves(ax):
    """The values of every line that is drawn."""
    return [line.get_ydata().tolist() for line in ax.get_lines() if len(line.get_ydata())]


def legend_of(figure):
    """Title and labels of the one legend of a figure."""
    own = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    (legend,) = [*figure.legends, *own]
    return legend.get_title().get_text(), [text.get_text() for text in legend.get_texts()]


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


def summary(values):
    """What `measure.sweep` gives of two seeds: (kind, selection) -> each measure's value."""
    columns = {column for _, column, _, _ in PATH_MEASURES}
    rows = [
        {
            "kind": kind,
            "selection": selection,
            "seed": seed,
            "width": 4,
            "test_accuracy": value / 10,
        }
        | dict.fromkeys(columns, value)
        for (kind, selection), value in values.items()
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


VALUES = {
    ("within", "all"): 1.0,
    ("within", "correct"): 2.0,
    ("between", "all"): 3.0,
    ("between", "correct"): 4.0,
}


def test_the_published_panel_shows_all_paths_and_the_corrected_one_those_with_correct_ends():
    plots.published_and_corrected(summary(VALUES), "width", "width", cutoff=0.2, title="networks")
    published, corrected = plt.gcf().axes
    assert (sorted(curves(published)), sorted(curves(corrected))) == ([[1], [3]], [[2], [4]])
    assert published.get_ylabel() == "HFF"
    assert "0.2 cycles/nu" in corrected.get_ylabel()


def test_accuracy_is_drawn_against_both_measures_within_and_between_classes():
    table = summary(VALUES).assign(model="mlp")
    plots.against_accuracy(table, "model", 0.2, "networks")
    points = {tuple(ax.collections[0].get_offsets()[0]): ax.get_title() for ax in plt.gcf().axes}
    expected = {(0.1, 1.0): "within", (0.2, 2.0): "within", (0.3, 3.0): "between"}
    expected[0.4, 4.0] = "between"
    assert points == {point: f"{kind} classes" for point, kind in expected.items()}
    assert legend_of(plt.gcf()) == ("model", ["mlp"])


def test_spectra_have_a_panel_a_kind_and_representation():
    kinds, views = ("within", "between"), ("softmax", "calibrated", "logits")
    pairs = [(kind, view) for kind in kinds for view in views]
    rows = [
        {"kind": kind, "representation": view, "seed": 0, "model": "mlp", "power": number + step}
        | {"cycles_per_nu": float(step)}
        for number, (kind, view) in enumerate(pairs, 1)
        for step in (0, 1)
    ]
    plots.spectra(pd.DataFrame(rows), "model", cutoff=0.3, legend="network")
    panels = {ax.get_title(): ax for ax in plt.gcf().axes}
    for number, (kind, view) in enumerate(pairs, 1):
        (ax,) = (ax for name, ax in panels.items() if name.startswith(f"{kind} classes, {view}"))
        drawn = [line.get_data() for line in ax.get_lines() if len(line.get_xdata())]
        drawn = sorted([list(x), list(y)] for x, y in drawn)
        assert drawn == [[[0, 1], [number, number + 1]], [[0.3, 0.3], [0, 1]]]  # and the cutoff
        assert ax.get_yscale() == "log"
    assert legend_of(plt.gcf()) == ("network", ["mlp"])
