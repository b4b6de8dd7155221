"""A sweep in parts: seed by seed, for a given time, on one machine after the other."""

import os
import shutil
import time

import pytest
import torch

from lib import execute, measure, parallel, profiles, runs
from lib.parameters import OutOfTime, StudyError, environment

HOW = measure.MeasurementConfig(num_pairs=45, spacing=0.5, cutoff=0.5)


def _process(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def _wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.mark.parametrize("workers", [1, 2])
def test_the_tasks_in_flight_are_finished(monkeypatch, workers):
    monkeypatch.setattr(parallel, "num_workers", lambda: workers)
    monkeypatch.setenv("STUDY_DEADLINE", str(time.time() + 1))
    started = time.time()
    with pytest.raises(OutOfTime, match="finished runs are kept"):
        parallel.parallel_map(_wait, [1.5] * 20, "cpu")
    assert 1.5 <= time.time() - started < 10


@pytest.mark.parametrize(("asked", "expected"), [(None, 2), ("1", 1), ("3", 3)])
def test_tasks_at_a_time(monkeypatch, asked, expected):
    monkeypatch.setattr(parallel, "num_workers", lambda: 2)
    with environment(STUDY_AT_ONCE=asked):
        assert parallel.at_once(torch.device("cpu")) == expected
        processes = set(parallel.parallel_map(_process, [0.3] * 6, "cpu"))
    assert len(processes) == expected
    assert (os.getpid() in processes) == (expected == 1)


def test_one_task_at_a_time_on_a_gpu():
    assert parallel.at_once(torch.device("cuda")) == 1
    with environment(STUDY_AT_ONCE=4):
        assert parallel.at_once(torch.device("cuda")) == 4


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1.5"])
def test_bad_number_at_a_time(asked):
    with environment(STUDY_AT_ONCE=asked), pytest.raises(StudyError, match=f"^STUDY_AT_ONCE: got '{asked}'"):
        parallel.at_once(torch.device("cpu"))


def test_command_line_hands_on_what_it_was_asked_for(study, store, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(execute, "notebook", lambda *_: seen.append(dict(os.environ)) or True)
    status, _, _ = study("run", "02", "--at-once", 3, "--time-budget", 1, "-p", "seeds=[0]", "--out", tmp_path)
    assert status == 0
    assert seen[0]["STUDY_AT_ONCE"] == "3"
    assert 0 < float(seen[0]["STUDY_DEADLINE"]) - time.time() < 60
    assert not {"STUDY_AT_ONCE", "STUDY_DEADLINE"} & set(os.environ)


def test_runs_finished_in_time_are_kept(configure, store, monkeypatch):
    configs = [configure(seed=seed) for seed in range(3)]
    runs.find_or_execute(configs[0], "cpu")
    monkeypatch.setenv("STUDY_DEADLINE", "1")
    with pytest.raises(OutOfTime):
        runs.sweep(configs, "cpu")
    assert [run.key for run in runs.all_runs()] == [runs.key_of(configs[0])]
    assert len(runs.sweep(configs[:1], "cpu")) == 1  # nothing is left to do, so time does not matter
    monkeypatch.delenv("STUDY_DEADLINE")
    assert len(runs.sweep(configs, "cpu")) == 3


def test_rounds_of_seeds():
    rounds = profiles.by_seeds({"02_noise_fitting": {}, "03_training_time": {"seeds": [4, 5], "lr": 0.1}})
    assert [values["02_noise_fitting"].get("seeds") for values in rounds] == [[0], [0, 1], None]
    assert [values["03_training_time"]["seeds"] for values in rounds] == [[4], [4, 5], [4, 5]]
    assert all(values["03_training_time"]["lr"] == 0.1 for values in rounds)


def test_measures_travel_without_weights(configure, store, tmp_path, monkeypatch):
    configs = [configure(seed=seed) for seed in range(2)]
    made = runs.sweep(configs, "cpu")
    expected, _ = measure.final(configs, HOW, "cpu")
    assert runs.export(tmp_path / "other") == 2
    shutil.rmtree(store)
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    monkeypatch.setattr(type(configs[0]), "execute", lambda self, device: pytest.fail("trained again"))
    there = runs.sweep(configs, "cpu")
    assert [run.record for run in there] == [run.record for run in made]  # where and when each was made, too
    found, _ = measure.final(configs, HOW, "cpu")
    assert found.equals(expected)
    assert not list((tmp_path / "other").rglob("*.safetensors"))
    with pytest.raises(StudyError, match=f"run {there[0].key} came without its weights"):
        there[0].weights(2)


def test_weights_travel_when_asked_for(configure, store, tmp_path, monkeypatch):
    run = runs.find_or_execute(configure(), "cpu")
    runs.export(tmp_path / "other")
    runs.export(tmp_path / "other", weights=True)  # what is missing is added
    assert runs.open_run(tmp_path / "other" / run.key).weights(2).keys() == run.weights(2).keys()
