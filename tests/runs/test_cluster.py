"""A Dask cluster of real processes: a scheduler and two workers, killed while they work."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lib import runs
from lib.parameters import ROOT, StudyError, environment
from lib.training import TrainingConfig

FIELDS = {"dataset": "digits", "model": "mlp-2-64", "num_epochs": 15, "augmentation": "none"}
SWEEP = f"""
import sys
from lib import runs
from lib.training import TrainingConfig
runs.sweep([TrainingConfig(**{FIELDS}, seed=seed) for seed in range(int(sys.argv[1]))], "cpu")
"""


class Cluster:
    def __init__(self, folder):
        self.file, self.folder, self.processes = folder / "scheduler.json", folder, []
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self.start("scheduler", *options)
        while not self.file.is_file():
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, kind, *options, **variables):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        command += ["--scheduler-file", str(self.file)]
        own = {name: value for name, value in os.environ.items() if not name.startswith("STUDY_")}
        log = (self.folder / f"{kind}{len(self.processes)}.log").open("w")
        options = {"cwd": ROOT, "env": own | variables, "stdout": log, "stderr": log}
        self.processes.append(subprocess.Popen(command, **options))
        return self.processes[-1]

    def worker(self, **variables):
        return self.start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", **variables)

    def sweep(self, count, store):
        """A command that asks for `count` runs."""
        own = os.environ | {"STUDY_STORE": str(store), "DASK_SCHEDULER_ADDRESS": self.address}
        options = {"cwd": ROOT, "env": own, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", SWEEP, str(count)], **options)


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed")
    one = Cluster(tmp_path)
    yield one
    for process in one.processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def finished(store):
    return sorted(path.name for path in store.glob("[0-9a-f]*-*")) if store.is_dir() else []


def losses(store):
    with environment(STUDY_STORE=store):
        return {run.key: run.history["test_loss"].tolist() for run in runs.all_runs()}


def wait_for(store, count, process):
    while len(finished(store)) < count and process.poll() is None:
        time.sleep(0.02)


def test_a_worker_and_the_scheduler_are_killed(cluster, tmp_path):
    store, here = tmp_path / "store", tmp_path / "here"
    first = cluster.worker()
    cluster.worker()
    sweep = cluster.sweep(8, store)
    wait_for(store, 2, sweep)
    first.send_signal(signal.SIGKILL)
    _, told = sweep.communicate(timeout=120)
    assert sweep.returncode == 0, told
    assert len(finished(store)) == 8  # the other worker took over what the killed one was at

    more = cluster.sweep(20, store)
    wait_for(store, 9, more)
    cluster.scheduler.send_signal(signal.SIGKILL)
    _, told = more.communicate(timeout=120)
    assert more.returncode != 0
    assert "cluster: lost" in told
    assert "the same command goes on" in told
    kept = losses(store)
    assert 9 <= len(kept) < 20

    with environment(STUDY_STORE=here):
        runs.sweep([TrainingConfig(**FIELDS, seed=seed) for seed in range(10)], "cpu")
    alone = losses(here)
    assert {key: kept[key] for key in alone if key in kept}.items() <= alone.items()
    assert len(alone.keys() & kept.keys()) >= 8


def test_no_worker_and_one_with_another_store(cluster, tmp_path):
    config = TrainingConfig(**FIELDS, seed=0)
    here = {"STUDY_STORE": tmp_path / "store", "DASK_SCHEDULER_ADDRESS": cluster.address}
    with environment(**here), pytest.raises(StudyError, match="has no worker; start some"):
        runs.sweep([config], "cpu")
    cluster.worker(STUDY_STORE=str(tmp_path / "other"))
    while "Registered to" not in (tmp_path / "worker1.log").read_text():
        time.sleep(0.05)
    told = "has another run store; set STUDY_STORE there"
    with environment(**here), pytest.raises(StudyError, match=told):
        runs.sweep([config], "cpu")


def test_no_scheduler_is_said_before_anything_starts(store, study, tmp_path):
    pytest.importorskip("distributed")
    with environment(DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:1"):
        status, _, told = study("run", "02", "--out", tmp_path / "out")
        with pytest.raises(StudyError, match="no scheduler answers"):
            runs.check_cluster()
    assert status == 2
    assert "no scheduler answers at tcp://127.0.0.1:1" in told
    assert not (tmp_path / "out").exists()
