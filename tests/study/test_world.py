"""What parameters point to: checked, and known by its content."""

import nbformat
import numpy as np
import pytest

from lib.parameters import StudyError
from study import world


def own_notebook(file, *lines):
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), file.with_suffix(".ipynb"))
    return str(file)


def test_data_are_known_by_their_content(tmp_path):
    own = own_notebook(tmp_path / "own", "dataset: str = 'digits'")
    images, labels = np.arange(20 * 16, dtype=np.uint8).reshape(20, 4, 4), np.arange(20) % 4
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    for name, shift in (("a", 0), ("b", 0), ("c", 1)):
        np.savez(tmp_path / f"{name}.npz", **arrays | {"x_test": images + np.uint8(shift)})

    def known(name):
        return world.fingerprints(own, {"dataset": f"npz:{tmp_path / name}.npz"})["dataset"]

    assert known("a") == known("b") != known("c")
    assert world.fingerprints(own, {})["dataset"] not in (known("a"), known("c"))


def test_folders_are_known_by_their_files(tmp_path):
    own = own_notebook(tmp_path / "own", "images: str = ''")
    (tmp_path / "photos" / "a").mkdir(parents=True)
    given, seen = {"images": f"folder:{tmp_path / 'photos'}"}, []
    for name, content in (("1", b"1"), ("1", b"2"), ("2", b"2")):
        (tmp_path / "photos" / "a" / name).write_bytes(content)
        seen.append(str(world.fingerprints(own, given)))
    assert len(set(seen)) == 3
    assert str(tmp_path) not in "".join(seen)


def test_a_notebook_of_ones_own_may_have_other_parameters(tmp_path):
    lines = ["networks: list[str] = ['mlp-1-16']", "num_train: int = 20", "model = 3"]
    own = own_notebook(tmp_path / "own", *lines, "dataset: str = 'digits'", "widths = [16, 32]")
    world.check_world(own, {})
    world.fingerprints(own, {})
    with pytest.raises(StudyError, match=r"^model: got 'lenet'"):
        world.check_world(own, {"networks": ["lenet"]})
    with pytest.raises(StudyError, match=r"^num_train: got 5000"):
        world.check_world(own, {"num_train": 5000})
    with pytest.raises(StudyError, match=r"^feature_network: "):
        world.check_world(own, {"feature_network": "cnn-8"})


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"num_pairs": 300, "spacing": 0.05, "cutoff": 0.5}, False),
        ({"num_pairs": 300, "spacing": 1e-4, "cutoff": 0.5}, False),
        ({"num_pairs": 300, "spacing": 1e-6, "cutoff": 0.5}, True),
        ({"num_pairs": 10**7, "spacing": 0.05, "cutoff": 0.5}, True),
        ({"num_pairs": 1, "spacing": 1e-12, "cutoff": 1e-12}, True),
    ],
)
def test_absurd_work_is_refused_before_it_starts(given, refused):
    if refused:
        with pytest.raises(StudyError, match=r"^spacing: got .* up to 1e\+09 points, not \d"):
            world.check_world("03_training_time", given)
    else:
        world.check_world("03_training_time", given)
