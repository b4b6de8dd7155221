"""How diverse a class's images are, without the network under test; measures of paths by class."""

import numpy as np
import pandas as pd
import torch

from lib.data import Dataset
from lib.measure import Measurement, usual_batch, with_shares

DIVERSITIES = {
    "pixel_distance": "mean pixel distance",
    "feature_distance": "mean feature distance",
    "log_volume": "log-volume of the covariance",
    "dimension": "intrinsic dimension",
}


def features(model: torch.nn.Module, dataset: Dataset) -> np.ndarray:
    """What the last linear (or 1 x 1 convolutional) layer of a network reads, averaged over
    positions, at every test image of `dataset`: (n, features)."""
    kinds, parts = torch.nn.Linear | torch.nn.Conv2d, []
    last = [layer for layer in model.modules() if isinstance(layer, kinds)][-1]

    def keep(_layer, inputs) -> None:
        parts.append(inputs[0].flatten(2).mean(2) if inputs[0].ndim == 4 else inputs[0])

    size = usual_batch(dataset.x_test.shape[1:], torch.device("cpu"))
    with last.register_forward_pre_hook(keep), torch.inference_mode():
        for batch in dataset.x_test.split(size):
            model.eval()(dataset.normalize(batch))
    return torch.cat(parts).numpy()


def spread(points: np.ndarray) -> tuple[float, float, float]:
    """Of points (n, d): mean L2 distance between two of them; log-volume of their covariance (mean
    log10 of its n - 1 largest eigenvalues, or d if those are fewer); its participation ratio (sum
    of eigenvalues)^2 / sum of squares, an intrinsic dimension."""
    points = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    gram = points @ points.T
    squares, rank = np.diag(gram), min(len(points) - 1, points.shape[1])
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0))
    values = np.linalg.eigvalsh(gram / (len(points) - 1))[::-1][:rank]
    values = values[values > 1e-9 * values[0]]
    mean_distance = distances[np.triu_indices(len(points), 1)].mean()
    participation = values.sum() ** 2 / (values**2).sum()
    return float(mean_distance), float(np.log10(values).mean()), float(participation)


def of_classes(dataset: Dataset, reference: np.ndarray | None = None) -> pd.DataFrame:
    """One row a class of the test images (as many of each as the smallest has), index label:
    pixel_distance (L2 of pixels over their greatest value), log_volume and dimension of those
    pixels and, where features (n, d) of a `reference` network are given, feature_distance."""
    labels, images = dataset.y_test.numpy(), dataset.x_test
    classes, counts = np.unique(labels, return_counts=True)
    top = 255.0 if images.dtype == torch.uint8 else float(images.max())
    members = {label: np.flatnonzero(labels == label)[: counts.min()] for label in classes}
    rows = [spread(images[index].flatten(1).float().numpy() / top) for index in members.values()]
    table = pd.DataFrame(rows, columns=["pixel_distance", "log_volume", "dimension"])
    if reference is not None:
        table["feature_distance"] = [spread(reference[index])[0] for index in members.values()]
    return table.set_index(pd.Index(classes, name="label"))


def within_classes(measurement: Measurement, dataset: Dataset) -> pd.DataFrame:
    """The paths of a measurement that join two images of a class, with a column label."""
    within = with_shares(measurement.paths).query("kind == 'within'")
    return within.assign(label=dataset.y_test.numpy()[within["a"]])


def by_class(within: pd.DataFrame, column: str) -> pd.Series:
    """Mean of a measure over each class's paths: of HFF over all, of others over those whose two
    ends are classified correctly (NaN for none)."""
    chosen = within[column].where(within["correct"] | (column == "hff"))
    return chosen.groupby(within["label"]).mean()
