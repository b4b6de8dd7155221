"""The default study from an empty store under other threads and instruction sets: what differs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd

from lib.parameters import ROOT, StudyError
from study import results

SETTINGS = {  # threads, and names of instruction sets: of ATen's kernels and of oneDNN's
    "2 threads, ATen AVX2": (2, "avx2", "AVX512_CORE"),
    "1 thread, ATen without AVX, oneDNN SSE4.1": (1, "default", "SSE41"),
    "1 thread, AVX-512": (1, "avx512", "AVX512_CORE"),
}
ABOUT = """# The same numbers everywhere

`make reproduce` executes the default study from an empty store, under other numbers of threads and
instruction sets, and compares it with what is shipped: the lines of the cells that nbval compares,
and every claim's estimate (in half widths of its 95 % interval). oneDNN held to AVX2 is left out:
it corrupts memory in a compact ResNet's backward pass with PyTorch 2.15.
"""
COMPARED = "# NBVAL_CHECK_OUTPUT"  # in cells whose outputs nbval compares


def execute(setting: str, out: Path) -> None:
    """`study run` into `out`, with a store of its own. Raises StudyError when a cell fails."""
    threads, aten, onednn = SETTINGS[setting]
    variables = {"OMP_NUM_THREADS": str(threads), "ATEN_CPU_CAPABILITY": aten}
    variables |= {"ONEDNN_MAX_CPU_ISA": onednn, "STUDY_STORE": str(out / "store")}
    command = [sys.executable, "-c", "from study.command import main; main()"]
    command += ["run", "--out", str(out)]
    if subprocess.run(command, env=os.environ | variables, cwd=ROOT).returncode:
        raise StudyError(f"reproduce: the study failed with {setting}; see {out}")


def compared(file: Path) -> list[str]:
    """The text of every cell that nbval compares."""
    cells = nbformat.read(file, 4).cells
    chosen = [cell for cell in cells if COMPARED in cell.source]
    outputs = [output for cell in chosen for output in cell.outputs]
    texts = [one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs]
    return [line for text in texts for line in text.splitlines()]


def difference(setting: str, out: Path) -> dict:
    """One row: lines of compared cells that are not the shipped ones, and the claim whose estimate
    moves most, in half widths of its interval."""
    lines, changed = 0, 0
    for file in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        shipped, anew = compared(file), compared(out / file.name)
        lines += len(shipped)
        changed += abs(len(shipped) - len(anew))
        changed += sum(a != b for a, b in zip(shipped, anew, strict=False))
    pairs = zip(results.shipped("digits"), results.claims_in(out), strict=True)
    moved = [(_moved(one["effect"], other["effect"]), one["statement"]) for one, other in pairs]
    most, statement = max(moved)
    row = {"setting": setting, "lines compared": lines, "of these different": changed}
    return row | {"largest move": f"{most:.2g}", "of the claim": statement}


def _moved(one: dict, other: dict) -> float:
    numbers = [one["estimate"], other["estimate"], one["low"], one["high"]]
    if None in numbers or one["high"] <= one["low"]:
        return 0.0
    return 2 * abs(numbers[0] - numbers[1]) / (one["high"] - one["low"])


def reproduce(out: Path) -> Iterator[pd.DataFrame]:
    """Execute the study under every setting and compare; yields the table after each."""
    rows = []
    for number, setting in enumerate(SETTINGS, 1):
        execute(setting, out / str(number))
        rows.append(difference(setting, out / str(number)))
        yield pd.DataFrame(rows)


def page(table: pd.DataFrame) -> str:
    """The table as a page of results/."""
    text = [f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|"]
    text += [f"| {' | '.join(map(str, row))} |" for row in table.itertuples(index=False)]
    missing = [setting for setting in SETTINGS if setting not in set(table["setting"])]
    text += ["", f"Not executed so far: {'; '.join(missing)}."] * bool(missing)
    return "\n".join([ABOUT, *text, ""])
