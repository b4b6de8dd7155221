"""How diverse the images of a class are, measured without the network under test; and measures of paths by class."""

import numpy as np
import pandas as pd
import torch

from lib import measure
from lib.along import point_batch
from lib.data import Dataset

DIVERSITIES = {
    "pixel_distance": "mean pixel distance",
    "feature_distance": "mean feature distance",
    "log_volume": "log-volume of the covariance",
    "dimension": "intrinsic dimension",
}


def features(model: torch.nn.Module, dataset: Dataset) -> np.ndarray:
    """What the last linear (or 1 x 1 convolutional) layer of a network reads, averaged over positions, at every test
    image of `dataset`: (n, features)."""
    last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)][-1]
    found = []

    def keep(_layer, inputs) -> None:
        found.append(inputs[0].flatten(2).mean(2) if inputs[0].ndim == 4 else inputs[0])

    hook = last.register_forward_pre_hook(keep)
    try:
        with torch.inference_mode():
            for batch in dataset.x_test.split(point_batch(dataset, 500)):
                model.eval()(dataset.normalize(batch))
    finally:
        hook.remove()
    return torch.cat(found).numpy()


def spread(points: np.ndarray) -> tuple[float, float, float]:
    """Of points (n, d): mean L2 distance between two of them; log-volume of their covariance (mean log10 of its n - 1
    largest eigenvalues, or d if those are fewer); its participation ratio (sum of eigenvalues)^2 / sum of squares,
    an intrinsic dimension."""
    points = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    gram = points @ points.T
    squares = np.diag(gram)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0))
    values = np.linalg.eigvalsh(gram / (len(points) - 1))[::-1][: min(len(points) - 1, points.shape[1])]
    values = values[values > 1e-9 * values[0]]
    above = np.triu_indices(len(points), 1)
    return float(distances[above].mean()), float(np.log10(values).mean()), float(values.sum() ** 2 / (values**2).sum())


def of_classes(dataset: Dataset, reference: np.ndarray | None = None) -> pd.DataFrame:
    """One row a class of the test images, index label: pixel_distance (L2 of pixels over their greatest value),
    log_volume and dimension of those pixels and, where features (n, d) of a `reference` network are given,
    feature_distance. Every class is represented by as many images as the smallest has."""
    labels = dataset.y_test.numpy()
    classes, counts = np.unique(labels, return_counts=True)
    top = 255.0 if dataset.x_test.dtype == torch.uint8 else float(dataset.x_test.max())
    rows = []
    for label in classes:
        members = np.flatnonzero(labels == label)[: counts.min()]
        pixel_distance, log_volume, dimension = spread(dataset.x_test[members].flatten(1).float().numpy() / top)
        row = {"label": label, "pixel_distance": pixel_distance, "log_volume": log_volume, "dimension": dimension}
        if reference is not None:
            row["feature_distance"] = spread(reference[members])[0]
        rows.append(row)
    return pd.DataFrame(rows).set_index("label")


def within_classes(found: measure.Measurement, dataset: Dataset) -> pd.DataFrame:
    """The paths of a measurement that join two images of a class, with a column label."""
    within = found.paths[found.paths["kind"] == "within"]
    return within.assign(label=dataset.y_test.numpy()[within["a"]])


def by_class(within: pd.DataFrame, column: str, selection: str) -> pd.Series:
    """Mean of a measure over the paths of each class, all or those with correct ends (NaN where there is none)."""
    chosen = within[column].where(within["correct"] | (selection == "all"))
    return chosen.groupby(within["label"]).mean()
