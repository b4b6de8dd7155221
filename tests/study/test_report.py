"""study measure: its page, its warning, its place among reference runs."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, measure
from lib.parameters import ROOT
from lib.study import report

COLUMNS = ("measure", "kind", "estimate", "low", "high", "num_paths", "column", "selection")


def test_figure_of_a_network_whose_paths_are_all_alike():
    """A linear network: its share is rounding alone, the same on every path."""
    torch.manual_seed(0)
    dataset = data.load("digits", 200)
    protocol = measure.Protocol(num_pairs=45, spacing=0.3, cutoff=0.2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    measurement = measure.measure(network, dataset, protocol, "cpu")
    shares = 1e-3 + 1e-18 * measurement.paths["a"]
    paths = measurement.paths.assign(correct=True, power_logits=shares)
    alike = measure.Measurement(measurement.network, paths, measurement.spectra.assign(power=1.0))
    assert len(report.figure(alike, protocol, "linear").axes) == 2


def test_measure_from_the_command_line(study, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10))
    torch.save(network.state_dict(), tmp_path / "w.pt")
    places = ("--data", "digits", "--weights", tmp_path / "w.pt", "--out", tmp_path / "out")
    protocol = ("--pairs", 45, "--spacing", 0.3, "--max-images", 300, "--paths", "slerp")
    status, out, err = study("measure", "mlp-1-4", *places, *protocol)
    assert status == 0, err
    assert "HFF, all paths" in out
    assert "100%" in err
    record = json.loads((tmp_path / "out" / "measure.json").read_text())
    assert record["num_images"] == 300
    given = {"num_pairs": 45, "spacing": 0.3, "path": "slerp"}
    assert record["protocol"] | given == record["protocol"]
    assert record["protocol"]["cutoff"] == pytest.approx(0.05 / 0.3)
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
    protocol = {"num_pairs": 10, "spacing": 0.5, "cutoff": 0.2}
    report.write("mlp-1-4", "digits", out=tmp_path, max_images=200, device="cpu", **protocol)
    said = "spacing 0.5 nu aliases: at half of it the power above the cutoff moves by 11%"
    assert (said in capsys.readouterr().err) == warned


def test_place_among_reference_runs():
    """Known ranks: two of the three runs that have the measure lie below."""
    rows = [
        ("a", "within", 0.3, 0.2, 0.4, 9, "hff", "all"),
        ("a", "between", 0.3, 0.2, 0.4, 9, "hff", "all"),
        ("b", "within", 0.3, 0.2, 0.4, 9, "power", "correct"),
        ("c", "", 2.5, 2.0, 3.0, 0, "jacobian_norm", "all"),
        ("a", "within", np.nan, np.nan, np.nan, 0, "hff", "correct"),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    reference = pd.DataFrame(
        {
            "kind": ["within"] * 4 + ["between"] * 4 + ["within"] * 4,
            "selection": ["all"] * 8 + ["correct"] * 4,
            "hff": [0.1, 0.29, np.nan, 0.31, 0.4, 0.3, 0.5, 0.6, 0.1, 0.1, 0.1, 0.1],
            "power": [0.0] * 8 + [np.nan] * 4,
            "jacobian_norm": [1.0, 2.0, 2.4, 3.0] + [0.0] * 8,
        }
    )
    placed = report.standing(table, reference)
    assert placed[list(COLUMNS)].equals(table)
    assert placed["num_references"].tolist() == [3, 4, 0, 4, 4]
    shares = [2 / 3, 0, np.nan, 3 / 4, np.nan]
    np.testing.assert_allclose(placed["share_below"], shares)
    alone = report.standing(table, pd.DataFrame())
    assert alone["num_references"].eq(0).all()
    assert alone["share_below"].isna().all()


def test_text_has_a_line_a_measure():
    rows = [("HFF", "within", 0.123456, 0.1, 0.2, 9, "hff", "all", 3, 2 / 3)]
    rows += [("norm", "", np.nan, np.nan, np.nan, 0, "norm", "all", 4, np.nan)]
    table = pd.DataFrame(rows, columns=(*COLUMNS, "num_references", "share_below"))
    _, first, second = report.text(table).splitlines()
    assert first.split() == ["HFF", "within", "0.1235", "[0.1,", "0.2]", "9", "67%", "of", "3"]
    assert second.split() == ["norm", "nan", "[nan,", "nan]", "none", "to", "compare"]


SHIPPED = [("digits", 0.15, 0.5), ("npz:some/cifar10.npz", 1.0, 0.05)]


@pytest.mark.parametrize(("dataset", "spacing", "cutoff"), SHIPPED)
def test_reference_runs_come_with_the_study(dataset, spacing, cutoff):
    protocol = {"num_pairs": 1, "spacing": spacing, "cutoff": cutoff}
    table = report.references(dataset, measure.Protocol(**protocol))
    assert table["key"].nunique() > 20
    assert {"hff", "power_logits", "degree_logits", "jacobian_norm"} <= set(table.columns)
    assert report.references(dataset, measure.Protocol(**protocol | {"spacing": 0.77})).empty
    assert report.references("nowhere").empty


def test_protocol_is_that_of_the_reference_runs_unless_given():
    digits = data.load("digits")
    usual = measure.Protocol(num_pairs=200, spacing=0.15, cutoff=0.5)
    assert report.usual_protocol(digits) == usual
    assert report.usual_protocol(digits, spacing=0.25).cutoff == pytest.approx(0.2)
    given = report.usual_protocol(digits, path="slerp", num_pairs=3, cutoff=None)
    assert (given.path, given.num_pairs, given.cutoff) == ("slerp", 3, 0.5)


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
