"""What one network does along paths between test images: every frequency measure, path by path."""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lib.data import Dataset
from lib.measure import spectrum
from lib.measure.at_images import at_images, num_images
from lib.measure.columns import MULTIPLES, column
from lib.measure.forward import Forward, exact_precision
from lib.measure.outputs import outputs_along
from lib.measure.paths import Joined, between_class_pairs, join, lengths, within_class_pairs
from lib.parameters import Config, StudyError, refusal
from lib.runs import resolve_device, single_thread

FILES = ("at_images", "columns", "forward", "network", "outputs", "paths", "spectrum")
MADE_BY = ("data/datasets.py", "resampling.py", *(f"measure/{name}.py" for name in FILES))
DRAW = {"within": within_class_pairs, "between": between_class_pairs}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol(Config):
    """How a network is measured: along which paths, and above which frequencies."""

    kind: ClassVar[str] = "measurement"
    version: ClassVar[int] = 2
    made_by: ClassVar = MADE_BY

    num_pairs: int  # paths within classes, and as many between classes
    spacing: float  # nu
    cutoff: float  # cycles per nu, the lowest; no path is shorter than two periods of it
    seed: int = 0  # of the pairs
    path: str = "linear"  # a name of paths.PATHS

    def __post_init__(self):
        super().__post_init__()
        if not self._resolved(MULTIPLES[-1]):
            most = f"0.05 / spacing, about {0.05 / self.spacing:.3g} cycles/nu"
            raise refusal("cutoff", self.cutoff, f"at most {most} at spacing {self.spacing:g} nu")

    @property
    def shortest(self) -> float:
        """The least length of a path that is drawn, nu."""
        return spectrum.shortest_path(self.cutoff)

    def _resolved(self, multiple: float) -> bool:
        points = int(np.ceil(self.shortest / self.spacing - 1e-9))
        return spectrum.resolves(points, multiple * self.cutoff * self.spacing)

    def multiples(self) -> list[float]:
        """1, 1.41, 2, 2.83, 4 of the cutoff: where the power above is measured."""
        return [2 ** (k / 2) for k in range(2 * len(MULTIPLES) - 1)]

    def joined(self, dataset: Dataset, device="cpu") -> dict[str, Joined]:
        """The paths within and between classes. Raises StudyError where too few are long enough."""

        def long_enough(pairs: np.ndarray) -> np.ndarray:
            return lengths(dataset, pairs, self.path, device) >= self.shortest

        labels, joined = dataset.y_test, {}
        with torch.inference_mode():
            for kind, draw in DRAW.items():
                pairs = draw(labels, self.num_pairs, self.seed, long_enough)
                joined[kind] = join(dataset, pairs, self.spacing, self.path, device)
        return joined


class Measurement(NamedTuple):
    """network: one row, accuracy, the cutoff and the measures of `at_images`. paths: one row a
    path: kind, a, b, distance, correct (both ends are), changes (of the class), hff, variation of
    the softmax and, of each output, variance and, above each multiple of the cutoff, power and
    floor."""

    network: pd.DataFrame
    paths: pd.DataFrame


def default_protocol(dataset: Dataset, num_pairs=200, num_points=64, path="linear") -> Protocol:
    """Spacing and cutoff for images of any size: `num_points` points on a path of median length,
    and .05 cycles a spacing, so that paths from 5 / 8 of that length on resolve the cutoff."""
    pairs = between_class_pairs(dataset.y_test, min(50, len(dataset.x_test) // 2), 0)
    distance = np.median(lengths(dataset, pairs, "linear"))
    spacing = float(f"{distance / num_points:.2g}")
    cutoff = 0.05 / spacing
    return Protocol(num_pairs=num_pairs, spacing=spacing, cutoff=cutoff, path=path)


def measure(model, dataset: Dataset, protocol=None, device="auto", progress=False) -> Measurement:
    """Measure `model` on the test images of `dataset`, within and between classes.

    model: any callable (n, C, H, W) -> logits (n, classes), of images normalised by `dataset`,
    whose L2 unit is one nu. protocol: `default_protocol` when None. progress: a bar over all that
    is to be computed. Each path is seen two ways: softmax; logits, centred over classes and divided
    by their standard deviation over the test set. Memory is bounded by the batch. Raises StudyError
    for another shape, or NaN."""
    device, protocol = resolve_device(device), protocol or default_protocol(dataset)
    joined = protocol.joined(dataset, device)
    points = sum(int(paths.points.sum()) for paths in joined.values())
    forward = Forward(model, dataset, device, points + len(dataset.x_test))
    shown = {"total": len(dataset.x_test) + points + num_images(forward), "unit": "image"}
    with exact_precision(), tqdm(**shown, disable=not progress, mininterval=0.5) as bar:
        logits = forward.predict(dataset.x_test).double().cpu().numpy()
        if not np.isfinite(logits).all():
            raise StudyError("network: got NaN or infinite logits; accepted: finite ones")
        correct = logits.argmax(1) == dataset.y_test.numpy()
        network = at_images(forward).assign(accuracy=correct.mean(), cutoff=protocol.cutoff)
        bar.update(len(logits) + num_images(forward))
        scale = (logits - logits.mean(1, keepdims=True)).std() or 1.0  # of a constant network
        kinds = [_along(forward, k, joined[k], correct, scale, protocol, bar) for k in joined]
    by_path = pd.concat(kinds).sort_values(["kind", "a", "b"], ignore_index=True)
    return Measurement(network, by_path)


@single_thread()  # the other cores are the forward passes'
def _along(forward, kind: str, joined: Joined, correct, scale, protocol: Protocol, bar):
    """One row a path of one kind; scale: of the logits."""
    order, blocks = [], []
    for index, logits in outputs_along(forward, joined):
        order.append(index)
        logits = logits.double()
        views = {
            "softmax": logits.softmax(-1),
            "logits": (logits - logits.mean(-1, keepdim=True)) / scale,
        }
        blocks.append(_by_path(views, protocol))
        bar.update(logits.shape[0] * logits.shape[1])
    order, names = np.concatenate(order), list(blocks[0])
    table = torch.cat([torch.stack(list(block.values())) for block in blocks], 1).cpu().numpy()
    a, b = joined.pairs[order].T
    ends = {"kind": kind, "a": a, "b": b, "distance": joined.distances[order]}
    ends |= {"correct": correct[a] & correct[b]}
    return pd.DataFrame(ends | dict(zip(names, table, strict=True)))


def _by_path(views: dict[str, torch.Tensor], protocol: Protocol) -> dict[str, torch.Tensor]:
    """The measures of paths by column name."""
    softmax, multiples = views["softmax"], protocol.multiples()
    cutoffs = [protocol.cutoff * multiple for multiple in multiples]
    measures = {
        "changes": spectrum.class_changes(views["logits"]),
        "hff": spectrum.high_frequency_fraction(softmax),
        "variation": spectrum.total_variation(softmax),
    }
    for name, outputs in views.items():
        power = spectrum.out_of_band_curve(outputs, protocol.spacing, cutoffs)
        floor = spectrum.floor(outputs, protocol.spacing, cutoffs)
        measures[f"variance_{name}"] = spectrum.variance(outputs)
        for number, multiple in enumerate(multiples):
            measures[column("power", name, multiple)] = power[:, number]
            measures[column("floor", name, multiple)] = floor[:, number]
    return measures
