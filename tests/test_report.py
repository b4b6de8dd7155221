"""study measure: its page, its warning, its place among reference runs; and merged classes."""

import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, diversity, execute, measure, network_measures, pretrained, report, runs
from lib.parameters import ROOT, StudyError

IMAGENET = ROOT.parent / "shared" / "data" / "imagenet"


@pytest.fixture
def photos(monkeypatch):
    if not IMAGENET.is_dir():
        pytest.skip("no real ImageNet photos here: the folder shared/ beside the project is absent")
    monkeypatch.setenv("STUDY_DATA", str(IMAGENET.parent))


def test_figure_of_a_network_whose_paths_are_all_alike(monkeypatch):
    """A linear network: its share is rounding alone, the same on every path."""
    torch.manual_seed(0)
    dataset = data.load("digits", 200)
    config = measure.MeasurementConfig(num_pairs=45, spacing=0.3, cutoff=0.2)
    found = measure.measure(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), dataset, config, "cpu")
    alike = found._replace(paths=found.paths.assign(correct=True, power_logits=1e-3 + 1e-18 * found.paths["a"]))
    assert len(report.figure(alike, config, "linear").axes) == 2


def test_measure_from_the_command_line(study, tmp_path):
    torch.manual_seed(0)
    torch.save(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 10)).state_dict(), tmp_path / "w.pt"
    )
    status, out, err = study("measure", "mlp-1-4", "--data", "digits", "--weights", tmp_path / "w.pt", "--pairs", 45,
                             "--spacing", 0.3, "--max-images", 300, "--paths", "slerp",
                             "--out", tmp_path / "out")  # fmt: skip
    assert status == 0, err
    assert "HFF, all paths" in out
    assert "45/45" in err or "90/90" in err
    record = json.loads((tmp_path / "out" / "measure.json").read_text())
    assert record["num_images"] == 300
    assert record["protocol"] | {"num_pairs": 45, "spacing": 0.3, "path": "slerp"} == record["protocol"]
    assert record["protocol"]["cutoff"] == pytest.approx(0.05 / 0.3)
    assert {row["kind"] for row in record["measures"]} == {"within", "between", ""}
    assert (tmp_path / "out" / "measure.png").read_bytes()[:4] == b"\x89PNG"
    assert str(tmp_path) not in (tmp_path / "out" / "measure.json").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--pairs", 0], "num_pairs"), (["--spacing", -1], "spacing"), (["--paths", "curly"], "path"),
     (["--max-images", 1], "max_images"), (["--weights", "nowhere.pt"], "weights"), (["--device", "tpu"], "device"),
     (["--data", "folder:nowhere"], "dataset"), (["--pairs", 10**6], "num_pairs")],
)  # fmt: skip
def test_measure_refuses_in_one_line(study, tmp_path, options, said):
    status, out, err = study("measure", "mlp-1-4", "--data", "digits", "--out", tmp_path / "out", *options)
    assert (status, out) == (2, "")
    assert err.startswith(f"study: {said}")
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("cycles", "aliases"), [(2.0, False), (15.5, True)])
def test_a_sine_beyond_the_nyquist_frequency_is_warned_of(cycles, aliases):
    """Sampled twice a nu, a sine of 2 - 1/16 cycles/nu looks like one of 1/16; sampled four times a nu it does not."""
    images = torch.zeros(4, 1, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([0.0, 16.0, 0.0, 16.0])
    images[:, 0, 1, 1] = torch.tensor([0.0, 0.0, 6.0, 6.0])
    labels = torch.tensor([0, 0, 1, 1])
    dataset = data.Dataset("sine", images, labels, images, labels, 2, torch.zeros(1), torch.ones(1), "")

    def sine(x):
        wave = torch.sin(2 * torch.pi * cycles * x[:, 0, 0, 0] / 8 + 0.3)
        return torch.stack([wave, -wave], 1)

    config = measure.MeasurementConfig(num_pairs=2, spacing=0.5, cutoff=0.1)
    assert (report.aliasing(sine, dataset, config, "cpu") > report.ALIASING_TOLERANCE) == aliases


def test_place_among_reference_runs(configure, store, tmp_path):
    configs = [configure(seed=seed, num_test=200) for seed in range(4)]
    how = measure.MeasurementConfig(num_pairs=45, spacing=0.5, cutoff=0.2)
    made = runs.sweep(configs, "cpu")
    summary, _ = measure.final(configs, how, "cpu")
    reference = report.reference_table(made)
    assert len(reference) == 4 * 2 * 2
    order = ["key", "kind", "selection"]
    expected = summary.sort_values(order)["hff"]
    pd.testing.assert_series_equal(reference.sort_values(order)["hff"], expected, check_index=False)
    table = measure.table(measure.measured(made[0], 2, how, configs[0], "cpu"))
    placed = report.standing(table, reference).set_index(["measure", "kind"]).loc[("HFF, all paths", "within")]
    values = reference[(reference["kind"] == "within") & (reference["selection"] == "all")]["hff"]
    assert placed["num_references"] == 4
    assert placed["share_below"] == pytest.approx((values < placed["estimate"] - 1e-12).mean(), abs=0.26)
    assert report.standing(table, pd.DataFrame())["num_references"].eq(0).all()


def test_no_path_with_correct_ends_is_a_row_of_nan(configure, store):
    config = configure(num_test=200)
    run = runs.find_or_execute(config, "cpu")
    found = measure.measure(
        config.build(), config.load_data(), measure.MeasurementConfig(num_pairs=45, spacing=0.5, cutoff=0.2)
    )
    none = found._replace(paths=found.paths.assign(correct=False))
    summary = measure.summarize(run, 2, none).set_index(["kind", "selection"])
    assert summary.loc[("within", "correct"), "num_paths"] == 0
    assert np.isnan(summary.loc[("within", "correct"), "hff"])
    assert measure.table(none)["estimate"].isna().sum() == 2 * 8


@pytest.mark.parametrize("seed", [0, 3])
def test_merged_classes(seed):
    whole, merged = data.load("digits"), data.load(f"digits+merged:1-1-1-2-5:{seed}")
    assert merged.num_classes == 5
    for x, y, before, labels in ((merged.x_train, merged.y_train, whole.x_train, whole.y_train),
                                 (merged.x_test, merged.y_test, whole.x_test, whole.y_test)):  # fmt: skip
        known = {image.numpy().tobytes(): int(label) for image, label in zip(before, labels, strict=True)}
        originals = pd.Series([known[image.numpy().tobytes()] for image in x])
        assert originals.groupby(y.numpy()).nunique().tolist() == [1, 1, 1, 2, 5]
        assert originals.groupby(originals).apply(lambda part, y=y: len(set(y[part.index].tolist()))).eq(1).all()
        counts = np.bincount(y)
        assert counts.max() - counts.min() < 5
    assert merged.fingerprint != data.load(f"digits+merged:1-1-1-2-5:{seed + 1}").fingerprint


@pytest.mark.parametrize("how", ["", "1", "1-0:0", "6-5:0", "1-1", "a-b:0"])
def test_bad_merges_are_refused(how):
    with pytest.raises(StudyError, match=r"^dataset: got"):
        data.load(f"digits+merged:{how}")


def test_a_changed_npz_file_is_read_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2):
        x, y = rng.integers(0, 255, (40, 4, 4), dtype=np.uint8), np.arange(40) % 4
        np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        found.append(data.load("npz:a.npz").fingerprint)
    assert found[0] != found[1]


