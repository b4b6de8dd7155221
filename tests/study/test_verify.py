"""Shipped runs, trained again: what they give is what was shipped, and a tampered table is seen."""

import dataclasses
import shutil

import pandas as pd
import pytest

from lib import measure, runs
from lib.parameters import StudyError, environment
from study import results, verify, zoo

DECAYS = (0.0, 0.01, 0.1)
PROTOCOL = measure.Protocol(num_pairs=20, spacing=0.1, cutoff=0.5)
MORE = dataclasses.replace(PROTOCOL, num_pairs=30)  # measured by two


@pytest.fixture(scope="module")
def six(configure, tmp_path_factory):
    """A store of six measured runs."""
    place = tmp_path_factory.mktemp("six")
    decays = [configure(seed=seed, weight_decay=decay) for decay in DECAYS for seed in (0, 1)]
    with environment(STUDY_STORE=place):
        runs.sweep(decays, "cpu")
        for protocol in (PROTOCOL, MORE):
            measure.sweep(decays, protocol, "cpu")
    return place


@pytest.fixture
def shipped(six, store, tmp_path, monkeypatch):
    """A profile of six runs, as it would come with the study: the file of its measures."""
    shutil.copytree(six, store)
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    file = tmp_path / "results" / "small" / "measures.parquet"
    file.parent.mkdir(parents=True)
    results.reference_table(runs.all_runs()).to_parquet(file)
    return file


def test_runs_trained_again_give_what_was_shipped(shipped, store, capsys):
    moved = verify.verify("small", 1.0, device="cpu")
    assert set(moved["measure"]) == set(verify.MEASURES)
    assert (moved["deviation"] < 1e-6).all()
    assert "training 6 of 6 runs of small again" in capsys.readouterr().out
    assert len(runs.all_runs()) == 6  # in a store of their own


@pytest.mark.parametrize("column", ["hff", "power_softmax_1", "share_logits_4", "test_accuracy"])
def test_a_tampered_table_is_caught(shipped, column):
    table = pd.read_parquet(shipped)
    table.loc[table["key"] == table["key"].iloc[0], column] *= 20
    table.to_parquet(shipped)
    with pytest.raises(StudyError, match=rf"^verify: small is not what its runs give: {column} "):
        verify.verify("small", 1.0, device="cpu")


def test_other_data_are_said(shipped):
    table = pd.read_parquet(shipped)
    table.assign(fingerprint="0" * 16).to_parquet(shipped)
    with pytest.raises(StudyError, match=r"^dataset: digits is another"):
        verify.verify("small", 0.1, device="cpu")


def test_a_sample_is_a_share_and_at_least_one(shipped):
    table = pd.read_parquet(shipped)
    assert len(verify.sample(table, 0.5, 0)) == 3
    assert len(verify.sample(table, 0.0, 0)) == 1
    assert verify.sample(table, 0.5, 1) == verify.sample(table, 0.5, 1)


def test_a_profile_without_measures(study):
    status, _, told = study("verify", "--profile", "nowhere")
    assert status == 2
    assert (
        told == "study: profile: got 'nowhere'; accepted: one with measures: cifar10-cpu, digits\n"
    )
