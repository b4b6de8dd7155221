"""The benchmark: its counts against closed forms, and that it runs whole."""

import json
import sys

import pytest
import torch
from torch import nn

from lib import bench, cost, measure, models, paths, spectrum
from lib.data import load

CPU = torch.device("cpu")


def test_counts_of_a_convolution_and_a_linear_layer():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 32 * 32, 10))
    found = bench.counts(model)
    pixels, hidden = 3 * 32 * 32, 8 * 32 * 32
    assert found["FLOP"] == 2 * (hidden * 3 * 9 + hidden * 10)  # a multiplication and an addition
    assert found["weighted"] == (pixels + hidden) + (hidden + 10)
    assert found["layers"] == found["weighted"] + 2 * (hidden + hidden)


def test_counts_of_the_reference_network():
    """WRN-28-2 as published: 0.43 GFLOP a 32 x 32 image, counted by convolution from its widths."""
    sizes = [(3, 16, 9, 32)]
    inputs = 16
    for width, size in ((32, 32), (64, 16), (128, 8)):
        for block in range(4):
            sizes += [(inputs, width, 9, size), (width, width, 9, size)] + [(inputs, width, 1, size)] * (block == 0)
            inputs = width
    expected = sum(2 * i * o * k * s * s for i, o, k, s in sizes) + 2 * 128 * 10
    assert bench.counts(models.build("wrn-28-2", (3, 32, 32), 10))["FLOP"] == expected


@pytest.mark.slow
def test_report_runs_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "LAP_SECONDS", 0.01)
    monkeypatch.setattr(bench, "SWEEP_LAPS", 1)
    monkeypatch.setattr(cost, "COUNTS", (10, 100))
    monkeypatch.setattr(bench, "ceilings", lambda device: {"fp32 FLOP/s": 1e11, "bytes/s": 1e10})
    monkeypatch.setattr(bench, "sweeping", lambda device, whole=bench.sweeping: whole(device, 250, 1))
    said = []
    found = bench.report(["cnn-4", "resnet8-4"], "cpu", tmp_path, said.append)
    (report,) = tmp_path.glob("*.json")
    assert json.loads(report.read_text()) == found
    assert report.with_suffix(".png").stat().st_size > 10_000
    assert len(said) == 1 + 2 * 3 + 2
    for row in found["models"]:
        assert row["measuring"]["largest difference"] < 1e-4
        assert row["measuring"]["floor"] == pytest.approx(1 / max(row["FLOP"] / 1e11, 4 * row["weighted"] / 1e10))
        assert row["training"]["floor"] == pytest.approx(1 / max(3 * row["FLOP"] / 1e11, 12 * row["layers"] / 1e10))


def test_memory_does_not_grow_with_the_number_of_paths(monkeypatch):
    monkeypatch.setattr(cost, "COUNTS", (100, 30_000))
    few, many = cost.scaling(CPU)["paths"]
    assert many["points"] > 50 * few["points"]
    assert many["peak MB"] < few["peak MB"] + 40  # all its logits would take 80 MB, all its points 510


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can forget a peak of memory")
def test_peak_of_memory_is_forgotten():
    large = torch.ones(50_000_000)  # 200 MB
    before = cost.peak_megabytes()
    del large
    cost.forget_peak()
    assert cost.peak_megabytes() < before - 150


def test_single_precision_suffices_for_the_measures():
    """Total power to 1e-6 and the high-frequency bins to 1 %, against the same network in double precision."""
    dataset = load("digits", 200)
    config = measure.MeasurementConfig(num_pairs=45, spacing=0.15, cutoff=0.5)
    model = models.build("resnet8-4", dataset.image_shape, 10).eval()
    images = dataset.normalize(dataset.x_test)
    pairs = paths.between_class_pairs(dataset.y_test.numpy(), 45, 0)
    double = models.build("resnet8-4", dataset.image_shape, 10).double().eval()
    checked = 0
    for index, logits in paths.evaluate(model, images, pairs, config.spacing):
        for path, single in zip(pairs[index], logits, strict=True):
            a, b = images[path].double()
            share = torch.arange(len(single), dtype=torch.float64) * config.spacing / (a - b).norm()
            with torch.inference_mode():
                exact = double(a + share[:, None, None, None] * (b - a)).numpy()[None]
            (frequencies, found), (_, wanted) = (
                spectrum.power(x, config.spacing, "line") for x in (single[None], exact)
            )
            assert found.sum() == pytest.approx(wanted.sum(), rel=1e-6)
            high = frequencies >= config.cutoff
            assert found[:, high].sum() == pytest.approx(wanted[:, high].sum(), rel=1e-2)
            checked += 1
    assert checked == 45
