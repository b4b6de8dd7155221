"""The benchmark: its counts against closed forms, its ways against each other, and that it runs."""

import json
import sys

import pytest
import torch
from torch import nn

from benchmarks import cost, speed
from lib import models


def test_counts_of_a_convolution_and_a_linear_layer():
    convolution, linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 32 * 32, 10)
    counted = speed.counts(nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), linear))
    pixels, hidden = 3 * 32 * 32, 8 * 32 * 32
    assert counted["FLOP"] == 2 * (hidden * 3 * 9 + hidden * 10)  # a multiplication, an addition
    assert counted["weighted"] == (pixels + hidden) + (hidden + 10)
    assert counted["layers"] == counted["weighted"] + 2 * (hidden + hidden)


def test_counts_of_the_reference_network():
    """WRN-28-2 as published: 0.43 GFLOP a 32 x 32 image, by convolution from its widths."""
    sizes, inputs = [(3, 16, 9, 32)], 16
    for width, size in ((32, 32), (64, 16), (128, 8)):
        for block in range(4):
            sizes += [(inputs, width, 9, size), (width, width, 9, size)]
            sizes += [(inputs, width, 1, size)] * (block == 0)
            inputs = width
    expected = sum(2 * i * o * k * s * s for i, o, k, s in sizes) + 2 * 128 * 10
    assert speed.counts(models.build("wrn-28-2", (3, 32, 32), 10))["FLOP"] == expected


def test_floor_is_the_longer_of_arithmetic_and_memory():
    row, limits = {"FLOP": 3e9, "weighted": 1e6, "layers": 5e6}, {"fp32 FLOP/s": 1e11}
    by_arithmetic = speed.floors(row, limits | {"bytes/s": 1e12}, gpu=False)
    assert by_arithmetic == {"measuring": pytest.approx(1e11 / 3e9), "training": 1e11 / 9e9}
    by_memory = speed.floors(row, limits | {"bytes/s": 1e6}, gpu=False)
    assert by_memory == {"measuring": pytest.approx(1 / 4), "training": pytest.approx(1 / 60)}


@pytest.mark.slow
def test_report_runs_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "LAP_SECONDS", 0.01)
    monkeypatch.setattr(speed, "POINTS", {"cnn-4": (200, 400), "resnet8-4": (200,)})
    monkeypatch.setattr(cost, "COUNTS", (10, 100))
    monkeypatch.setattr(cost, "SWEEPS", (2,))
    limits = {"fp32 FLOP/s": 1e11, "bytes/s": 1e10}
    monkeypatch.setattr(speed, "ceilings", lambda device: limits)
    monkeypatch.setattr(
        speed, "sweeping", lambda device, whole=speed.sweeping: whole(device, 250, 1)
    )
    content = speed.report(["cnn-4", "resnet8-4"], "cpu", tmp_path, lambda line: None)
    (report,) = tmp_path.glob("*.json")
    assert json.loads(report.read_text()) == content
    assert report.with_suffix(".png").stat().st_size > 10_000
    for row, sizes in zip(content["models"], (2, 1), strict=True):
        laps = [*row["measuring"], row["measuring with other work"]]
        assert len(laps) == sizes + 1
        assert max(lap["largest difference"] for lap in laps) < 1e-4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forgets a peak")
def test_peak_of_memory_is_forgotten():
    large = torch.ones(50_000_000)  # 200 MB
    before = cost.peak_megabytes()
    del large
    cost.forget_peak()
    assert cost.peak_megabytes() < before - 150
