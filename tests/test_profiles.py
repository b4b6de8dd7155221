"""The GPU profiles, smoke-tested on a CPU: one epoch of their own networks on a handful of images."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TINY = ["device=cpu", "num_epochs=1", "num_train=64", "num_test=20", "batch_size=32", "seeds=[0, 1]"]
OWN = {
    "02_noise_fitting": ["frequencies=[0.02, 0.1]", "clean_arm=false"],
    "03_training_time": ["num_pairs=10", "spacing=9.0"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "notebook"), [("cifar10", "02_noise_fitting"), ("paper", "03_training_time")])
def test_one_epoch_of_a_gpu_profile_on_a_cpu(store, tmp_path, profile, notebook):
    rng = np.random.default_rng(0)
    arrays = {
        f"x_{split}": rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for split, n in (("train", 64), ("test", 20))
    }
    np.savez(tmp_path / "tiny.npz", **arrays, y_train=np.arange(64) % 10, y_test=np.arange(20) % 10)
    options = [f"dataset=npz:{tmp_path / 'tiny.npz'}", *TINY, *OWN[notebook]]
    study = Path(sys.executable).with_name("study")
    command = [study, "run", notebook, "--profile", profile, "--out", tmp_path / "out"]
    command += [part for option in options for part in ("-p", option)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    claims = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert {claim["notebook"] for claim in claims} == {notebook}
    config = json.loads(next(store.glob("*/config.json")).read_text())["config"]
    assert config["model"] == "wrn-28-2"
    assert config["augmentation"] == "flip_crop+cutout"
    assert str(tmp_path) not in (tmp_path / "out" / f"{notebook}.ipynb").read_text()
