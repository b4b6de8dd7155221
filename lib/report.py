"""One network's measures as a page: table, figure and JSON, its place among the reference runs, and a warning where
the spacing is too wide."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, measure, paths, plots, pretrained, runs, spectrum
from lib.along import along, checked_network
from lib.forward import exact_precision
from lib.parallel import resolve_device
from lib.parameters import ROOT, StudyError, check

ALIASING_TOLERANCE = 0.1
ALIASING_PATHS = 16


def aliasing(model, dataset: data.Dataset, config: measure.MeasurementConfig, device="auto") -> float:
    """How far the share of power above the cutoff moves when the spacing is halved: the largest relative change of its
    mean over 16 paths (8 within, 8 between), of softmax or logits. 0: the spacing is narrow enough."""
    device = resolve_device(device) if isinstance(device, str) else device
    labels, num = dataset.y_test.numpy(), min(ALIASING_PATHS // 2, config.num_pairs)
    pairs = np.concatenate([draw(labels, num, config.seed) for draw in
                            (paths.within_class_pairs, paths.between_class_pairs)])  # fmt: skip
    shares = []
    with exact_precision():
        model = checked_network(model, dataset, device)
    for spacing in (config.spacing, config.spacing / 2):
        found = [
            [spectrum.power_above(view, spacing, config.cutoff).cpu() for view in (spectrum.softmax(logits), logits)]
            for _, _, logits in along(model, dataset, pairs, spacing, config.path, device)
        ]
        shares.append(np.concatenate(found, axis=1).mean(1))
    wide, narrow = shares
    changes = np.abs(wide - narrow) / np.maximum(np.maximum(wide, narrow), 1e-9)
    return float(changes.max())


def data_name(name: str) -> str:
    """A dataset's name without where it lies: npz:some/cifar10.npz and cifar10 are the same images."""
    return re.sub(r"^npz:(?:.*/)?(.*)\.npz", r"\1", name)


def references(dataset: str, config: measure.MeasurementConfig | None = None) -> pd.DataFrame:
    """Measures of the study's own networks on this data, from results/*/measures.parquet, those measured as `config`
    says; one row a run, kind of path and selection, as in `measure.sweep`. Empty where there are none."""
    found = [table for file in sorted((ROOT / "results").glob("*/measures.parquet"))
             if len(table := _of(pd.read_parquet(file), dataset, config))]  # fmt: skip
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _of(table: pd.DataFrame, dataset: str, config) -> pd.DataFrame:
    chosen = table["dataset"].map(data_name) == data_name(dataset)
    for name in ("spacing", "cutoff", "path") if config is not None else ():
        chosen &= table[name] == getattr(config, name)
    return table[chosen]


