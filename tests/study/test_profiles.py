"""Profiles: what their files may say, which of them wins, and one epoch of those for GPUs."""

import json

import nbformat
import numpy as np
import pytest

from lib.parameters import ROOT, StudyError
from study import profiles


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a profile's files: write("mine", common="lr: 0.1")."""
    monkeypatch.setattr(profiles, "PARAMS", tmp_path / "params")

    def files(profile, **texts):
        folder = tmp_path / "params" / profile
        folder.mkdir(parents=True)
        for stem, text in texts.items():
            (folder / f"{stem.removeprefix('_')}.yaml").write_text(text)

    return files


BAD = {
    "amplitud: 0.3": "amplitud",
    "lr: 0x1F": "lr: got '0x1F'; accepted: float",
    "lr: 12:30:45": "lr: got '12:30:45'; accepted: float",
    "num_epochs: 010": "num_epochs: got '010'; accepted: int",
    "num_epochs: 1e2": "num_epochs: got 100.0; accepted: int",
    "lr: 0.1\nlr: 0.2": "'lr' twice",
    "lr: &a 0.1\nmomentum: *a": "anchors",
    "<<: {lr: 0.1}": "mine/common.yaml: parameter: got '<<'",
    "extends: 3": "extends: got 3; accepted: str",
    "extends: ../x": "extends: got '../x'; accepted: base, mine",
    "- 3": "name: value",
    "lr: [": "YAML",
    "lr: !!python/object/apply:os.getcwd []": "YAML",
    "extends: nowhere": "mine/common.yaml: extends: got 'nowhere'; accepted: base, mine",
    "extends: mine": "mine/common.yaml: extends: got 'mine'",
    "extends: base": "base/common.yaml: extends: got 'mine'; accepted: a profile that does not",
    "extends: [base]": "mine/common.yaml: extends: got ['base']; accepted: str",
}


@pytest.mark.parametrize(("text", "words"), BAD.items())
def test_bad_profile_is_refused(write, text, words):
    write("mine", common=text)
    write("base", common="extends: mine")
    with pytest.raises(StudyError) as caught:
        profiles.resolve(["02_noise_fitting"], "mine", [])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_are_those_of_any_language(write):
    write("mine", common="lr: 1e-3\namplitude: .5\nfrequencies: [5E-1, 2]\nseeds: [0, 10]")
    expected = {"lr": 0.001, "amplitude": 0.5, "frequencies": [0.5, 2], "seeds": [0, 10]}
    assert profiles.resolve(["02_noise_fitting"], "mine", [])["02_noise_fitting"] == expected


def test_a_file_that_is_not_utf_8_is_refused(write, tmp_path):
    write("mine", common="")
    (tmp_path / "params" / "mine" / "common.yaml").write_bytes("lr: 0.1 # für".encode("latin-1"))
    with pytest.raises(StudyError, match=r"^mine/common.yaml: cannot be read as UTF-8"):
        profiles.resolve(["02_noise_fitting"], "mine", [])


def test_extends_belongs_into_common(write):
    write("base", common="lr: 0.1")
    write("mine", _02_noise_fitting="extends: base")
    with pytest.raises(StudyError, match=r"^mine/02_noise_fitting.yaml: extends: got 'base'"):
        profiles.resolve(["02_noise_fitting"], "mine", [])


def test_later_ones_win(write):
    common, own = "lr: 0.3\nnum_epochs: 7\nbatch_size: 9", "lr: 0.2\nnum_epochs: 8"
    write("mine", common=common, _02_noise_fitting=own)
    names = ["02_noise_fitting", "03_training_time"]
    resolved = profiles.resolve(names, "mine", ["lr=0.1", "frequencies=[1.0]"])
    expected = {"lr": 0.1, "num_epochs": 8, "batch_size": 9, "frequencies": [1.0]}
    assert resolved["02_noise_fitting"] == expected
    assert resolved["03_training_time"] == {"lr": 0.1, "num_epochs": 7, "batch_size": 9}


def test_a_profile_adds_to_the_one_that_it_extends(write):
    """Each file to the file of its name: the base's 02 beats the profile's common.yaml."""
    write("first", common="lr: 0.5\nmomentum: 0.5", _02_noise_fitting="frequencies: [0.5]")
    base = "extends: first\nlr: 0.3\nnum_epochs: 7\nbatch_size: 9"
    write("base", common=base, _02_noise_fitting="num_epochs: 8\namplitude: 0.4")
    own = {"_02_noise_fitting": "amplitude: 0.1", "_03_training_time": "spacing: 1.0"}
    write("mine", common="extends: base\nnum_epochs: 5\nbatch_size: 3", **own)
    assert profiles.lineage("mine") == ["first", "base", "mine"]
    common = {"lr": 0.3, "momentum": 0.5, "num_epochs": 5, "batch_size": 3}
    assert profiles.read_params("mine", "common") == common
    names = ["02_noise_fitting", "03_training_time"]
    waves = {"num_epochs": 8, "amplitude": 0.1, "frequencies": [0.5]}
    assert profiles.read_params("mine", names[0]) == waves
    assert profiles.read_params("mine", names[1]) == {"spacing": 1.0}


