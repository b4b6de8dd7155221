"""Execute notebooks by papermill, keep what they found: executed copies, claims, figures and tables of runs."""

import base64
import json
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pandas as pd
from traitlets.config import Config

from lib import report, runs, scoreboard
from lib.parameters import ROOT, OutOfTime

START_ATTEMPTS = 3


def _transport(folder: str) -> Config:
    """Kernels over TCP pick a port, lose it to another process now and then, and die: sockets of their own in
    `folder` can't be lost."""
    if sys.platform == "win32":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})


def notebook(source: Path, out: Path, parameters: dict) -> bool:
    """Execute one notebook into the folder `out`; False when a cell failed (the copy has its traceback). Raises
    OutOfTime when the time budget ended in it.

    One that was already executed there, from the same code with the same parameters, is left as it is.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    target = out / source.name
    cells = [cell["source"] for cell in nbformat.read(source, 4).cells]
    code = [file.read_text() for file in sorted(Path(__file__).parent.glob("*.py"))]
    identity = runs.hash_of({"source": cells, "code": code, "parameters": parameters})
    if target.is_file() and nbformat.read(target, 4).metadata.get("study") == identity:
        print(f"{source.stem}: already executed with these parameters", file=sys.stderr)
        return True
    out.mkdir(parents=True, exist_ok=True)
    print(f"\n{source.stem}", file=sys.stderr)
    partial = out / f".{source.name}"
    for attempt in range(START_ATTEMPTS):
        try:
            with tempfile.TemporaryDirectory(prefix="study-") as sockets:
                papermill.execute_notebook(
                    source, partial, parameters, kernel_name="python3", progress_bar={"desc": source.stem},
                    stderr_file=sys.stderr, cwd=str(ROOT), start_timeout=120, config=_transport(sockets),
                )  # fmt: skip
            break
        except papermill.PapermillExecutionError as error:
            if error.ename == OutOfTime.__name__:  # an executed copy from before stays
                partial.unlink()
                raise OutOfTime(f"{source.stem}: {error.evalue}") from None
            clean(partial, target)
            title = error.source.strip().splitlines()[0][:60]
            print(
                f"study: {source.stem}: cell {error.cell_index} ({title}): {error.ename}: {error.evalue}",
                file=sys.stderr,
            )
            return False
        except (DeadKernelError, RuntimeError, TimeoutError) as error:  # a kernel that died while starting
            if attempt + 1 == START_ATTEMPTS:
                raise
            print(f"study: {source.stem}: kernel did not start ({error}); once more", file=sys.stderr)
    clean(partial, target, identity)
    return True


def clean(executed: Path, target: Path, identity: str | None = None) -> None:
    """Move an executed notebook to `target` without paths, timings and progress bars of the moment."""
    content = nbformat.read(executed, 4)
    used = content.metadata.pop("papermill", {}).get("parameters")
    if used:
        content.metadata["parameters"] = json.loads(re.sub(r":[^\"]*/", ":", json.dumps(used)))
    if identity:
        content.metadata["study"] = identity
    for cell in content.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r"npz:[^\"']*/", "npz:", cell.source)
            cell.outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
    nbformat.write(content, executed)
    executed.replace(target)


def collect(out: Path) -> list[dict]:
    """Write claims.json, runs.parquet, measures.parquet and figures/ of the executed notebooks in
    `out` beside them; the claims."""
    keys = set()
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for name, executed in scoreboard.executed_in(out).items():
        keys |= set(scoreboard.payload(executed).get("runs", []))
        images = [output["data"]["image/png"] for cell in executed.cells for output in cell.get("outputs", [])
                  if "image/png" in output.get("data", {})]  # fmt: skip
        for number, image in enumerate(images, 1):
            (out / "figures" / f"{name}-{number}.png").write_bytes(base64.b64decode(image))
    rows = scoreboard.claims_in(out)
    (out / "claims.json").write_text(json.dumps(rows, indent=1) + "\n")
    present = [run for run in runs.all_runs() if run.key in keys]
    for name, made in (("runs", table(present)), ("measures", report.reference_table(present))):
        file = out / f"{name}.parquet"
        if file.is_file():  # a run of theirs that another store holds keeps its rows
            before = pd.read_parquet(file)
            elsewhere = keys - set(made.get("key", []))
            made = pd.concat([made, before[before["key"].isin(elsewhere)]], ignore_index=True)
        if len(made):
            made.sort_values("key", kind="stable", ignore_index=True).to_parquet(file)
    return rows


def table(made: list[runs.Run]) -> pd.DataFrame:
    """One row a run: key, configuration, where it was made, and the last row of its history."""
    rows = []
    for run in made:
        provenance = {name: run.record[name] for name in ("kind", "version", "created", "seconds", "device", "torch")}
        history = run.history.drop(columns=["key", *run.config], errors="ignore")
        rows.append({"key": run.key, **provenance, **run.config, **history.iloc[-1].add_prefix("final_")})
        if "noise_fitting" in history:
            rows[-1]["min_noise_fitting"] = history["noise_fitting"].min()
    return pd.DataFrame(rows)
