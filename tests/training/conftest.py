import numpy as np
import pytest


@pytest.fixture
def chain(configure):
    """A function that makes the configurations of generation 0, 1, ... up to `generations`."""

    def configurations(generations, weight=0.5, **fields):
        configs = [configure(**fields)]
        for _ in range(generations):
            taught = {"teacher": configs[-1], "true_label_weight": weight}
            configs.append(configure(**fields, **taught))
        return configs

    return configurations


@pytest.fixture
def npz(tmp_path):
    """A function that writes 24 random 4 x 4 images of so many classes: the dataset's name."""

    def write(name, classes=3, seed=0):
        rng = np.random.default_rng(seed)
        images, labels = rng.integers(0, 256, (24, 4, 4), dtype=np.uint8), np.arange(24) % classes
        file = tmp_path / f"{name}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels)
        return f"npz:{file}"

    return write
