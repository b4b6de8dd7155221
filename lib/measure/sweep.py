"""Many networks of the run store, measured: each once, kept beside its run; then compared."""

import dataclasses
import json

import pandas as pd

from lib import runs
from lib.measure.compare import compare
from lib.measure.network import Measurement, Protocol, measure
from lib.parameters import StudyError


def measurement_folder(run: runs.Run, epoch: int, protocol: Protocol):
    return run.path / f"measure-{epoch:04d}-{protocol.key()}"


def read_measurement(run: runs.Run, epoch: int, protocol: Protocol) -> Measurement:
    """A measurement that `measured` has kept, along the pairs of the run's own seed."""
    folder = measurement_folder(run, epoch, of_seed(protocol, run.config["seed"]))
    files = [folder / f"{name}.parquet" for name in Measurement._fields]
    try:
        return Measurement(*(pd.read_parquet(file) for file in files))
    except (OSError, ValueError, KeyError) as error:
        damage = f"measurement {folder.name} is damaged ({type(error).__name__})"
        remedy = "delete that folder in the run's to make it anew"
        raise StudyError(f"store: run {run.key}: {damage}; {remedy}") from error


def of_seed(protocol: Protocol, seed: int) -> Protocol:
    """The protocol with the pairs that a seed draws: a seed draws its own, as it draws its
    network's initialisation, so that the spread over seeds holds the spread over images too."""
    return dataclasses.replace(protocol, seed=seed)


def measured(run: runs.Run, epoch: int, protocol: Protocol, config, device="auto") -> Measurement:
    """The measurement of the run of `config` at `epoch` (0: untrained) along its seed's own pairs,
    kept in the store."""
    own = of_seed(protocol, config.seed)
    folder = measurement_folder(run, epoch, own)
    if not folder.is_dir():
        model = config.build()
        if epoch > 0:
            model.load_state_dict(run.weights(epoch))
        measurement = measure(model, config.load_data(), own, device)

        def write(partial) -> None:
            for name, table in measurement._asdict().items():
                table.astype({c: "float32" for c in table.select_dtypes("float64")}).to_parquet(
                    partial / f"{name}.parquet"
                )
            description = {"epoch": epoch, **dataclasses.asdict(own)}
            (partial / "config.json").write_text(json.dumps(description))

        runs.write_atomically(folder, write)
    return read_measurement(run, epoch, protocol)


def sweep(configs, protocol: Protocol, device="auto", epochs=None) -> pd.DataFrame:
    """Measure the networks of `configs`, their runs already in the store, after each of `epochs`
    (0: untrained; None: each after its last), and `compare` them: one row a network and kind of
    path, along the paths that all of them at one seed classify correctly."""
    store, pairs = runs.store_folder(), [(config, config.num_epochs) for config in configs]
    if epochs is not None:
        pairs = [(config, epoch) for epoch in epochs for config, _ in pairs]
    if not all((store / config.key()).is_dir() for config, _ in pairs):
        raise StudyError("measure: a run is not in the store; call runs.sweep(configs) first")
    opened = {config: runs.open_run(store / config.key()) for config, _ in pairs}
    tasks = [(opened[config], epoch, protocol, config, device) for config, epoch in pairs]
    measurements = runs.parallel_map(measured, tasks, device, "measured networks")
    networks = [{**run.config, "key": run.key, "epoch": epoch} for run, epoch, *_ in tasks]
    return compare(networks, measurements)
