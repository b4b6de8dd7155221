"""study measure: its page, its warning, its place among reference runs."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, measure
from lib.parameters import ROOT
from study import report

COLUMNS = ("measure", "kind", "estimate", "low", "high", "num_paths", "column")


def test_figure_of_a_network_whose_paths_are_all_alike():
    """A linear network, whose power out of band is rounding alone; and of one that is never right:
    no path is left."""
    torch.manual_seed(0)
    dataset = data.load("digits", 200)
    protocol = measure.Protocol(num_pairs=45, spacing=0.1, cutoff=0.5)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    measurement = measure.measure(network, dataset, protocol, "cpu")
    for correct in (True, False):
        paths = measurement.paths.assign(correct=correct)
        alike = measure.Measurement(measurement.network, paths)
        softmax, logits = report.figure(alike, protocol, "linear").axes
        assert (softmax.get_title(), logits.get_title()) == ("softmax", "standardised logits")
        assert len(softmax.get_lines()) == 4  # two kinds, each with its floor
        assert f"{45 * correct} paths" in softmax.get_legend().get_texts()[0].get_text()


def test_measure_from_the_command_line(study, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10))
    torch.save(network.state_dict(), tmp_path / "w.pt")
    places = ("--data", "digits", "--weights", tmp_path / "w.pt", "--out", tmp_path / "out")
    protocol = ("--pairs", 45, "--spacing", 0.1, "--max-images", 300, "--paths", "slerp")
    status, out, err = study("measure", "mlp-1-4", *places, *protocol)
    assert status == 0, err
    assert "HFF, all paths" in out
    assert "100%" in err
    record = json.loads((tmp_path / "out" / "measure.json").read_text())
    assert record["num_images"] == 300
    given = {"num_pairs": 45, "spacing": 0.1, "path": "slerp"}
    assert record["protocol"] | given == record["protocol"]
    assert record["protocol"]["cutoff"] == pytest.approx(0.05 / 0.1)
    assert {row["kind"] for row in record["measures"]} == {"within", "between", ""}
    with torch.inference_mode():
        digits = data.load("digits", 300)
        right = network(digits.normalize(digits.x_test)).argmax(1) == digits.y_test
    assert record["accuracy"] == pytest.approx(right.double().mean().item())
    assert f"accuracy {record['accuracy']:.3f}" in out
    assert (tmp_path / "out" / "measure.png").read_bytes()[:4] == b"\x89PNG"
    assert str(tmp_path) not in (tmp_path / "out" / "measure.json").read_text()


REFUSED = [
    ("num_pairs", "--pairs", 0),
    ("num_pairs", "--pairs", 10**6),
    ("spacing", "--spacing", -1),
    ("cutoff", "--cutoff", 50),
    ("path", "--paths", "curly"),
    ("max_images", "--max-images", 1),
    ("weights", "--weights", "nowhere.pt"),
    ("device", "--device", "tpu"),
    ("dataset", "--data", "folder:nowhere"),
]


@pytest.mark.parametrize(("said", "option", "value"), REFUSED)
def test_measure_refuses_in_one_line(study, tmp_path, said, option, value):
    places = ("--data", "digits", "--out", tmp_path / "out")
    status, out, err = study("measure", "mlp-1-4", *places, option, value)
    assert (status, out) == (2, "")
    assert err.startswith(f"study: {said}: ")
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("moved", "warned"), [(0.09, False), (0.11, True)])
def test_a_spacing_that_is_too_wide_is_warned_of(monkeypatch, capsys, tmp_path, moved, warned):
    monkeypatch.setattr(measure, "aliasing", lambda *_: moved)
    protocol = {"num_pairs": 10, "spacing": 0.1, "cutoff": 0.5}
    report.write("mlp-1-4", "digits", out=tmp_path, max_images=200, device="cpu", **protocol)
    said = "spacing 0.1 nu aliases: at a quarter of it the power above the cutoff moves by 11%"
    assert (said in capsys.readouterr().err) == warned


def test_place_among_reference_runs():
    """Known ranks: two of the three runs that have the measure lie below."""
    rows = [
        ("a", "within", 0.3, 0.2, 0.4, 9, "hff"),
        ("a", "between", 0.3, 0.2, 0.4, 9, "hff"),
        ("b", "within", 0.3, 0.2, 0.4, 9, "power"),
        ("c", "", 2.5, 2.0, 3.0, 0, "jacobian_norm"),
        ("b", "between", np.nan, np.nan, np.nan, 0, "power"),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    reference = pd.DataFrame(
        {
            "kind": ["within"] * 4 + ["between"] * 4,
            "hff": [0.1, 0.29, np.nan, 0.31, 0.4, 0.3, 0.5, 0.6],
            "power": [np.nan] * 4 + [0.1] * 4,
            "jacobian_norm": [1.0, 2.0, 2.4, 3.0] + [0.0] * 4,
        }
    )
    placed = report.standing(table, reference)
    assert placed[list(COLUMNS)].equals(table)
    assert placed["num_references"].tolist() == [3, 4, 0, 4, 4]
    np.testing.assert_allclose(placed["share_below"], [2 / 3, 0, np.nan, 3 / 4, np.nan])


@pytest.mark.parametrize("reference", [pd.DataFrame(), pd.DataFrame({"kind": ["within"]})])
def test_without_reference_runs_or_with_those_of_before_there_is_no_place(reference):
    rows = [("a", "within", 0.3, 0.2, 0.4, 9, "hff"), ("c", "", 2.5, 2.0, 3.0, 0, "jacobian_norm")]
    alone = report.standing(pd.DataFrame(rows, columns=COLUMNS), reference)
    assert alone["num_references"].eq(0).all()
    assert alone["share_below"].isna().all()
    assert report.text(alone).count("none to compare") == 2


def test_text_has_a_line_a_measure():
    rows = [("HFF", "within", 0.123456, 0.1, 0.2, 9, "hff", 3, 2 / 3)]
    rows += [("norm", "", np.nan, np.nan, np.nan, 0, "norm", 4, np.nan)]
    table = pd.DataFrame(rows, columns=(*COLUMNS, "num_references", "share_below"))
    _, first, second = report.text(table).splitlines()
    assert first.split() == ["HFF", "within", "0.1235", "[0.1,", "0.2]", "9", "67%", "of", "3"]
    assert second.split() == ["norm", "nan", "[nan,", "nan]", "none", "to", "compare"]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Results that came with the study: of digits, and some of before power out of band."""

    def protocol(**fields):
        usual = {"key": "a", "kind": "within", "path": "linear", "hff": 0.3, "dataset": "digits"}
        return usual | {"spacing": 0.05, "cutoff": 0.5} | fields

    new = [protocol(**{measure.PRIMARY: 1e-3}), protocol(**{measure.PRIMARY: 2e-3, "spacing": 0.1})]
    new.append(protocol(**{measure.PRIMARY: 0.1, "dataset": "npz:/some/cifar10.npz"}))
    for name, rows in {"new": new, "old": [protocol(spacing=0.15)] * 3}.items():
        (tmp_path / "results" / name).mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(tmp_path / "results" / name / "measures.parquet")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    return tmp_path / "results"


