"""Executed copies of notebooks: how they are kept, and what they hold."""

import base64
import re
import sys
from pathlib import Path

import nbformat

from lib.parameters import StudyError, without_folders
from study.profiles import opened
from study.provenance import MIME


def executed_in(folder: Path) -> list[tuple[Path, nbformat.NotebookNode]]:
    """The executed copies in a folder, in order, but for failed ones; one that cannot be read is
    passed over with a word. [] without the folder."""
    found = []
    for file in sorted(folder.glob("[!.]*.ipynb")):
        if not file.name.endswith(".failed.ipynb"):
            try:
                found.append((file, opened(file)))
            except StudyError as error:
                print(f"study: passed over: {error}", file=sys.stderr)
    return found


def payload(executed: nbformat.NotebookNode) -> dict:
    """What `provenance.record` left in a notebook: claims, run keys, versions ...; or {}."""
    return next((data[MIME] for data in _shown(executed) if MIME in data), {})


def _shown(executed: nbformat.NotebookNode) -> list[dict]:
    """The data of every output by MIME type."""
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    return [output.get("data", {}) for output in outputs]


def images_in(executed: nbformat.NotebookNode) -> list[bytes]:
    """The figures of a notebook, PNG, in their order."""
    shown = (data.get("image/png") for data in _shown(executed))
    return [base64.b64decode(image) for image in shown if image]


def claims_of(held: list[tuple[Path, nbformat.NotebookNode]]) -> list[dict]:
    """The claims that executed copies hold, each with its notebook, in order."""
    rows = ((file.stem, payload(executed).get("claims", [])) for file, executed in held)
    return [{"notebook": stem, **claim} for stem, claims in rows for claim in claims]


def claims_in(folder: Path) -> list[dict]:
    """`claims_of` the copies in a folder; [] without the folder."""
    return claims_of(executed_in(folder))


def clean(executed: Path, target: Path, key: str | None = None) -> None:
    """Move an executed notebook to `target` without paths, timings and progress bars."""
    content = nbformat.read(executed, 4)
    if used := content.metadata.pop("papermill", {}).get("parameters"):
        content.metadata["parameters"] = {k: without_folders(value) for k, value in used.items()}
    if key:
        content.metadata["study"] = key
    for cell in content.cells:
        emptied = [] if cell.metadata.get("tags") else ["tags"]  # jupytext would keep them so
        for name in ("papermill", "execution", *emptied):
            cell.metadata.pop(name, None)
        if cell.cell_type == "code":
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r"([:=])(?![\d./]+[,\"'\s])[^:=,\"'\s]*/", r"\1", cell.source)
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(content, executed)
    executed.replace(target)
