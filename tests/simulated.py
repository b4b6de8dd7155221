"""Tables as `measure.sweep` and `measure.wave_summary` make them, of numbers drawn at will."""

import numpy as np
import pandas as pd

from lib.measure import KINDS, SUMMARIES, VARIANTS

USUAL = {
    "included": True,
    "num_paths": 150,
    "effective_paths": 50.0,
    "epoch": 20,
    "test_accuracy": 0.9,
}
POWERS = [number for number, name in enumerate(VARIANTS) if name.startswith("power")]
FLOORS = [VARIANTS[number].replace("power", "floor") for number in POWERS]


def networks(num_seeds: int, **columns) -> pd.DataFrame:
    """One row a condition and seed, sorted. columns: of the conditions, one value each."""
    conditions = pd.DataFrame(columns)
    names = [f"condition {number}" for number in range(len(conditions))]
    table = conditions.assign(condition=names).loc[conditions.index.repeat(num_seeds)]
    seeds = np.tile(np.arange(num_seeds), len(conditions))
    return table.reset_index(drop=True).assign(seed=seeds)


def along_paths(table: pd.DataFrame, logarithms) -> pd.DataFrame:
    """A summary of paths of the networks of a table. logarithms: a function of the kind of path:
    those of the twelve variants and of HFF, (rows, 13). Floors are a hundredth of the power."""
    shape = (len(table), 13)
    values = np.exp(np.concatenate([np.broadcast_to(logarithms(kind), shape) for kind in KINDS]))
    measures = pd.DataFrame(values, columns=[*VARIANTS, "hff"])
    floors = pd.DataFrame(values[:, POWERS] / 100, columns=FLOORS)
    usual = {name: value for name, value in USUAL.items() if name not in table}
    both = pd.concat([table, table], ignore_index=True)
    both = both.assign(kind=np.repeat(KINDS, len(table)), **usual)
    return pd.concat([both, measures, floors], axis=1)


def along_waves(table: pd.DataFrame, values) -> pd.DataFrame:
    """A summary of waves of the runs of a table. values: of the three summaries and of the
    published minimum, (rows, 4)."""
    names = [*SUMMARIES, "min_noise_fitting"]
    waves = pd.DataFrame(np.broadcast_to(values, (len(table), 4)), columns=names)
    return table.join(waves).assign(periods=2.0, included=True)
