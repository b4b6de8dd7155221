import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import measure, network_measures, paths, runs, spectrum
from lib.measure import MeasurementConfig
from lib.parameters import StudyError

CPU = torch.device("cpu")
HOW = MeasurementConfig(num_pairs=45, spacing=0.5, cutoff=0.2)


@pytest.fixture
def trained(configure, store):
    """(configuration, run) of a network that gets most digits right, on 200 test images."""
    config = configure(num_epochs=3, num_test=200)
    return config, runs.find_or_execute(config, "cpu")


def network(config, run, epoch=3):
    model = config.build()
    model.load_state_dict(run.weights(epoch))
    return model.eval()


def columns():
    names = ["power", "absolute", "variation", "derivative", "degree"]
    return ["hff", *(f"{name}_{view}" for name in names for view in measure.REPRESENTATIONS)]


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_temperature_by_its_formula(scale, share):
    """Two classes, one logit, `share` of the labels on its side: sigmoid(scale / T) = share at the optimum."""
    logits = np.tile([scale, 0.0], (100, 1))
    labels = np.where(np.arange(100) < 100 * share, 0, 1)
    expected = scale / math.log(share / (1 - share))
    assert measure.temperature(logits, labels) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_temperature_recovers_a_known_scale(scale):
    """Labels drawn from softmax(z), logits scale * z: the temperature is the scale."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(20_000, 5))
    labels = (z + rng.gumbel(size=z.shape)).argmax(1)  # the Gumbel trick draws from the softmax
    assert measure.temperature(scale * z, labels) == pytest.approx(scale, rel=0.03)


def test_measurement_has_a_finite_row_a_path(trained):
    config, run = trained
    found = measure.measure(network(config, run), config.load_data(), HOW, CPU)
    labels = config.load_data().y_test.numpy()
    assert found.paths["kind"].value_counts().to_dict() == {"within": 45, "between": 45}
    same = labels[found.paths["a"]] == labels[found.paths["b"]]
    np.testing.assert_array_equal(same, found.paths["kind"] == "within")
    assert np.isfinite(found.paths[columns()].to_numpy(float)).all()
    assert (found.paths[[name for name in columns() if name.startswith("power")]].stack().between(0, 1)).all()
    assert np.isfinite(found.network.to_numpy(float)).all()
    assert len(found.network) == 1


def test_correct_means_that_both_ends_are_classified_correctly(trained):
    config, run = trained
    dataset = config.load_data()
    with torch.no_grad():
        right = (network(config, run)(dataset.normalize(dataset.x_test)).argmax(1) == dataset.y_test).numpy()
    found = measure.measure(network(config, run), dataset, HOW, CPU).paths
    np.testing.assert_array_equal(found["correct"], right[found["a"]] & right[found["b"]])
    assert 0 < found["correct"].sum() < len(found)


def test_measures_of_single_paths_by_definition(trained):
    """Points, logits and the simpler measures computed anew, in float64."""
    config, run = trained
    dataset = config.load_data()
    model, images = network(config, run).double(), dataset.normalize(dataset.x_test).double()
    found = measure.measure(network(config, run), dataset, HOW, CPU).paths
    with torch.no_grad():
        every = model(images).numpy()
    centred = every - every.mean(1, keepdims=True)
    scale = math.sqrt((centred**2).mean() - centred.mean() ** 2)
    temperature = measure.temperature(every, dataset.y_test.numpy())
    for row in found.iloc[::17].itertuples():
        step = images[row.b] - images[row.a]
        distance = step.norm().item()
        t = np.arange(0, distance, HOW.spacing)
        with torch.no_grad():
            logits = model(images[row.a] + torch.from_numpy(t / distance)[:, None, None, None] * step).numpy()
        views = {"logits": (logits - logits.mean(1, keepdims=True)) / scale}
        for name, divided in (("softmax", logits), ("calibrated", logits / temperature)):
            views[name] = np.exp(divided) / np.exp(divided).sum(1, keepdims=True)
        assert row.distance == pytest.approx(distance, rel=1e-5)
        for name, outputs in views.items():
            steps = np.diff(outputs, axis=0)
            variation = np.sqrt((steps**2).sum(1)).sum()
            derivative = (steps**2).sum(1).mean() / HOW.spacing**2
            line = outputs[0] + np.linspace(0, 1, len(t))[:, None] * (outputs[-1] - outputs[0])
            power = (np.abs(np.fft.fft(outputs - line, axis=0)) ** 2).sum(1)
            frequency = np.abs(np.fft.fftfreq(len(t), HOW.spacing))
            absolute = power[frequency >= HOW.cutoff].sum() / len(t) ** 2
            assert getattr(row, f"variation_{name}") == pytest.approx(variation, rel=1e-3)
            assert getattr(row, f"derivative_{name}") == pytest.approx(derivative, rel=1e-3)
            assert getattr(row, f"absolute_{name}") == pytest.approx(absolute, rel=1e-2)
        assert row.hff == pytest.approx(spectrum.high_frequency_fraction(views["softmax"][None])[0], rel=1e-3)


def test_spectra_are_shares_of_power(trained):
    config, run = trained
    found = measure.measure(network(config, run), config.load_data(), HOW, CPU).spectra
    for _, table in found.groupby(["kind", "representation"]):
        edges = table["cycles_per_nu"].to_numpy()
        np.testing.assert_allclose(edges, np.arange(measure.NUM_BINS) / HOW.spacing / 2 / measure.NUM_BINS)
        assert (table["power"] >= 0).all()
        assert table["power"].sum() == pytest.approx(1, abs=1e-9)


def test_scale_of_the_logits_changes_the_softmax_alone(trained):
    config, run = trained
    louder = network(config, run)
    with torch.no_grad():
        louder[-1].weight *= 3
        louder[-1].bias *= 3
    dataset = config.load_data()
    first, second = (measure.measure(m, dataset, HOW, CPU).paths for m in (network(config, run), louder))
    powered = first["absolute_logits"] > 1e-9  # else the share of power is that of rounding
    assert powered.mean() > 0.9
    first, second = first[powered], second[powered]
    for name in ("power", "variation", "derivative"):
        np.testing.assert_allclose(first[f"{name}_logits"], second[f"{name}_logits"], rtol=1e-2, atol=1e-4)
        np.testing.assert_allclose(first[f"{name}_calibrated"], second[f"{name}_calibrated"], rtol=2e-2, atol=1e-3)
    assert (second["derivative_softmax"] / first["derivative_softmax"]).median() > 1.2


def test_jacobian_norm_of_a_linear_softmax():
    """d p_i / d x = sum_j p_i (delta_ij - p_j) W_j."""
    generator = torch.Generator().manual_seed(0)
    model, images = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), torch.randn(130, 3, 2, 2, generator=generator)
    w = model[1].weight.detach().double().numpy()
    with torch.no_grad():
        p = model(images).softmax(1).double().numpy()
    norms = [np.linalg.norm((np.diag(row) - np.outer(row, row)) @ w) for row in p]
    assert network_measures.jacobian_norm(model, images) == pytest.approx(np.mean(norms), rel=1e-5)


def test_frequency_principle_at_its_ends():
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(60, 1, 4, 4, generator=generator), torch.arange(60) % 3
    exact = nn.functional.one_hot(labels, 3).double()
    assert network_measures.frequency_principle(images, labels, exact) == pytest.approx((0, 0), abs=1e-9)
    assert network_measures.frequency_principle(images, labels, 0 * exact) == pytest.approx((1, 1), abs=1e-9)
    assert network_measures.frequency_principle(images, labels, 0.75 * exact) == pytest.approx((0.25, 0.25), abs=1e-9)


def test_frequency_principle_sees_a_smooth_fit_as_low():
    """Two classes left and right of zero, with labels flipped at random: the clean class is the low part."""
    rng = np.random.default_rng(0)
    x = np.linspace(-3, 3, 200)
    images, side = torch.tensor(x, dtype=torch.float32)[:, None, None, None], (x > 0).astype(int)
    labels = torch.from_numpy(np.where(rng.random(200) < 0.25, 1 - side, side))
    share = torch.tensor(np.stack([0.25 + 0.5 * (side == 0), 0.25 + 0.5 * (side == 1)], axis=1))
    low, high = network_measures.frequency_principle(images, labels, share)
    assert low < 0.3
    assert high > 0.7


def test_measured_is_kept(trained, monkeypatch):
    config, run = trained
    first = measure.measured(run, 3, HOW, config, "cpu")
    monkeypatch.setattr(paths, "evaluate", lambda *_args, **_options: pytest.fail("measured again"))
    again = measure.measured(run, 3, HOW, config, "cpu")
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert runs.open_run(run.path).key == run.key  # and the run is still whole


@pytest.mark.parametrize("change", [{"num_pairs": 50}, {"spacing": 0.4}, {"cutoff": 0.3}, {"seed": 1},
                                    {"path": "slerp"}])  # fmt: skip
def test_another_measurement_has_another_name(change):
    fields = {"num_pairs": 45, "spacing": 0.5, "cutoff": 0.2}
    assert MeasurementConfig(**(fields | change)).key() != HOW.key()
    assert MeasurementConfig(**fields, seed=0, path="linear").key() == HOW.key()


def test_name_does_not_depend_on_how_a_number_is_written():
    one, same = (MeasurementConfig(num_pairs=5, spacing=spacing, cutoff=0.2) for spacing in (1, 1.0))
    assert one.key() == same.key()


def test_measurements_of_other_epochs_are_others(trained):
    config, run = trained
    untrained, early, last = (measure.measured(run, epoch, HOW, config, "cpu").paths for epoch in (0, 1, 3))
    assert untrained["correct"].mean() < early["correct"].mean() <= last["correct"].mean()
    model = config.build().eval()
    pd.testing.assert_frame_equal(untrained, measure.measure(model, config.load_data(), HOW, CPU).paths)


def test_epoch_that_was_not_kept(trained):
    config, run = trained
    with pytest.raises(StudyError, match=r"^epoch: got 9"):
        measure.measured(run, 9, HOW, config, "cpu")


@pytest.mark.parametrize("name", ["paths", "spectra", "network"])
def test_damaged_measurement_is_said_in_one_line(trained, name):
    config, run = trained
    measure.measured(run, 3, HOW, config, "cpu")
    (file,) = run.path.rglob(f"{name}.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StudyError, match="damaged") as caught:
        measure.measured(run, 3, HOW, config, "cpu")
    assert "\n" not in str(caught.value)


def test_sweep_summarises_each_network(configure, store):
    configs = [configure(seed=seed, num_test=200) for seed in (0, 1)]
    runs.sweep(configs, "cpu")
    summary, spectra = measure.sweep([(config, epoch) for config in configs for epoch in (0, 2)], HOW, "cpu")
    assert summary.groupby(["seed", "epoch", "kind"])["selection"].count().isin([1, 2]).all()
    assert (summary["selection"] == "all").sum() == 2 * 2 * 2  # seeds, epochs, kinds
    assert len(summary[(summary["selection"] == "correct") & (summary["epoch"] == 2)]) == 2 * 2
    assert len(spectra) == 2 * 2 * 2 * 3 * measure.NUM_BINS
    for row in summary.itertuples():
        run = runs.open_run(store / row.key)
        table = measure.read_measurement(run, row.epoch, HOW).paths
        table = table[(table["kind"] == row.kind) & (table["correct"] | (row.selection == "all"))]
        assert row.num_paths == len(table)
        assert row.power_softmax == pytest.approx(table["power_softmax"].mean(), nan_ok=True)
        accuracy = run.history.set_index("epoch")["test_accuracy"].get(row.epoch, math.nan)
        assert row.test_accuracy == pytest.approx(accuracy, nan_ok=True)
    assert set(summary["seed"]) == {0, 1}


def test_sweep_of_a_run_that_is_not_in_the_store(configure, store):
    with pytest.raises(StudyError, match=r"^store: run [0-9a-f]{16} "):
        measure.sweep([(configure(), 1)], HOW, "cpu")


@pytest.mark.parametrize(
    ("change", "named"),
    [({"num_pairs": 0}, "num_pairs"), ({"spacing": 0.0}, "spacing"), ({"cutoff": -1.0}, "cutoff"),
     ({"path": "curly"}, "path"), ({"seed": 0.5}, "seed"), ({"spacing": "1"}, "spacing")],
)  # fmt: skip
def test_bad_fields_are_refused(change, named):
    with pytest.raises(StudyError, match=f"^{named}: "):
        MeasurementConfig(**({"num_pairs": 45, "spacing": 0.5, "cutoff": 0.2} | change))
