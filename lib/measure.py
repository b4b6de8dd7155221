"""What one network does along paths between test images: every frequency measure, path by path."""

import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.optimize
import torch

from lib import models, paths, runs, spectrum, training
from lib.data import Dataset
from lib.parameters import check

REPRESENTATIONS = ("softmax", "calibrated", "logits")
NUM_BINS = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasurementConfig:
    """How a network is measured; the same paths for every network of one dataset."""

    num_pairs: int  # paths within classes, and as many between classes
    spacing: float  # nu
    cutoff: float  # cycles per nu
    seed: int = 0  # of the pairs

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check(field.name, getattr(self, field.name), field.type.__name__)


class Measurement(NamedTuple):
    """paths: one row a path (kind, a, b, distance, correct and the measures of `COLUMNS`); spectra: one row a
    kind and representation, the mean binned power of paths whose two ends are classified correctly, by the
    left edge of the bin in cycles per nu."""

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


def measure(model: torch.nn.Module, dataset: Dataset, config: MeasurementConfig, device: torch.device) -> Measurement:
    """Measure `model` on the test images of `dataset`, within and between classes.

    Each path is seen three ways: softmax; softmax at the temperature calibrated on the test set; logits,
    centred over classes and divided by their standard deviation over the test set.
    """
    images = dataset.normalize(dataset.x_test.to(device))
    labels = dataset.y_test.numpy()
    model = model.to(device, memory_format=torch.channels_last).eval()
    with paths.exact_precision():
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
        distances = paths.lengths(images, pairs)
        sums = dict.fromkeys(REPRESENTATIONS, np.zeros(NUM_BINS))
        for index, logits in paths.evaluate(model, images, pairs, config.spacing):
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
            pd.DataFrame({"kind": kind, "representation": name, "frequency": edges[:-1], "power": total / count})
            for name, total in sums.items()
        ]
    by_path = pd.concat(rows, ignore_index=True).sort_values(["kind", "a", "b"], ignore_index=True)
    return Measurement(by_path, pd.concat(spectra, ignore_index=True))


def measured(
    run: runs.Run, epoch: int, config: MeasurementConfig, training_config, device: str = "auto"
) -> Measurement:
    """The measurement of `run` at `epoch` (0: untrained): from its folder in the store, or made now and kept."""
    folder = run.path / f"measure-{epoch:04d}-{runs.hash_of(dataclasses.asdict(config))}"
    if not folder.is_dir():
        target = training.resolve_device(device)
        dataset = training_config.load_data()
        model = models.build(training_config.model, dataset.image_shape, dataset.num_classes, training_config.seed)
        if epoch > 0:
            model.load_state_dict(run.weights(epoch))
        found = measure(model, dataset, config, target)

        def write(partial) -> None:
            for name, table in found._asdict().items():
                table.to_parquet(partial / f"{name}.parquet")
            (partial / "config.json").write_text(json.dumps({"epoch": epoch, **dataclasses.asdict(config)}))

        runs.write_atomically(folder, write)
    with runs.readable(folder / "paths.parquet"):
        return Measurement(*(pd.read_parquet(folder / f"{name}.parquet") for name in Measurement._fields))


def _measured(task) -> None:
    measured(*task)


def sweep(pairs, config: MeasurementConfig, device: str = "auto") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure many networks: `pairs` of (training configuration, epoch), their runs already in the store.

    Returns (summary, spectra). summary: one row a network, kind of path and selection (all paths, or those
    whose two ends are classified correctly): seed, epoch, test_accuracy, num_paths, and the mean of every
    measure over paths. spectra: the mean spectra of all of them, with the same keys.
    """
    tasks = []
    for training_config, epoch in pairs:
        run = runs.open_run(runs.store_folder() / runs.key_of(training_config))
        tasks.append((run, epoch, config, training_config, device))
    runs.parallel_map(_measured, tasks, device, "measured networks")
    summaries, spectra = [], []
    for run, epoch, _, training_config, _ in tasks:
        found = measured(run, epoch, config, training_config, device)
        history = run.history
        accuracy = history.loc[history["epoch"] == epoch, "test_accuracy"]
        keys = {"key": run.key, "seed": training_config.seed, "epoch": epoch,
                "test_accuracy": accuracy.iloc[0] if len(accuracy) else np.nan}  # fmt: skip
        spectra.append(found.spectra.assign(**keys))
        for selection, table in (("all", found.paths), ("correct", found.paths[found.paths["correct"]])):
            means = table.drop(columns=["a", "b", "correct"]).groupby("kind").mean()
            counts = table.groupby("kind").size()
            summaries.append(means.assign(num_paths=counts, selection=selection, **keys).reset_index())
    return pd.concat(summaries, ignore_index=True), pd.concat(spectra, ignore_index=True)
