"""Benchmarks: this study's way beside an eager loop as one would write it, and beside what the device could do.

All rates of one report come from one run on one machine; only their ratios mean anything elsewhere. The floors
take the time that the device's arithmetic or its memory would need, whichever is longer, at the rates that a large
matrix product and a large copy reach in the same run.
"""

import functools
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lib import augment, models, paths, plots, runs
from lib.cost import scaling, temporary_store
from lib.forward import FastForward, exact_precision
from lib.parallel import num_workers, resolve_device
from lib.step import Step
from lib.training import TrainingConfig, cosine, update

SHAPE, CLASSES, BATCH = (3, 32, 32), 10, 256
LAP_SECONDS = 8.0  # that each way is timed for
SWEEP_LAPS = 3


def timed(ways: dict, images: int, device: torch.device) -> dict[str, float]:
    """Images/s of each way (a function that handles `images` images): the median of laps taken in turn."""

    def lap(way) -> float:
        started = time.perf_counter()
        way()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    first = {name: lap(way) for name, way in ways.items()}  # warms up; counts where it is long
    laps = {name: [seconds] if seconds > LAP_SECONDS / 2 else [] for name, seconds in first.items()}
    while any(sum(seconds) < LAP_SECONDS / 2 for seconds in laps.values()):
        for name, way in ways.items():
            laps[name].append(lap(way))
    return {name: images / statistics.median(seconds) for name, seconds in laps.items()}


def ceilings(device: torch.device) -> dict[str, float]:
    """What this device reaches: FLOP/s of a large matrix product in fp32 (IEEE) and, on a GPU, bf16; bytes/s of a
    large copy (read and written)."""
    size, length = (8192, 2**30) if device.type == "cuda" else (2048, 2**26)
    found = {}
    for name, kind in (("fp32", torch.float32), *([("bf16", torch.bfloat16)] if device.type == "cuda" else [])):
        a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        with exact_precision():
            found[f"{name} FLOP/s"] = timed({"matmul": lambda a=a, b=b: a @ b}, 2 * size**3, device)["matmul"]
    source = torch.ones(length, device=device)
    target = torch.empty_like(source)
    found["bytes/s"] = timed({"copy": lambda: target.copy_(source)}, 8 * length, device)["copy"]
    return found


def counts(model: torch.nn.Module) -> dict[str, float]:
    """Of one image: FLOP of a forward pass, and numbers moved when every layer reads its input and writes its output
    once: "weighted" only convolutions and linear layers (the others can be fused into them), "layers" all."""
    moved = {"weighted": 0, "layers": 0}

    def hook(layer, inputs, output) -> None:
        numbers = inputs[0].numel() + output.numel()
        moved["layers"] += numbers
        moved["weighted"] += numbers if any(True for _ in layer.parameters()) and layer.weight.dim() > 1 else 0

    leaves = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(hook) for layer in leaves]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *SHAPE, device=next(model.parameters()).device))
    for one in hooks:
        one.remove()
    return {"FLOP": counter.get_total_flops(), **moved}


def plain_loop(model, images, pairs, spacing: float) -> torch.Tensor:
    """Logits (points, classes) along all paths, one path after the other, in an eager loop."""
    model.eval()
    points = []
    for a, b in pairs:
        distance = (images[a] - images[b]).norm().item()
        share = torch.from_numpy(np.arange(paths.num_points(distance, spacing)) * spacing / distance).float()
        points.append(images[a] + share.to(images.device)[:, None, None, None] * (images[b] - images[a]))
    with torch.inference_mode(), exact_precision():
        return torch.cat([model(batch) for batch in torch.cat(points).split(BATCH)])


