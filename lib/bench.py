"""Benchmarks: ratios of two ways to the same numbers, measured in one run on this machine."""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from lib import augment, data, models, paths, runs
from lib.forward import FastForward
from lib.parallel import num_workers
from lib.training import TrainingConfig, cosine


def plain_loop(model, images, pairs, spacing: float, batch_size: int = 256) -> np.ndarray:
    """Logits (points, classes) along all paths, one after the other: an eager fp32 loop as one would write it."""
    model.eval()
    points = []
    for a, b in pairs:
        distance = (images[a] - images[b]).norm().item()
        share = torch.from_numpy(np.arange(paths.num_points(distance, spacing)) * spacing / distance).float()
        points.append(images[a] + share[:, None, None, None] * (images[b] - images[a]))
    with torch.inference_mode():
        return torch.cat([model(batch) for batch in torch.cat(points).split(batch_size)]).numpy()


def streamed(model, images, pairs, spacing: float, compile) -> np.ndarray:
    """The same through `paths.evaluate`, in the order of `pairs`."""
    found = {}
    for index, logits in paths.evaluate(model, images, pairs, spacing, compile=compile):
        found |= dict(zip(index, logits, strict=True))
    return np.concatenate([found[i] for i in range(len(pairs))])


def measuring(num_paths: int = 10, repeats: int = 3) -> dict:
    """WRN-28-2 on 32 x 32 images: images/s of the plain loop, of channels_last and of the compiled network."""
    model = models.build("wrn-28-2", (3, 32, 32), 10)
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(2 * num_paths, 3, 32, 32, generator=noise)
    pairs = np.arange(2 * num_paths).reshape(-1, 2)
    reference = plain_loop(model, images, pairs, 1.0)
    ways = {
        "plain eager loop": lambda: plain_loop(model, images, pairs, 1.0),
        "channels_last": lambda: streamed(model, images, pairs, 1.0, compile=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows = {}
    for _ in range(repeats):  # in turn, so that a drift of the machine meets all
        for name, way in ways.items():
            started = time.perf_counter()
            outputs = way()
            seconds[name].append(time.perf_counter() - started)
            rows[name] = {"largest difference": float(np.abs(outputs - reference).max())}
    forward = FastForward(model, torch.device("cpu"), compile=True)
    batch = images[:64] if len(images) >= 64 else images.repeat(2, 1, 1, 1)[:64]
    with torch.inference_mode():
        started = time.perf_counter()
        outputs = forward(batch, 1).numpy()
        once = time.perf_counter() - started
        expected = model(batch).numpy()
        laps = []
        for _ in range(10):
            started = time.perf_counter()
            forward(batch, 1)
            laps.append(time.perf_counter() - started)
    name = "compiled" if forward.forward is not forward.model else "compiled (no C++ compiler: channels_last)"
    rows[name] = {"images/s": len(batch) / statistics.median(laps), "compile (s)": once,
                  "largest difference": float(np.abs(outputs - expected).max())}  # fmt: skip
    for name, laps in seconds.items():
        rows[name]["images/s"] = len(reference) / statistics.median(laps)
    for row in rows.values():
        row["times plain"] = row["images/s"] / rows["plain eager loop"]["images/s"]
    return rows


def memory(num_paths: int = 100_000) -> dict:
    """Peak memory of this process while the points of `num_paths` paths stream through a small network."""
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(1000, 1, 8, 8, generator=noise)
    pairs = np.random.default_rng(0).integers(0, 500, (num_paths, 2)) + [0, 500]
    model = models.build("mlp-1-16", (1, 8, 8), 10)
    points = sum(logits.shape[0] * logits.shape[1] for _, logits in paths.evaluate(model, images, pairs, 0.17))
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {"paths": num_paths, "points": points, "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}


def plain_training(dataset: data.Dataset, num_epochs: int, batch_size: int) -> None:
    """The compact ResNet in an eager loop as one would write it: NCHW, torch.optim, all threads on one run."""
    model = models.build("resnet8-16", dataset.image_shape, dataset.num_classes)
    generator = torch.Generator().manual_seed(0)
    steps = num_epochs * (len(dataset.x_train) // batch_size)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for step in range(steps):
        batch = torch.randint(0, len(dataset.x_train), (batch_size,), generator=generator)
        images = augment.flip_crop(dataset.normalize(dataset.x_train[batch]), generator)
        optimizer.param_groups[0]["lr"] = cosine(0.1, step, steps)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), dataset.y_train[batch]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()


def training(num_images: int = 4000, num_epochs: int = 3) -> dict:
    """The compact ResNet on 32 x 32 images: images/s of a sweep (one run a core) and of the plain loop."""
    rng = np.random.default_rng(0)
    before = os.environ.get("STUDY_STORE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STUDY_STORE"] = folder
        arrays = {"x": rng.integers(0, 256, (num_images, 32, 32, 3), dtype=np.uint8), "y": np.arange(num_images) % 10}
        parts = {f"{name}_{split}": array[: None if split == "train" else 100] for name, array in arrays.items()
                 for split in ("train", "test")}  # fmt: skip
        np.savez(Path(folder) / "noise.npz", **parts)
        common = {"dataset": f"npz:{folder}/noise.npz", "model": "resnet8-16", "num_epochs": num_epochs,
                  "batch_size": 125, "augmentation": "flip_crop"}  # fmt: skip
        configs = [TrainingConfig(**common, seed=seed) for seed in range(num_workers())]
        dataset = configs[0].load_data()
        plain_training(dataset, 1, 125)
        seconds = []
        for work in (lambda: plain_training(dataset, num_epochs, 125), lambda: runs.sweep(configs, "cpu")):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    if before is None:
        del os.environ["STUDY_STORE"]
    else:
        os.environ["STUDY_STORE"] = before
    plain, swept = num_images * num_epochs / seconds[0], len(configs) * num_images * num_epochs / seconds[1]
    return {"plain eager loop": {"images/s": plain, "times plain": 1.0},
            f"sweep, {len(configs)} runs at once": {"images/s": swept, "times plain": swept / plain}}  # fmt: skip
