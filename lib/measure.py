"""What one network does along paths between test images: every frequency measure, path by path."""

import dataclasses
import json
import re
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lib import claims, paths, runs, spectrum, training
from lib.along import along, checked_network, held_images, held_pairs, point_batch
from lib.data import Dataset
from lib.forward import exact_precision
from lib.network_measures import at_images, temperature
from lib.parallel import parallel_map, resolve_device
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
    """network: one row, accuracy and the measures of `at_images`. paths: one row a path: kind, a, b, distance, correct
    (both ends are), hff, and power_, absolute_, variation_, derivative_, degree_ of each representation. spectra: one
    row a kind, representation and bin: the mean binned power of paths with correct ends, by the bin's left edge,
    cycles_per_nu."""

    network: pd.DataFrame
    paths: pd.DataFrame
    spectra: pd.DataFrame


def protocol(dataset: Dataset, num_pairs: int = 200, num_points: int = 64, path: str = "linear") -> MeasurementConfig:
    """Spacing and cutoff for images of any size: `num_points` points on a path of median length, and a cutoff at a
    tenth of the Nyquist frequency, as 0.05 cycles/nu is to the published spacing of 1 nu."""
    pairs = paths.between_class_pairs(dataset.y_test, min(50, len(dataset.x_test) // 2), 0)
    distances = np.concatenate([
        paths.lengths(images, index) for _, index, images in held_pairs(dataset, pairs, torch.device("cpu"))
    ])  # fmt: skip
    spacing = float(f"{np.median(distances) / num_points:.2g}")
    return MeasurementConfig(num_pairs=num_pairs, spacing=spacing, cutoff=float(f"{0.05 / spacing:.2g}"), path=path)


def measure(model, dataset: Dataset, config: MeasurementConfig | None = None, device="auto",
            progress: bool = False) -> Measurement:  # fmt: skip
    """Measure `model` on the test images of `dataset`, within and between classes.

    model: any callable (n, C, H, W) -> logits (n, classes), of images normalised by `dataset`, whose L2 unit is one nu.
    config: `protocol` when None. progress: a bar with the time left. Each path is seen three ways: softmax; softmax at
    the temperature calibrated on the test set; logits, centred over classes and divided by their standard deviation
    over the test set. Memory is bounded by the batch, see lib.along.
    Raises StudyError when outputs are not (batch, classes) or not finite.
    """
    device = resolve_device(device) if isinstance(device, str) else device
    config = config or protocol(dataset)
    labels = dataset.y_test.numpy()
    pairs = {"within": paths.within_class_pairs(labels, config.num_pairs, config.seed),
             "between": paths.between_class_pairs(labels, config.num_pairs, config.seed)}  # fmt: skip
    with exact_precision():
        model = checked_network(model, dataset, device)
        batch = point_batch(dataset, 500)
        logits = [training.predict(model, part.to(device), dataset, batch) for part in dataset.x_test.split(batch)]
    test_logits = torch.cat(logits).cpu().numpy().astype(np.float64)
    if not np.isfinite(test_logits).all():
        raise StudyError("network: got NaN or infinite logits at test images; accepted: finite ones")
    correct = test_logits.argmax(1) == labels
    calibration = temperature(test_logits, labels)
    scale = (test_logits - test_logits.mean(1, keepdims=True)).std() or 1.0  # of a constant network
    edges = np.linspace(0, 0.5 / config.spacing, NUM_BINS + 1)
    blocks, spectra = [], []
    with tqdm(total=2 * config.num_pairs, unit="path", desc="paths", disable=not progress, mininterval=0.5) as bar:
        for kind in pairs:
            total, count = 0.0, 0
            for ends, distances, logits in along(model, dataset, pairs[kind], config.spacing, config.path, device):
                usable, logits = correct[ends].all(1), logits.double()
                views = torch.cat([spectrum.softmax(logits), spectrum.softmax(logits / calibration),
                                   (logits - logits.mean(-1, keepdim=True)) / scale])  # fmt: skip
                blocks.append({"kind": np.full(len(ends), kind), "a": ends[:, 0], "b": ends[:, 1],
                               "distance": distances, "correct": usable, **_by_path(views, config)})  # fmt: skip
                binned = spectrum.binned_power(views, config.spacing, "line", edges)
                total = total + binned.unflatten(0, (3, -1))[:, torch.as_tensor(usable, device=device)].sum(1)
                count += int(usable.sum())
                bar.update(len(ends))
            spectra += [pd.DataFrame({"kind": kind, "representation": name, "cycles_per_nu": edges[:-1], "power": row})
                        for name, row in zip(REPRESENTATIONS, (total / max(1, count)).cpu(), strict=True)]  # fmt: skip
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    by_path = pd.DataFrame(columns).astype({f"degree_{name}": int for name in REPRESENTATIONS})
    by_path = by_path.sort_values(["kind", "a", "b"], ignore_index=True)
    with exact_precision():
        some = dataset.normalize(dataset.x_test[: min(500, held_images(dataset))].to(device))
        network = at_images(model, some, dataset.y_test, batch_size=max(1, point_batch(dataset, 800) // 8))
    network["accuracy"] = correct.mean()
    return Measurement(network, by_path, pd.concat(spectra, ignore_index=True))


def _by_path(views: torch.Tensor, config: MeasurementConfig) -> dict[str, np.ndarray]:
    """The measures of paths by column name; views: (3 paths, points, classes), one representation after the other."""
    found = {
        "power": spectrum.power_above(views, config.spacing, config.cutoff),
        "absolute": spectrum.absolute_power_above(views, config.spacing, config.cutoff),
        "variation": spectrum.total_variation(views),
        "derivative": spectrum.mean_square_derivative(views, config.spacing),
        "degree": spectrum.effective_degree(views),
    }
    hff = spectrum.high_frequency_fraction(views[: len(views) // 3])
    columns = torch.stack([column.double() for column in found.values()]).reshape(-1, len(hff))
    names = ["hff"] + [f"{measure}_{name}" for measure in found for name in REPRESENTATIONS]
    return dict(zip(names, torch.cat([hff[None], columns]).cpu().numpy(), strict=True))


def table(found: Measurement) -> pd.DataFrame:
    """The measures of a network with 95 % bootstrap intervals over images: paths share their ends, so images are drawn
    anew and not paths. One row a measure and kind of path: measure, kind, estimate, low, high, num_paths, column and
    selection ("correct": only paths whose two ends are classified correctly; NaN where there is none)."""
    rows = []
    for _, column, selection, title in claims.PATH_MEASURES + claims.OTHER_PATH_MEASURES:
        for kind in ("within", "between"):
            chosen = found.paths[(found.paths["kind"] == kind) & (found.paths["correct"] | (selection == "all"))]
            interval = [np.nan] * 3
            if len(chosen):
                interval = spectrum.bootstrap(chosen[column], chosen[["a", "b"]], num_resamples=1000)[:3]
            rows.append((title, kind, *interval, len(chosen), column, selection))
    (row,) = found.network.itertuples()
    rows.append(("Jacobian norm, softmax, at images", "", row.jacobian_norm, row.jacobian_low, row.jacobian_high, 0,
                 "jacobian_norm", "all"))  # fmt: skip
    names = ("measure", "kind", "estimate", "low", "high", "num_paths", "column", "selection")
    return pd.DataFrame(rows, columns=names)


def measurement_folder(run: runs.Run, epoch: int, config: MeasurementConfig):
    return run.path / f"measure-{epoch:04d}-{config.key()}"


def read_measurement(run: runs.Run, epoch: int, config: MeasurementConfig) -> Measurement:
    """A measurement that `measured` has kept."""
    folder = measurement_folder(run, epoch, config)
    try:
        return Measurement(*(pd.read_parquet(folder / f"{name}.parquet") for name in Measurement._fields))
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"store: run {run.key}: measurement {folder.name} is damaged ({type(error).__name__}); "
                         "delete that folder in the run's to make it anew") from error  # fmt: skip


def measured(run: runs.Run, epoch: int, config: MeasurementConfig, training_config, device="auto") -> Measurement:
    """The measurement of `run` at `epoch` (0: untrained): from its folder in the store, or made now and kept."""
    folder = measurement_folder(run, epoch, config)
    if not folder.is_dir():
        target = resolve_device(device)
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


def means(found: Measurement) -> pd.DataFrame:
    """The mean of every measure over paths, one row a kind of path and selection ("all", or "correct": both ends are);
    NaN and num_paths 0 where there is no path."""
    rows, kinds = [], pd.Index(["between", "within"], name="kind")
    for selection, chosen in (("all", found.paths), ("correct", found.paths[found.paths["correct"]])):
        groups = chosen.drop(columns=["a", "b", "correct"]).groupby("kind")
        counts = groups.size().reindex(kinds, fill_value=0)
        rows.append(groups.mean().reindex(kinds).assign(num_paths=counts, selection=selection).reset_index())
    return pd.concat(rows, ignore_index=True)


def summarize(run: runs.Run, epoch: int, found: Measurement) -> pd.DataFrame:
    """One row a kind of path and selection, see `sweep`."""
    history = run.history
    accuracy = history.loc[history["epoch"] == epoch, "test_accuracy"]
    return means(found).assign(**run.config, key=run.key, epoch=epoch, **found.network.iloc[0].to_dict(),
                               test_accuracy=accuracy.iloc[0] if len(accuracy) else np.nan)  # fmt: skip


def _measured(task) -> None:
    measured(*task)


def sweep(pairs, config: MeasurementConfig, device: str = "auto") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure many networks: `pairs` of (training configuration, epoch), their runs already in the store.

    Returns (summary, spectra). summary: one row a network, kind of path and selection (all paths, or those
    whose two ends are classified correctly): the run's configuration, epoch, test_accuracy, num_paths, the mean of
    every measure over paths (NaN where there is none), and the measures of `at_images`. spectra: the mean spectra,
    with the same keys.
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
    for run in sorted(runs.all_runs(), key=lambda run: run.key):  # an order that no clock decides
        wanted = {"dataset": name, "wave": "none", **fields}
        if run.record["kind"] == "classifier" and wanted.items() <= run.config.items():
            epoch = run.config["num_epochs"]
            if measurement_folder(run, epoch, how).is_dir():
                summaries.append(summarize(run, epoch, read_measurement(run, epoch, how)))
                found.append(run)
    if len(found) < 2:
        raise StudyError(f"store: {len(found)} runs on {name} are measured this way; run the other notebooks first")
    return pd.concat(summaries, ignore_index=True), found