def test_the_papers_profile_is_cifar10s_but_for_its_length():
    names = profiles.notebook_names()
    short, long = (profiles.resolve(names, profile, []) for profile in ("cifar10", "paper"))
    for name in names:
        different = {key for key in long[name] if long[name][key] != short[name][key]}
        assert long[name].keys() == short[name].keys()
        assert different == {"num_epochs", "wave_epochs", "num_pairs"} & long[name].keys(), name


@pytest.mark.parametrize("profile", profiles.profile_names())
def test_every_profile_names_known_parameters_of_the_right_type(profile):
    names = profiles.notebook_names()
    assert set(profiles.resolve(names, profile, [])) == set(names)


def test_profile_files_belong_to_notebooks():
    stems = {path.stem for path in (ROOT / "params").rglob("*.yaml")}
    assert stems <= {"common", *profiles.notebook_names()}


def test_the_page_of_profiles_names_each():
    page = (ROOT / "params" / "README.md").read_text()
    assert all(f"`{profile}`" in page for profile in profiles.profile_names())


def test_rounds_of_seeds():
    given = {"02_noise_fitting": {}, "03_training_time": {"seeds": [4, 5], "lr": 0.1}}
    rounds = profiles.by_seeds(given)
    first, second = ([values[name].get("seeds") for values in rounds] for name in given)
    assert first == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], None]
    assert second == [[4], *[[4, 5]] * 4]
    assert all(values["03_training_time"]["lr"] == 0.1 for values in rounds)


def test_rounds_of_a_notebook_of_ones_own(tmp_path):
    for name, line in (("none", "x = 1"), ("one", "seeds: int = 3  # seed: s")):
        cell = nbformat.v4.new_code_cell(line, metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    given = {str(tmp_path / name): {} for name in ("none", "one")}
    assert profiles.by_seeds(given) == [given]
    assert profiles.by_seeds(given | {"02_noise_fitting": {"seeds": [1, 2]}})[1] == given | {
        "02_noise_fitting": {"seeds": [1, 2]}
    }


def test_defaults_are_pythons(tmp_path):
    lines = [
        "a: float = 1e-3  # nu: text",
        "b: list[int] = [0]",
        "c: str = 'x'",
        "d: int = 2 + 2",
    ]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "own.ipynb")
    declared = profiles.inspect(str(tmp_path / "own"))
    assert [its["default"] for its in declared.values()] == [0.001, [0], "x", "2 + 2"]
    assert (declared["a"]["unit"], declared["a"]["help"]) == ("nu", "text")
    cell.source = "a: float = 2.0"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "own.ipynb")
    assert [its["default"] for its in profiles.inspect(str(tmp_path / "own")).values()] == [2.0]


TINY = [
    "device=cpu",
    "num_epochs=1",
    "num_train=64",
    "num_test=40",
    "batch_size=32",
    "seeds=[0]",
]
OWN = ["frequencies=[0.02, 0.1]", "only_class=-1"]


@pytest.mark.slow
def test_one_epoch_of_a_gpu_profile_on_a_cpu(study, store, tmp_path):
    """Of `paper`, which extends `cifar10`."""
    profile, notebook = "paper", "02_noise_fitting"
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 64), ("test", 40)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(n) % 10
    np.savez(tmp_path / "tiny.npz", **arrays)
    options = [f"dataset=npz:{tmp_path / 'tiny.npz'}", *TINY, *OWN]
    arguments = [part for option in options for part in ("-p", option)]
    out = tmp_path / "out"
    status, _, err = study("run", notebook, "--profile", profile, "--out", out, *arguments)
    assert status == 0, err[-2000:]
    claims = json.loads((out / "claims.json").read_text())
    assert {claim["notebook"] for claim in claims} == {notebook}
    config = json.loads(next(store.glob("*/config.json")).read_text())["config"]
    assert config["model"] == "wrn-28-2"
    assert config["augmentation"] == "flip_crop+cutout"
    assert str(tmp_path) not in (out / f"{notebook}.ipynb").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("on", ["others", "whiten"])
def test_image_frequency_with_each_of_its_switches_alone(on, study, store, tmp_path):
    """`cifar10-cpu` has one of them off."""
    switches = [f"{name}={str(name == on).lower()}" for name in ("others", "whiten")]
    options = [*TINY[:-1], "seeds=[0, 1]", "heat_images=5", *switches]
    arguments = [part for option in options for part in ("-p", option)]
    status, _, err = study("run", "09_image_frequency", "--out", tmp_path / "out", *arguments)
    assert status == 0, err[-2000:]
    statements = [
        claim["statement"] for claim in json.loads((tmp_path / "out" / "claims.json").read_text())
    ]
    assert any("equal cycles" in statement for statement in statements) == (on == "others")
    assert any("whitened" in statement for statement in statements) == (on == "whiten")
