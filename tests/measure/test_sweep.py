"""Measurements in the store: each made once and kept, found again, and never the wrong ones."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from lib import measure, runs
from lib.measure import Protocol
from lib.parameters import StudyError
from notebooks.primer import OneDimensionalConfig

PROTOCOL = Protocol(num_pairs=45, spacing=0.8, cutoff=0.2)


def test_a_measurement_is_made_once_and_kept(trained, monkeypatch):
    config, run = trained
    first = measure.measured(run, 3, PROTOCOL, config, "cpu")
    monkeypatch.setattr(type(config), "build", lambda *_: pytest.fail("measured again"))
    again = measure.measured(run, 3, PROTOCOL, config, "cpu")
    read = measure.read_measurement(run, 3, PROTOCOL)
    for one, *others in zip(first, again, read, strict=True):
        for other in others:
            pd.testing.assert_frame_equal(one, other)
    assert runs.open_run(run.path).key == run.key  # and the run is still whole


def test_what_is_kept_is_what_was_measured(trained):
    config, run = trained
    model = config.build()
    model.load_state_dict(run.weights(3))
    fresh = measure.measure(model, config.load_data(), PROTOCOL, "cpu")
    kept = measure.measured(run, 3, PROTOCOL, config, "cpu")
    for one, other in zip(fresh, kept, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_measurements_of_other_epochs_are_others(trained):
    config, run = trained
    of_epochs = [measure.measured(run, n, PROTOCOL, config, "cpu") for n in (0, 1, 3)]
    shares = [measurement.paths["correct"].mean() for measurement in of_epochs]
    assert shares[0] < shares[1] <= shares[2]
    untrained = measure.measure(config.build(), config.load_data(), PROTOCOL, "cpu")
    pd.testing.assert_frame_equal(of_epochs[0].paths, untrained.paths)


def test_epoch_that_was_not_kept(trained):
    config, run = trained
    with pytest.raises(StudyError, match=r"^epoch: got 9"):
        measure.measured(run, 9, PROTOCOL, config, "cpu")


@pytest.mark.parametrize("name", ["paths", "spectra", "network"])
def test_damaged_measurement_is_said_in_one_line(trained, name):
    config, run = trained
    measure.measured(run, 3, PROTOCOL, config, "cpu")
    (file,) = run.path.rglob(f"{name}.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StudyError, match=f"^store: run {run.key}: .*damaged") as caught:
        measure.measured(run, 3, PROTOCOL, config, "cpu")
    assert "\n" not in str(caught.value)


def test_sweep_summarises_each_network(configure, store):
    configs = [configure(seed=seed, num_test=200) for seed in (0, 1)]
    runs.sweep(configs, "cpu")
    summary, spectra = measure.sweep(configs, PROTOCOL, "cpu", epochs=(0, 2))
    assert summary.groupby(["epoch", "seed", "kind", "selection"]).size().tolist() == [1] * 16
    keys = spectra.groupby(["epoch", "key", "kind", "representation"]).size()
    assert keys.tolist() == [32] * (2 * 2 * 2 * 3)
    for row in summary.itertuples():
        run = runs.open_run(store / row.key)
        assert run.config["seed"] == row.seed
        paths = measure.read_measurement(run, row.epoch, PROTOCOL).paths
        chosen = paths["correct"] | (row.selection == "all")
        paths = paths[(paths["kind"] == row.kind) & chosen]
        assert row.num_paths == len(paths)
        mean = paths["power_softmax"].mean()
        assert row.power_softmax == pytest.approx(mean, nan_ok=True)
        accuracy = run.history.set_index("epoch")["test_accuracy"].get(row.epoch, math.nan)
        assert row.test_accuracy == pytest.approx(accuracy, nan_ok=True)


def test_sweep_measures_each_network_after_its_own_last_epoch(configure, store):
    configs = [configure(num_epochs=epochs, num_test=200) for epochs in (1, 3)]
    runs.sweep(configs, "cpu")
    summary, spectra = measure.sweep((config for config in configs), PROTOCOL, "cpu")
    assert summary.groupby("num_epochs")["epoch"].unique().map(list).to_dict() == {1: [1], 3: [3]}
    assert set(spectra["epoch"]) == {1, 3}


def test_sweep_of_a_run_that_is_not_in_the_store(configure, store):
    with pytest.raises(StudyError, match=r"^measure: .*runs\.sweep"):
        measure.sweep([configure()], PROTOCOL, "cpu")


@pytest.fixture
def put(configure, store):
    """A function that trains a run and measures it by a protocol (None: not at all) at an epoch
    (None: the last)."""

    def trained(protocol=PROTOCOL, epoch=None, **fields):
        config = configure(num_epochs=1, num_test=100, **fields)
        run = runs.find_or_execute(config, "cpu")
        if protocol is not None:
            measure.measured(run, 1 if epoch is None else epoch, protocol, config, "cpu")
        return run

    return trained


def test_stored_of_an_empty_store(store):
    message = r"^store: 0 runs on digits are measured this way; run the other notebooks first$"
    with pytest.raises(StudyError, match=message):
        measure.stored(PROTOCOL, "digits")


def test_stored_needs_two_networks(put):
    put()
    with pytest.raises(StudyError, match=r"^store: 1 runs on digits"):
        measure.stored(PROTOCOL, "digits")


def test_stored_finds_what_was_measured(put):
    there = [put(seed=0), put(seed=1), put(weight_decay=0.0)]
    summary, found = measure.stored(PROTOCOL, "digits")
    assert [run.key for run in found] == sorted(run.key for run in there)
    assert summary["key"].unique().tolist() == sorted(run.key for run in there)
    for run in there:
        expected = measure.summarize(run, 1, measure.read_measurement(run, 1, PROTOCOL))
        rows = summary[summary["key"] == run.key].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected)
    _, some = measure.stored(PROTOCOL, "digits", weight_decay=there[0].config["weight_decay"])
    assert {run.key for run in some} == {run.key for run in there[:2]}


NOT_COMPARED = {
    "a wave": {"wave": "radial", "frequency": 0.2, "amplitude": 0.3},
    "the uniform control": {"wave": "uniform", "amplitude": 0.3},
    "not measured": {"seed": 7, "protocol": None},
    "measured in another way": {"seed": 7, "protocol": dataclasses.replace(PROTOCOL, spacing=1.0)},
    "along another path": {"seed": 7, "protocol": dataclasses.replace(PROTOCOL, path="slerp")},
    "before training": {"seed": 7, "epoch": 0},
}


@pytest.mark.parametrize("fields", NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_stored_leaves_out(put, fields):
    there = {put(seed=0).key, put(seed=1).key}
    one_dimensional = OneDimensionalConfig(network="relu", frequencies=(1,), seed=0, num_steps=1)
    runs.find_or_execute(one_dimensional, "cpu")
    other = put(**fields)
    summary, found = measure.stored(PROTOCOL, "digits")
    assert {run.key for run in found} == set(summary["key"]) == there
    assert other.key not in there


def test_stored_leaves_out_other_datasets_and_needs_no_folder(put, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (200, 8, 8), dtype=np.uint8), np.arange(200) % 10
    name = f"npz:{tmp_path / 'noise.npz'}"
    np.savez(tmp_path / "noise.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    there = {one: {put(dataset=one, seed=seed).key for seed in (0, 1)} for one in ("digits", name)}
    for one, keys in (*there.items(), ("npz:noise.npz", there[name])):
        assert {run.key for run in measure.stored(PROTOCOL, one)[1]} == keys
