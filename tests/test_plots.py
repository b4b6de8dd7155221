"""Figures from tables as they come: missing values, and labels of rows that occur twice."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lib import plots


def test_means_and_bands_over_seeds_of_a_table_glued_from_parts():
    part = pd.DataFrame({"seed": [0, 1, 0, 1], "epoch": [1, 1, 2, 2], "share": [1.0, 3.0, np.nan, 5.0]})
    table = pd.concat([part.assign(arm="a"), part.assign(arm="b", share=part["share"] + 1)])  # rows 0..3 twice
    ax = plots.over_seeds(table, "epoch", "share", "arm", title="title", xlabel="epoch", ylabel="share")
    means = [line.get_ydata().tolist() for line in ax.get_lines() if len(line.get_ydata())]
    assert means == [[2.0, 5.0], [3.0, 6.0]]
    bands = [band.get_paths()[0].vertices[:, 1] for band in ax.collections]
    assert [(band.min(), band.max()) for band in bands] == [(1.0, 3.0), (2.0, 4.0)]  # one seed alone has none
    assert "2 seeds" in ax.get_xlabel()
    plt.close("all")


@pytest.mark.parametrize("steps", [3, 6])
def test_a_legend_of_many_steps_stands_beside_the_axes(steps):
    table = pd.DataFrame({"seed": 0, "epoch": [1, 2] * steps, "arm": np.repeat(np.arange(steps), 2) / 10, "share": 1.0})
    ax = plots.over_seeds(table, "epoch", "share", "arm", title="title", xlabel="epoch", ylabel="share")
    ax.figure.canvas.draw()
    beside = ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1
    assert beside == (steps > 4)
    plt.close("all")
