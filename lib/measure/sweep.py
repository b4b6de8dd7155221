"""Many networks of the run store, measured: each once, kept beside its run; then compared."""

import dataclasses

import pandas as pd
import torch

from lib import runs
from lib.measure import spectrum
from lib.measure.compare import compare
from lib.measure.network import Measurement, Protocol, measure
from lib.parameters import StudyError


def of_seed(protocol: Protocol, seed: int) -> Protocol:
    """The protocol with the pairs that a seed draws: a seed draws its own, as it draws its
    network's initialisation, so that the spread over seeds holds the spread over images too."""
    return dataclasses.replace(protocol, seed=seed)


def _key(epoch: int, protocol: Protocol) -> str:
    return f"measure-{epoch:04d}-{protocol.key()}"


def _read(folder) -> Measurement:
    record = runs.unsealed(folder)
    files = (runs.verified(folder, f"{name}.parquet", record) for name in Measurement._fields)
    return Measurement(*map(pd.read_parquet, files))


def find_measurement(run: runs.Run, epoch: int, protocol: Protocol) -> Measurement | None:
    """What `measured` kept of a run at `epoch` along its seed's own pairs, or None: `look_up`."""
    key = _key(epoch, of_seed(protocol, run.config["seed"]))
    return runs.look_up(run.path, key, Protocol, _read)


def read_measurement(run: runs.Run, epoch: int, protocol: Protocol) -> Measurement:
    """`find_measurement`. Raises StudyError where there is none."""
    measurement = find_measurement(run, epoch, protocol)
    if measurement is None:
        raise StudyError(f"measure: run {run.key} was not measured so after epoch {epoch}")
    return measurement


def measured(run: runs.Run, epoch: int, protocol: Protocol, config, device="auto") -> Measurement:
    """The measurement of the run of `config` at `epoch` (0: untrained) along its seed's own pairs,
    kept in the store."""
    if (kept := find_measurement(run, epoch, protocol)) is not None:
        return kept
    model, own = config.build(), of_seed(protocol, config.seed)
    if epoch > 0:
        model.load_state_dict(run.weights(epoch))
    measurement = measure(model, config.load_data(), own, device)

    def write(partial) -> None:
        for name, table in measurement._asdict().items():
            narrow = {column: "float32" for column in table.select_dtypes("float64")}
            table.astype(narrow).to_parquet(partial / f"{name}.parquet")

    folder = run.path / f"{_key(epoch, own)}-{runs.code_of(Protocol)}"
    runs.write_sealed(folder, {"epoch": epoch, **dataclasses.asdict(own)}, write)
    return read_measurement(run, epoch, protocol)


@runs.single_thread()
def _prepare(config, protocol: Protocol) -> None:
    """What spectra of paths of each length take, made once: workers forked afterwards have it."""
    cutoffs = [multiple * protocol.cutoff for multiple in protocol.multiples()]
    for joined in of_seed(protocol, config.seed).joined(config.load_data()).values():
        for points in set(joined.points.tolist()):
            spectrum.floor(torch.zeros(1, points, 1), protocol.spacing, cutoffs)


def sweep(configs, protocol: Protocol, device="auto", epochs=None) -> pd.DataFrame:
    """Measure the networks of `configs`, their runs already in the store, after each of `epochs`
    (0: untrained; None: each after its last), and `compare` them: one row a network and kind of
    path, along the paths that all of them at one seed classify correctly."""
    pairs = [(config, config.num_epochs) for config in configs]
    if epochs is not None:
        pairs = [(config, epoch) for epoch in epochs for config, _ in pairs]
    opened = {config: runs.find(config) for config, _ in pairs}
    if None in opened.values():
        raise StudyError("measure: a run is not in the store; call runs.sweep(configs) first")
    tasks = [(opened[config], epoch, protocol, config, device) for config, epoch in pairs]
    found = [find_measurement(*task[:3]) for task in tasks]
    missing = [task for task, kept in zip(tasks, found, strict=True) if kept is None]
    if missing:
        _prepare(missing[0][3], protocol)
    made = iter(runs.parallel_map(measured, missing, device, "measured networks"))
    measurements = [next(made) if kept is None else kept for kept in found]
    networks = [{**run.config, "key": run.key, "epoch": epoch} for run, epoch, *_ in tasks]
    return compare(networks, measurements)
