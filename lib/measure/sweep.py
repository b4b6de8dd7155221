"""Many networks of the run store, measured: each once, kept beside its run."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd

from lib import runs
from lib.measure.network import Measurement, Protocol, means, measure
from lib.parameters import StudyError
from lib.training import TrainingConfig


def measurement_folder(run: runs.Run, epoch: int, protocol: Protocol):
    return run.path / f"measure-{epoch:04d}-{protocol.key()}"


def read_measurement(run: runs.Run, epoch: int, protocol: Protocol) -> Measurement:
    """A measurement that `measured` has kept."""
    folder = measurement_folder(run, epoch, protocol)
    files = [folder / f"{name}.parquet" for name in Measurement._fields]
    try:
        return Measurement(*(pd.read_parquet(file) for file in files))
    except (OSError, ValueError, KeyError) as error:
        damage = f"measurement {folder.name} is damaged ({type(error).__name__})"
        remedy = "delete that folder in the run's to make it anew"
        raise StudyError(f"store: run {run.key}: {damage}; {remedy}") from error


def measured(run: runs.Run, epoch: int, protocol: Protocol, config, device="auto") -> Measurement:
    """The measurement of the run of `config` at `epoch` (0: untrained), kept in the store."""
    folder = measurement_folder(run, epoch, protocol)
    if not folder.is_dir():
        model = config.build()
        if epoch > 0:
            model.load_state_dict(run.weights(epoch))
        measurement = measure(model, config.load_data(), protocol, device)

        def write(partial) -> None:
            for name, table in measurement._asdict().items():
                table.to_parquet(partial / f"{name}.parquet")
            description = {"epoch": epoch, **dataclasses.asdict(protocol)}
            (partial / "config.json").write_text(json.dumps(description))

        runs.write_atomically(folder, write)
    return read_measurement(run, epoch, protocol)


def summarize(run: runs.Run, epoch: int, measurement: Measurement) -> pd.DataFrame:
    """`means` of a run's network at `epoch`, with the run's configuration and key, epoch,
    test_accuracy, and the measures of `at_images`."""
    accuracy = run.history.set_index("epoch")["test_accuracy"].get(epoch, np.nan)
    known = {"key": run.key, "epoch": epoch} | measurement.network.iloc[0].to_dict()
    return means(measurement).assign(**run.config, **known, test_accuracy=accuracy)


def sweep(configs, protocol: Protocol, device="auto", epochs=None) -> tuple:
    """Measure the networks of `configs`, their runs already in the store, after each of `epochs`
    (0: untrained); None: each after its last. Returns (summary, spectra). summary: `summarize` of
    each: one row a network, kind of path and selection (all paths, or those with correct ends).
    spectra: the mean spectra, with the run's configuration, key and epoch."""
    store, pairs = runs.store_folder(), [(config, config.num_epochs) for config in configs]
    if epochs is not None:
        pairs = [(config, epoch) for epoch in epochs for config, _ in pairs]
    if not all((store / config.key()).is_dir() for config, _ in pairs):
        raise StudyError("measure: a run is not in the store; call runs.sweep(configs) first")
    opened = {config: runs.open_run(store / config.key()) for config, _ in pairs}
    tasks = [(opened[config], epoch, protocol, config, device) for config, epoch in pairs]
    measurements = runs.parallel_map(measured, tasks, device, "measured networks")
    summaries, spectra = [], []
    for (run, epoch, *_), measurement in zip(tasks, measurements, strict=True):
        summaries.append(summarize(run, epoch, measurement))
        spectra.append(measurement.spectra.assign(**run.config, key=run.key, epoch=epoch))
    return pd.concat(summaries, ignore_index=True), pd.concat(spectra, ignore_index=True)


def stored(protocol: Protocol, dataset: str, **fields) -> tuple[pd.DataFrame, list[runs.Run]]:
    """`sweep`'s summary over every run in the store that was trained on `dataset` with clean
    labels, has these further fields in its configuration and is measured by `protocol` at its last
    epoch; and those runs. Raises StudyError when they are fewer than two."""
    wanted = {"dataset": re.sub(r":.*/", ":", dataset), "wave": "none", **fields}
    current = [run for run in runs.all_runs() if run.record["version"] == TrainingConfig.version]
    trained = [run for run in current if wanted.items() <= run.config.items()]
    summaries, chosen = [], []
    for run in sorted(trained, key=lambda run: run.key):  # an order that no clock decides
        epoch = run.config["num_epochs"]
        if measurement_folder(run, epoch, protocol).is_dir():
            summaries.append(summarize(run, epoch, read_measurement(run, epoch, protocol)))
            chosen.append(run)
    if len(chosen) < 2:
        reason = f"{len(chosen)} runs on {wanted['dataset']} are measured this way"
        raise StudyError(f"store: {reason}; run the other notebooks first")
    return pd.concat(summaries, ignore_index=True), chosen
