"""Measures of conditions against accuracy: the figure of notebooks 04 and 07, ways to sum up."""

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator
from scipy.stats import gmean

from lib import plots
from lib.measure import KINDS, PRIMARY, column, matched_counts
from study.claims import LEAST_OVER_FLOOR

TRIMMED = (0.0, 0.02, 0.05, 0.1, 0.2)  # shares of the paths, those of most power


def by_summary(paths: dict, accuracy: pd.Series) -> pd.DataFrame:
    """Rank correlation with accuracy, by kind of path, of HFF over all and over matched paths, and
    of the power of matched paths by mean, trimmed means and median. paths: tables of
    `Measurement.paths` by configuration, matched where all of a seed are correct; accuracy: by
    model, whose logarithms are means over seeds. A model at the floor in a seed is left out;
    `families`: how many remain."""
    rows, floor = [], PRIMARY.replace("power", "floor")
    for config, own in paths.items():
        seed = [one["correct"] for other, one in paths.items() if other.seed == config.seed]
        for kind in KINDS:
            every = own["kind"] == kind
            some = own[every & np.all(seed, axis=0)].sort_values(PRIMARY)
            kept = {f"without the top {one:.0%}": round(len(some) * (1 - one)) for one in TRIMMED}
            found = {name: some[[PRIMARY, floor]].head(n).mean() for name, n in kept.items()}
            found = {"mean": found.pop("without the top 0%"), **found}
            found["median"] = some[[PRIMARY, floor]].median()
            clear = {k: v[PRIMARY] >= LEAST_OVER_FLOOR * v[floor] for k, v in found.items()}
            powers = {k: v[PRIMARY] if clear[k] else np.nan for k, v in found.items()}
            hff = {"HFF, all paths": own.loc[every, "hff"].mean()}
            hff["HFF, matched paths"] = some["hff"].mean()
            rows.append({"model": config.model, "kind": kind} | hff | powers)
    table = pd.DataFrame(rows).set_index(["kind", "model"]).apply(np.log)
    means = table.groupby(["kind", "model"]).agg(lambda values: values.mean(skipna=False))
    axis = pd.Series(means.index.get_level_values("model").map(accuracy), means.index)
    each = means.groupby("kind").apply(lambda own: own.corrwith(axis, method="spearman"))
    return each.assign(families=means.notna().groupby("kind").sum().min(axis=1))


def against_accuracy(summary, name: str, cutoff: float, title: str):
    """One numbered point a condition of column `name`, its mean over seeds (of power geometric)
    with their range: test error, best to the right, against HFF over all paths, and against power
    out of band over matched paths (dashes: its floor), between and within classes; a key of the
    numbers. Returns the axes.
    """
    power, floor = (column(one, "softmax", 1) for one in ("power", "floor"))
    measures = {"hff": "HFF, all paths", power: f"power above {cutoff:g} cycles/nu"}
    used = summary[summary["included"]].assign(error=1 - summary["test_accuracy"])
    least = used["error"].where(used["error"] > 0).min() / 2  # a place on the axis for no error
    used["error"] = used["error"].clip(lower=least)
    key = used.groupby(name)["error"].mean().sort_values().index
    points, (figure, axes) = {}, plots.plt.subplots(2, 2, figsize=(11, 8))
    for (measure, label), line in zip(measures.items(), axes, strict=True):
        for kind, ax in zip(KINDS, line, strict=True):
            groups = used[used["kind"] == kind].groupby(name)[["error", measure, floor]]
            how = {"error": "mean", measure: "mean" if measure == "hff" else gmean, floor: "mean"}
            means, ends = groups.agg(how), (groups.min(), groups.max())
            bars = [(means - end).abs().T.to_numpy() for end in ends]
            xerr, yerr = ([bar[axis] for bar in bars] for axis in (0, 1))
            options = {"fmt": "o", "color": plots.KIND_COLOURS[kind], "elinewidth": 0.7, "ms": 4}
            ax.errorbar(means["error"], means[measure], xerr=xerr, yerr=yerr, **options)
            points[ax] = means.loc[key, ["error", measure]].to_numpy()
            xlabel = "test error (log, best to the right)"
            ax.set(title=f"{kind} classes", xlabel=xlabel, ylabel=label, xscale="log")
            ax.invert_xaxis()
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_locator(NullLocator())
            if measure != "hff":
                ax.plot(means["error"], means[floor], "_", color="0.5")
                ax.set_yscale("log")
    figure.suptitle(f"{title}\n{matched_counts(summary)} Dashes: the floor.", fontsize="medium")
    figure.tight_layout()
    for ax, places in points.items():
        _number(ax, places)
    numbered = "\n".join(f"{number}  {one}" for number, one in enumerate(key, 1))
    figure.text(1, 0.9, f"{name}, best first\n{numbered}", fontsize=10, va="top")
    return axes


def _number(ax, places: np.ndarray) -> None:
    """Number points (n, 2) of laid-out axes, each number on that of eight sides which is farthest
    from the other points and from the numbers before it, in pixels."""
    ax.margins(0.08)
    points = ax.transData.transform(places)
    turn = np.pi / 6 * np.array([1, 2, 4, 5, 7, 8, 10, 11])  # clear of the bars
    sides = 9 * np.column_stack([np.cos(turn), np.sin(turn)])  # in points of type
    taken = list(points)
    for number, point in enumerate(points, 1):
        others = np.array([one for index, one in enumerate(taken, 1) if index != number])
        ends = point + sides * ax.figure.dpi / 72
        free = np.linalg.norm(ends[:, None] - others, axis=2).min(1, initial=np.inf)
        best = free.argmax()
        taken.append(ends[best])
        centred = {"ha": "center", "va": "center", "fontsize": 9}
        moved = {"xytext": sides[best], "textcoords": "offset points"}
        ax.annotate(str(number), places[number - 1], **moved, **centred)
