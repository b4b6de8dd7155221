"""study measure: its page, its warning, its place among reference runs."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, measure, models
from lib.parameters import ROOT
from study import networks as by_name
from study import report, zoo

COLUMNS = ("measure", "kind", "estimate", "low", "high", "num_paths")


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
    assert record["warnings"] == []
    assert str(tmp_path) not in (tmp_path / "out" / "measure.json").read_text()
    assert max(map(len, out.splitlines())) <= 80


REFUSED = [
    ("num_pairs", "--pairs", 0),
    ("num_pairs", "--pairs", 10**6),
    ("spacing", "--spacing", -1),
    ("spacing", "--spacing", 1e-7),
    ("spacing", "--spacing", 1e-300),
    ("cutoff", "--cutoff", 1e-300),
    ("num_pairs", "--pairs", 10**22),
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


def measured(study, model, out, *more):
    """(status, stdout, stderr, record) of a quick `study measure` on digits."""
    few = ("--pairs", 45, "--spacing", 0.1, "--max-images", 200, "--device", "cpu")
    status, text, err = study("measure", model, "--data", "digits", "--out", out, *few, *more)
    file = out / "measure.json"
    return status, text, err, json.loads(file.read_text()) if file.is_file() else None


def test_what_is_to_be_computed_is_said_and_an_untrained_network(study, tmp_path):
    status, _, err, record = measured(study, "mlp-1-4", tmp_path)
    assert status == 0, err
    (said,) = [line for line in err.splitlines() if " points along " in line]
    assert re.fullmatch(r"study: \S+ points along 90 paths", said)
    assert record["warnings"] == ["mlp-1-4 is untrained: no --weights were given"]
    assert f"study: warning: {record['warnings'][0]}" in err


def test_a_spacing_that_is_too_wide_is_warned_of(study, tmp_path, monkeypatch):
    for moved in (0.09, 0.11):
        monkeypatch.setattr(measure, "aliasing", lambda *_, moved=moved: moved)
        _, _, err, record = measured(study, "mlp-1-4", tmp_path)
        said = "spacing 0.1 nu aliases: at a quarter of it the power above the cutoff moves by 11%"
        assert (said in err) == (said in " ".join(record["warnings"])) == (moved > 0.1)


NETWORKS = """
import torch
from torch import nn
from torch.nn import functional as F

class Base(nn.Module):
    outputs = 10
    def __init__(self, image_shape, num_classes):
        super().__init__()
        self.linear = nn.Linear(64, self.outputs)
    def forward(self, x):
        return self.linear(x.flatten(1))

class Many(Base):
    outputs = 12

class Few(Base):
    outputs = 3

class Dropout(Base):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.5, training=True)

class Batch(Base):
    def forward(self, x):
        out = super().forward(x)
        return out - out.mean(0)

class Softmax(Base):
    def forward(self, x):
        return super().forward(x).softmax(1)

class Half(Base):
    def forward(self, x):
        return super().forward(x).half()

class Nan(Base):
    def forward(self, x):
        return super().forward(x) * float("nan")

class Pair(Base):
    def forward(self, x):
        return x, x

class Images(Base):
    def forward(self, x):
        return x

class Raises(Base):
    def forward(self, x):
        raise RuntimeError("two\\nlines")

class Exits(Base):
    def __init__(self, image_shape, num_classes):
        raise KeyError("no weights here")

def none(image_shape, num_classes):
    return None

class WrongArguments(nn.Module):
    pass

