"""What more paths and more runs cost in time and memory."""

import contextlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lib import data, measure, models, runs
from lib.parameters import environment
from lib.training import TrainingConfig

COUNTS = (100, 1000, 10_000, 100_000)  # of paths whose cost is drawn
SWEEPS = (4, 16, 64)  # runs


@contextlib.contextmanager
def temporary_store():
    with tempfile.TemporaryDirectory() as folder, environment(STUDY_STORE=folder):
        yield Path(folder)


def forget_peak() -> None:
    """Let `peak_megabytes` start anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """Peak memory of this process since `forget_peak`; since its start where that can't be."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def scaling(device: torch.device) -> dict[str, list]:
    """Seconds and this process's peak memory (MB) while 100 to 100,000 paths stream through a small
    network, and seconds of sweeps of 4 to 64 short runs on digits."""
    dataset = data.load("digits", 500)
    forward = measure.Forward(models.build("mlp-1-16", (1, 8, 8), 10), dataset, device)
    paths, sweeps, rng = [], [], np.random.default_rng(0)
    for count in COUNTS:
        pairs = rng.integers(0, 250, (count, 2)) + [0, 250]
        forget_peak()
        started, points = time.perf_counter(), 0
        for _, logits in measure.outputs_along(forward, measure.join(dataset, pairs, 0.15)):
            points += logits.shape[0] * logits.shape[1]
        row = {"paths": count, "points": points, "seconds": time.perf_counter() - started}
        paths.append(row | {"peak MB": peak_megabytes()})
    common = {"dataset": "digits", "model": "mlp-2-64", "num_epochs": 20, "augmentation": "none"}
    for count in SWEEPS:
        with temporary_store():
            started = time.perf_counter()
            runs.sweep([TrainingConfig(**common, seed=seed) for seed in range(count)], device.type)
            sweeps.append({"runs": count, "seconds": time.perf_counter() - started})
    return {"paths": paths, "runs": sweeps}
