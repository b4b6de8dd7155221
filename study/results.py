"""What executed notebooks hold, collected: claims, figures, tables of runs; the scoreboard."""

import collections
import contextlib
import json
import sys
from pathlib import Path

import pandas as pd

from lib import measure, runs
from lib.parameters import ROOT
from lib.training import TrainingConfig
from study import verdicts
from study.copies import claims_in, claims_of, executed_in, images_in, payload
from study.places import create, put

SHIPPED = ("digits", "cifar10-cpu")
DEPENDS = "±"  # beside a count: variants are decided both ways


def place_of(profile: str) -> Path:
    """The folder of the executed copies that come with the study."""
    return ROOT / "notebooks" if profile == "digits" else ROOT / "results" / profile


def shipped(profile: str) -> list[dict]:
    """The claims that come with the study."""
    return claims_in(place_of(profile))


def collect(out: Path) -> list[dict]:
    """Write claims.json, runs.parquet, measures.parquet and figures/ of the executed notebooks in
    `out` beside them; the claims."""
    keys, figures, held = set(), out / "figures", executed_in(out)
    create(figures)
    for file, executed in held:
        keys |= set(payload(executed).get("runs", []))
        for number, image in enumerate(images_in(executed), 1):
            put(figures / f"{file.stem}-{number}.png", lambda f, image=image: f.write_bytes(image))
    rows = claims_of(held)
    put(out / "claims.json", lambda f: f.write_text(json.dumps(rows, indent=1) + "\n"))
    present = [run for run in runs.all_runs() if run.key in keys]
    for name, table in (("runs", run_table(present)), ("measures", reference_table(present))):
        file = out / f"{name}.parquet"
        elsewhere = keys - set(table.get("key", []))  # of another store: they keep their rows
        if len(before := _rows_before(file, elsewhere)):
            table = pd.concat([table, before], ignore_index=True)
        if len(table):
            put(file, table.sort_values("key", kind="stable", ignore_index=True).to_parquet)
    return rows


def _rows_before(file: Path, keys: set[str]) -> pd.DataFrame:
    """The rows of these runs in a table of before, empty where it is damaged, which is said."""
    try:
        table = pd.read_parquet(file) if file.is_file() else pd.DataFrame({"key": []})
        return table[table["key"].isin(keys)]
    except (OSError, ValueError, KeyError) as error:
        print(f"study: passed over: {file} ({type(error).__name__})", file=sys.stderr)
        return pd.DataFrame()


def store_lines(present: list[runs.Run]) -> str:
    """A line a run, and how many these are."""
    text, fields = [], ("dataset", "network", "model", "seed", "wave", "frequency")
    for one in present:
        record = one.record
        parts = " ".join(f"{name}={one.config[name]}" for name in fields if name in one.config)
        origin = f"{record['kind']:<16}{record['seconds']:>8.1f} s  {record['device']:<12}"
        text.append(f"{one.key}  {origin}  {parts}")
    files = [file for one in present for file in one.path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    return "\n".join([*text, f"{len(present)} runs, {size:.1f} MB"])


def run_table(chosen: list[runs.Run]) -> pd.DataFrame:
    """One row a run: key, configuration, where it was made, and the last row of its history."""
    rows, columns = [], ("kind", "version", "created", "seconds", "device", "torch")
    for run in chosen:
        origin = {"key": run.key} | {name: run.record[name] for name in columns}
        history = run.history.drop(columns=["key", *run.config], errors="ignore")
        rows.append({**origin, **run.config, **history.iloc[-1].add_prefix("final_")})
    return pd.DataFrame(rows)


def reference_table(chosen: list[runs.Run]) -> pd.DataFrame:
    """For `report.references`: the measures of runs that learned clean labels, at their last epoch
    along straight paths with correct ends, one row a run, protocol and kind of path."""
    rows, columns = [], ("spacing", "cutoff", "path", "num_pairs")
    for run in chosen:
        config, epoch = run.config, run.config.get("num_epochs")
        clean = run.record["kind"] == TrainingConfig.kind and config["wave"] == "none"
        if not clean or "+merged:" in config["dataset"]:
            continue
        protocols = {}  # in their order, each once: other code may have measured by it as well
        for folder in sorted(run.path.glob(f"measure-{epoch:04d}-*")):
            with contextlib.suppress(runs.Damage):
                fields = measure.Protocol.fields_in(runs.unsealed(folder))
                protocols[measure.Protocol(**fields)] = None
        for protocol in protocols:
            alone = [measure.find_measurement(run, epoch, protocol)]
            if protocol.path == "linear" and alone[0] is not None:
                network = {**config, "key": run.key, "epoch": epoch}
                summary = measure.compare([network], alone).drop(columns="included")
                rows.append(summary.assign(**{name: getattr(protocol, name) for name in columns}))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def lines(rows: list[dict]) -> str:
    """The scoreboard as text: a line a primary claim, then the count of verdicts."""
    form = "{:<26}{:<8}{:<14}{:<7}{:<9}{}"
    names = ("notebook", "finding", "verdict", "agree", "q", "claim: effect")
    text, judged = ["", form.format(*names)], verdicts.judge(rows)
    for row in judged:
        cells = [row["notebook"], row["finding"], row["verdict"]]
        cells += [row["agreeing"] + DEPENDS * row["depends"], f"{row['q']:.2g}".replace("nan", "")]
        text.append(form.format(*cells, f"{row['statement']}: {row['text']}{verdicts.why(row)}"))
    counts = collections.Counter(row["verdict"] for row in judged).most_common()
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts) or "none"
    count = f"{len(judged)} primary claims: {told}; {len(rows) - len(judged)} others"
    return "\n".join([*text, "", f"{count}, described or exact"])