value = 3
"""
UNFIT = "Few Dropout Batch Softmax Half Nan Pair Images Raises Exits none WrongArguments value nope"


@pytest.fixture
def networks(tmp_path):
    """A function from the name of a network to how it is named on the command line."""
    (tmp_path / "networks.py").write_text(NETWORKS)
    return lambda name: f"{tmp_path / 'networks.py'}:{name}"


@pytest.mark.parametrize("name", UNFIT.split())
def test_a_network_that_does_not_fit_is_one_line(study, tmp_path, networks, name):
    status, out, err, record = measured(study, networks(name), tmp_path / "out")
    told = [line for line in err.splitlines() if not line.endswith(" paths")]
    assert (status, out, record) == (2, "", None)
    assert len(told) == 1, err
    assert told[0].startswith("study: ")


def test_a_network_of_ones_own_with_more_outputs_than_classes_is_warned_of(
    study, tmp_path, networks
):
    status, _, err, record = measured(study, networks("Many"), tmp_path / "out")
    assert status == 0, err
    assert record["warnings"][0] == "12 outputs for 10 classes: the softmax is over all"
    assert "untrained" not in err
    assert record["model"] == "networks.py:Many"


WRONG_NAMES = """
timm:nope timm: torchvision:nope torchvision:list timm:mobilenetv1_000
mlp-0-1 mlp-1-99999 mlp--1 vit-9999-9999 mixer-999-9999 wrn-9999-9999 vgg11-9999 nope
nowhere.py:Net no_module:Net os:getcwd lib.models: :Net .py:Net mlp-1-4+mlp-1-4
"""
WRONG_OPTIONS = """
num_classes=-1 num_classes=text in_chans=text a=[ a=&b a=1 pretrained_cfg=1
global_pool=no act_layer=no weights=nowhere.pt interpolation=nope size=0x10 size=0 size=1e22
resize=-1 mean=text mean=.nan std=0 std=-1
"""


@pytest.mark.parametrize("name", WRONG_NAMES.split())
def test_a_name_of_no_network_is_one_line(study, tmp_path, name):
    status, out, err, record = measured(study, name, tmp_path / "out")
    assert (status, out, record) == (2, "", None)
    assert len(err.splitlines()) == 1, err
    assert err.startswith("study: ")


@pytest.mark.parametrize("option", WRONG_OPTIONS.split())
def test_a_wrong_option_of_a_librarys_network_is_one_line(study, tmp_path, option):
    torch.save(models.architecture("timm:test_resnet")[0].state_dict(), tmp_path / "w.pt")
    weights = () if "weights" in option else ("--weights", tmp_path / "w.pt")
    name, places = f"timm:test_resnet,{option}", ("--data", "digits", "--out", tmp_path / "out")
    status, out, err = study("measure", name, *places, *weights, "--max-images", 200)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith("study: ")


def test_a_full_disk_leaves_the_table_and_the_files_of_before(study, tmp_path, full_disk):
    out = tmp_path / "out"
    assert measured(study, "mlp-1-4", out)[0] == 0
    before = {file: file.read_bytes() for file in out.iterdir()}
    with full_disk():
        status, text, err, _ = measured(study, "mlp-1-8", out)
    assert status == 2
    assert "HFF, all paths" in text
    assert "No space left on device" in err.splitlines()[-1]
    assert {file: file.read_bytes() for file in out.iterdir()} == before


def test_a_place_that_cannot_be_written_is_said_before_it_is_measured(study, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "measure", None)
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        places = ("--data", "digits", "--max-images", 200, "--out", place)
        status, out, err = study("measure", "mlp-1-4", *places)
        assert (status, out) == (2, "")
        assert err.startswith("study: out: ")
        assert len(err.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_place_among_reference_runs():
    """Known ranks: two of the three runs that have the measure lie below."""
    rows = [
        ("hff", "within", 0.3, 0.2, 0.4, 9),
        ("hff", "between", 0.3, 0.2, 0.4, 9),
        ("power", "within", 0.3, 0.2, 0.4, 9),
        ("jacobian_norm", "", 2.5, 2.0, 3.0, 0),
        ("power", "between", np.nan, np.nan, np.nan, 0),
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
    rows = [("hff", "within", 0.3, 0.2, 0.4, 9), ("jacobian_norm", "", 2.5, 2.0, 3.0, 0)]
    alone = report.standing(pd.DataFrame(rows, columns=COLUMNS), reference)
    assert alone["num_references"].eq(0).all()
    assert alone["share_below"].isna().all()
    assert report.text(alone, 0.5).count("none to compare") == 2


def test_text_has_a_line_a_measure_and_kind_of_path_in_80_columns():
    title = "power above 0.0447 cycles/nu, standardised logits"
    rows = [("power_logits_1", "within", 0.123456, 0.1, 0.2, 9, 3, 2 / 3)]
    rows += [("power_logits_1", "between", -1.234e-05, -1.23e-05, -1.23e-05, 12345, 12345, 1.0)]
    rows += [("hff", "within", 0.5, np.nan, np.nan, 1, 4, 0.5)]  # one path
    rows += [("jacobian_norm", "", np.nan, np.nan, np.nan, 0, 4, np.nan)]
    table = pd.DataFrame(rows, columns=(*COLUMNS, "num_references", "share_below"))
    lines = report.text(table, 0.0447).splitlines()
    assert max(map(len, lines)) <= 80
    parts = [line.split() for line in lines[1:]]
    assert parts[0] == title.split()
    assert parts[1] == ["within", "0.1235", "[0.1,", "0.2]", "9", "67%", "of", "3"]
    assert parts[2][:2] == ["between", "-1.234e-05"]
    assert parts[4] == ["within", "0.5", "1", "50%", "of", "4"]  # no interval
    assert parts[6] == ["nan", "none", "to", "compare"]
    alone = report.text(table[list(COLUMNS)], 0.0447).splitlines()  # as measure.intervals makes it
    assert alone[2].split() == ["within", "0.1235", "[0.1,", "0.2]", "9", "none", "to", "compare"]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Results that came with the study: of digits, and some of before power out of band."""
    digits, other = data.load("digits"), "0123456789abcdef"

    def protocol(**fields):
        usual = {"key": "a", "kind": "within", "path": "linear", "hff": 0.3, "dataset": "digits"}
        usual |= {"spacing": 0.05, "cutoff": 0.5, "fingerprint": digits.fingerprint}
        return usual | fields

    new = [protocol(**{measure.PRIMARY: 1e-3}), protocol(**{measure.PRIMARY: 2e-3, "spacing": 0.1})]
    new.append(protocol(**{measure.PRIMARY: 0.1, "fingerprint": other}))
    new.append(protocol(**{measure.PRIMARY: 0.1, "fingerprint": other, "dataset": "npz:b.npz"}))
    old = [protocol(spacing=0.15)] * 3
    nameless = [{k: v for k, v in protocol(**{measure.PRIMARY: 9}).items() if k != "fingerprint"}]
    for name, rows in {"new": new, "old": old, "nameless": nameless}.items():
        (tmp_path / "results" / name).mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(tmp_path / "results" / name / "measures.parquet")
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    return tmp_path / "results"


def test_reference_runs_are_those_of_the_data_and_protocol(shipped):
    """Known by their content: neither by the name nor by how many of the test images are asked
    for."""
    protocol, digits = measure.Protocol(num_pairs=1, spacing=0.1, cutoff=0.5), data.load("digits")
    assert report.references(digits)["spacing"].tolist() == [0.05, 0.1]
    assert report.references(data.load("digits", 300))["spacing"].tolist() == [0.05, 0.1]
    assert report.references(digits, protocol)["spacing"].tolist() == [0.1]
    renamed = dataclasses.replace(digits, name="npz:mine.npz")
    assert report.references(renamed)["spacing"].tolist() == [0.05, 0.1]
    other = dataclasses.replace(digits, fingerprint="0123456789abcdef")
    assert report.references(other)["dataset"].tolist() == ["digits", "npz:b.npz"]
    assert report.references(dataclasses.replace(digits, fingerprint="0" * 16)).empty
    for name in ("new", "old", "nameless"):
        (shipped / name / "measures.parquet").unlink()
        assert report.references(digits, protocol).empty


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
    network, photos = by_name.named(name, "folder:imagenet/val", file)
    batches = zip(photos.x_test.split(16), photos.y_test.split(16), strict=True)
    with torch.inference_mode():
        right = [network(photos.normalize(x)).argmax(1) == y for x, y in batches]
    assert torch.cat(right).double().mean().item() == pytest.approx(top1, abs=0.004)
