"""Networks compared along matched paths: those whose two ends all of them classify correctly."""

import numpy as np
import pandas as pd

from lib.measure.columns import PRIMARY
from lib.measure.network import Measurement
from lib.measure.tables import with_shares
from lib.parameters import StudyError, hash_of

LEAST_ACCURACY = 0.6  # of the best condition's: networks below it choose no paths
KINDS = ("between", "within")
OF_RUN = ("seed", "key", "epoch", "condition", "test_accuracy")


def condition(network: dict) -> str:
    """What networks of several seeds share: their configuration, and their epoch."""
    return hash_of({name: value for name, value in network.items() if name not in ("seed", "key")})


def compare(networks: list[dict], measurements: list[Measurement]) -> pd.DataFrame:
    """One row a network and kind of path. networks: each one's configuration with key and epoch,
    its seed among the fields: within a seed all are measured along the same pairs.

    Columns: those of `networks`; condition; test_accuracy; included: False of conditions below 0.6
    of the best one's accuracy, which choose no paths and take part in no verdict (their own values
    are over those matched paths that they get right too); num_paths: the matched ones; of these
    effective_paths, (sum)^2 / sum of squares, carry the primary measure's mean, and power_median,
    floor_median are that and its floor of the median path; hff, over all paths; and over matched
    paths the means of changes (of the class), variation, and of each output power, floor and share
    above each multiple of the cutoff; power_per_change; and jacobian_norm, at images. Raises
    StudyError for no network."""
    if not networks:
        raise StudyError("measure: got no network; accepted: at least one")
    table = pd.DataFrame(networks)
    table["condition"] = [condition(network) for network in networks]
    at_images = pd.concat([one.network for one in measurements], ignore_index=True)
    table[["test_accuracy", "jacobian_norm"]] = at_images[["accuracy", "jacobian_norm"]]
    by_condition = table.groupby("condition")["test_accuracy"].transform("mean")
    table["included"] = by_condition >= LEAST_ACCURACY * by_condition.max()
    rows = []
    for _, of_seed in table.groupby("seed", sort=False):
        paths = {index: with_shares(measurements[index].paths) for index in of_seed.index}
        correct = _correct([paths[index] for index in of_seed.index])
        matched = correct[of_seed["included"].to_numpy()].all(0)  # of no network: every path
        for index, own, included in zip(of_seed.index, correct, of_seed["included"], strict=True):
            chosen = matched if included else matched & own
            rows += [{"row": index, **_means(paths[index], k, chosen)} for k in KINDS]
    means = pd.DataFrame(rows).set_index("row")
    means["power_per_change"] = means[PRIMARY] / means["changes"].where(means["changes"] > 0)
    return table.join(means).reset_index(drop=True)


def _correct(measured: list[pd.DataFrame]) -> np.ndarray:
    """Which paths have two correct ends, (networks, paths). Raises StudyError for other paths."""
    ends = [paths[["kind", "a", "b"]] for paths in measured]
    if not all(one.equals(ends[0]) for one in ends):
        accepted = "networks of one seed measured on the same test images"
        raise StudyError(f"measure: got paths between different images; accepted: {accepted}")
    return np.stack([paths["correct"] for paths in measured])


def _means(paths: pd.DataFrame, kind: str, chosen: np.ndarray) -> dict:
    every, some = ((paths["kind"] == kind) & one for one in (True, chosen))
    means = paths[some].drop(columns=["kind", "a", "b", "correct", "hff"]).mean()
    counts = {"kind": kind, "num_paths": int(some.sum()), "hff": paths.loc[every, "hff"].mean()}
    power = paths.loc[some, PRIMARY].astype("float64")
    counts["effective_paths"] = power.sum() ** 2 / max((power**2).sum(), 1e-300)
    floor = paths.loc[some, PRIMARY.replace("power", "floor")]
    counts |= {"power_median": power.median(), "floor_median": floor.median()}
    return counts | means.to_dict()


def left_out(summary: pd.DataFrame, name: str) -> str:
    """A sentence that names the conditions, by column `name`, that are left out of the matched set;
    "" for none."""
    names = summary.loc[~summary["included"], name].drop_duplicates()
    named = ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in names)
    least = f"{LEAST_ACCURACY:.0%} of the best one's accuracy"
    words = f"Left out of the matched paths, and of every verdict, as below {least}: {named}."
    return words if named else ""


def matched_counts(summary: pd.DataFrame) -> str:
    """How many paths were matched, in words, and on how few of them a mean rests."""
    parts = []
    for kind, rows in summary[summary["included"]].groupby("kind"):
        counts = sorted({rows["num_paths"].min(), rows["num_paths"].max()})
        few = "{:.0f} to {:.0f} effective".format(*rows["effective_paths"].agg(["min", "max"]))
        parts.append(f"{' to '.join(map(str, counts))} {kind} classes ({few})")
    return f"Matched paths a seed: {', '.join(parts)}."


def spectra(summary: pd.DataFrame, cutoff: float) -> pd.DataFrame:
    """Power above f, long: the columns of `summary`, and output, frequency (cycles/nu), power and
    floor, one row a network, kind, output and multiple of the cutoff."""
    tables = []
    for name in summary.filter(regex=r"^power_(softmax|logits)_").columns:
        _, output, multiple = name.split("_")
        exact = 2 ** (round(2 * np.log2(float(multiple))) / 2)  # 1.41 is the square root of 2
        values = {"power": summary[name], "floor": summary[f"floor_{output}_{multiple}"]}
        tables.append(summary.assign(output=output, frequency=exact * cutoff, **values))
    return pd.concat(tables, ignore_index=True)
