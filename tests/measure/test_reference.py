"""Power out of band by a plain script, written from its definition alone: numpy, scipy, a loop."""

import math

import numpy as np
import pytest
import safetensors.numpy
import scipy.signal.windows

from lib import data, measure, runs
from lib.measure import Protocol


def out_of_band_power(weights, digits, pairs, spacing, cutoff):
    """Mean over straight paths between test images of a network of linear layers with ReLU."""
    pixels = digits.x_train.numpy().astype(float)
    images = (digits.x_test.numpy().astype(float) - pixels.mean()) / pixels.std()
    images = images.reshape(len(images), -1)
    powers = []
    for start, end in images[pairs]:
        length = np.linalg.norm(end - start)
        points = math.ceil(length / spacing)
        share = spacing / length * np.arange(points)[:, None]
        x = (1 - share) * start + share * end
        for number, (matrix, bias) in enumerate(weights):
            x = (x if number == 0 else np.maximum(x, 0)) @ matrix.T + bias
        p = np.exp(x - x.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        half_bandwidth = points * spacing * cutoff
        number = math.ceil(2 * half_bandwidth) + 2
        prolate = scipy.signal.windows.dpss(points, half_bandwidth, number)
        columns = [np.ones(points), np.arange(points), *prolate]
        basis, _ = np.linalg.qr(np.transpose(columns))
        residual = p - basis @ (basis.T @ p)
        powers.append((residual**2).sum(axis=1).mean())
    return np.mean(powers)


def test_a_trained_network_has_the_power_that_a_plain_script_finds(configure, store):
    """To 1e-6, though the network is evaluated in single precision here and in double there."""
    config = configure(model="mlp-3-64", num_epochs=40, num_test=200, weight_decay=0.0)
    run = runs.find_or_execute(config, "cpu")
    protocol, digits = Protocol(num_pairs=45, spacing=0.05, cutoff=0.5), data.load("digits", 200)
    paths = measure.measured(run, 40, protocol, config, "cpu").paths
    kept = safetensors.numpy.load_file(run.path / "weights.safetensors")
    weights = [
        [kept[f"40/{layer}.{part}"].astype(float) for part in ("weight", "bias")]
        for layer in (1, 3, 5, 7)
    ]
    pairs = paths[["a", "b"]].to_numpy()
    for multiple, tolerance in ((1, 1e-6), (2, 1e-5), (4, 1e-4)):
        expected = out_of_band_power(weights, digits, pairs, 0.05, multiple * 0.5)
        power = paths[measure.column("power", "softmax", multiple)].mean()
        assert power == pytest.approx(expected, rel=tolerance)
