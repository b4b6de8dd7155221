"""Notebooks share their runs: what one has trained no other trains again."""

import collections
import re

import nbformat
import pytest

from lib import runs
from study import profiles, results
from study.copies import executed_in, payload

LAST = "13_generalization"
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
def test_the_last_comparison_works_alone(execute):
    """On an empty store it trains all that it compares: baselines, decay 0, two students, three
    perturbations; of each two seeds."""
    trained, read = execute(LAST)
    assert trained == 2 + 2 + 4 + 6
    assert read == {run.key for run in runs.all_runs()}
    assert len(read) == trained


def test_what_came_with_the_study_was_trained_once():
    """The last comparison read what others had trained, and the baselines are everybody's."""
    copies = executed_in(results.place_of("digits"))
    read = {file.stem: set(payload(executed)["runs"]) for file, executed in copies}
    last = read.pop(LAST)
    readers = collections.Counter(key for keys in read.values() for key in keys)
    assert last <= readers.keys()
    usual = {key for key, count in readers.items() if count >= 5}
    assert len(usual & last) >= 2
