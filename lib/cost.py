"""What more paths and more runs cost in time and memory, for the benchmarks."""

import contextlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lib import models, paths, runs
from lib.parameters import environment
from lib.training import TrainingConfig

COUNTS = (100, 1000, 10_000, 100_000)  # of paths whose cost is drawn


@contextlib.contextmanager
def temporary_store(**variables):
    with tempfile.TemporaryDirectory() as folder, environment(STUDY_STORE=folder, **variables):
        yield Path(folder)


def forget_peak() -> None:
    """Let `peak_megabytes` start anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """Peak memory of this process since `forget_peak`; since its start where the system can't forget."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def scaling(device: torch.device) -> dict[str, list]:
    """Seconds and this process's peak memory (MB) while 100 to 100,000 paths stream through a small network, and
    seconds of sweeps of 4 to 64 short runs on digits."""
    images = torch.randn(1000, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(device)
    model = models.build("mlp-1-16", (1, 8, 8), 10).to(device)
    rows, rng = [], np.random.default_rng(0)
    for count in COUNTS:
        pairs = rng.integers(0, 500, (count, 2)) + [0, 500]
        forget_peak()
        started = time.perf_counter()
        points = sum(logits.shape[0] * logits.shape[1] for _, logits in paths.evaluate(model, images, pairs, 0.17))
        rows.append({"paths": count, "points": points, "seconds": time.perf_counter() - started,
                     "peak MB": peak_megabytes()})  # fmt: skip
    sweeps = []
    for count in (4, 16, 64):
        with temporary_store():
            common = {"dataset": "digits", "model": "mlp-2-64", "num_epochs": 20, "augmentation": "none"}
            configs = [TrainingConfig(**common, seed=seed) for seed in range(count)]
            configs[0].load_data()
            started = time.perf_counter()
            runs.sweep(configs, device.type)
            sweeps.append({"runs": count, "seconds": time.perf_counter() - started})
    return {"paths": rows, "runs": sweeps}
