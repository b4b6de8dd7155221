"""What is kept of executed notebooks: claims, figures, tables of runs and of measures."""

import base64
import json
import subprocess
import sys

import nbformat
import pandas as pd
import pytest

from lib import measure, runs
from lib.parameters import ROOT, StudyError
from lib.training import TrainingConfig
from study import results
from study.provenance import MIME

PROTOCOL = measure.Protocol(num_pairs=45, spacing=0.1, cutoff=0.5)
PNG = b"\x89PNG"


@pytest.fixture
def write(tmp_path):
    """A function that writes an executed notebook with claims, run keys and as many figures."""

    def notebook(name, claims, keys, num_figures=0):
        figures = [{"image/png": base64.b64encode(PNG).decode()}] * num_figures
        cells = []
        for data in (*figures, {MIME: {"claims": claims, "runs": keys}}):
            cell = nbformat.v4.new_code_cell("x")
            cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
            cells.append(cell)
        (tmp_path / "out").mkdir(exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "out" / f"{name}.ipynb")
        return tmp_path / "out"

    return notebook


def test_collected_claims_and_figures_go_by_notebook(write, store):
    write("02_b", [{"finding": "F2"}, {"finding": "F3"}], [], 2)
    out = write("01_a", [{"finding": "F1"}], [])
    expected = [{"notebook": "01_a", "finding": "F1"}]
    expected += [{"notebook": "02_b", "finding": finding} for finding in ("F2", "F3")]
    assert results.collect(out) == expected
    assert json.loads((out / "claims.json").read_text()) == expected
    figures = {file.name: file.read_bytes() for file in (out / "figures").iterdir()}
    assert figures == {"02_b-1.png": PNG, "02_b-2.png": PNG}
    assert not (out / "runs.parquet").exists()


def test_collecting_keeps_the_rows_of_runs_in_another_store(write, store, configure):
    """Notebooks of two stores in one folder: what only the other one holds is not lost."""
    run = runs.find_or_execute(configure(), "cpu")
    out = write("01_a", [], ["elsewhere", run.key])
    before = pd.DataFrame({"key": ["elsewhere", "gone", run.key], "seconds": [-1.0, -2.0, -3.0]})
    before.to_parquet(out / "runs.parquet")
    results.collect(out)
    table = pd.read_parquet(out / "runs.parquet").set_index("key")
    assert sorted(table.index) == sorted(["elsewhere", run.key])
    assert table.loc["elsewhere", "seconds"] == -1
    assert table.loc[run.key, "seconds"] == run.record["seconds"]


def test_a_row_a_run_with_its_configuration_and_its_end(store, configure):
    configs = [configure(seed=seed, wave="radial", frequency=0.5, amplitude=0.3) for seed in (0, 1)]
    swept = runs.sweep(configs, "cpu")
    table = results.run_table(swept)
    assert table["key"].tolist() == [run.key for run in swept]
    assert table["seed"].tolist() == [0, 1]
    assert set(table["wave"]) == {"radial"}
    for row, run in zip(table.itertuples(), swept, strict=True):
        history = run.history
        assert row.final_test_accuracy == history["test_accuracy"].iloc[-1]
        assert row.created == run.record["created"]
    assert table.columns.is_unique


def test_reference_runs_learned_clean_labels_and_are_measured_along_lines(store, configure):
    clean = [configure(seed=seed, num_test=200) for seed in (0, 1)]
    wave = configure(num_test=200, wave="uniform", amplitude=0.3)
    merged = configure(num_test=100, dataset="digits+merged:1-2-2:0")
    swept = runs.sweep([*clean, wave, merged], "cpu")
    measure.sweep(clean, PROTOCOL, "cpu")
    for config in (wave, merged):
        measure.sweep([config], PROTOCOL, "cpu")
    measure.sweep(clean, measure.Protocol(**vars(PROTOCOL) | {"path": "slerp"}), "cpu")
    measure.sweep(clean, PROTOCOL, "cpu", [0, 0])
    table = results.reference_table(swept)
    alone = pd.concat([measure.sweep([config], PROTOCOL, "cpu") for config in clean])
    order = ["key", "kind"]
    table, alone = (part.sort_values(order, ignore_index=True) for part in (table, alone))
    assert len(table) == 2 * 2
    for column in (*order, "epoch", "num_paths", "hff", *measure.VARIANTS, "jacobian_norm"):
        pd.testing.assert_series_equal(table[column], alone[column])
    protocol = table[["spacing", "cutoff", "path", "num_pairs"]].drop_duplicates()
    assert protocol.values.tolist() == [[0.1, 0.5, "linear", 45]]
    assert results.reference_table([]).empty


def test_a_run_older_than_a_field_is_a_reference_run_all_the_same(store, configure, monkeypatch):
    """In a process of its own, which has trained nothing."""
    config, described = configure(num_test=200), TrainingConfig.described
    with monkeypatch.context() as before:
        fields = lambda own: {k: v for k, v in described(own).items() if k != "wave"}  # noqa: E731
        before.setattr(TrainingConfig, "described", fields)
        run = runs.find_or_execute(config, "cpu")
    measure.sweep([config], PROTOCOL, "cpu")
    assert "wave" not in json.loads((run.path / "config.json").read_text())["config"]
    code = "from lib import runs; from study import results\n"
    code += "print(len(results.reference_table(runs.all_runs())))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "2\n"), ran.stderr


def test_collecting_on_a_full_disk_keeps_what_was_there(write, store, full_disk):
    out = write("01_a", [{"finding": "F1"}], [], 1)
    results.collect(out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    write("01_a", [{"finding": "F1"}, {"finding": "F2"}], [], 2)
    with full_disk(), pytest.raises(StudyError, match=r"^out: .* cannot be written"):
        results.collect(out)
    after = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    changed = [file.name for file in after if after[file] != before.get(file)]
    assert changed == ["01_a.ipynb"]
    assert len(results.collect(out)) == 2


def test_a_failed_or_unreadable_copy_is_not_collected(write, store, capsys):
    out = write("01_a", [{"finding": "F1"}], [])
    write("02_b.failed", [{"finding": "F2"}], [], 1)
    write("own", [{"finding": "F3"}], [])
    (out / "03_c.ipynb").write_text("{")
    assert [claim["finding"] for claim in results.collect(out)] == ["F1", "F3"]
    assert list((out / "figures").iterdir()) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "03_c.ipynb cannot be read" in line


def test_a_damaged_table_of_before_is_passed_over(write, store, configure, capsys):
    run = runs.find_or_execute(configure(), "cpu")
    out = write("01_a", [], [run.key])
    (out / "runs.parquet").write_bytes(b"PAR1")
    results.collect(out)
    assert "runs.parquet" in capsys.readouterr().err
    assert pd.read_parquet(out / "runs.parquet")["key"].tolist() == [run.key]
