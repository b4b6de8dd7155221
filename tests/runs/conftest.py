import dataclasses
import multiprocessing
import os
import signal
import time
from typing import ClassVar

import numpy as np
import pytest
import torch

from lib.parameters import Config


@dataclasses.dataclass(frozen=True)
class Toy(Config):
    """A configuration whose execution is a line; a later generation needs the one before."""

    kind: ClassVar[str] = "toy"

    value: int
    generation: int = 0
    fate: str = "finished"

    def needs(self):
        if self.generation == 0:
            return []
        return [dataclasses.replace(self, generation=self.generation - 1)]

    def execute(self, device, *needed):
        if self.fate == "fails":
            raise RuntimeError("the power went off")
        if self.fate == "killed" and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(os.environ["TOY_LOG"], "a") as log:
            log.write(f"{self.value}.{self.generation}\n")
        if self.fate == "slow":
            time.sleep(0.1)
        if self.fate == "waits" and multiprocessing.parent_process() is not None:
            time.sleep(600)
        twice = 2.0 * self.value + sum(run.arrays()["twice"][1] for run in needed)
        history = {
            "epoch": np.array([1, 2]),
            "twice": np.array([0.5, twice]),
            "threads": np.array([torch.get_num_threads()] * 2),
        }
        return history, {} if self.fate == "weightless" else {"1/w": torch.ones(2)}


@pytest.fixture
def toy():
    """The class of a configuration that is executed at once."""
    return Toy


@pytest.fixture(autouse=True)
def executed(tmp_path, monkeypatch):
    """A function that gives "VALUE.GENERATION" of every toy that was executed, in any process."""
    log = tmp_path / "executed"
    log.touch()
    monkeypatch.setenv("TOY_LOG", str(log))
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    return lambda: log.read_text().split()


@pytest.fixture
def histories():
    """A function that gives every array of some runs by key."""
    return lambda runs: {run.key: run.arrays() for run in runs}


@pytest.fixture
def assert_same():
    """A function that compares two `histories`, to the bit."""

    def compare(first, second):
        assert first.keys() == second.keys()
        for key, arrays in first.items():
            assert arrays.keys() == second[key].keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, second[key][name])

    return compare
