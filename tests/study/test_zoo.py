"""The zoo: what it keeps is what was trained, to rounding; what is not there is one line."""

import re
import shutil

import pandas as pd
import pytest
import torch

from lib import data, measure, runs
from lib.parameters import StudyError
from lib.training import TrainingConfig
from study import results, verify, zoo

COMMON = {"dataset": "digits", "num_epochs": 2, "augmentation": "none"}
PROTOCOL = measure.Protocol(num_pairs=20, spacing=0.1, cutoff=0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A profile with the measures of four runs, three in its zoo and one too large for it."""
    place = tmp_path_factory.mktemp("project")
    models = (("mlp-1-16", 0), ("mlp-1-16", 1), ("resnet8-4", 0), ("mlp-1-128", 0))
    configs = [TrainingConfig(model=model, seed=seed, **COMMON) for model, seed in models]
    small = place / "results" / "small"
    small.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_STORE", str(place / "store"))
        patch.setattr(zoo, "ROOT", place)
        patch.setattr(zoo, "MOST_PARAMETERS", 6000)
        kept = runs.sweep(configs, "cpu")
        measure.sweep(configs, PROTOCOL, "cpu")
        results.reference_table(kept).to_parquet(small / "measures.parquet")
        assert zoo.collect("small") == 3
    return place, kept


@pytest.fixture
def shipped(made, tmp_path, monkeypatch):
    """The runs of a copy of that profile, the large one last."""
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    return made[1]


def test_the_zoo_has_the_last_weights_in_16_bits(shipped):
    digits = data.load("digits")
    names = sorted({file.name for file in zoo.files().values()})
    assert names == ["mlp-1-16.safetensors", "resnet8-4.safetensors"]
    for run in shipped[:3]:
        network = zoo.network(f"zoo:{run.key[:8]}", digits)
        assert not network.training
        for name, tensor in run.weights(2).items():
            kept = network.state_dict()[name]
            if tensor.ndim < 2:
                assert torch.equal(kept, tensor)
                continue
            rows, own = tensor.flatten(1), kept.flatten(1)
            step = rows.abs().amax(1, keepdim=True) / 32767
            assert ((own - rows).abs() <= 0.501 * step).all()
            assert not torch.equal(own, rows)


def test_a_zoo_made_anew_replaces_the_one_before(shipped, tmp_path, monkeypatch):
    before = {file: file.read_bytes() for file in zoo.files().values()}
    monkeypatch.setattr(zoo, "MOST_PARAMETERS", 2000)
    assert zoo.collect("small") == 2
    (file,) = set(zoo.files().values())
    assert file.read_bytes() == before[file]
    assert file.name == "mlp-1-16.safetensors"


def test_what_the_store_lacks_stays_in_the_zoo(shipped, tmp_path):
    before = {file: file.read_bytes() for file in zoo.files().values()}
    shutil.rmtree(tmp_path / "store")
    assert zoo.collect("small") == 3
    runs.sweep([TrainingConfig(model="mlp-1-16", seed=0, **COMMON)], "cpu")  # one of its family
    assert zoo.collect("small") == 3
    assert {file: file.read_bytes() for file in before} == before
    rows = pd.read_parquet(tmp_path / "results" / "small" / "measures.parquet")
    rows[rows["key"] != shipped[1].key].to_parquet(tmp_path / "results/small/measures.parquet")
    assert zoo.collect("small") == 2  # no longer measured
    assert shipped[1].key not in zoo.files()


def test_a_line_for_every_network_with_its_measures(shipped, study):
    status, out, _ = study("zoo")
    head, *lines, count = out.splitlines()
    assert (status, count) == (0, "3 networks")
    columns = ["hff_between", "hff_within", "power_between", "power_within"]
    assert head.split() == ["network", "model", "accuracy", *columns, "what"]
    rows = zoo.table().set_index(["key", "kind"])
    for run in shipped[:3]:
        (line,) = [line.split() for line in lines if run.key[:8] in line]
        assert line[:2] == [f"zoo:{run.key[:8]}", run.config["model"]]
        expected = [rows.at[(run.key, k), "hff"] for k in measure.KINDS]
        assert [float(word) for word in line[3:5]] == pytest.approx(expected, rel=0.01)
    status, out, err = study("zoo", "--write")  # of all profiles
    assert (status, out) == (2, "")
    assert err.startswith("study: profile: got '*'; accepted: one folder of results/")
    told = "study: profile: got 'nothing'; accepted: one with measures: small\n"
    assert study("zoo", "--profile", "nothing") == (2, "", told)


def test_a_network_of_the_zoo_is_measured_among_the_others(shipped, study, tmp_path):
    name = f"zoo:{shipped[0].key[:8]}"
    given = ["--data", "digits", "--out", tmp_path / "out", "--pairs", 20]
    status, out, err = study("measure", name, *given)
    assert status == 0, err
    assert out.startswith(f"{name} on 500 images of digits: accuracy ")
    assert "untrained" not in err
    assert "of 4" in out  # reference runs


def test_rounding_moves_measures_by_less_than_a_seed_does(shipped, monkeypatch, study):
    monkeypatch.setattr(verify, "MOST_OF_ZOO", 1.0)  # of hardly trained networks of two seeds
    status, out, err = study("verify", "--profile", "small", "--zoo", "--fraction", 1)
    assert status == 0, err
    assert "measuring the zoo's copies of 3 of 3 runs of small" in out
    moved = [float(line.split()[3]) for line in out.splitlines()[2:]]
    assert 0 < max(moved) < 1


def test_a_copy_that_is_another_network_is_noticed(shipped, monkeypatch):
    true = zoo.network

    def scaled(name, dataset):
        network = true(name, dataset)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.2)
        return network

    monkeypatch.setattr(zoo, "network", scaled)
    with pytest.raises(StudyError, match=r"^verify: small is not what its runs give"):
        verify.verify("small", 1.0, device="cpu", of_zoo=True)


@pytest.mark.parametrize("name", ["zoo:", "zoo:ffff", "zoo:../results"])
def test_a_network_that_is_not_there_is_one_line(shipped, study, tmp_path, name):
    status, out, err = study("measure", name, "--data", "digits", "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"study: network: got {name!r}; accepted: zoo:KEY of one of 3.*\n", err)


def test_damage_and_other_data_are_one_line(shipped, study, tmp_path):
    key = shipped[0].key
    given = ["measure", f"zoo:{key}", "--out", tmp_path / "out"]
    status, _, err = study(*given, "--data", "digits+merged:5-5:0")
    assert (status, err.count("\n")) == (2, 1)
    assert "does not fit" in err
    zoo.files()[key].write_bytes(b"no tensors")
    status, _, err = study(*given, "--data", "digits")
    assert (status, err.count("\n")) == (2, 1)
    assert "mlp-1-16.safetensors is damaged" in err
