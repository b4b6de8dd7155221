"""The picture of a profile's verdicts: primary claims x measures."""

import math
import re

import numpy as np
import pandas as pd

from lib import measure, plots
from study import designs, verdicts

PUBLISHED = "published"  # the column of the paper's measure: HFF, of waves noise fitting
COLUMNS = [PUBLISHED, *sorted(measure.VARIANTS, key=lambda name: "logits" in name)]
COLUMNS += [*measure.SUMMARIES, "test_accuracy"]
ARROWS = {">": "\N{UPWARDS ARROW}", "<": "\N{DOWNWARDS ARROW}", "!=": "\N{UP DOWN ARROW}"}
STRONG = {"ratio": math.log(4), "correlation": 1.0, "difference": 0.5}  # of a full colour


def kind_of(row: dict, column: str) -> str:
    """What an effect is told as: a ratio (then it is a logarithm), a correlation, a difference."""
    if row["effect"]["unit"] == "conditions":
        return "correlation"
    of_gain = set(row["variants"]) & set(measure.SUMMARIES) or row["name"] == "gain"
    ratio = not of_gain if column == PUBLISHED else designs.is_ratio(column)
    return "ratio" if ratio else "difference"


def effects(rows: list[dict]) -> pd.DataFrame:
    """One row a judged claim and measure that could be tested: claim, column, effect, kind, decided
    (after correction over a claim's variants; of the published measure over all claims)."""
    found = []
    for row in rows:
        claim = f"{row['finding']} {row['name']}"
        names, pairs = list(row["variants"]), list(row["variants"].values())
        estimates, p = np.array(pairs or np.empty((0, 2)), float).T
        decided = verdicts.false_discoveries(p) <= verdicts.LEVEL
        tested = [*zip(names, estimates, decided, strict=True)]
        if row["published"] and not row["published"]["reason"]:
            sure = row["published_q"] <= verdicts.LEVEL
            tested.append((PUBLISHED, row["published"]["estimate"], sure))
        found += [(claim, name, one, kind_of(row, name), bool(d)) for name, one, d in tested]
    return pd.DataFrame(found, columns=["claim", "column", "effect", "kind", "decided"]).dropna()


def told(effect: float, kind: str) -> str:
    """An effect as a number that fits a cell: a ratio, or a correlation or difference with sign."""
    if kind != "ratio":
        return f"{effect:+.2f}"
    ratio = math.exp(effect)
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:{'.2f' if ratio >= 0.1 else '.1g'}}"


def figure(rows: list[dict], profile: str):
    """A row a claim, a column a measure. In a cell the effect over the whole range tested: a ratio,
    or with its sign a correlation or difference. A dot: decided; grey: not tested."""
    table = effects(rows)
    claims = {f"{row['finding']} {row['name']}": ARROWS[row["expected"]] for row in rows}
    shown = [name for name in COLUMNS if name in set(table["column"])]
    table["colour"] = (table["effect"] / table["kind"].map(STRONG)).clip(-1, 1)
    table["text"] = [told(row.effect, row.kind) for row in table.itertuples()]
    wide = {
        name: table.pivot(index="claim", columns="column", values=name).reindex([*claims])[shown]
        for name in ("colour", "text", "decided")
    }
    fig, ax = plots.plt.subplots(figsize=(0.62 * len(shown) + 3, 0.34 * len(claims) + 2))
    ax.set_facecolor("0.85")
    full = "full colour: a ratio of 4 or 1/4,\na correlation of 1, a difference of .5"
    bar = {"label": full, "ticks": []}
    look = {"cmap": "vlag", "vmin": -1, "vmax": 1, "linewidths": 0.5, "annot_kws": {"size": 7}}
    texts = wide["text"].fillna("")
    plots.sns.heatmap(wide["colour"], annot=texts, fmt="", cbar_kws=bar, ax=ax, **look)
    fig.axes[-1].yaxis.label.set_size(8)
    decided = wide["decided"].eq(True).to_numpy()
    y, x = np.nonzero(decided)
    ax.plot(x + 0.87, y + 0.2, "o", ms=3, color="black")
    words = [re.sub(r"_([124])$", r" above \1 cutoff", name).replace("_", " ") for name in shown]
    ax.set_xticks(np.arange(len(shown)) + 0.5, words, rotation=45, ha="right", fontsize=8)
    labels = [*map(" ".join, claims.items())]
    ax.set_yticks(np.arange(len(claims)) + 0.5, labels, rotation=0, fontsize=9)
    words = "effect over a dose's whole range (dot: decided by this measure; arrow: as claimed)"
    ax.set(xlabel="", ylabel="", title=f"Profile {profile}, primary claims by measure:\n{words}")
    ax.grid(visible=False)
    return fig