def measuring(name: str, device: torch.device) -> dict:
    """Images/s along paths of about 64 points: the eager loop, `paths.evaluate`, of WRN-28-2 also compiled."""
    work = 1e13 if device.type == "cuda" else 6e11  # so that a lap takes some seconds
    model = models.build(name, SHAPE, CLASSES).to(device)
    num_paths = min(max(int(work / counts(model)["FLOP"] / 64), 4), 400)
    noise = torch.Generator().manual_seed(0)
    images = torch.randn(2 * num_paths, *SHAPE, generator=noise).to(device)
    pairs, spacing = np.arange(2 * num_paths).reshape(-1, 2), (2 * np.prod(SHAPE)) ** 0.5 / 64
    reference = plain_loop(model, images, pairs, spacing).cpu().numpy()
    found = {int(i): block for index, logits in paths.evaluate(model, images, pairs, spacing, compile=False)
             for i, block in zip(index, logits, strict=True)}  # fmt: skip
    ways = {"eager": lambda: plain_loop(model, images, pairs, spacing),
            "fast": lambda: list(paths.evaluate(model, images, pairs, spacing, compile=False))}  # fmt: skip
    difference = float(np.abs(np.concatenate([found[i] for i in range(num_paths)]) - reference).max())
    compiling = {}
    if name == "wrn-28-2":  # compiling takes half a minute a network
        forward = FastForward(model, device, compile=True)
        batch = images[torch.arange(paths.default_batch_size(images), device=device) % len(images)]
        number, last = divmod(len(reference), len(batch))

        def compiled() -> None:
            with torch.inference_mode(), exact_precision():
                for _ in range(number + (last > 0)):
                    forward(batch, 1)

        with torch.inference_mode(), exact_precision():
            started = time.perf_counter()
            difference = max(difference, float((forward(batch, 1) - model(batch)).abs().max()))
            compiling["compile seconds"] = time.perf_counter() - started
        ways["compiled"] = compiled
    return timed(ways, len(reference), device) | compiling | {"largest difference": difference}


def training(name: str, device: torch.device) -> dict:
    """Images/s of one run: an eager fp32 loop with torch.optim, and this study's step (on a CPU in both precisions)."""
    gpu = device.type == "cuda"
    config = TrainingConfig(dataset="digits", model=name, seed=0)  # the dataset is not read
    images = torch.randn(BATCH, *SHAPE, generator=torch.Generator().manual_seed(0)).to(device)
    labels = torch.nn.functional.one_hot(torch.arange(BATCH, device=device) % CLASSES, CLASSES).float()
    generator = torch.Generator(device).manual_seed(0)
    plain = models.build(name, SHAPE, CLASSES).to(device).train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)
    ours = models.build(name, SHAPE, CLASSES).to(device, memory_format=torch.channels_last).train()
    weights, steps = list(ours.parameters()), {"fast": Step(ours, gpu)} | ({} if gpu else {"bf16": Step(ours, True)})
    velocity = [torch.zeros_like(weight) for weight in weights]

    def eager() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(plain(augment.flip_crop(images, generator)), labels).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 5.0)
        optimizer.step()

    def fast(step: Step) -> None:
        step(augment.flip_crop(images, generator), labels)
        update(weights, velocity, 1e-4, config)

    ways = {name: functools.partial(fast, step) for name, step in steps.items()}
    return timed({"eager": eager, **ways}, BATCH, device)


