"""The figures that several notebooks draw: seaborn, bands over seeds, labelled axes."""

import matplotlib.pyplot as plt
import seaborn as sns

PALETTE = "colorblind"


def style() -> None:
    """Set once at the top of a notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette=PALETTE)
    plt.rcParams.update({"figure.figsize": (7, 4), "figure.dpi": 100, "savefig.bbox": "tight", "axes.titlesize": 12})


def over_seeds(table, x: str, y: str, hue: str | None = None, *, title: str, xlabel: str, ylabel: str,
               legend: str | None = None, logx: bool = False, ax=None, marker: str = "o"):  # fmt: skip
    """Mean over seeds with a band from the least to the greatest seed; their number goes under the axis.

    table: one row a seed and x (and hue), with a column "seed". Returns the axes.
    """
    ax = ax or plt.subplots()[1]
    steps = table[hue].nunique() if hue is not None and table[hue].dtype.kind in "if" else 0
    palette = sns.color_palette("viridis", steps) if steps else PALETTE if hue is not None else None
    sns.lineplot(table, x=x, y=y, hue=hue, palette=palette, errorbar=("pi", 100), ax=ax, marker=marker or None,
                 markersize=4, legend="full" if hue is not None else False)  # fmt: skip
    if logx:
        ax.set_xscale("log", base=2)
        ticks = sorted(table[x].unique())
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    ax.set(title=title, xlabel=f"{xlabel}\n(mean and range over {table['seed'].nunique()} seeds)", ylabel=ylabel)
    if hue is not None:
        beside = {"bbox_to_anchor": (1, 1), "loc": "upper left"} if steps > 4 else {}
        ax.legend(title=legend or hue, fontsize="small", title_fontsize="small", **beside)
    return ax
