"""Trust in what came with the study: a sample of its runs, trained and measured again."""

import tempfile

import numpy as np
import pandas as pd

from lib import measure, runs
from lib.parameters import StudyError, environment
from lib.training import TrainingConfig
from study import zoo

MEASURES = ["test_accuracy", "hff", "variation", "changes", "jacobian_norm", *measure.VARIANTS]
PROTOCOL = ["num_pairs", "spacing", "cutoff", "path"]  # a run may be measured by several
MOST_OF_ZOO = 0.1  # that rounding to 16 bits may move
MOST = 3.0  # standard deviations over seeds that another processor's rounding may make of a run


def sample(table: pd.DataFrame, fraction: float, seed: int) -> list[str]:
    """Keys drawn from the runs that a row alone describes: not students, who need a teacher."""
    keys = sorted(table.loc[table["generation"] == 0, "key"].unique())
    count = min(len(keys), max(1, round(fraction * len(keys))))
    return sorted(np.random.default_rng(seed).choice(keys, count, replace=False))


def _configuration(first: pd.Series) -> TrainingConfig:
    fields = {name: first[name] for name in TrainingConfig.fields_in(dict(first), ("teacher",))}
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in fields.items()}
    optional = ("num_train", "num_test", "wave_class")  # a column with gaps is of floats, or NaN
    plain |= {k: None if pd.isna(plain[k]) else int(plain[k]) for k in optional}
    config = TrainingConfig(**plain)
    if (own := config.load_data().fingerprint) != first["fingerprint"]:
        raise StudyError(f"dataset: {config.dataset} is another ({own}) than the results were of")
    return config


def again(rows: pd.DataFrame, device: str, of_zoo: bool = False) -> pd.DataFrame:
    """The rows of one run (a kind of path and protocol each), trained and measured anew; of_zoo:
    the zoo's copy of its network measured anew."""
    first, made = rows.iloc[0], []
    config = _configuration(first)
    for protocol in {_protocol(row) for _, row in rows.iterrows()}:
        if of_zoo:
            dataset, own = config.load_data(), measure.of_seed(protocol, config.seed)
            network = zoo.network(zoo.PREFIX + first["key"], dataset)
            measured = measure.measure(network, dataset, own, device)
        else:
            (run,) = runs.sweep([config], device)
            measured = measure.measured(run, config.num_epochs, protocol, config, device)
        network = {**config.described(), "key": first["key"], "epoch": config.num_epochs}
        table = measure.compare([network], [measured])
        made.append(table.assign(**{name: getattr(protocol, name) for name in PROTOCOL}))
    return pd.concat(made, ignore_index=True)


def _protocol(row: pd.Series) -> measure.Protocol:
    fields = {name: row[name] for name in PROTOCOL}
    fields |= {"num_pairs": int(row["num_pairs"])}
    return measure.Protocol(**fields)


def deviations(table: pd.DataFrame, anew: pd.DataFrame) -> pd.DataFrame:
    """One row a measure and kind of path: how far runs in `anew` lie from their rows at most, in
    standard deviations over seeds (of its logarithm, the median over the conditions of `table`)."""
    names, rows = ["key", "kind", *PROTOCOL], []
    both = anew.merge(table, on=names, suffixes=("_anew", ""), validate="one_to_one")
    for kind, own in table.groupby("kind"):
        for name in MEASURES:
            logs = np.log(own[name].where(own[name] > 0))
            spread = np.sqrt(
                logs.groupby([own[name] for name in ("condition", *PROTOCOL)]).var().median()
            )
            pair = both.loc[both["kind"] == kind, [f"{name}_anew", name]]
            moved = np.log(pair.where(pair > 0)).diff(axis=1).iloc[:, 1].abs()
            same = np.isclose(*pair.to_numpy(float).T, rtol=1e-6, atol=0, equal_nan=True)
            far = (moved / spread).where(~same, 0.0)
            rows.append((name, kind, spread, float(far.fillna(np.inf).max())))
    return pd.DataFrame(rows, columns=["measure", "kind", "spread", "deviation"])


def verify(profile: str, fraction: float, seed: int = 0, device: str = "auto", of_zoo=False):
    """`deviations` of a sample of a profile's runs, trained in a store of their own; of_zoo: of the
    zoo's copies. Raises StudyError where one lies further than 3 standard deviations away, of the
    zoo a tenth of one."""
    table = zoo.shipped_measures(profile)
    if of_zoo:
        table = table[table["key"].isin(zoo.files(profile))]
    keys = sample(table, fraction, seed)
    sampled = f"{len(keys)} of {table['key'].nunique()} runs of {profile}"
    print(f"measuring the zoo's copies of {sampled}" if of_zoo else f"training {sampled} again")
    with tempfile.TemporaryDirectory(prefix="study-") as store, environment(STUDY_STORE=store):
        parts = [again(table[table["key"] == key], device, of_zoo) for key in keys]
    moved = deviations(table, pd.concat(parts))
    print(moved.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    far = moved[moved["deviation"] > (MOST_OF_ZOO if of_zoo else MOST)]
    if len(far):
        worst = far.sort_values("deviation").iloc[-1]
        what = f"{worst['measure']} {worst['kind']} classes, {worst['deviation']:.3g} sd"
        raise StudyError(f"verify: {profile} is not what its runs give: {what}")
    return moved