def standing(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """`measure.table` with two columns: the number of reference runs, and the share of them with a lower value."""

    def place(row) -> tuple[int, float]:
        if reference.empty:
            return 0, np.nan
        others = reference[(reference["selection"] == row.selection) & (reference["kind"] == (row.kind or "within"))]
        values = others[row.column].dropna()
        return len(values), float((values < row.estimate).mean()) if len(
            values
        ) and row.estimate == row.estimate else np.nan

    placed = [place(row) for row in table.itertuples()]
    return table.assign(num_references=[n for n, _ in placed], share_below=[share for _, share in placed])


def protocol(dataset: data.Dataset, **given) -> measure.MeasurementConfig:
    """What `given` says of num_pairs, spacing, cutoff and path; the rest from the reference runs on this data, where
    there are any, else from `measure.protocol`. A spacing alone sets the cutoff to a tenth of the Nyquist frequency."""
    given = {name: value for name, value in given.items() if value is not None}
    reference = references(dataset.name)
    if "spacing" in given:
        usual = {"cutoff": 0.05 / check("spacing", given["spacing"], "float"), "num_pairs": 200}
    elif len(reference):
        usual = reference.iloc[0][["spacing", "cutoff"]].to_dict() | {"num_pairs": 200}
    else:
        usual = vars(measure.protocol(dataset))
    return measure.MeasurementConfig(**{**usual, **given})


def figure(found: measure.Measurement, config: measure.MeasurementConfig, title: str):
    """Mean spectra and distributions of the corrected share over paths with correct ends, within and between."""
    fig, axes = plots.plt.subplots(1, 2, figsize=(12, 4))
    spectra = found.spectra[found.spectra["representation"] == "logits"]
    for kind, part in spectra.groupby("kind"):
        axes[0].plot(part["cycles_per_nu"], part["power"], label=kind)
    axes[0].axvline(config.cutoff, color="k", ls="--", lw=1)
    axes[0].set(title="mean spectrum, logits, correct ends", xlabel="frequency (cycles/nu)",
                ylabel="share of power per bin")  # fmt: skip
    axes[0].legend(title="path")
    correct = found.paths[found.paths["correct"]]
    if len(correct):
        axes[0].set_yscale("log")
        extent = (0, max(correct["power_logits"].max(), 1e-3))  # a network may have equal shares on all paths
        plots.sns.histplot(correct, x="power_logits", hue="kind", stat="density", common_norm=False, ax=axes[1],
                           bins=20, binrange=extent)  # fmt: skip
    axes[1].set(title=f"{len(correct)} of {len(found.paths)} paths have correct ends",
                xlabel=f"share of power above {config.cutoff:g} cycles/nu, logits")  # fmt: skip
    fig.suptitle(title)
    fig.tight_layout()
    return fig


def text(table: pd.DataFrame) -> str:
    """The table as lines of text."""
    form = "{:<34}{:<9}{:>11}   {:<24}{:>6}  {}"
    lines = [form.format("measure", "paths", "estimate", "[95 % over images]", "n", "reference runs below")]
    for row in table.itertuples():
        below = f"{row.share_below:.0%} of {row.num_references}" if row.num_references else "none to compare"
        interval = f"[{row.low:.3g}, {row.high:.3g}]"
        lines.append(form.format(row.measure, row.kind, f"{row.estimate:.4g}", interval, row.num_paths or "", below))
    return "\n".join(lines)


def named(model: str, dataset: str, weights: str = "", max_images: int | None = None):
    """(network, dataset) by their names; a folder of images is made ready as the network expects. Raises StudyError."""
    external = pretrained.is_external(model)
    network, preprocessing = pretrained.load(model, weights) if external else (None, None)
    loaded = data.load(dataset, None if max_images is None else check("max_images", max_images, "int"), preprocessing)
    return network if external else pretrained.network(model, loaded, weights), loaded


def write(model: str, dataset: str, *, out: Path, weights: str = "", max_images: int | None = None,
          device: str = "auto", **given) -> pd.DataFrame:  # fmt: skip
    """Measure a network by name, print its table and write measure.json and measure.png into `out`. Raises StudyError
    before anything is measured when a name, a file or a number is not acceptable."""
    target = resolve_device(device)
    network, loaded = named(model, dataset, weights, max_images)
    config = protocol(loaded, **given)
    for draw in (paths.within_class_pairs, paths.between_class_pairs):  # refuses too many before anything runs
        draw(loaded.y_test.numpy(), config.num_pairs, config.seed)
    moved = aliasing(network, loaded, config, target)
    if moved > ALIASING_TOLERANCE:
        print(f"study: warning: spacing {config.spacing:g} nu aliases: at half of it the power above the cutoff "
              f"moves by {moved:.0%} ({ALIASING_PATHS} paths); try --spacing {config.spacing / 2:g}",
              file=sys.stderr)  # fmt: skip
    found = measure.measure(network, loaded, config, target, progress=True)
    accuracy = float(found.network["accuracy"][0])
    table = standing(measure.table(found), references(loaded.name, config))
    record = {"model": re.sub(r"weights=.*/", "weights=", model), "weights": Path(weights).name, "dataset": loaded.name,
              "fingerprint": loaded.fingerprint, "num_images": len(loaded.x_test), "accuracy": accuracy,
              "protocol": dataclasses.asdict(config), "power_moves_at_half_spacing": moved,
              "measures": table.to_dict("records")}  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)
        valid = json.loads(json.dumps(record, default=str), parse_constant=lambda name: None)  # JSON has no NaN
        (out / "measure.json").write_text(json.dumps(valid, indent=1) + "\n")
        plots.style()
        figure(found, config, f"{record['model']} on {loaded.name}").savefig(out / "measure.png")
    except OSError as error:
        raise StudyError(
            f"out: got {out.name}, which cannot be written ({error.strerror}); accepted: a folder"
        ) from error
    print(f"{record['model']} on {len(loaded.x_test)} images of {loaded.name}: accuracy {accuracy:.3f}; spacing "
          f"{config.spacing:g} nu, cutoff {config.cutoff:g} cycles/nu (a nu is one unit of L2 norm in the network's "
          f"normalised pixels)\n{text(table)}")  # fmt: skip
    return table


def reference_table(made: list[runs.Run]) -> pd.DataFrame:
    """The measures of those of `made` that learned clean labels, at their last epoch along straight paths, one row a
    run, protocol, kind of path and selection: what `references` reads."""
    rows = []
    for run in made:
        if run.record["kind"] != "classifier" or run.config["wave"] != "none" or "+merged:" in run.config["dataset"]:
            continue
        epoch = run.config["num_epochs"]
        for folder in sorted(run.path.glob(f"measure-{epoch:04d}-*")):
            with runs.readable(folder / "config.json"):
                stored = json.loads((folder / "config.json").read_text())
            config = measure.MeasurementConfig(**{name: stored[name] for name in stored if name != "epoch"})
            if config.path == "linear" and folder == measure.measurement_folder(run, epoch, config):
                summary = measure.summarize(run, epoch, measure.read_measurement(run, epoch, config))
                rows.append(summary.assign(spacing=config.spacing, cutoff=config.cutoff, path=config.path,
                                           num_pairs=config.num_pairs))  # fmt: skip
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
