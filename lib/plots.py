"""The figures that several notebooks draw: seaborn, bands over seeds, labelled axes."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

PALETTE = "colorblind"
BESIDE = {"bbox_to_anchor": (1, 1), "loc": "upper left"}


def style() -> None:
    """Set once at the top of a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE)
    sizes = {"figure.figsize": (7, 4), "figure.dpi": 100, "axes.titlesize": 12}
    plt.rcParams.update({"savefig.bbox": "tight", **sizes})


def over_seeds(
    table,
    x,
    y,
    hue=None,
    *,
    title="",
    xlabel="",
    ylabel="",
    legend=None,
    logx=False,
    marker="o",
    ax=None,
):
    """Mean over seeds with a band from the least to the greatest seed; their number goes under the
    axis. table: one row a seed and x (and hue), with a column "seed". Returns the axes."""
    ax = ax or plt.subplots()[1]
    ordered = hue is not None and table[hue].dtype.kind in "if"
    steps = table[hue].nunique() if ordered else 0
    palette = sns.color_palette("viridis", steps) if steps else PALETTE if hue is not None else None
    options = {"palette": palette, "marker": marker or None, "markersize": 4, "ax": ax}
    options["legend"] = "full" if hue is not None else False
    table = table.reset_index(drop=True)  # seaborn takes each label of a row for one row
    sns.lineplot(table, x=x, y=y, hue=hue, errorbar=("pi", 100), **options)
    if logx:
        ax.set_xscale("log", base=2)
        ticks = sorted(table[x].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    count = f"(mean and range over {table['seed'].nunique()} seeds)"
    ax.set(title=title, xlabel=f"{xlabel}\n{count}", ylabel=ylabel)
    if hue is not None:
        beside = BESIDE if steps > 4 else {}
        ax.legend(title=legend or hue, fontsize="small", title_fontsize="small", **beside)
    return ax


def row(panels: list[tuple], x: str, hue: str | None = None, *, title="", **options):
    """A row of `over_seeds` panels, each (table, column y, title, ylabel). Returns the axes."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.5 * len(panels) + 2, 4), squeeze=False)
    for ax, (table, y, name, ylabel) in zip(axes[0], panels, strict=True):
        over_seeds(table, x, y, hue, title=name, ylabel=ylabel, ax=ax, **options)
    figure.suptitle(title)
    figure.tight_layout()
    return axes[0]


def published_and_corrected(summary, x: str, xlabel: str, cutoff: float, logx=False, title=""):
    """Two panels against column x of `measure.sweep`'s summary: HFF over all paths, and the power
    share of the softmax over paths with correct ends; within and between classes."""
    share = f"share of power above {cutoff:g} cycles/nu"
    every, correct = (summary[summary["selection"] == chosen] for chosen in ("all", "correct"))
    panels = [
        (every, "hff", "Published: HFF of the softmax, all paths", "HFF"),
        (correct, "power_softmax", "Corrected: softmax, correct ends", share),
    ]
    row(panels, x, "kind", title=title, legend="path", xlabel=xlabel, logx=logx)


def against_accuracy(summary, hue: str, cutoff: float, title: str):
    """One point a network, of `measure.sweep`'s summary: accuracy against the published and the
    corrected measure, within and between classes, coloured by column `hue`."""
    every, correct = (summary[summary["selection"] == chosen] for chosen in ("all", "correct"))
    names = ["published: HFF, all paths", f"corrected: share above {cutoff:g} cycles/nu"]
    published = every.assign(measure=names[0], value=every["hff"])
    corrected = correct.assign(measure=names[1], value=correct["power_softmax"])
    points = pd.concat([published, corrected], ignore_index=True)
    panels = {"row": "measure", "col": "kind", "facet_kws": {"sharey": False}, "height": 4}
    colours = {"hue": hue, "palette": "tab20", "legend": "full"}
    grid = sns.relplot(points, x="test_accuracy", y="value", **colours, **panels)
    grid.set_titles("{col_name} classes").set_xlabels("test accuracy")
    for ax, label in zip(grid.axes[:, 0], names, strict=True):
        ax.set_ylabel(label)
    grid.figure.suptitle(title, y=1.02)


def spectra(table, hue: str, cutoff: float, legend: str):
    """Mean binned spectra of `measure.sweep` along paths with correct ends: a row of panels a kind
    of path, a column a representation; one curve a value of column `hue`, bands over seeds."""
    numbers = table[hue].dtype.kind in "if"
    palette = sns.color_palette("viridis", table[hue].nunique()) if numbers else PALETTE
    panels = {"row": "kind", "col": "representation", "height": 3.5, "palette": palette}
    lines = {"kind": "line", "errorbar": ("pi", 100), "hue": hue, "legend": "full"}
    table = table.reset_index(drop=True)
    grid = sns.relplot(table, x="cycles_per_nu", y="power", **lines, **panels)
    grid.refline(x=cutoff, color="k", ls="--", lw=1).set(yscale="log")
    count = f"(mean and range over {table['seed'].nunique()} seeds)"
    grid.set_axis_labels(f"frequency (cycles/nu)\n{count}", "share of power per bin")
    grid.set_titles("{row_name} classes, {col_name}")
    grid.legend.set_title(legend)
