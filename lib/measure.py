"""What one network does along paths between test images: every frequency measure, path by path."""

import dataclasses
import json
import re
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import scipy.optimize
import torch

from lib import paths, runs, spectrum, training
from lib.data import Dataset
from lib.forward import exact_precision
from lib.parallel import parallel_map
from lib.parameters import StudyError, check

REPRESENTATIONS = ("softmax", "calibrated", "logits")
NUM_BINS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasurementConfig:
    """How a network is measured; the same paths for every network of one dataset."""

    version: ClassVar[int] = 1  # raise when the same measurement would give other results

    num_pairs: int  # paths within classes, and as many between classes
    spacing: float  # nu
    cutoff: float  # cycles per nu
    seed: int = 0  # of the pairs
    path: str = "linear"  # a name of paths.PATHS

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check(field.name, getattr(self, field.name), field.type.__name__)

    def key(self) -> str:
        """What names this measurement in a run's folder."""
        changed = {
            field.name: float(value) if field.type is float else value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        return runs.hash_of({"version": self.version, **changed})


class Measurement(NamedTuple):
    """network: one row, the measures of `at_images`. paths: one row a path: kind, a, b, distance, correct (both ends
    are), hff, and power_, absolute_, variation_, derivative_, degree_ of each representation. spectra: one row a
    kind, representation and bin: the mean binned power of paths with correct ends, by the bin's left edge,
    cycles_per_nu."""

    network: pd.DataFrame
    paths: pd.DataFrame
    spectra: pd.DataFrame


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the cross-entropy of logits (n, C) against labels (n,)."""
    logits = np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())

    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def jacobian_norm(model: torch.nn.Module, images: torch.Tensor, batch_size: int = 100) -> float:
    """Mean over images (n, C, H, W) of the Frobenius norm of d softmax / d image, per nu."""
    norms = []
    for batch in images.split(batch_size):
        batch = batch.contiguous(memory_format=torch.channels_last).requires_grad_()
        outputs = model(batch).softmax(1).sum(0)  # the images of a batch do not see each other in eval mode
        squares = [
            torch.autograd.grad(output, batch, retain_graph=True)[0].flatten(1).pow(2).sum(1) for output in outputs
        ]
        norms.append(torch.stack(squares).sum(0).sqrt().detach())
    return torch.cat(norms).mean().item()


def frequency_principle(images: torch.Tensor, labels: torch.Tensor, outputs: torch.Tensor) -> tuple[float, float]:
    """Relative errors of outputs (n, C) against one-hot labels, in their low and their high frequencies.

    Low: smoothed over the samples by a Gaussian kernel, whose width is half the median distance to the nearest
    tenth of the samples; high: the rest (Xu et al., "Frequency principle", filtering method).
    """
    distances = torch.cdist(images.flatten(1), images.flatten(1))
    width = distances.quantile(0.1, dim=1).median() / 2
    kernel = torch.exp(-(distances**2) / (2 * width**2)).double()
    kernel /= kernel.sum(1, keepdim=True)
    targets = torch.nn.functional.one_hot(labels, outputs.shape[1]).double()
    error, low_targets, low_error = targets - outputs.double(), kernel @ targets, kernel @ (targets - outputs.double())
    low = low_error.norm() / low_targets.norm()
    high = (error - low_error).norm() / (targets - low_targets).norm()
    return low.item(), high.item()


def at_images(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, limit: int = 500) -> pd.DataFrame:
    """One row of measures that need no path, over the first `limit` test images: jacobian_norm, low_error and
    high_error of `frequency_principle`."""
    images, labels = images[:limit], labels[:limit].to(images.device)
    with torch.inference_mode():
        outputs = model(images.contiguous(memory_format=torch.channels_last)).softmax(1)
        low, high = frequency_principle(images, labels, outputs)
    return pd.DataFrame({"jacobian_norm": [jacobian_norm(model, images)], "low_error": [low], "high_error": [high]})


def measure(model: torch.nn.Module, dataset: Dataset, config: MeasurementConfig, device: torch.device) -> Measurement:
    """Measure `model` on the test images of `dataset`, within and between classes.

    Each path is seen three ways: softmax; softmax at the temperature calibrated on the test set; logits,
    centred over classes and divided by their standard deviation over the test set.
    """
    images = dataset.normalize(dataset.x_test.to(device))
    labels = dataset.y_test.numpy()
    model = model.to(device, memory_format=torch.channels_last).eval()
    with exact_precision():
        test_logits = training.predict(model, dataset.x_test.to(device), dataset).cpu().numpy().astype(np.float64)
    correct = test_logits.argmax(1) == labels
    calibration = temperature(test_logits, labels)
    scale = (test_logits - test_logits.mean(1, keepdims=True)).std()
    edges = np.linspace(0, 0.5 / config.spacing, NUM_BINS + 1)
    pair_sets = {
        "within": paths.within_class_pairs(labels, config.num_pairs, config.seed),
        "between": paths.between_class_pairs(labels, config.num_pairs, config.seed),
    }
    rows, spectra = [], []
    for kind, pairs in pair_sets.items():
        distances = paths.lengths(images, pairs, config.path)
        sums = dict.fromkeys(REPRESENTATIONS, np.zeros(NUM_BINS))
        for index, logits in paths.evaluate(model, images, pairs, config.spacing, path=config.path):
            usable = correct[pairs[index]].all(1)
            views = {
                "softmax": spectrum.softmax(logits),
                "calibrated": spectrum.softmax(logits / calibration),
                "logits": (logits - logits.mean(-1, keepdims=True)) / scale,
            }
            row = {"kind": kind, "a": pairs[index, 0], "b": pairs[index, 1], "distance": distances[index],
                   "correct": usable, "hff": spectrum.high_frequency_fraction(views["softmax"])}  # fmt: skip
            for name, outputs in views.items():
                row[f"power_{name}"] = spectrum.power_above(outputs, config.spacing, config.cutoff)
                row[f"absolute_{name}"] = spectrum.absolute_power_above(outputs, config.spacing, config.cutoff)
                row[f"variation_{name}"] = spectrum.total_variation(outputs)
                row[f"derivative_{name}"] = spectrum.mean_square_derivative(outputs, config.spacing)
                row[f"degree_{name}"] = spectrum.effective_degree(outputs)
                binned = spectrum.binned_power(outputs, config.spacing, "line", edges)
                sums[name] = sums[name] + binned[usable].sum(0)
            rows.append(pd.DataFrame(row))
        count = max(1, sum(int(row.loc[row["kind"] == kind, "correct"].sum()) for row in rows))
        spectra += [
            pd.DataFrame({"kind": kind, "representation": name, "cycles_per_nu": edges[:-1], "power": total / count})
            for name, total in sums.items()
        ]
    by_path = pd.concat(rows, ignore_index=True).sort_values(["kind", "a", "b"], ignore_index=True)
    with exact_precision():
        network = at_images(model, images, dataset.y_test)
    return Measurement(network, by_path, pd.concat(spectra, ignore_index=True))


def measurement_folder(run: runs.Run, epoch: int, config: MeasurementConfig):
    return run.path / f"measure-{epoch:04d}-{config.key()}"


def read_measurement(run: runs.Run, epoch: int, config: MeasurementConfig) -> Measurement:
    """A measurement that `measured` has kept."""
    folder = measurement_folder(run, epoch, config)
    with runs.readable(folder / "paths.parquet"):
        return Measurement(*(pd.read_parquet(folder / f"{name}.parquet") for name in Measurement._fields))


def measured(run: runs.Run, epoch: int, config: MeasurementConfig, training_config, device="auto") -> Measurement:
    """The measurement of `run` at `epoch` (0: untrained): from its folder in the store, or made now and kept."""
    folder = measurement_folder(run, epoch, config)
    if not folder.is_dir():
        target = training.resolve_device(device)
        model = training_config.build()
        if epoch > 0:
            model.load_state_dict(run.weights(epoch))
        found = measure(model, training_config.load_data(), config, target)

        def write(partial) -> None:
            for name, table in found._asdict().items():
                table.to_parquet(partial / f"{name}.parquet")
            (partial / "config.json").write_text(json.dumps({"epoch": epoch, **dataclasses.asdict(config)}))

        runs.write_atomically(folder, write)
    return read_measurement(run, epoch, config)


def summarize(run: runs.Run, epoch: int, found: Measurement) -> pd.DataFrame:
    """One row a kind of path and selection, see `sweep`."""
    history = run.history
    accuracy = history.loc[history["epoch"] == epoch, "test_accuracy"]
    keys = {**run.config, "key": run.key, "epoch": epoch, **found.network.iloc[0].to_dict(),
            "test_accuracy": accuracy.iloc[0] if len(accuracy) else np.nan}  # fmt: skip
    rows = []
    for selection, table in (("all", found.paths), ("correct", found.paths[found.paths["correct"]])):
        means = table.drop(columns=["a", "b", "correct"]).groupby("kind").mean()
        rows.append(means.assign(num_paths=table.groupby("kind").size(), selection=selection, **keys).reset_index())
    return pd.concat(rows, ignore_index=True)


def _measured(task) -> None:
    measured(*task)


def sweep(pairs, config: MeasurementConfig, device: str = "auto") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure many networks: `pairs` of (training configuration, epoch), their runs already in the store.

    Returns (summary, spectra). summary: one row a network, kind of path and selection (all paths, or those
    whose two ends are classified correctly): the run's configuration, epoch, test_accuracy, num_paths, the mean
    of every measure over paths, and the measures of `at_images`. spectra: the mean spectra, with the same keys.
    """
    tasks = []
    for training_config, epoch in pairs:
        run = runs.open_run(runs.store_folder() / runs.key_of(training_config))
        tasks.append((run, epoch, config, training_config, device))
    parallel_map(_measured, tasks, device, "measured networks")
    summaries, spectra = [], []
    for run, epoch, *_ in tasks:
        found = read_measurement(run, epoch, config)
        summaries.append(summarize(run, epoch, found))
        spectra.append(found.spectra.assign(**run.config, key=run.key, epoch=epoch))
    return pd.concat(summaries, ignore_index=True), pd.concat(spectra, ignore_index=True)


def final(configs, how: MeasurementConfig, device: str = "auto") -> tuple[pd.DataFrame, pd.DataFrame]:
    """`sweep` over trained networks: every configuration at its last epoch."""
    return sweep([(config, config.num_epochs) for config in configs], how, device)


def stored(how: MeasurementConfig, dataset: str, **fields) -> tuple[pd.DataFrame, list[runs.Run]]:
    """`sweep`'s summary over every run in the store that was trained on `dataset` with clean labels, has these
    further fields in its configuration and is measured `how` at its last epoch; and those runs. Raises StudyError
    when they are fewer than two."""
    name = re.sub(r":.*/", ":", dataset)
    summaries, found = [], []
    for run in runs.all_runs():
        wanted = {"dataset": name, "wave": "none", **fields}
        if run.record["kind"] == "classifier" and wanted.items() <= run.config.items():
            epoch = run.config["num_epochs"]
            if measurement_folder(run, epoch, how).is_dir():
                summaries.append(summarize(run, epoch, read_measurement(run, epoch, how)))
                found.append(run)
    if len(found) < 2:
        raise StudyError(f"store: {len(found)} runs on {name} are measured this way; run the other notebooks first")
    return pd.concat(summaries, ignore_index=True), found
