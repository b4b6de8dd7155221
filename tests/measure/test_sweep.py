"""Measurements in the store: each made once and kept, found again, and never the wrong ones."""

import dataclasses
import json
import sys

import numpy as np
import pandas as pd
import pytest

from lib import measure, runs
from lib.measure import Protocol
from lib.parameters import StudyError

PROTOCOL = Protocol(num_pairs=45, spacing=0.1, cutoff=0.5)


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


def test_what_is_kept_is_what_was_measured_to_single_precision(trained):
    config, run = trained
    model = config.build()
    model.load_state_dict(run.weights(3))
    fresh = measure.measure(model, config.load_data(), PROTOCOL, "cpu")
    kept = measure.measured(run, 3, PROTOCOL, config, "cpu")
    for one, other in zip(fresh, kept, strict=True):
        assert "float64" not in set(map(str, other.dtypes))
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-7, atol=1e-30)
    powers = kept.paths.filter(like="power_").to_numpy()
    assert powers.min() > 0
    assert powers.max() < 1


def test_measurements_of_other_epochs_are_others(trained):
    config, run = trained
    of_epochs = [measure.measured(run, n, PROTOCOL, config, "cpu") for n in (0, 1, 3)]
    shares = [measurement.paths["correct"].mean() for measurement in of_epochs]
    assert shares[0] < shares[1] <= shares[2]
    untrained = measure.measure(config.build(), config.load_data(), PROTOCOL, "cpu")
    pd.testing.assert_frame_equal(of_epochs[0].paths, untrained.paths, check_dtype=False)


def test_epoch_that_was_not_kept(trained):
    config, run = trained
    with pytest.raises(StudyError, match=r"^epoch: got 9"):
        measure.measured(run, 9, PROTOCOL, config, "cpu")


FLIPS = 60
FILES = ("config.json", "network.parquet", "paths.parquet")


@pytest.mark.parametrize("name", ["config.json", "paths.parquet"])
def test_every_flipped_bit_of_a_measurement_is_noticed(trained, capfd, monkeypatch, name):
    """It is set aside and made anew (here by a function that knows the result)."""
    config, run = trained
    rng, first = np.random.default_rng(0), measure.measured(run, 3, PROTOCOL, config, "cpu")
    monkeypatch.setattr(sys.modules[measure.measured.__module__], "measure", lambda *_: first)
    (folder,) = run.path.glob("measure-*")
    for _ in range(FLIPS):
        content = bytearray((folder / name).read_bytes())
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        (folder / name).write_bytes(content)
        capfd.readouterr()
        again = measure.measured(run, 3, PROTOCOL, config, "cpu")
        (said,) = [line for line in capfd.readouterr().err.splitlines() if "damaged" in line]
        place = f"run {run.key}, {folder.name}"
        assert said.startswith(f"study: store: {place} is damaged: {name} ")
        assert "set aside as .damaged-measure-" in said
        for one, other in zip(first, again, strict=True):
            pd.testing.assert_frame_equal(one, other)
    assert len(list(run.path.glob(".damaged-measure-*"))) == FLIPS
    assert [path.name for path in run.path.glob("measure-*")] == [folder.name]


@pytest.mark.parametrize("name", FILES)
def test_a_measurement_that_is_not_whole_is_no_dead_end(trained, name):
    config, run = trained
    first = measure.measured(run, 3, PROTOCOL, config, "cpu")
    (file,) = run.path.rglob(f"measure-*/{name}")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StudyError, match=f"^measure: run {run.key} was not measured") as caught:
        measure.read_measurement(run, 3, PROTOCOL)
    assert "\n" not in str(caught.value)
    measure.sweep([config], PROTOCOL, "cpu")
    pd.testing.assert_frame_equal(measure.read_measurement(run, 3, PROTOCOL).paths, first.paths)


