"""How fast networks are measured and trained on this machine: this study's way beside eager loops
as one would write them, and beside what the device could do.

All rates of one report come from one run; only their ratios mean anything elsewhere. Ways are timed
in turn, so that a drift of the machine meets all. The floors take the time that the device's
arithmetic or its memory would need, whichever is longer, at the rates that a large matrix product
and a large copy reach in the same run. `study bench` calls `report`.
"""

import functools
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import cost, figure
from lib import data, measure, models, runs, training
from lib.parameters import environment

SHAPE, CLASSES, BATCH = (3, 32, 32), 10, 256
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
LAP_SECONDS = 8.0  # that each way is timed for, at least
LAPS = 2
POINTS = {"resnet8-16": (2000, 50_000), "wrn-28-2": (2000, 50_000), "resnet18": (2000,)}


def timed(ways: dict, images: int, device: torch.device) -> dict[str, float]:
    """Images/s of each way (a function that handles `images` images): medians of laps in turn."""
    laps = {name: [] for name in ways}
    for warm in range(LAPS + 1):
        for name, way in ways.items():
            count, started = 0, time.perf_counter()
            while count == 0 or (warm and time.perf_counter() - started < LAP_SECONDS / LAPS):
                way()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                count += 1
            seconds = (time.perf_counter() - started) / count
            laps[name] += [seconds] if warm or seconds > LAP_SECONDS else []
        if min(map(len, laps.values())) >= 1 and sum(map(sum, laps.values())) > 60:
            break  # long ways: their first lap counts, no more are needed
    return {name: images / statistics.median(seconds) for name, seconds in laps.items()}


def ceilings(device: torch.device) -> dict[str, float]:
    """What this device reaches: FLOP/s of a large matrix product in fp32 (IEEE) and, on a GPU,
    bf16; bytes/s of a large copy (read and written)."""
    gpu, reached = device.type == "cuda", {}
    size, length = (8192, 2**30) if gpu else (2048, 2**26)
    kinds = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if gpu else {})
    for name, kind in kinds.items():
        a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        with measure.exact_precision():
            way = {"matmul": functools.partial(torch.matmul, a, b)}
            reached[f"{name} FLOP/s"] = timed(way, 2 * size**3, device)["matmul"]
    source, target = torch.ones(length, device=device), torch.empty(length, device=device)
    way = {"copy": lambda: target.copy_(source)}
    return reached | {"bytes/s": timed(way, 8 * length, device)["copy"]}


def counts(model: torch.nn.Module) -> dict[str, float]:
    """Of one image: FLOP of a forward pass, and numbers moved when every layer reads its input and
    writes its output once: "weighted" only convolutions and linear layers (the others can be fused
    into them), "layers" all."""
    moved = {"weighted": 0, "layers": 0}

    def hook(layer, inputs, output) -> None:
        numbers = inputs[0].numel() + output.numel()
        weighted = any(True for _ in layer.parameters()) and layer.weight.dim() > 1
        moved["layers"] += numbers
        moved["weighted"] += numbers if weighted else 0

    leaves = [layer for layer in model.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(hook) for layer in leaves]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *SHAPE, device=next(model.parameters()).device))
    for one in hooks:
        one.remove()
    return {"FLOP": counter.get_total_flops(), **moved}


def noise_images(count: int = 200) -> data.Dataset:
    """A dataset of random pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(count) % CLASSES
    return data.from_arrays(pixels, labels, pixels, labels, "noise")


def plain_loop(model, dataset, joined, device, layout: str) -> torch.Tensor:
    """Logits (points, classes) along all paths, in their order, in an eager loop."""
    images, batches = dataset.normalize(dataset.x_test.to(device)), []
    with torch.inference_mode(), measure.exact_precision():
        lines = zip(*joined.pairs.T, joined.distances, joined.points, strict=True)
        for a, b, distance, points in lines:
            share = torch.arange(points, device=device) * joined.spacing / distance
            batches.append(images[a] + share.float()[:, None, None, None] * (images[b] - images[a]))
        points, form = torch.cat(batches).split(BATCH), LAYOUTS[layout]
        return torch.cat([model(batch.contiguous(memory_format=form)) for batch in points])


def measuring(name: str, num_points: int, device: torch.device) -> dict[str, float]:
    """Images/s along about `num_points` points, from the network as it comes to the last logits."""
    dataset, model = noise_images(), models.build(name, SHAPE, CLASSES).to(device).eval()
    pairs = measure.between_class_pairs(dataset.y_test, max(2, num_points // 78), 0)
    joined = measure.join(dataset, pairs, 1.0)
    total, results = int(joined.points.sum()), {}

    def loop(layout: str) -> None:
        model.to(memory_format=LAYOUTS[layout])
        results[layout] = plain_loop(model, dataset, joined, device, layout)

    def ours() -> None:
        forward, parts = measure.Forward(model, dataset, device, total), [None] * len(pairs)
        with runs.single_thread():  # as `measure.measure`: the other cores are the forward passes'
            for index, logits in measure.outputs_along(forward, joined):
                for path, part in zip(index, logits, strict=True):
                    parts[path] = part
        results["ours"] = torch.cat(parts)

    ways = {layout: functools.partial(loop, layout) for layout in LAYOUTS} | {"ours": ours}
    rates = timed(ways, total, device)
    difference = (results["ours"] - results["contiguous"]).abs().max()
    return {"points": total, **rates, "largest difference": float(difference)}


def with_other_work(name: str, num_points: int, device: torch.device) -> dict[str, float]:
    """`measuring` while another process keeps one core busy."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        return measuring(name, num_points, device)
    finally:
        other.kill()


