"""The figure of notebooks 04 and 07: measures of conditions against their test error."""

from matplotlib.ticker import LogLocator, NullLocator
from scipy.stats import gmean

from lib import plots
from lib.measure import KINDS, column, matched_counts


def against_accuracy(summary, name: str, cutoff: float, title: str):
    """One numbered point a condition of column `name`, its mean over seeds (of power geometric)
    with their range: test error, best to the right, against HFF over all paths, and against power
    out of band over matched paths (dashes: its floor), between and within classes; a key of the
    numbers, which stand on four sides of their points in turn, as points next to each other often
    overlap. Returns the axes.
    """
    power, floor = (column(one, "softmax", 1) for one in ("power", "floor"))
    measures = {"hff": "HFF, all paths", power: f"power above {cutoff:g} cycles/nu"}
    used = summary[summary["included"]].assign(error=1 - summary["test_accuracy"])
    least = used["error"].where(used["error"] > 0).min() / 2  # a place on the axis for no error
    used["error"] = used["error"].clip(lower=least)
    key = used.groupby(name)["error"].mean().sort_values().index
    figure, axes = plots.plt.subplots(2, 2, figsize=(11, 8))
    for (measure, label), line in zip(measures.items(), axes, strict=True):
        for kind, ax in zip(KINDS, line, strict=True):
            groups = used[used["kind"] == kind].groupby(name)[["error", measure, floor]]
            how = {"error": "mean", measure: "mean" if measure == "hff" else gmean, floor: "mean"}
            means, ends = groups.agg(how), (groups.min(), groups.max())
            bars = [(means - end).abs().T.to_numpy() for end in ends]
            xerr, yerr = ([bar[axis] for bar in bars] for axis in (0, 1))
            options = {"fmt": "o", "color": plots.KIND_COLOURS[kind], "elinewidth": 0.7, "ms": 4}
            ax.errorbar(means["error"], means[measure], xerr=xerr, yerr=yerr, **options)
            for number, place in enumerate(means.loc[key, ["error", measure]].to_numpy(), 1):
                side = {"ha": ("left", "right")[number // 2 % 2]}
                side["va"] = ("bottom", "top")[number % 2]
                moved = [3 if word in ("left", "bottom") else -3 for word in side.values()]
                offset = {"xytext": moved, "textcoords": "offset points", "fontsize": 9}
                ax.annotate(str(number), place, **offset, **side)
            xlabel = "test error (log, best to the right)"
            ax.set(title=f"{kind} classes", xlabel=xlabel, ylabel=label, xscale="log")
            ax.invert_xaxis()
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_locator(NullLocator())
            if measure != "hff":
                ax.plot(means["error"], means[floor], "_", color="0.5")
                ax.set_yscale("log")
    figure.suptitle(f"{title}\n{matched_counts(summary)} Dashes: the floor.", fontsize="medium")
    figure.tight_layout()
    numbered = "\n".join(f"{number}  {one}" for number, one in enumerate(key, 1))
    figure.text(1, 0.9, f"{name}, best first\n{numbered}", fontsize=10, va="top")
    return axes
