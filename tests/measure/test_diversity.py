"""How diverse classes are, against clouds of a known spread; and the paths of each class."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data
from lib.measure import Measurement
from notebooks import diversity


def test_spread_of_a_known_cloud():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 3)) * [10, 10, 0.1]
    _, log_volume, dimension = diversity.spread(points)
    assert dimension == pytest.approx(2, rel=0.1)
    assert log_volume == pytest.approx(np.log10([100, 100, 0.01]).mean(), abs=0.1)


def test_spread_of_corners():
    """Of a 3-4-5 triangle: distances by hand, eigenvalues of the covariance by their formula."""
    distance, log_volume, dimension = diversity.spread(np.array([[0.0, 0], [3, 0], [3, 4]]))
    assert distance == pytest.approx(4)
    variances, covariance = (3, 16 / 3), 2
    determinant = variances[0] * variances[1] - covariance**2
    assert log_volume == pytest.approx(math.log10(determinant) / 2)
    trace = sum(variances)
    assert dimension == pytest.approx(trace**2 / (trace**2 - 2 * determinant))


@pytest.mark.parametrize("far", [1.0, 1e6])
def test_spread_depends_on_differences_alone(far):
    points = np.random.default_rng(0).normal(size=(30, 200))
    before, after = diversity.spread(points), diversity.spread(3 * points + far)
    assert after[0] == pytest.approx(3 * before[0], rel=1e-4)
    assert after[1] == pytest.approx(before[1] + math.log10(9), abs=1e-3)
    assert after[2] == pytest.approx(before[2], rel=1e-4)


def test_features_are_what_the_last_layer_reads():
    images = data.load("digits", 300)  # more than a batch
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 10))
    with torch.no_grad():
        expected = model[:3](images.normalize(images.x_test)).numpy()
    np.testing.assert_allclose(diversity.features(model, images), expected, rtol=1e-5, atol=1e-6)
    assert not model[3]._forward_pre_hooks


def test_features_of_a_convolutional_last_layer_are_means_over_positions():
    images = data.load("digits", 30)
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 10, 1), nn.Flatten())
    with torch.no_grad():
        expected = model[:2](images.normalize(images.x_test)).mean((2, 3)).numpy()
    np.testing.assert_allclose(diversity.features(model, images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.float32, 8)])
def test_classes_are_compared_by_as_many_images_each(dtype, top):
    """Class 0: pixels 0 and `top` / 2 (and a third image, not looked at); class 1: 0 and `top`."""
    images = np.zeros((5, 2, 2, 1), dtype)
    images[1], images[2], images[4] = top / 2, top / 4, top
    dataset = data.from_arrays(images, [0, 0, 0, 1, 1], images, [0, 0, 0, 1, 1], "two classes")
    reference = np.array([[0.0, 0], [3, 4], [70, 70], [0, 0], [6, 8]])
    table = diversity.of_classes(dataset, reference)
    assert table.index.tolist() == [0, 1]
    half = (255 // 2 if dtype is np.uint8 else 4) / top
    np.testing.assert_allclose(table["pixel_distance"], [2 * half, 2], rtol=1e-6)
    assert table["feature_distance"].tolist() == [5, 10]
    np.testing.assert_allclose(table["dimension"], 1)
    np.testing.assert_allclose(table["log_volume"], np.log10([2 * half**2, 2]), rtol=1e-5)
    assert set(table) == set(diversity.DIVERSITIES)
    assert "feature_distance" not in diversity.of_classes(dataset)


def test_measures_of_paths_by_class(as_dataset, random_images):
    """HFF is the mean over all of a class's paths, others over those with correct ends."""
    dataset = as_dataset(random_images(9), labels=[0, 0, 0, 1, 1, 1, 2, 2, 2])
    rows = [
        ("within", 0, 1, True, 1.0),
        ("within", 1, 2, False, 3.0),
        ("within", 3, 4, True, 10.0),
        ("within", 6, 8, False, 7.0),
        ("between", 0, 3, True, 99.0),
    ]
    paths = pd.DataFrame(rows, columns=["kind", "a", "b", "correct", "hff"])
    for output in ("softmax", "logits"):
        paths[f"power_{output}_1"], paths[f"variance_{output}"] = paths["hff"], 100.0
    within = diversity.within_classes(Measurement(None, paths), dataset)
    assert within["label"].tolist() == [0, 0, 1, 2]
    assert diversity.by_class(within, "hff").to_dict() == {0: 2.0, 1: 10.0, 2: 7.0}
    for column, factor in (("power_softmax_1", 1), ("share_logits_1", 0.01)):
        correct = diversity.by_class(within, column)
        assert correct[:2].tolist() == pytest.approx([factor, 10 * factor])
        assert math.isnan(correct[2])