def test_a_seed_draws_its_own_pairs_and_its_networks_share_them(configure, store):
    """Those of the protocol with that seed, so that the spread over seeds is one over images."""
    configs = [configure(seed=s, num_epochs=n, num_test=200) for s in (0, 1) for n in (1, 2)]
    pairs = []
    for config, run in zip(configs, runs.sweep(configs, "cpu"), strict=True):
        paths = measure.measured(run, config.num_epochs, PROTOCOL, config, "cpu").paths
        pairs.append({(row.kind, row.a, row.b) for row in paths.itertuples()})
        (folder,) = run.path.glob("measure-*")
        assert json.loads((folder / "config.json").read_text())["seed"] == config.seed
    assert pairs[0] == pairs[1]
    assert pairs[2] == pairs[3]
    assert len(pairs[0] & pairs[2]) < 20
    dataset = configs[0].load_data()
    own = dataclasses.replace(PROTOCOL, seed=1).joined(dataset)
    expected = {(kind, *map(int, pair)) for kind in own for pair in own[kind].pairs}
    assert pairs[2] == expected


def test_the_protocols_own_seed_changes_nothing(trained):
    """A run is measured along the pairs of its own, whoever asks."""
    config, run = trained
    one = measure.measured(run, 3, PROTOCOL, config, "cpu")
    other = measure.measured(run, 3, dataclasses.replace(PROTOCOL, seed=5), config, "cpu")
    pd.testing.assert_frame_equal(one.paths, other.paths)
    assert len(list(run.path.glob("measure-*"))) == 1


def test_sweep_compares_networks_along_matched_paths(configure, store):
    fields = [{"seed": s, "weight_decay": w} for s in (0, 1) for w in (0.0, 0.01)]
    configs = [configure(**each, num_test=200, num_epochs=4) for each in fields]
    opened = runs.sweep(configs, "cpu")
    summary = measure.sweep(configs, PROTOCOL, "cpu")
    assert summary.groupby(["seed", "weight_decay", "kind"]).size().tolist() == [1] * 8
    assert summary["included"].all()
    measured = {run.key: measure.read_measurement(run, 4, PROTOCOL).paths for run in opened}
    for seed in (0, 1):
        of_seed = [measured[run.key] for run in opened if run.config["seed"] == seed]
        right = np.logical_and.reduce([paths["correct"] for paths in of_seed])
        for row in summary[summary["seed"] == seed].itertuples():
            paths = measured[row.key]
            matched = paths[right & (paths["kind"] == row.kind)]
            assert row.num_paths == len(matched) < paths["correct"].sum()
            assert row.power_softmax_1 == pytest.approx(matched["power_softmax_1"].mean(), rel=1e-6)
            every = paths.loc[paths["kind"] == row.kind, "hff"].mean()
            assert row.hff == pytest.approx(every, rel=1e-6)
            last = runs.open_run(store / row.key).history["test_accuracy"].iloc[-1]
            assert row.test_accuracy == pytest.approx(last)


def test_sweep_over_epochs_matches_paths_over_epochs(configure, store):
    """The untrained network is right nowhere: it is left out, and chooses no paths."""
    config = configure(num_epochs=4, num_test=200)
    runs.sweep([config], "cpu")
    summary = measure.sweep([config], PROTOCOL, "cpu", epochs=(0, 1, 2, 4))
    assert summary["epoch"].tolist() == [0, 0, 1, 1, 2, 2, 4, 4]
    assert summary.groupby("epoch")["included"].first()[[0, 4]].tolist() == [False, True]
    for _, rows in summary[summary["included"]].groupby("kind"):
        assert rows["num_paths"].nunique() == 1
        assert rows["num_paths"].iloc[0] > 0
    assert measure.left_out(summary, "epoch")


def test_sweep_measures_each_network_after_its_own_last_epoch(configure, store):
    configs = [configure(num_epochs=epochs, num_test=200) for epochs in (1, 3)]
    runs.sweep(configs, "cpu")
    summary = measure.sweep((config for config in configs), PROTOCOL, "cpu")
    assert summary.groupby("num_epochs")["epoch"].unique().map(list).to_dict() == {1: [1], 3: [3]}


def test_sweep_of_a_run_that_is_not_in_the_store(configure, store):
    with pytest.raises(StudyError, match=r"^measure: .*runs\.sweep"):
        measure.sweep([configure()], PROTOCOL, "cpu")


def test_networks_of_other_test_images_are_not_compared(configure, store):
    configs = [configure(num_test=number) for number in (150, 200)]
    runs.sweep(configs, "cpu")
    with pytest.raises(StudyError, match=r"^measure: got paths between different images"):
        measure.sweep(configs, PROTOCOL, "cpu")