def sweeping(device: torch.device, num_images: int = 4000, num_epochs: int = 6) -> dict:
    """Images/s of whole runs of the compact ResNet: an eager fp32 loop, and sweeps as the notebooks do them, in both
    precisions and, on a GPU, one, two and four at a time; medians of laps taken in turn."""
    rng = np.random.default_rng(0)
    with temporary_store() as folder:
        arrays = {"x": rng.integers(0, 256, (num_images, 32, 32, 3), dtype=np.uint8), "y": np.arange(num_images) % 10}
        parts = {f"{name}_{split}": array[: None if split == "train" else 100] for name, array in arrays.items()
                 for split in ("train", "test")}  # fmt: skip
        np.savez(folder / "noise.npz", **parts)
        common = {"dataset": f"npz:{folder}/noise.npz", "model": "resnet8-16", "num_epochs": num_epochs,
                  "batch_size": 125, "augmentation": "flip_crop"}  # fmt: skip
        dataset = TrainingConfig(**common, seed=0).load_data()
        x, y, steps = dataset.x_train.to(device), dataset.y_train.to(device), num_epochs * (num_images // 125)

        def eager() -> int:
            model = models.build("resnet8-16", dataset.image_shape, dataset.num_classes).to(device)
            generator = torch.Generator(device).manual_seed(0)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
            for step in range(steps):
                batch = torch.randint(0, num_images, (125,), generator=generator, device=device)
                images = augment.flip_crop(dataset.normalize(x[batch]), generator)
                optimizer.param_groups[0]["lr"] = cosine(0.1, step, steps)
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(images), y[batch]).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            return 1

        def sweep(precision: str, number: int) -> int:
            configs = [TrainingConfig(**common, seed=seed, precision=precision) for seed in range(2 * number)]
            with temporary_store(STUDY_AT_ONCE=number):
                runs.sweep(configs, device.type)
            return len(configs)

        ways = {"eager": eager} | {
            f"{precision}, {number} at once": functools.partial(sweep, precision, number)
            for precision in ("fp32", "bf16")
            for number in ((1, 2, 4) if device.type == "cuda" else (num_workers(),))
        }
        rates = {name: [] for name in ways}
        for _ in range(SWEEP_LAPS):  # in turn, so that a drift of the machine meets all
            for name, way in ways.items():
                started = time.perf_counter()
                rates[name].append(way() * num_images * num_epochs / (time.perf_counter() - started))
    return {name: statistics.median(laps) for name, laps in rates.items()}


def report(names: list[str], device: str, out: Path, say=print) -> dict:
    """Run all benchmarks, say each part as it ends, and keep DEVICE.json and DEVICE.png in the folder `out`."""
    target = resolve_device(device)
    gpu = target.type == "cuda"
    rows = [{"model": name, "parameters": models.num_parameters(built), **counts(built)}
            for name in names for built in [models.build(name, SHAPE, CLASSES)]]  # fmt: skip
    label = torch.cuda.get_device_name() if gpu else f"{platform.machine()} CPU, {num_workers()} cores"
    cost = scaling(target)  # first: the peak memory of all that follows would hide its own
    say(f"cost: {json.dumps(cost)}")
    limits = ceilings(target)
    found = {"device": label, "torch": torch.__version__, "ceilings": limits, "models": rows, "cost": cost}
    say(f"{label}: " + ", ".join(f"{name} {value:.3g}" for name, value in limits.items()))
    peak, width = (limits["bf16 FLOP/s"], 2) if gpu else (limits["fp32 FLOP/s"], 4)
    for row in rows:
        floors = {
            "measuring": max(row["FLOP"] / limits["fp32 FLOP/s"], 4 * row["weighted"] / limits["bytes/s"]),
            "training": max(3 * row["FLOP"] / peak, 3 * width * row["layers"] / limits["bytes/s"]),
        }
        say(f"{row['model']}: {row['parameters']:,} parameters, {row['FLOP'] / 1e9:.3g} GFLOP/image forward")
        for task, work in (("measuring", measuring), ("training", training)):
            rates = work(row["model"], target)
            best = max(rates["fast"], rates.get("compiled", 0))
            rates |= {"floor": 1 / floors[task], "times eager": best / rates["eager"],
                      "times floor's time": 1 / floors[task] / best}  # fmt: skip
            row[task] = rates
            say(f"  {task}: " + ", ".join(f"{name} {value:.3g}" for name, value in rates.items()))
    found["sweep of resnet8-16"] = sweeping(target)
    say(f"a sweep of resnet8-16: {json.dumps(found['sweep of resnet8-16'])}")
    out.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() else "-" for c in label.lower())
    (out / f"{stem}.json").write_text(json.dumps(found, indent=1) + "\n")
    plots.bench(found).savefig(out / f"{stem}.png")
    return found
