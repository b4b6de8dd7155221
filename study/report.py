"""One network's measures as a page: table, figure, JSON, and its place among reference runs."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, measure, models, plots, runs
from lib.parameters import ROOT, StudyError, check

ALIASING_TOLERANCE = 0.1
NU = "(a nu is one unit of L2 norm in the network's normalised pixels)"


def data_name(name: str) -> str:
    """A dataset's name without where it lies: npz:some/cifar10.npz and cifar10 are one."""
    return re.sub(r"^npz:(?:.*/)?(.*)\.npz", r"\1", name)


def references(dataset: str, protocol: measure.Protocol | None = None) -> pd.DataFrame:
    """Measures of the study's own networks on this data, from results/*/measures.parquet, those
    measured by `protocol`; one row a run and kind of path. Empty if there are none."""
    files = sorted((ROOT / "results").glob("*/measures.parquet"))
    table = pd.concat(map(pd.read_parquet, files)) if files else pd.DataFrame({"dataset": []})
    table = table.reindex(columns=table.columns.union([measure.PRIMARY], sort=False))
    same = table["dataset"].map(data_name) == data_name(dataset)
    table = table[same & table[measure.PRIMARY].notna()]  # not of before it was measured
    for name in ("spacing", "cutoff", "path") if protocol is not None and files else ():
        table = table[table[name] == getattr(protocol, name)]
    return table


def standing(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """`measure.intervals` and two columns: how many reference runs there are, the share below."""
    reference = reference.reindex(columns=["kind", *table["column"].unique()])

    def place(row) -> tuple[int, float]:
        values = reference.loc[reference["kind"] == (row.kind or "within"), row.column].dropna()
        below = np.nan if np.isnan(row.estimate) else (values < row.estimate).mean()
        return len(values), float(below)

    numbers, shares = zip(*map(place, table.itertuples()), strict=True)
    return table.assign(num_references=numbers, share_below=shares)


def usual_protocol(dataset: data.Dataset, **given) -> measure.Protocol:
    """What `given` says of num_pairs, spacing, cutoff and path; the rest from the reference runs on
    this data, where there are any, else from `measure.default_protocol`. A spacing alone sets the
    cutoff to .05 cycles a spacing, the highest that can be measured."""
    given = {name: value for name, value in given.items() if value is not None}
    reference = references(dataset.name)
    if "spacing" in given:
        usual = {"cutoff": 0.05 / check("spacing", given["spacing"], "float"), "num_pairs": 200}
    elif len(reference):
        usual = reference.iloc[0][["spacing", "cutoff"]].to_dict() | {"num_pairs": 200}
    else:
        usual = dataclasses.asdict(measure.default_protocol(dataset))
    return measure.Protocol(**(usual | given))


def figure(measurement: measure.Measurement, protocol: measure.Protocol, title: str):
    """Mean power above f, softmax and logits, over paths whose ends are classified correctly, with
    the floor (dashed)."""
    paths = measurement.paths[measurement.paths["correct"]]
    fig, axes = plots.plt.subplots(1, 2, figsize=(12, 4))
    for ax, (output, name) in zip(axes, measure.OUTPUTS.items(), strict=True):
        for kind, colour in plots.KIND_COLOURS.items():
            own = paths[paths["kind"] == kind]
            for part, style in (("power", "-o"), ("floor", "--")):
                columns = [measure.column(part, output, m) for m in protocol.multiples()]
                label = f"{kind}, {len(own)} paths" if part == "power" else None
                frequencies = [protocol.cutoff * m for m in protocol.multiples()]
                ax.plot(frequencies, own[columns].mean(), style, color=colour, label=label)
        ax.set(title=name, xlabel="f (cycles/nu)", ylabel="power above f")
        if len(paths):
            ax.set(xscale="log", yscale="log")
        ax.legend(fontsize="small")
    fig.suptitle(f"{title}: power out of band (dashed: its floor)")
    fig.tight_layout()
    return fig


def text(table: pd.DataFrame) -> str:
    """The table of `standing` as lines of text."""
    form = "{:<52}{:<9}{:>11}   {:<24}{:>6}  {}"
    names = ("measure", "paths", "estimate", "[95 % over images]", "n", "reference runs below")
    lines = [form.format(*names)]
    for row in table.itertuples():
        numbers = f"{row.estimate:.4g}", f"[{row.low:.3g}, {row.high:.3g}]", row.num_paths or ""
        below = f"{row.share_below:.0%} of {row.num_references}"
        below = "none to compare" if np.isnan(row.share_below) else below
        lines.append(form.format(row.measure, row.kind, *numbers, below))
    return "\n".join(lines)


def named(model: str, dataset: str, weights: str = "", max_images: int | None = None):
    """(network, dataset) by name, photos made ready as the network expects. Raises StudyError."""
    max_images = check("max_images", max_images, "int | None")
    if models.is_external(model):
        network, preprocessing = models.load_pretrained(model, weights)
        return network, data.load(dataset, max_images, preprocessing)
    loaded = data.load(dataset, max_images)
    return models.own_network(model, loaded, weights), loaded


def write(model, dataset, *, out, weights="", max_images=None, device="auto", **given):
    """Measure a network by name, print its table and write measure.json and measure.png into `out`;
    the table. given: see `usual_protocol`. Raises StudyError for bad input before it measures."""
    target = runs.resolve_device(device)
    network, loaded = named(model, dataset, weights, max_images)
    protocol = usual_protocol(loaded, **given)
    protocol.joined(loaded)  # refuses too many, or too short ones
    moved = measure.aliasing(network, loaded, protocol, target)
    spacing, cutoff = protocol.spacing, protocol.cutoff
    if moved > ALIASING_TOLERANCE:
        moves = f"at a quarter of it the power above the cutoff moves by {moved:.0%}"
        warning = f"spacing {spacing:g} nu aliases: {moves}; try --spacing {spacing / 2:g}"
        print(f"study: warning: {warning}", file=sys.stderr)
    measurement = measure.measure(network, loaded, protocol, target, progress=True)
    accuracy = float(measurement.network["accuracy"][0])
    table = standing(measure.intervals(measurement), references(loaded.name, protocol))
    name, num_images = re.sub(r"weights=.*/", "weights=", model), len(loaded.x_test)
    record = {"model": name, "weights": Path(weights).name, "dataset": loaded.name}
    record |= {"fingerprint": loaded.fingerprint, "num_images": num_images, "accuracy": accuracy}
    record |= {"protocol": dataclasses.asdict(protocol), "power_moves_at_quarter_spacing": moved}
    record |= {"measures": table.to_dict("records")}
    _save(out, record, measurement, protocol)
    print(f"{name} on {num_images} images of {loaded.name}: accuracy {accuracy:.3f}")
    print(f"spacing {spacing:g} nu, cutoff {cutoff:g} cycles/nu {NU}\n{text(table)}")
    return table


def _save(out: Path, record: dict, measurement, protocol) -> None:
    # JSON has no NaN
    valid = json.loads(json.dumps(record, default=str), parse_constant=lambda name: None)
    plots.style()
    fig = figure(measurement, protocol, f"{record['model']} on {record['dataset']}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "measure.json").write_text(json.dumps(valid, indent=1) + "\n")
        fig.savefig(out / "measure.png")
    except OSError as error:
        raise StudyError(f"out: {out.name} cannot be written ({error.strerror})") from error