def test_spread_of_a_known_cloud():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(800, 3)) * [10, 10, 0.1]
    distance, log_volume, dimension = diversity.spread(points)
    assert dimension == pytest.approx(2, rel=0.1)
    assert log_volume == pytest.approx(np.log10([100, 100, 0.01]).mean(), abs=0.1)
    assert diversity.spread(3 * points)[0] == pytest.approx(3 * distance)
    assert diversity.spread(np.array([[0.0, 0], [3, 4]]))[0] == 5


def test_features_are_what_the_last_layer_reads():
    images = data.load("digits", 30)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 10))
    with torch.no_grad():
        expected = model[:3](images.normalize(images.x_test)).numpy()
    np.testing.assert_allclose(diversity.features(model, images), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "top1"), [("timm:mobilenetv1_050,pad_type=same", 0.578), ("torchvision:squeezenet1_1", 0.586)]
)
def test_top1_on_real_photos(photos, name, top1):
    short = name.partition(":")[2].partition(",")[0]
    model, loaded = report.named(name, "folder:imagenet/val", f"imagenet/weights/{short}.safetensors")
    with torch.inference_mode():
        right = [(model(loaded.normalize(x)).argmax(1) == y) for x, y in
                 zip(loaded.x_test.split(16), loaded.y_test.split(16), strict=True)]  # fmt: skip
    assert torch.cat(right).double().mean().item() == pytest.approx(top1, abs=0.004)


def test_jacobian_of_many_classes_is_estimated(monkeypatch):
    torch.manual_seed(0)
    model, points = nn.Sequential(nn.Flatten(), nn.Linear(16, 60)), torch.randn(200, 1, 4, 4)
    whole = network_measures.jacobian_norm(model, points)
    monkeypatch.setattr("lib.network_measures.EXACT_CLASSES", 50)
    assert network_measures.jacobian_norm(model, points) == pytest.approx(whole, rel=0.1)
    assert pretrained.is_external("timm:x")


@pytest.mark.parametrize(("dataset", "spacing", "cutoff"), [("digits", 0.15, 0.5), ("npz:cifar10.npz", 1.0, 0.05)])
def test_reference_runs_come_with_the_study(dataset, spacing, cutoff):
    found = report.references(dataset, measure.MeasurementConfig(num_pairs=1, spacing=spacing, cutoff=cutoff))
    assert found["key"].nunique() > 20
    assert {"hff", "power_logits", "degree_logits", "jacobian_norm"} <= set(found.columns)
    assert report.references(dataset, measure.MeasurementConfig(num_pairs=1, spacing=0.77, cutoff=0.5)).empty


def test_protocol_is_that_of_the_reference_runs_unless_given():
    digits = data.load("digits")
    assert report.protocol(digits) == measure.MeasurementConfig(num_pairs=200, spacing=0.15, cutoff=0.5)
    assert report.protocol(digits, spacing=0.25).cutoff == pytest.approx(0.2)
    assert report.protocol(digits, path="slerp", num_pairs=3, cutoff=None).path == "slerp"


def test_the_readmes_three_lines(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(block.strip().splitlines()) == 3
    exec(block, {"network": nn.Sequential(nn.Flatten(), nn.Linear(64, 10))})
    assert "HFF, all paths" in capsys.readouterr().out


def test_collecting_keeps_the_rows_of_runs_in_another_store(store, tmp_path, monkeypatch):
    """Notebooks of two stores in one folder: what only the other one holds is not lost."""
    folder = tmp_path / "out"
    folder.mkdir()
    before = pd.DataFrame({"key": ["kept", "gone"], "seconds": [1.0, 2.0]})
    before.to_parquet(folder / "runs.parquet")
    monkeypatch.setattr("lib.scoreboard.executed_in", lambda _: {"one": nbformat.v4.new_notebook()})
    monkeypatch.setattr("lib.scoreboard.payload", lambda _: {"runs": ["kept"]})
    execute.collect(folder)
    assert pd.read_parquet(folder / "runs.parquet")["key"].tolist() == ["kept"]
