"""Executed copies of notebooks: what they keep, which of a folder are read."""

import nbformat
import pytest

from lib.parameters import StudyError
from study import copies, profiles


def test_executed_copies_keep_no_path_or_progress_bar(tmp_path):
    tags = {"tags": ["injected-parameters"]}
    cell = nbformat.v4.new_code_cell("dataset = 'npz:/somewhere/x.npz'", metadata=tags)
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="50%")]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    used = {"dataset": "npz:/somewhere/x.npz", "lr": 0.1}
    notebook.metadata["papermill"] = {"input_path": "/a/b", "parameters": used}
    nbformat.write(notebook, tmp_path / "partial.ipynb")
    copies.clean(tmp_path / "partial.ipynb", tmp_path / "clean.ipynb")
    text = (tmp_path / "clean.ipynb").read_text()
    assert [word for word in ("somewhere", "input_path", "50%") if word in text] == []
    assert '"dataset": "npz:x.npz"' in text
    assert not (tmp_path / "partial.ipynb").exists()


def test_numbers_of_a_network_are_no_folders(tmp_path):
    spec = "resnet-20,mean=0.485/0.456/0.406,std=1/2/3,weights=/some/where/x.safetensors"
    cell = nbformat.v4.new_code_cell(
        f"others = [{spec!r}]", metadata={"tags": ["injected-parameters"]}
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["papermill"] = {"parameters": {"others": [spec], "model": spec}}
    nbformat.write(notebook, tmp_path / "partial.ipynb")
    copies.clean(tmp_path / "partial.ipynb", tmp_path / "clean.ipynb")
    clean, kept = nbformat.read(tmp_path / "clean.ipynb", 4), spec.replace("/some/where/", "")
    assert clean.metadata["parameters"] == {"others": [kept], "model": kept}
    assert clean.cells[0].source == f"others = [{kept!r}]"


def test_executed_copies_keep_tags_and_no_empty_list_of_them(tmp_path):
    """papermill gives every cell one; jupytext would take it for what the cell is to have."""
    lists = ({"tags": []}, {"tags": ["slide"]}, {})
    cells = [nbformat.v4.new_code_cell("x", metadata=one) for one in lists]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "partial.ipynb")
    copies.clean(tmp_path / "partial.ipynb", tmp_path / "clean.ipynb")
    kept = [cell.metadata for cell in nbformat.read(tmp_path / "clean.ipynb", 4).cells]
    assert kept == [{}, {"tags": ["slide"]}, {}]


def test_failed_hidden_and_unreadable_copies_are_passed_over(tmp_path, capsys):
    for name in ("02_b", "own", "02_b.failed", ".12-03_c"):
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / f"{name}.ipynb")
    (tmp_path / "01_a.ipynb").write_text('{"cells": [')
    assert [file.stem for file, _ in copies.executed_in(tmp_path)] == ["02_b", "own"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "01_a.ipynb cannot be read" in line
    assert copies.executed_in(tmp_path / "nowhere") == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\x00", b"null"])
def test_a_file_of_no_notebook_is_refused(tmp_path, content):
    (tmp_path / "x.ipynb").write_bytes(content)
    with pytest.raises(StudyError, match=r"x\.ipynb cannot be read"):
        profiles.opened(tmp_path / "x.ipynb")
