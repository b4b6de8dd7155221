"""How far networks have fitted a label wave, beyond controls that never saw it: a network's
confidence goes with an image's norm and class, and so does a wave, so that networks of evenly
smoothed labels seem to follow it too. All from what runs keep of every test image, afterwards."""

import dataclasses
import functools
import itertools

import numpy as np
import pandas as pd

from lib import runs
from lib.parameters import StudyError, refusal
from lib.training import argument, smoothing, wave

SUMMARIES = ("mean_gain", "final_gain", "beyond_control")  # the primary measure, and its variants
LEAST_PERIODS = 1.0  # across the 1-99 % range of the wave's argument


@functools.lru_cache(maxsize=256)
def _noisy(config) -> tuple[np.ndarray, float, np.ndarray]:
    """Of the test images under a configuration's wave: r (n,), how far each label is smoothed;
    periods across the 1-99 % range of its argument; and whether each has a noisy label, (n,)."""
    dataset = config.load_data()
    images, chosen = dataset.normalize(dataset.x_test), None
    if config.wave_class is not None:
        chosen = (dataset.y_test == config.wave_class).float()
    waves = wave(config.wave, config.frequency, dataset.image_shape)(images)
    r = smoothing(waves, config.amplitude, chosen).double().numpy()
    noisy = np.ones(len(r), bool) if chosen is None else chosen.bool().numpy()
    if not noisy.any():
        raise refusal("wave_class", config.wave_class, "a class of the test images")
    periods = 0.0
    if config.wave != "uniform":
        low, high = np.percentile(argument(config.wave, images)[noisy], [1, 99])
        periods = config.frequency * float(high - low)
    return r, periods, noisy


