"""PyTorch is imported where it is needed: the process that hands tests out needs none."""

import sys

import pytest

from study import command


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny networks: threads that wait for each other on a busy machine take far longer."""
    import threadpoolctl
    import torch

    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1, user_api="blas")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty run store of the test's own."""
    path = tmp_path / "store"
    monkeypatch.setenv("STUDY_STORE", str(path))
    return path


@pytest.fixture(scope="session")
def configure():
    """A function that makes the configuration of a run of about 20 ms, with any field replaced."""

    from lib.training import TrainingConfig

    def configuration(**fields) -> TrainingConfig:
        quick = {
            "dataset": "digits",
            "model": "mlp-1-16",
            "seed": 0,
            "num_epochs": 2,
            "augmentation": "none",
        }
        return TrainingConfig(**(quick | fields))

    return configuration


@pytest.fixture
def study(monkeypatch, capfd):
    """Call the command line here: study("run", "02") -> (exit status, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments)])
        status = 0
        try:
            command.main()
        except SystemExit as stop:
            status = stop.code or 0
        return status, *capfd.readouterr()

    return call
