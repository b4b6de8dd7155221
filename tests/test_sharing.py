"""Notebooks share their runs: what one has trained no other trains again."""

import collections
import re
import sys

import nbformat
import pytest

from lib import cli, profiles, runs, scoreboard

NOTEBOOKS = ("03_training_time", "06_weight_decay", "08_distillation", "12_generalization")
# The wave is so slow that two epochs fit a part of it: notebook 06 looks for the epoch of half of that part.
TINY = {"model": "mlp-1-16", "num_epochs": 2, "seeds": [0, 1], "num_pairs": 20, "weight_decays": [0.0, 5.0e-4],
        "frequency": 0.1, "true_label_weights": [0.5], "num_generations": 2,
        "paths_compared": "[linear, slerp]"}  # fmt: skip
BAR = re.compile(r"(?:^|\r)runs(?: needed first)*: 100%\|[^|]*\| (\d+)/\1 ")


def trained_in(stderr):
    """How many runs the sweeps trained, from the last state of each progress bar: it ends its line."""
    return sum(int(states[-1]) for line in stderr.split("\n") if (states := BAR.findall(line)))


@pytest.mark.parametrize(
    ("text", "trained"),
    [
        ("", 0),
        ("\rruns:   0%|          | 0/3 [00:00<?, ?run/s]\rruns:  33%|███▎      | 1/3 [00:01<00:02]\n", 0),
        ("\rruns: 100%|██████████| 3/3 [00:01<00:00]\rruns: 100%|██████████| 3/3 [00:01<00:00, 2.31run/s]\n", 3),
        ("runs needed first: 100%|██████████| 2/2 [00:00<00:00]\nruns: 100%|██████████| 12/12 [00:01<00:00]\n", 14),
        ("\r03_training_time: 100%|██████████| 9/9 [00:01]\rmeasured networks: 100%|██████████| 6/6 [00:01]\n", 0),
    ],
)
def test_trained_in(text, trained):
    assert trained_in(text) == trained


@pytest.fixture
def study(store, tmp_path, monkeypatch, capfd):
    """Run a notebook with tiny parameters: study("03_training_time") -> (runs trained, keys of the runs it read)."""

    def call(name):
        options = [
            part for key, value in TINY.items() if key in profiles.inspect(name) for part in ("-p", f"{key}={value}")
        ]
        monkeypatch.setattr(sys, "argv", ["study", "run", name, *options, "--out", str(tmp_path)])
        capfd.readouterr()
        status = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
        err = capfd.readouterr().err
        assert status == 0, err
        return trained_in(err), set(scoreboard.payload(nbformat.read(tmp_path / f"{name}.ipynb", 4))["runs"])

    return call


@pytest.mark.slow
def test_notebooks_train_each_run_once(study):
    trained, read, before = {}, {}, 0
    for name in NOTEBOOKS:
        trained[name], read[name] = study(name)
        present = runs.all_runs()
        assert trained[name] == len(present) - before, name
        before = len(present)
    assert sum(trained.values()) == len(present)
    assert [trained[name] for name in NOTEBOOKS] == [2, 6, 4, 0]  # baselines; decay 0 and the waves; two generations

    readers = collections.Counter(key for keys in read.values() for key in keys)
    assert readers.keys() == {run.key for run in present}
    baselines = [run for run in present if (run.config["weight_decay"], run.config["wave"], run.config["generation"])
                 == (5e-4, "none", 0)]  # fmt: skip
    assert sorted(run.config["seed"] for run in baselines) == TINY["seeds"]
    assert all(readers[run.key] >= 3 for run in baselines)
    assert len(present) < sum(map(len, read.values()))
    assert read["12_generalization"] == {run.key for run in present if run.config["wave"] == "none"}


@pytest.mark.slow
def test_notebook_12_works_alone(study):
    """On an empty store it trains its baseline, and that is all it compares."""
    trained, read = study("12_generalization")
    assert trained == 2
    assert read == {run.key for run in runs.all_runs()}
    assert len(read) == 2
