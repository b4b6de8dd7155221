"""Tables of the measures of paths: shares, titles, intervals over images."""

import numpy as np
import pandas as pd

from lib.measure.columns import MULTIPLES, OUTPUTS, column
from lib.resampling import bootstrap


def with_shares(paths: pd.DataFrame) -> pd.DataFrame:
    """`Measurement.paths` with share_OUTPUT_MULTIPLE: power over variance, of a constant path 0."""
    shares = {}
    for output in OUTPUTS:
        total = paths[f"variance_{output}"]
        for name in paths.filter(like=f"power_{output}_").columns:
            share = (paths[name] / total.where(total > 0)).fillna(0.0)
            shares[name.replace("power", "share")] = share
    return paths.assign(**shares)


def titles(cutoff: float) -> dict[str, str]:
    """What each measure of paths is called, by column: the published one, then the twelve."""
    names = {"hff": "HFF, all paths"}
    for output, title in OUTPUTS.items():
        for measure in ("power", "share"):
            for multiple in MULTIPLES:
                above = f"{measure} above {multiple * cutoff:g} cycles/nu, {title}"
                names[column(measure, output, multiple)] = above
    return names


def intervals(measurement) -> pd.DataFrame:
    """The measures of a `Measurement` with 95 % bootstrap intervals over images: paths share their
    ends, so images are drawn anew (wide rather than narrow: see `bootstrap`). Rows: measure (see
    `titles`), kind of path, estimate, low, high, num_paths. HFF is over all paths, the others over
    those with both ends correct (NaN where there is none; one path has no interval)."""
    rows, paths = [], with_shares(measurement.paths)
    cutoff = float(measurement.network["cutoff"].iloc[0])
    for name in titles(cutoff):
        usable = paths if name == "hff" else paths[paths["correct"]]
        for kind in ("within", "between"):
            chosen, interval = usable[usable["kind"] == kind], [np.nan] * 3
            if len(chosen) > 1:
                interval = bootstrap(chosen[name], chosen[["a", "b"]], 1000)[:3]
            elif len(chosen):
                interval[0] = float(chosen[name].iloc[0])
            rows.append((name, kind, *interval, len(chosen)))
    norm = measurement.network.loc[0, ["jacobian_norm", "jacobian_low", "jacobian_high"]]
    rows.append(("jacobian_norm", "", *norm, 0))
    names = ("measure", "kind", "estimate", "low", "high", "num_paths")
    return pd.DataFrame(rows, columns=names)
