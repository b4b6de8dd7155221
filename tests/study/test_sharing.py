"""Notebooks share their runs: what one has trained no other trains again."""

import collections
import re

import nbformat
import pytest

from lib import runs
from study import profiles, results

NOTEBOOKS = ("13_generalization", "06_weight_decay", "08_distillation")
TINY = {
    "model": "mlp-1-16",
    "num_epochs": 2,
    "seeds": [0, 1],
    "num_pairs": 20,
    "spacing": 0.1,
    "weight_decays": [0.0, 5.0e-4],
    "true_label_weights": [0.0, 0.5],
    "num_generations": 1,
    "families": ["mlp-1-16"],
    "shares": [1.0],
    "augmentations": ["none"],
}
BAR = re.compile(r"(?:^|\r)runs(?: needed first)*: 100%\|[^|]*\| (\d+)/\1 ")


def trained_in(stderr):
    """How many runs the sweeps trained, from the last state of each progress bar."""
    return sum(int(states[-1]) for line in stderr.split("\n") if (states := BAR.findall(line)))


@pytest.fixture
def execute(study, store, tmp_path):
    """Run a notebook with tiny parameters: (runs trained, keys of the runs it read)."""

    def call(name):
        declared = profiles.inspect(name)
        options = [f"{key}={value}" for key, value in TINY.items() if key in declared]
        arguments = [part for option in options for part in ("-p", option)]
        status, _, err = study("run", name, *arguments, "--out", tmp_path)
        assert status == 0, err
        executed = nbformat.read(tmp_path / f"{name}.ipynb", 4)
        return trained_in(err), set(results.payload(executed)["runs"])

    return call


@pytest.mark.slow
def test_notebooks_train_each_run_once(execute):
    """The last comparison, on an empty store, trains all that it compares, and nothing of it is
    trained again."""
    trained, read, before = {}, {}, 0
    for name in NOTEBOOKS:
        trained[name], read[name] = execute(name)
        present = runs.all_runs()
        assert trained[name] == len(present) - before, name
        before = len(present)
    # baselines, decay 0, students, perturbations; two waves and their control of each decay; none
    assert [trained[name] for name in NOTEBOOKS] == [2 + 2 + 4 + 6, 12, 0]

    readers = collections.Counter(key for keys in read.values() for key in keys)
    assert readers.keys() == {run.key for run in present}
    usual = {"weight_decay": 5e-4, "wave": "none", "generation": 0, "augmentation": "none"}
    baselines = [run for run in present if usual.items() <= run.config.items()]
    assert sorted(run.config["seed"] for run in baselines) == TINY["seeds"]
    assert all(readers[run.key] == 3 for run in baselines)
    clean = {run.key for run in present if run.config["wave"] == "none"}
    assert len(read["13_generalization"]) == trained["13_generalization"]
    assert read["13_generalization"] >= clean
