import numpy as np
import pytest


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    """The test's own folder STUDY_DATA."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("STUDY_DATA", str(folder))
    return folder


@pytest.fixture
def arrays():
    """A function that makes a small random dataset of 40 + 12 images of 4 classes."""

    def make(channels=3, dtype=np.uint8, seed=0):
        rng = np.random.default_rng(seed)
        shape = (6, 5) if channels is None else (6, 5, channels)
        images = [rng.integers(0, 256, (n, *shape)).astype(dtype) for n in (40, 12)]
        labels = [np.arange(n) % 4 for n in (40, 12)]
        return dict(zip(("x_train", "x_test", "y_train", "y_test"), images + labels, strict=True))

    return make