def gain(of_run: np.ndarray, of_control: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Least-squares slope, over images, of what a run's probability of the true class exceeds its
    control's by, on that class's noisy label: (epochs,). of_run, of_control: probabilities (epochs,
    n); labels: (n,). 0: the wave is not followed; 1: fitted. NaN where the labels are even."""
    target = labels - labels.mean()
    variance = (target**2).sum()
    if variance < 1e-12 * len(target):
        return np.full(len(of_run), np.nan)
    return (of_run - of_control) @ target / variance


def noise_fitting(log_true, log_mean, smoothed: np.ndarray) -> np.ndarray:
    """CE(clean labels) - CE(noisy labels), nats, (epochs,): negative while a network knows the
    classes but not the wave (the paper's measure). log_true, log_mean: (epochs, n), the log-
    probability of the true class, and its mean over classes; smoothed: r (n,)."""
    return ((log_mean - log_true) * smoothed).mean(1)


def _opened(config) -> runs.Run:
    if (run := runs.find(config)) is None:
        which = "control" if config.wave == "uniform" else "run"
        fields = f"{config.model}, seed {config.seed}, wave {config.wave} {config.frequency:g}"
        reason = f"the {which} {config.key()} ({fields}) is not in the store"
        raise StudyError(f"waves: {reason}; call runs.sweep on waves and controls first")
    return run


def _logs(config) -> dict[str, np.ndarray]:
    return _kept(_opened(config).path)


@functools.lru_cache(maxsize=32)
def _kept(path) -> dict[str, np.ndarray]:
    arrays = runs.open_run(path).arrays()
    kept = {name: arrays[name].astype(np.float64) for name in ("log_true", "log_mean")}
    return {name: arrays[name] for name in ("epoch", "test_accuracy")} | kept


def _gain(config, with_wave: dict, control: dict) -> np.ndarray:
    """`gain` of the wave of `config` in one run beyond another, each of `_logs`, (epochs,)."""
    r, _, noisy = _noisy(config)
    share = 1 - 1 / config.load_data().num_classes
    true = (np.exp(one["log_true"])[:, noisy] for one in (with_wave, control))
    return gain(*true, 1 - share * r[noisy])


def fitting(configs) -> pd.DataFrame:
    """One row a run and evaluated epoch: the configuration, key, epoch, test_accuracy, periods,
    gain, noise_fitting and control_fitting, that of the control's own labels. Every run and the
    `control` of its configuration has to be in the store. Raises StudyError."""
    tables, configs = [], list(configs)
    if not configs:
        raise StudyError("waves: got no configuration; accepted: at least one")
    for config in configs:
        run, control = _opened(config), config.control()
        logs, even = _logs(config), _logs(control)
        r, periods, _ = _noisy(config)
        other = (even["log_true"], even["log_mean"], _noisy(control)[0])
        columns = {
            "epoch": logs["epoch"],
            "test_accuracy": logs["test_accuracy"],
            "gain": _gain(config, logs, even),
            "noise_fitting": noise_fitting(logs["log_true"], logs["log_mean"], r),
            "control_fitting": noise_fitting(*other),
        }
        fields = {name: value for name, value in run.config.items() if name not in columns}
        tables.append(pd.DataFrame(columns).assign(**fields, periods=periods, key=run.key))
    return pd.concat(tables, ignore_index=True)


def null(configs) -> pd.DataFrame:
    """What `gain` is without any wave: of one seed's control beyond another's, one row a wave
    (without its seed), ordered pair of seeds and epoch: the wave's configuration, epoch, gain,
    pair. Empty where there is one seed."""
    groups, tables = {}, []
    for config in configs:
        groups.setdefault(dataclasses.replace(config, seed=0), []).append(config)
    for same in groups.values():
        controls = {one.seed: _logs(one.control()) for one in same}
        for one, other in itertools.permutations(same, 2):
            own = controls[one.seed]
            fields = {name: value for name, value in one.described().items() if name != "seed"}
            fields |= {"epoch": own["epoch"], "gain": _gain(one, controls[other.seed], own)}
            tables.append(pd.DataFrame(fields | {"pair": f"{one.seed} {other.seed}"}))
    if tables:
        return pd.concat(tables, ignore_index=True)
    fields = [name for group in groups.values() for name in group[0].described()]
    return pd.DataFrame(columns=["epoch", "gain", "pair", *dict.fromkeys(fields)], dtype=float)


def wave_summary(fits: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """One row a run: how its wave was fitted. fits: of `fitting`; by: columns that tell runs apart.
    Columns: mean_gain over the evaluated epochs, final_gain; min_noise_fitting (nats), dip_epoch
    where it falls, beyond_control: less the control's minimum; test_accuracy at the end; periods;
    included: False of waves below one period, which take no part in a verdict."""
    fits = fits.reset_index(drop=True)
    each = fits.groupby(by, sort=False)
    dips = fits.loc[each["noise_fitting"].idxmin()].set_index(by)
    last, least = each.last(), each["control_fitting"].min()
    table = pd.DataFrame({"mean_gain": each["gain"].mean(), "final_gain": last["gain"]})
    table["min_noise_fitting"], table["dip_epoch"] = dips["noise_fitting"], dips["epoch"]
    table["beyond_control"] = table["min_noise_fitting"] - least
    table["test_accuracy"], table["periods"] = last["test_accuracy"], last["periods"]
    table["included"] = table["periods"] >= LEAST_PERIODS
    return table.reset_index()


def null_band(nulls: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The 2.5 and 97.5 % points, low and high, of `null`'s gains by the columns `by`, over pairs of
    seeds: by ["epoch"], say, or, of mean gains, by others than the epoch. Of one seed: empty."""
    if nulls.empty:
        return pd.DataFrame(columns=[*by, "low", "high"], dtype=float)
    if "epoch" not in by:
        nulls = nulls.groupby([*by, "pair"], as_index=False)["gain"].mean()
    bounds = nulls.groupby(by)["gain"].quantile([0.025, 0.975]).unstack()
    return bounds.set_axis(["low", "high"], axis=1).reset_index()
