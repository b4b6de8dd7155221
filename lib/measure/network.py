"""What one network does along paths between test images: every frequency measure, path by path."""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lib.data import Dataset
from lib.measure import spectrum
from lib.measure.at_images import at_images, num_images, temperature
from lib.measure.forward import Forward, exact_precision
from lib.measure.outputs import outputs_along
from lib.measure.paths import Joined, between_class_pairs, join, lengths, within_class_pairs
from lib.parameters import Config, StudyError, refusal
from lib.runs import resolve_device, single_thread
from lib.stats import bootstrap

REPRESENTATIONS = ("softmax", "calibrated", "logits")
NUM_BINS = 32
DRAW = {"within": within_class_pairs, "between": between_class_pairs}
# What every finding about paths reports: measure, column, selection of paths, what it is called.
PATH_MEASURES = (
    ("published", "hff", "all", "HFF, all paths"),
    ("published", "hff", "correct", "HFF, correct ends"),
    ("corrected", "power_softmax", "correct", "power share, softmax"),
    ("corrected", "power_calibrated", "correct", "power share, calibrated softmax"),
    ("corrected", "power_logits", "correct", "power share, logits"),
    ("corrected", "absolute_softmax", "correct", "absolute power, softmax"),
)
OTHER_PATH_MEASURES = (
    ("corrected", "variation_softmax", "correct", "total variation, softmax"),
    ("corrected", "variation_logits", "correct", "total variation, logits"),
    ("corrected", "degree_logits", "correct", "effective degree, logits"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol(Config):
    """How a network is measured; the same paths for every network of one dataset."""

    kind: ClassVar[str] = "measurement"

    num_pairs: int  # paths within classes, and as many between classes
    spacing: float  # nu
    cutoff: float  # cycles per nu
    seed: int = 0  # of the pairs
    path: str = "linear"  # a name of paths.PATHS

    def joined(self, dataset: Dataset, device="cpu") -> dict[str, Joined]:
        """The paths within and between classes."""
        pairs = {k: draw(dataset.y_test, self.num_pairs, self.seed) for k, draw in DRAW.items()}
        return {k: join(dataset, pairs[k], self.spacing, self.path, device) for k in pairs}


class Measurement(NamedTuple):
    """network: one row, accuracy and the measures of `at_images`. paths: one row a path: kind, a,
    b, distance, correct (both ends are), hff, and power_, absolute_, variation_, degree_ of each
    representation. spectra: one row a kind, representation and bin: the mean binned power of paths
    with correct ends, by the bin's left edge, cycles_per_nu."""

    network: pd.DataFrame
    paths: pd.DataFrame
    spectra: pd.DataFrame


def default_protocol(dataset: Dataset, num_pairs=200, num_points=64, path="linear") -> Protocol:
    """Spacing and cutoff for images of any size: `num_points` points on a path of median length, a
    tenth of the Nyquist frequency, which 0.05 cycles/nu is of the published spacing of 1 nu."""
    pairs = between_class_pairs(dataset.y_test, min(50, len(dataset.x_test) // 2), 0)
    distance = np.median(lengths(dataset, pairs, "linear"))
    spacing = float(f"{distance / num_points:.2g}")
    cutoff = float(f"{0.05 / spacing:.2g}")
    return Protocol(num_pairs=num_pairs, spacing=spacing, cutoff=cutoff, path=path)


def measure(model, dataset: Dataset, protocol=None, device="auto", progress=False) -> Measurement:
    """Measure `model` on the test images of `dataset`, within and between classes.

    model: any callable (n, C, H, W) -> logits (n, classes), of images normalised by `dataset`,
    whose L2 unit is one nu. protocol: `default_protocol` when None. progress: a bar over all that
    is to be computed. Each path is seen three ways: softmax; softmax at the temperature calibrated
    on the test set; logits, centred over classes and divided by their standard deviation over the
    test set. Memory is bounded by the batch. Raises StudyError for another shape, or NaN."""
    device, protocol = resolve_device(device), protocol or default_protocol(dataset)
    joined = protocol.joined(dataset, device)
    most = min(paths.distances.min() for paths in joined.values()) / 2
    if protocol.spacing >= most:
        raise refusal("spacing", protocol.spacing, f"below {most:.3g}, half the shortest path")
    points = sum(int(paths.points.sum()) for paths in joined.values())
    forward = Forward(model, dataset, device, points + len(dataset.x_test))
    shown = {"total": len(dataset.x_test) + points + num_images(forward), "unit": "image"}
    with exact_precision(), tqdm(**shown, disable=not progress, mininterval=0.5) as bar:
        logits = forward.predict(dataset.x_test).double().cpu().numpy()
        if not np.isfinite(logits).all():
            raise StudyError("network: got NaN or infinite logits; accepted: finite ones")
        correct = logits.argmax(1) == dataset.y_test.numpy()
        network = at_images(forward).assign(accuracy=correct.mean())
        bar.update(len(logits) + num_images(forward))
        scale = (logits - logits.mean(1, keepdims=True)).std() or 1.0  # of a constant network
        units = (temperature(logits, dataset.y_test.numpy()), scale)
        kinds = [_along(forward, k, joined[k], correct, units, protocol, bar) for k in joined]
    blocks, spectra = zip(*kinds, strict=True)
    by_path = pd.concat(blocks).sort_values(["kind", "a", "b"], ignore_index=True)
    return Measurement(network, by_path, pd.concat(spectra, ignore_index=True))


def _views(logits: torch.Tensor, temperature: float, scale: float) -> torch.Tensor:
    """(paths, points, classes) -> (3 paths, points, classes), one representation after another."""
    logits = logits.double()
    centred = (logits - logits.mean(-1, keepdim=True)) / scale
    return torch.cat([logits.softmax(-1), (logits / temperature).softmax(-1), centred])


@single_thread()  # the other cores are the forward passes'
def _along(forward, kind: str, joined: Joined, correct, units, protocol: Protocol, bar) -> tuple:
    """(one row a path, mean spectra) of one kind of path; units: temperature and scale."""
    edges = np.linspace(0, 0.5 / protocol.spacing, NUM_BINS + 1)
    blocks, total, count = [], torch.zeros(()), 0
    for index, logits in outputs_along(forward, joined):
        a, b = joined.pairs[index].T
        usable, seen = correct[a] & correct[b], _views(logits, *units)
        ends = {"kind": kind, "a": a, "b": b, "distance": joined.distances[index]}
        blocks.append(pd.DataFrame(ends | {"correct": usable} | _by_path(seen, protocol)))
        binned = spectrum.binned_power(seen, protocol.spacing, "line", edges)
        kept = torch.as_tensor(usable, device=forward.device)
        total = total.to(binned) + binned.unflatten(0, (3, -1))[:, kept].sum(1)
        count += int(usable.sum())
        bar.update(logits.shape[0] * logits.shape[1])
    by_path = pd.concat(blocks).astype({f"degree_{name}": int for name in REPRESENTATIONS})
    bins = pd.DataFrame((total / max(1, count)).T.cpu(), columns=REPRESENTATIONS)
    bins = bins.assign(kind=kind, cycles_per_nu=edges[:-1])
    return by_path, bins.melt(["kind", "cycles_per_nu"], REPRESENTATIONS, "representation", "power")


def _by_path(views: torch.Tensor, protocol: Protocol) -> dict[str, np.ndarray]:
    """The measures of paths by column name; views: see `_views`."""
    border = (protocol.spacing, protocol.cutoff)
    measures = {
        "power": spectrum.power_above(views, *border),
        "absolute": spectrum.absolute_power_above(views, *border),
        "variation": spectrum.total_variation(views),
        "degree": spectrum.effective_degree(views),
    }
    hff = spectrum.high_frequency_fraction(views[: len(views) // 3])
    names = ["hff"] + [f"{measure}_{name}" for measure in measures for name in REPRESENTATIONS]
    table = torch.cat([hff, *measures.values()]).reshape(len(names), -1)
    return dict(zip(names, table.cpu().numpy(), strict=True))  # one copy from the device


def intervals(measurement: Measurement) -> pd.DataFrame:
    """The measures of a network with 95 % bootstrap intervals over images: paths share their ends,
    so images are drawn anew and not paths. One row a measure and kind of path: measure, kind,
    estimate, low, high, num_paths, column and selection ("correct": only paths whose two ends are
    classified correctly; NaN where there is none)."""
    rows, paths = [], measurement.paths
    for _, column, selection, title in PATH_MEASURES + OTHER_PATH_MEASURES:
        usable = paths[paths["correct"] | (selection == "all")]
        for kind in ("within", "between"):
            chosen, interval = usable[usable["kind"] == kind], [np.nan] * 3
            if len(chosen):
                interval = bootstrap(chosen[column], chosen[["a", "b"]], 1000)[:3]
            rows.append((title, kind, *interval, len(chosen), column, selection))
    norm = measurement.network.loc[0, ["jacobian_norm", "jacobian_low", "jacobian_high"]]
    rows.append(("Jacobian norm, softmax, at images", "", *norm, 0, "jacobian_norm", "all"))
    names = ("measure", "kind", "estimate", "low", "high", "num_paths", "column", "selection")
    return pd.DataFrame(rows, columns=names)


def means(measurement: Measurement) -> pd.DataFrame:
    """The mean of every measure over paths, one row a kind of path and selection ("all", or
    "correct": both ends are); NaN and num_paths 0 where there is no path."""
    paths, rows = measurement.paths, []
    kinds = pd.Index(["between", "within"], name="kind")
    for selection, chosen in (("all", paths), ("correct", paths[paths["correct"]])):
        groups = chosen.drop(columns=["a", "b", "correct"]).groupby("kind")
        counts = groups.size().reindex(kinds, fill_value=0)
        table = groups.mean().reindex(kinds).assign(num_paths=counts, selection=selection)
        rows.append(table.reset_index())
    return pd.concat(rows, ignore_index=True)
