"""The figures that several notebooks draw: seaborn, ranges over seeds, labelled axes with units."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator, NullLocator
from scipy.stats import gmean

from lib.measure import KINDS, column, matched_counts

PALETTE = "colorblind"
KIND_COLOURS = {"between": "C0", "within": "C1"}
BESIDE = {"bbox_to_anchor": (1, 1), "loc": "upper left"}
SMALL = {"fontsize": "small", "title_fontsize": "small"}


def style() -> None:
    """Set once at the top of a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE)
    pd.set_option("display.max_colwidth", None)  # claims are sentences
    sizes = {"figure.figsize": (7, 4), "figure.dpi": 100, "axes.titlesize": 12}
    plt.rcParams.update({"savefig.bbox": "tight", **sizes})


def over_seeds(table, x, y, hue=None, *, ax=None, legend=None, logx=False, marker="o", **labels):
    """Mean over seeds (of powers and ratios geometric, as in claims) with a band from the least to
    the greatest; their number goes under the axis. table: one row a seed and x (and hue), with a
    column "seed". labels: title, xlabel, ylabel. Returns the axes."""
    ax = ax or plt.subplots()[1]
    palette = KIND_COLOURS if hue == "kind" else None
    if hue is not None and table[hue].dtype.kind in "if":
        palette = sns.color_palette("viridis", table[hue].nunique())
    options = {"palette": palette, "marker": marker or None, "markersize": 4, "ax": ax}
    geometric = str(y).startswith(("power", "ratio"))
    options |= {"legend": hue is not None and "full", "estimator": gmean if geometric else "mean"}
    table = table.reset_index(drop=True)  # seaborn takes each label of a row for one row
    sns.lineplot(table, x=x, y=y, hue=hue, errorbar=("pi", 100), **options)
    if logx:
        ax.set_xscale("log", base=2)
        ticks = sorted(table[x].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    elif table[x].dtype.kind == "i":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    count = f"({'geometric ' * geometric}mean and range over {table['seed'].nunique()} seeds)"
    ax.set(**labels | {"xlabel": f"{labels.get('xlabel', x)}\n{count}"})
    if hue is not None:
        ax.legend(title=legend or hue, **SMALL, **(BESIDE if table[hue].nunique() > 4 else {}))
    return ax


def row(panels: list[tuple], x: str, hue: str | None = None, *, title="", note="", **options):
    """A row of `over_seeds` panels, each (table, column y, title, ylabel), and a note beneath.
    Returns the axes."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.5 * len(panels) + 2, 4), squeeze=False)
    for ax, (table, y, name, ylabel) in zip(axes[0], panels, strict=True):
        over_seeds(table, x, y, hue, title=name, ylabel=ylabel, ax=ax, **options)
    figure.suptitle(title)
    figure.tight_layout()
    if note:
        figure.text(0.01, -0.02, note, fontsize="small", va="top")
    return axes[0]


def published_and_out_of_band(summary, x: str, cutoff: float, *, xlabel: str, logx=False, title=""):
    """Two panels against column x of `measure.sweep`'s summary: HFF over all paths, and power out
    of band of the softmax over matched paths, with its floor (dashed); networks that are left out
    of the matched paths are crosses. Returns the axes."""
    name, floor = column("power", "softmax", 1), column("floor", "softmax", 1)
    used = summary[summary["included"]]
    panels = [
        (used, "hff", "Published: HFF, all paths", "HFF of the softmax"),
        (used, name, "Power out of band, matched paths", f"power above {cutoff:g} cycles/nu"),
    ]
    note = f"{matched_counts(summary)} Dashed: the floor."
    note += " Crosses: left out of the matched paths." * (not summary["included"].all())
    axes = row(panels, x, "kind", note=note, legend="path", xlabel=xlabel, logx=logx, title=title)
    for kind, colour in KIND_COLOURS.items():
        own, out = used[used["kind"] == kind], summary[~summary["included"]]
        level = own.groupby(x)[floor].mean()
        axes[1].plot(level.index, level, color=colour, ls="--", lw=1)
        for ax, y in zip(axes, ("hff", name), strict=True):
            apart = out[out["kind"] == kind]
            ax.plot(apart[x], apart[y], "x", color=colour, ls="none")
    axes[1].set_yscale("log")
    axes[0].get_legend().remove()
    axes[1].legend(title="path", **SMALL, **BESIDE)
    return axes


def power_above(spectra, hue: str, *, legend: str, title="", note=""):
    """Power above f (of `measure.spectra`) against f, log-log: a row a kind of path, a column an
    output, a curve a value of column `hue`, geometric mean and range over seeds; floors dashed."""
    ramp = "viridis" if spectra[hue].dtype.kind in "if" else PALETTE
    table, palette = spectra.reset_index(drop=True), sns.color_palette(ramp, spectra[hue].nunique())
    panels = {"row": "kind", "col": "output", "height": 3.2, "aspect": 1.3, "palette": palette}
    lines = {"kind": "line", "errorbar": ("pi", 100), "hue": hue, "legend": "full"}
    lines |= {"estimator": gmean, "err_kws": {"alpha": 0.12}}
    axes_of = {"row_order": KINDS, "facet_kws": {"sharey": "col"}}
    grid = sns.relplot(table, x="frequency", y="power", **lines, **panels, **axes_of)
    for (kind, output), ax in grid.axes_dict.items():
        own = table[(table["kind"] == kind) & (table["output"] == output)]
        level = own.groupby("frequency")["floor"].mean()
        ax.plot(level.index, level, "k--", lw=1)
        ax.set_title(f"{kind} classes, {'standardised logits' if output == 'logits' else output}")
    ticks = sorted(table["frequency"].unique())
    grid.set(xscale="log", yscale="log", xticks=ticks, xticklabels=[f"{f:.2g}" for f in ticks])
    for ax in grid.axes.flat:
        ax.xaxis.set_minor_locator(NullLocator())
    grid.set_axis_labels("f (cycles/nu)", "power above f")
    sns.move_legend(grid, "center left", bbox_to_anchor=(1, 0.5), title=legend)
    grid.figure.suptitle(title)
    grid.figure.tight_layout()
    note += f" Geometric mean and range over {table['seed'].nunique()} seeds; dashed: the floor."
    grid.figure.text(0.01, -0.02, note.strip(), fontsize="small", va="top")
    return grid


def null_band(ax, band: pd.DataFrame, x: str | None = None) -> None:
    """Shade where gains lie without any wave, of `measure.null_band`, along x or all over."""
    if x is None:
        low, high = band["low"].min(), band["high"].max()
        ax.axhspan(low, high, color="0.8", zorder=0, label="no wave (95 % of controls)")
        return
    band = band.groupby(x).agg({"low": "min", "high": "max"})
    ax.fill_between(band.index, *band.to_numpy().T, color="0.8", zorder=0, label="no wave")
