"""One network's measures as a page: table, figure, JSON, and its place among reference runs."""

import dataclasses
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, doors, measure, models, plots, runs
from lib.parameters import check
from study import networks, zoo
from study.places import create, put
from study.world import check_work

ALIASING_TOLERANCE = 0.1
NU = "a nu is one unit of L2 norm in the network's normalised pixels"
LINE = "  {:<9}{:>10}  {:<24}{:>6}  {}"


def references(dataset: data.Dataset, protocol: measure.Protocol | None = None) -> pd.DataFrame:
    """Measures of the study's own networks on this data, known by its fingerprint, from
    results/*/measures.parquet, those measured by `protocol`; one row a run and kind of path. Empty
    if there are none."""
    table = zoo.shipped_measures()
    needed = [measure.PRIMARY, "fingerprint", "spacing", "cutoff", "path"]  # or not, before
    table = table.reindex(columns=table.columns.union(needed, sort=False))
    own = dataset.fingerprint.partition("-")[0]  # of the whole test set
    same = table["fingerprint"].map(lambda known: str(known).partition("-")[0] == own).astype(bool)
    table = table[same & table[measure.PRIMARY].notna()]  # not of before it was measured
    for name in ("spacing", "cutoff", "path") if protocol is not None else ():
        table = table[table[name] == getattr(protocol, name)]
    return table


def standing(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """`measure.intervals` and two columns: how many reference runs there are, the share below."""
    reference = reference.reindex(columns=["kind", *table["measure"].unique()])

    def place(row) -> tuple[int, float]:
        values = reference.loc[reference["kind"] == (row.kind or "within"), row.measure].dropna()
        below = np.nan if np.isnan(row.estimate) else (values < row.estimate).mean()
        return len(values), float(below)

    numbers, shares = zip(*map(place, table.itertuples()), strict=True)
    return table.assign(num_references=numbers, share_below=shares)


def usual_protocol(dataset: data.Dataset, **given) -> measure.Protocol:
    """What `given` says of num_pairs, spacing, cutoff and path; the rest from the reference runs on
    this data, where there are any, else from `measure.default_protocol`. A spacing alone sets the
    cutoff to .05 cycles a spacing, the highest that can be measured."""
    given = {name: value for name, value in given.items() if value is not None}
    reference = references(dataset)
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


def text(table: pd.DataFrame, cutoff: float) -> str:
    """The table of `standing`, or of `measure.intervals`, as lines of 80 characters: the title of a
    measure, then a line a kind of path."""
    titles = measure.titles(cutoff) | {"jacobian_norm": "Jacobian norm, softmax, at images"}
    lines = [LINE.format("paths", "estimate", "[95 % over images]", "n", "reference runs below")]
    for name, rows in table.groupby("measure", sort=False):
        lines.append(titles[name])
        for row in rows.itertuples():
            interval = f"[{row.low:.3g}, {row.high:.3g}]"
            numbers = f"{row.estimate:.4g}", "" if np.isnan(row.low) else interval
            share = getattr(row, "share_below", np.nan)
            below = "none to compare" if np.isnan(share) else f"{share:.0%} of {row.num_references}"
            lines.append(LINE.format(row.kind, *numbers, row.num_paths or "", below).rstrip())
    return "\n".join(lines)


def write(model, dataset, *, out, weights="", max_images=None, device="auto", **given):
    """Measure a network by name, print its table and write measure.json and measure.png into `out`;
    the table. given: see `usual_protocol`. Raises StudyError for bad input before it measures."""
    target = runs.resolve_device(device)
    network, loaded = networks.named(model, dataset, weights, max_images)
    protocol = usual_protocol(loaded, **given)
    joined = protocol.joined(loaded).values()  # refuses too many, or too short ones
    points = float(sum((paths.distances / protocol.spacing).sum() for paths in joined))
    check_work(protocol, points)
    create(out)
    print(f"study: {points:.2g} points along {2 * protocol.num_pairs} paths", file=sys.stderr)
    spacing, cutoff = protocol.spacing, protocol.cutoff
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moved = measure.aliasing(network, loaded, protocol, target)
        measurement = measure.measure(network, loaded, protocol, target, progress=True)
    told = list(dict.fromkeys(str(one.message) for one in caught if one.category is UserWarning))
    outputs = measure.Forward(network, loaded, target).num_classes
    if outputs > loaded.num_classes:
        told.append(f"{outputs} outputs for {loaded.num_classes} classes: the softmax is over all")
    if not (weights or "weights=" in model or models.is_external(model) or doors.is_own(model)):
        told.append(f"{model} is untrained: no --weights were given")
    if moved > ALIASING_TOLERANCE:
        moves = f"at a quarter of it the power above the cutoff moves by {moved:.0%}"
        told.append(f"spacing {spacing:g} nu aliases: {moves}; try --spacing {spacing / 2:g}")
    accuracy = float(measurement.network["accuracy"][0])
    table = standing(measure.intervals(measurement), references(loaded, protocol))
    name = doors.plain(re.sub(r"weights=.*/", "weights=", model))
    num_images = len(loaded.x_test)
    record = {"model": name, "weights": Path(weights).name, "dataset": loaded.name}
    record |= {"fingerprint": loaded.fingerprint, "num_images": num_images, "accuracy": accuracy}
    record |= {"protocol": dataclasses.asdict(protocol), "power_moves_at_quarter_spacing": moved}
    record |= {"measures": table.to_dict("records"), "warnings": told}
    print(f"{name} on {num_images} images of {loaded.name}: accuracy {accuracy:.3f}")
    print(f"spacing {spacing:g} nu, cutoff {cutoff:g} cycles/nu\n{NU}\n{text(table, cutoff)}")
    for warning in told:
        print(f"study: warning: {warning}", file=sys.stderr)
    _save(out, record, measurement, protocol)
    return table


def _save(out: Path, record: dict, measurement, protocol) -> None:
    # JSON has no NaN
    valid = json.loads(json.dumps(record, default=str), parse_constant=lambda name: None)
    put(out / "measure.json", lambda file: file.write_text(json.dumps(valid, indent=1) + "\n"))
    plots.style()
    fig = figure(measurement, protocol, f"{record['model']} on {record['dataset']}")
    put(out / "measure.png", lambda file: fig.savefig(file, format="png"))