def learning(name: str, device: torch.device) -> dict[str, float]:
    """Images/s of one run: an eager fp32 loop with torch.optim, and this study's step."""
    gpu = device.type == "cuda"
    config = training.TrainingConfig(dataset="digits", model=name, seed=0)  # dataset is not read
    images = torch.randn(BATCH, *SHAPE, generator=torch.Generator().manual_seed(0)).to(device)
    labels = torch.eye(CLASSES, device=device)[torch.arange(BATCH, device=device) % CLASSES]
    generator = torch.Generator(device).manual_seed(0)
    plain, ours = (models.build(name, SHAPE, CLASSES).to(device).train() for _ in range(2))
    ours.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-4, momentum=0.9, nesterov=True)
    weights = list(ours.parameters())
    velocity = [torch.zeros_like(weight) for weight in weights]

    def eager() -> None:
        optimizer.zero_grad()
        logits = plain(data.flip_crop(images, generator))
        torch.nn.functional.cross_entropy(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 5.0)
        optimizer.step()

    def fast(gradients) -> None:
        gradients(data.flip_crop(images, generator), labels)
        training.update(weights, velocity, 1e-4, config)

    precisions = {"bf16": True} if gpu else {"fp32": False, "bf16": True}
    steps = {name: training.Gradients(ours, bf16) for name, bf16 in precisions.items()}
    ways = {name: functools.partial(fast, step) for name, step in steps.items()}
    return timed({"eager": eager, **ways}, BATCH, device)


def eager_run(config, device: torch.device) -> None:
    """One whole run as one would write it: fp32, all threads, torch.optim."""
    dataset = config.load_data()
    x, y = dataset.x_train.to(device), dataset.y_train.to(device)
    model, generator = config.build().to(device), torch.Generator(device).manual_seed(0)
    options = {"lr": config.lr, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(model.parameters(), **options)
    num_steps = config.num_epochs * (len(x) // config.batch_size)
    for step in range(num_steps):
        batch = torch.randint(len(x), (config.batch_size,), generator=generator, device=device)
        images = data.flip_crop(dataset.normalize(x[batch]), generator)
        optimizer.param_groups[0]["lr"] = training.cosine(config.lr, step, num_steps)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), y[batch]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()


def sweeping(device: torch.device, num_images: int = 4000, num_epochs: int = 6) -> dict:
    """Images/s of whole runs of the compact ResNet: an eager loop, and sweeps as the notebooks do
    them, by precision and, on a GPU, one, two and four at a time."""
    gpu, dataset = device.type == "cuda", noise_images(num_images)
    fields = {"model": "resnet8-16", "batch_size": 125, "augmentation": "flip_crop"}
    with cost.temporary_store() as folder:
        x, y = dataset.x_train.permute(0, 2, 3, 1).numpy(), dataset.y_train.numpy()
        np.savez(folder / "noise.npz", x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
        fields |= {"dataset": f"npz:{folder}/noise.npz", "num_epochs": num_epochs}
        first = training.TrainingConfig(**fields, seed=0)
        rates = timed({"eager": lambda: eager_run(first, device)}, num_images * num_epochs, device)
        for precision in ("fp32", "bf16"):
            for number in (1, 2, 4) if gpu else (runs.num_workers(),):
                form, seeds = fields | {"precision": precision}, range(2 * number)
                configs = [training.TrainingConfig(**form, seed=seed) for seed in seeds]
                with environment(STUDY_AT_ONCE=number):
                    started = time.perf_counter()
                    runs.sweep(configs, device.type)
                images = len(configs) * num_images * num_epochs
                rates[f"{precision}, {number} at once"] = images / (time.perf_counter() - started)
    return rates


def floors(row: dict, limits: dict, gpu: bool) -> dict[str, float]:
    """Images/s that the device's limits allow for a network of these `counts`."""
    peak, width = (limits["bf16 FLOP/s"], 2) if gpu else (limits["fp32 FLOP/s"], 4)
    forward = row["FLOP"] / limits["fp32 FLOP/s"], 4 * row["weighted"] / limits["bytes/s"]
    step = 3 * row["FLOP"] / peak, 3 * width * row["layers"] / limits["bytes/s"]
    return {"measuring": 1 / max(forward), "training": 1 / max(step)}


def report(names: list[str], device: str, out: Path, say=print) -> dict:
    """Run all benchmarks, say each part as it ends; leaves DEVICE.json and DEVICE.png in `out`."""
    target = runs.resolve_device(device)
    gpu, cores = target.type == "cuda", runs.num_workers()
    label = torch.cuda.get_device_name() if gpu else f"{platform.machine()} CPU, {cores} cores"
    content = {"device": label, "torch": torch.__version__, "cost": cost.scaling(target)}
    content |= {"ceilings": ceilings(target), "models": []}
    say(f"{label}: {json.dumps(content)}")
    for name in names:
        built = models.build(name, SHAPE, CLASSES)
        row = {"model": name, "parameters": models.num_parameters(built), **counts(built)}
        row["floors"] = floors(row, content["ceilings"], gpu)
        sizes = POINTS.get(name, (2000,))
        row["measuring"] = [measuring(name, points, target) for points in sizes]
        row["measuring with other work"] = with_other_work(name, min(sizes), target)
        row["training"] = learning(name, target)
        content["models"].append(row)
        say(json.dumps(row))
    content["sweep of resnet8-16"] = sweeping(target)
    say(json.dumps(content["sweep of resnet8-16"]))
    out.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() else "-" for c in label.lower())
    (out / f"{stem}.json").write_text(json.dumps(content, indent=1) + "\n")
    figure.draw(content).savefig(out / f"{stem}.png")
    return content