def test_reference_runs_are_those_of_the_data_and_protocol(shipped):
    protocol = measure.Protocol(num_pairs=1, spacing=0.1, cutoff=0.5)
    assert report.references("digits")["spacing"].tolist() == [0.05, 0.1]
    assert report.references("digits", protocol)["spacing"].tolist() == [0.1]
    assert report.references("cifar10")["dataset"].tolist() == ["npz:/some/cifar10.npz"]
    assert report.references("nowhere").empty
    (shipped / "new" / "measures.parquet").unlink()
    assert report.references("digits", protocol).empty
    (shipped / "old" / "measures.parquet").unlink()
    assert report.references("digits", protocol).empty


def test_protocol_is_that_of_the_reference_runs_unless_given(shipped):
    digits = data.load("digits")
    usual = measure.Protocol(num_pairs=200, spacing=0.05, cutoff=0.5)
    assert report.usual_protocol(digits) == usual
    assert report.usual_protocol(digits, spacing=0.25).cutoff == pytest.approx(0.2)
    given = report.usual_protocol(digits, path="slerp", num_pairs=3, cutoff=None)
    assert (given.path, given.num_pairs, given.cutoff) == ("slerp", 3, 0.5)
    (shipped / "new" / "measures.parquet").unlink()
    assert report.usual_protocol(digits) == measure.default_protocol(digits)


IMAGENET = ROOT.parent / "shared" / "data" / "imagenet"
PRETRAINED = [("timm:mobilenetv1_050,pad_type=same", 0.578)]


@pytest.mark.slow
@pytest.mark.skipif(not IMAGENET.is_dir(), reason="the photos of shared/ are absent")
@pytest.mark.parametrize(("name", "top1"), PRETRAINED)
def test_networks_by_name_see_real_photos_as_they_expect_them(monkeypatch, name, top1):
    monkeypatch.setenv("STUDY_DATA", str(IMAGENET.parent))
    file = f"imagenet/weights/{name.partition(':')[2].partition(',')[0]}.safetensors"
    network, photos = report.named(name, "folder:imagenet/val", file)
    batches = zip(photos.x_test.split(16), photos.y_test.split(16), strict=True)
    with torch.inference_mode():
        right = [network(photos.normalize(x)).argmax(1) == y for x, y in batches]
    assert torch.cat(right).double().mean().item() == pytest.approx(top1, abs=0.004)
