"""Execute notebooks by papermill; keep clean copies, and leave what was executed before."""

import concurrent.futures
import itertools
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import papermill
from traitlets.config import Config

from lib import runs
from lib.parameters import ROOT, OutOfTime, hash_of, without_folders
from study.profiles import NOTEBOOKS

CODE = ROOT / "lib"
START_ATTEMPTS = 3


def in_rounds(rounds: list[dict[str, dict]], out: Path) -> tuple[list[str], str]:
    """Execute rounds of notebooks (parameters by name) into the folder `out`, two at a time on a
    CPU (one starts and draws while the other computes), until one fails or the time is over: (names
    of those that failed, why and where it stopped early or "")."""
    workers = 1 if runs.resolve_device("auto").type == "cuda" else min(2, runs.num_workers())
    for number, round_ in enumerate(rounds, 1):
        place = f"(round {number} of {len(rounds)})"
        files = [NOTEBOOKS / f"{name}.ipynb" for name in round_]
        try:
            with concurrent.futures.ThreadPoolExecutor(workers) as pool:
                done = list(pool.map(execute, files, itertools.repeat(out), round_.values()))
        except OutOfTime as over:
            return [], f"{over} {place}"
        if failed := [name for name, well in zip(round_, done, strict=True) if not well]:
            return failed, ""
        if runs.out_of_time() and number < len(rounds):
            return [], f"time budget: over {place}"
    return [], ""


def execute(source: Path, out: Path, parameters: dict) -> bool:
    """Execute one notebook into the folder `out`, unless it was there with the same cells, code of
    lib and parameters; False when a cell failed (the copy has its traceback). Raises OutOfTime."""
    target, partial = out / source.name, out / f".{source.name}"
    cells = [cell["source"] for cell in nbformat.read(source, 4).cells]
    beside = NOTEBOOKS.glob("[!0-9]*.py")  # a module that one notebook alone needs
    code = [file.read_text() for file in (*sorted(CODE.rglob("*.py")), *sorted(beside))]
    key = hash_of({"source": cells, "code": code, "parameters": parameters})
    if target.is_file() and nbformat.read(target, 4).metadata.get("study") == key:
        print(f"{source.stem}: already executed with these parameters", file=sys.stderr)
        return True
    out.mkdir(parents=True, exist_ok=True)
    print(f"\n{source.stem}", file=sys.stderr)
    try:
        _papermill(source, partial, parameters)
    except papermill.PapermillExecutionError as error:
        if error.ename == OutOfTime.__name__:  # an executed copy from before stays
            partial.unlink()
            raise OutOfTime(f"{source.stem}: {error.evalue}") from None
        clean(partial, target)
        place = f"cell {error.cell_index} ({error.source.strip().splitlines()[0][:60]})"
        print(f"study: {source.stem}: {place}: {error.ename}: {error.evalue}", file=sys.stderr)
        return False
    clean(partial, target, key)
    return True


def _papermill(source: Path, partial: Path, parameters: dict) -> None:
    """Execute `source` into `partial`. Kernels over TCP pick a port, lose it to another process now
    and then, and die: here each has sockets of its own, and one that dies is started anew."""
    options = {"kernel_name": "python3", "cwd": str(ROOT), "start_timeout": 120}
    options |= {"stderr_file": sys.stderr, "progress_bar": {"desc": source.stem}}
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            with tempfile.TemporaryDirectory(prefix="study-") as sockets:
                ipc = {"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}
                config = Config({} if sys.platform == "win32" else ipc)
                papermill.execute_notebook(source, partial, parameters, config=config, **options)
            return
        except (RuntimeError, TimeoutError) as error:
            if attempt == START_ATTEMPTS:
                raise
            print(f"study: {source.stem}: kernel did not start ({error}); again", file=sys.stderr)


def clean(executed: Path, target: Path, key: str | None = None) -> None:
    """Move an executed notebook to `target` without paths, timings and progress bars."""
    content = nbformat.read(executed, 4)
    if used := content.metadata.pop("papermill", {}).get("parameters"):
        content.metadata["parameters"] = {k: without_folders(value) for k, value in used.items()}
    if key:
        content.metadata["study"] = key
    for cell in content.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r"([:=])[^:=,\"'\s]*/", r"\1", cell.source)
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(content, executed)
    executed.replace(target)
