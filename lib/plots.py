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
    table = table.reset_index(drop=True)  # seaborn takes each label of a row for one row
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


def published_and_corrected(summary, x: str, xlabel: str, cutoff: float, logx: bool = False, title: str = ""):
    """Two panels against column x of `measure.sweep`'s summary: HFF over all paths, and the power share of the
    softmax over paths with correct ends; within and between classes, bands over seeds."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4))
    share = f"share of power above {cutoff:g} cycles/nu"
    panels = (("all", "hff", "Published: HFF of the softmax, all paths", "HFF"),
              ("correct", "power_softmax", "Corrected: softmax, correct ends", share))  # fmt: skip
    for ax, (selection, column, name, ylabel) in zip(axes, panels, strict=True):
        rows = summary[summary["selection"] == selection]
        over_seeds(rows, x, column, "kind", legend="path", ax=ax, logx=logx, title=name, xlabel=xlabel, ylabel=ylabel)
    figure.suptitle(title)
    figure.tight_layout()


def against_accuracy(summary, hue: str, cutoff: float, title: str):
    """One point a network, of `measure.sweep`'s summary: accuracy against the published and the corrected measure,
    within and between classes, coloured by column `hue`."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), sharex=True)
    panels = (("all", "hff", "published: HFF, all paths"),
              ("correct", "power_softmax", f"corrected: share above {cutoff:g} cycles/nu"))  # fmt: skip
    for row, (selection, column, label) in zip(axes, panels, strict=True):
        for ax, kind in zip(row, ("within", "between"), strict=True):
            points = summary[(summary["kind"] == kind) & (summary["selection"] == selection)]
            sns.scatterplot(
                points, x="test_accuracy", y=column, hue=hue, palette="tab20", ax=ax, legend=ax is axes[0, 1]
            )
            ax.set(title=f"{kind} classes", xlabel="test accuracy", ylabel=label)
    sns.move_legend(axes[0, 1], "upper left", bbox_to_anchor=(1, 1), fontsize="small")
    figure.suptitle(title)
    figure.tight_layout()


def spectra(table, hue: str, cutoff: float, legend: str):
    """Mean binned spectra of `measure.sweep` along paths with correct ends: a row of panels a kind of path, a column
    a representation; one curve a value of column `hue`, bands over seeds."""
    views = {"softmax": "softmax", "calibrated": "calibrated softmax", "logits": "logits"}
    figure, axes = plt.subplots(2, 3, figsize=(14, 7.5), sharex=True, sharey=True)
    for row, kind in zip(axes, ("within", "between"), strict=True):
        for ax, (view, label) in zip(row, views.items(), strict=True):
            curves = table[(table["kind"] == kind) & (table["representation"] == view)]
            over_seeds(curves, "cycles_per_nu", "power", hue, legend=legend, ax=ax, marker="",
                       title=f"{kind} classes, {label}", xlabel="frequency (cycles/nu)",
                       ylabel="share of power per bin")  # fmt: skip
            ax.axvline(cutoff, color="k", ls="--", lw=1)
            ax.set_yscale("log")
            if ax is not axes[0, 2]:
                ax.get_legend().remove()
    sns.move_legend(axes[0, 2], "upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()


def bench(found: dict):
    """The figure of `bench.report`: images/s of the ways and of the floor, and cost against size."""
    style()
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5))
    peaks = [row["peak MB"] for row in found["cost"]["paths"]]
    units = {"paths": f"paths (peak memory {peaks[0]:.0f} MB to {peaks[-1]:.0f} MB)", "runs": "runs"}
    for ax, task in zip(axes, ("measuring", "training"), strict=False):
        names = [row["model"] for row in found["models"]]
        usual = "bf16" if task == "training" and "bf16 FLOP/s" in found["ceilings"] else "fp32"
        labels = {"eager": "eager, fp32", "fast": f"this study's, {usual}", "compiled": "compiled, fp32",
                  "bf16": "this study's, bf16", "floor": f"floor, {usual}"}  # fmt: skip
        for number, (way, label) in enumerate(labels.items()):
            rates = [row[task].get(way, float("nan")) for row in found["models"]]
            if any(rate == rate for rate in rates):
                places = [i + 0.17 * (number - 2) for i in range(len(names))]
                ax.bar(places, rates, 0.17, label=label, color=f"C{number}")
        ax.set(title=f"{task}, 32 x 32 pixels", ylabel="images/s", yscale="log", xticks=range(len(names)))
        ax.set_xticklabels(names, rotation=20)
        ax.legend(fontsize="small")
    for unit, marker in (("paths", "o"), ("runs", "s")):
        rows = found["cost"][unit]
        axes[2].plot([row[unit] for row in rows], [row["seconds"] for row in rows], marker=marker, label=units[unit])
    axes[2].set(title="cost of more paths, of more runs", xlabel="number", ylabel="seconds", xscale="log", yscale="log")
    axes[2].legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    figure.suptitle(found["device"])
    figure.tight_layout()
    return figure
