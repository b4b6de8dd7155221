"""How far a wave is fitted beyond the control: of outputs made by hand, and of trained networks."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lib import data, runs
from lib.measure import fitting, gain, noise_fitting, null, null_band, wave_summary
from lib.parameters import StudyError
from lib.training import TrainingConfig, smooth_labels, wave

A = 0.3
WAVE = {"wave": "radial", "frequency": 0.9, "amplitude": A, "num_test": 400}
EPOCHS = np.array([2, 4, 8])


def test_gain_of_a_run_that_is_its_control_is_0():
    rng = np.random.default_rng(0)
    control, labels = rng.random((3, 50)), rng.random(50)
    assert gain(control, control, labels).tolist() == [0, 0, 0]


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0, -1.0])
def test_gain_is_the_part_of_the_noisy_label_that_is_added_to_the_control(part):
    """Epoch by epoch, and whatever is added evenly."""
    rng = np.random.default_rng(0)
    control, labels = rng.random((3, 50)), rng.random(50)
    added = np.array([[0], [part], [1]]) * labels + [[0.3], [0], [7]]
    np.testing.assert_allclose(gain(control + added, control, labels), [0, part, 1], atol=1e-12)


def test_gain_of_even_labels_is_undefined():
    """The control's own: there is no wave to follow."""
    of_run = np.random.default_rng(0).random((3, 50))
    for value in (0.64, 1 / 3):
        assert np.isnan(gain(of_run, np.zeros((3, 50)), np.full(50, value))).all()


def test_noise_fitting_of_a_network_that_knows_only_the_classes():
    """Logits +L for the class, -L else: noisy labels cost 2 L more on the share r (C - 1) / C."""
    size, classes, r = np.array([[1.0], [3.0]]), 10, np.array([0.0, 0.2, 0.4])
    log_sum = np.log(np.exp(size) + (classes - 1) * np.exp(-size)) + np.zeros((2, 3))
    log_true, log_mean = size - log_sum, (2 - classes) / classes * size - log_sum
    expected = -2 * size[:, 0] * r.mean() * (classes - 1) / classes
    np.testing.assert_allclose(noise_fitting(log_true, log_mean, r), expected, atol=1e-12)


def norms_and_labels(config):
    """||x|| of the test images and what is left of each one's noisy label for its class, by the
    formulas of a radial wave."""
    dataset = data.load("digits", config.num_test)
    x = dataset.normalize(dataset.x_test).double().flatten(1).numpy()
    norms, phase = np.linalg.norm(x, axis=1), math.sqrt(2) * math.gamma(32.5) / math.gamma(32)
    s = 1 + np.sin(2 * np.pi * config.frequency * (norms - phase))
    return norms, 1 - 0.9 * A * s / s.mean()


@pytest.fixture
def put(store, monkeypatch):
    """A function that puts a run into the store whose probabilities of the true class (epochs, n)
    are given."""

    def write(config, true, accuracy=0.9, log_mean=-5.0):
        logs = {"log_true": np.log(true), "log_mean": np.full_like(true, log_mean)}
        history = {name: values.astype(np.float16) for name, values in logs.items()}
        history |= {"epoch": EPOCHS, "test_accuracy": np.full(len(EPOCHS), accuracy)}
        with monkeypatch.context() as patch:
            patch.setattr(TrainingConfig, "execute", lambda *_: (history, {}))
            return runs.find_or_execute(config, "cpu")

    return write


def test_gain_beyond_a_control_that_goes_with_the_norm_as_the_wave_does(configure, put):
    """A wave of a quarter of a period goes with ||x||, as a network's confidence does: the slope
    of the probability on the noisy label is far from 0 for a control that never saw the wave, its
    gain is 0, and 1 for what has the noisy label besides."""
    config = configure(**WAVE | {"frequency": 0.1})
    norms, labels = norms_and_labels(config)
    control = 0.3 + 0.05 * (norms - norms.mean()) + np.zeros((3, 1))
    parts = np.array([[0.0], [0.5], [1.0]])
    put(config.control(), control)
    run = put(config, control + parts * (labels - labels.mean()))
    fits = fitting([config])
    np.testing.assert_allclose(fits["gain"], [0, 0.5, 1], atol=0.01)
    old = np.polyfit(labels, control[0], 1)[0]
    assert abs(old) > 0.1
    assert fits["epoch"].tolist() == [2, 4, 8]
    assert fits["key"].unique().tolist() == [run.key]
    assert fits["test_accuracy"].tolist() == [0.9] * 3
    assert (fits["frequency"].eq(0.1) & fits["wave"].eq("radial")).all()


@pytest.mark.parametrize("along_norm", [0.05, -0.08])
def test_gain_is_the_same_whatever_goes_with_the_norm_in_both(configure, put, along_norm):
    config = configure(**WAVE)
    norms, labels = norms_and_labels(config)
    both = 0.4 + along_norm * (norms - norms.mean()) + np.zeros((3, 1))
    put(config.control(), both)
    put(config, both + 0.5 * (labels - labels.mean()))
    np.testing.assert_allclose(fitting([config])["gain"], 0.5, atol=0.01)


def test_each_epoch_has_the_control_of_its_own(configure, put):
    config = configure(**WAVE)
    norms, labels = norms_and_labels(config)
    control = np.array([[0.3], [0.4], [0.5]]) + np.array([[0.01], [-0.03], [0.05]]) * (norms - 8)
    put(config.control(), control)
    put(config, control + np.array([[0.1], [0.7], [0.3]]) * (labels - labels.mean()))
    np.testing.assert_allclose(fitting([config])["gain"], [0.1, 0.7, 0.3], atol=0.01)


def test_a_wave_on_one_class_is_measured_on_its_images_alone(configure, put):
    """There the run follows its labels; elsewhere it is as far from the control as can be."""
    config = configure(**WAVE, wave_class=3)
    dataset = config.load_data()
    own = (dataset.y_test == 3).numpy()
    norms, _ = norms_and_labels(config)
    s = 1 + np.sin(2 * np.pi * 0.9 * (norms - math.sqrt(2) * math.gamma(32.5) / math.gamma(32)))
    labels = 1 - 0.9 * A * s / s[own].mean()
    rng = np.random.default_rng(0)
    control = np.full((3, 400), 0.4)
    follows = np.where(own, control + labels - labels[own].mean(), rng.random((3, 400)) + 1e-3)
    put(config.control(), control)
    put(config, follows, log_mean=-5.0)
    fits = fitting([config])
    np.testing.assert_allclose(fits["gain"], 1, atol=0.02)
    low, high = np.percentile(norms[own], [1, 99])
    np.testing.assert_allclose(fits["periods"], 0.9 * (high - low), rtol=1e-4)
    left = np.where(own, A * s / s[own].mean(), 0)  # only these labels are noisy
    expected = ((-5.0 - np.log(follows)) * left).mean(1)
    np.testing.assert_allclose(fits["noise_fitting"], expected, atol=2e-3)
    even = np.where(own, A, 0) * (-5.0 - np.log(0.4))
    np.testing.assert_allclose(fits["control_fitting"], even.mean(), atol=2e-3)


def test_periods_are_those_between_the_1st_and_99th_percentile(configure, put):
    """Of the norm; or of the place along a direction, here a basis image of one sign: the mean."""
    dataset = data.load("digits", 400)
    x = dataset.normalize(dataset.x_test).double().flatten(1).numpy()
    places = {"radial": np.linalg.norm(x, axis=1), "fourier:4,4": x.sum(1) / 8}
    for name, place in places.items():
        config = configure(**WAVE | {"wave": name})
        for each in (config, config.control()):
            put(each, np.full((3, 400), 0.5))
        low, high = np.percentile(place, [1, 99])
        np.testing.assert_allclose(fitting([config])["periods"], 0.9 * (high - low), rtol=1e-4)


@pytest.mark.parametrize("missing", ["run", "control"])
def test_a_run_or_control_that_is_missing_is_one_line(configure, put, missing):
    config = configure(**WAVE)
    there, absent = (config, config.control())[:: 1 if missing == "control" else -1]
    put(there, np.full((3, 400), 0.5))
    message = f"^waves: the {missing} {absent.key()} .* is not in the store; call runs.sweep on"
    with pytest.raises(StudyError, match=message) as caught:
        fitting([config])
    assert "\n" not in str(caught.value)
    assert [run.key for run in runs.all_runs()] == [runs.find(there).key]  # nothing was trained


def test_a_class_without_test_images_is_refused(configure, put):
    config = configure(**WAVE | {"num_test": 4}, wave_class=9)
    for each in (config, config.control()):
        put(each, np.full((3, 4), 0.5))
    with pytest.raises(StudyError, match=r"^wave_class: got 9; accepted: a class of the test"):
        fitting([config])


def test_waves_of_one_configuration_have_one_control_and_others_their_own(configure):
    waves = [configure(**WAVE | fields) for fields in ({}, {"frequency": 2.0}, {"wave": "f"})]
    assert len({config.control() for config in waves}) == 1
    control = waves[0].control()
    assert (control.wave, control.amplitude, control.seed) == ("uniform", A, 0)
    assert control.control() == control
    changes = ({"model": "mlp-1-32"}, {"weight_decay": 0.1}, {"num_train": 500}, {"seed": 1})
    controls = {configure(**WAVE | fields).control() for fields in (*changes, {"wave_class": 3})}
    assert len(controls | {control}) == 6


def by_hand(configs, put):
    """Runs whose controls are random: the true-class probabilities of each seed's."""
    rng, controls = np.random.default_rng(0), {}
    for config in configs:
        controls[config.seed] = np.clip(0.5 + 0.1 * rng.normal(size=(3, 400)), 0.1, 0.9)
        put(config.control(), controls[config.seed])
        put(config, np.full((3, 400), 0.5))
    return controls


def test_null_is_one_seeds_control_beyond_anothers(configure, put):
    """For every ordered pair of seeds, and each wave."""
    configs = [configure(**WAVE, seed=seed) for seed in (3, 5, 8)]
    controls = by_hand(configs, put)
    _, labels = norms_and_labels(configs[0])
    nulls = null(configs)
    assert len(nulls) == 6 * 3
    assert "seed" not in nulls
    assert nulls["frequency"].eq(0.9).all()
    for (pair, epoch), rows in nulls.groupby(["pair", "epoch"]):
        one, other = map(int, pair.split())
        difference = (controls[other] - controls[one])[EPOCHS.tolist().index(epoch)]
        expected = np.polyfit(labels, difference, 1)[0]
        assert rows["gain"].tolist() == [pytest.approx(expected, abs=5e-3)]
    two_waves = [*configs, *(dataclasses.replace(c, frequency=2.0) for c in configs)]
    assert null(two_waves).groupby("frequency").size().to_dict() == {0.9: 18, 2.0: 18}


def test_null_band_holds_95_percent_over_pairs_of_seeds():
    rng = np.random.default_rng(0)
    pairs = [f"{a} {b}" for a in range(8) for b in range(8) if a != b]
    rows = [(f, epoch, pair) for f in (0.5, 1.0) for epoch in (2, 4, 8) for pair in pairs]
    nulls = pd.DataFrame(rows, columns=["frequency", "epoch", "pair"])
    nulls["gain"] = rng.normal(size=len(nulls)) * nulls["frequency"]
    band = null_band(nulls, ["frequency", "epoch"])
    assert len(band) == 6
    for row in band.itertuples():
        own = nulls[(nulls["frequency"] == row.frequency) & (nulls["epoch"] == row.epoch)]["gain"]
        assert (row.low, row.high) == pytest.approx(tuple(np.quantile(own, [0.025, 0.975])))
    of_means = null_band(nulls, ["frequency"]).set_index("frequency")
    means = nulls.groupby(["frequency", "pair"])["gain"].mean()
    for frequency in (0.5, 1.0):
        expected = tuple(np.quantile(means[frequency], [0.025, 0.975]))
        assert tuple(of_means.loc[frequency]) == pytest.approx(expected)


def test_one_seed_has_no_null_and_no_band(configure, put):
    config = configure(**WAVE)
    by_hand([config], put)
    nulls = null([config])
    assert nulls.empty
    for by in (["epoch"], ["frequency"], ["frequency", "epoch"]):
        band = null_band(nulls, by)
        assert band.empty
        assert list(band) == [*by, "low", "high"]


@pytest.fixture
def trained_waves(configure, store):
    """A function that trains networks on waves, and their controls: the waves' configurations."""

    def train(name, frequency, seeds=(0,), **fields):
        given = {"wave": name, "frequency": frequency, "amplitude": 0.4, "num_epochs": 12}
        given |= {"model": "mlp-1-64", "eval_every": 4} | fields
        configs = [configure(**given, seed=seed) for seed in seeds]
        for config in configs:
            runs.find_or_execute(config, "cpu")
            runs.find_or_execute(config.control(), "cpu")
        return configs

    return train


def probabilities(config):
    """Of the network of a stored run, computed anew: logits of the test images, double."""
    run = runs.find_or_execute(config, "cpu")
    model, dataset = config.build().eval(), config.load_data()
    model.load_state_dict(run.weights(config.num_epochs))
    with torch.no_grad():
        return model(dataset.normalize(dataset.x_test)).double(), dataset


def test_controls_follow_a_slow_wave_by_the_old_slope_and_not_beyond_each_other(trained_waves):
    """The mean pixel, along which images differ as confidence does: .15 periods."""
    configs = trained_waves("fourier:4,4", 0.05, seeds=(0, 1, 2))
    logits, dataset = probabilities(configs[0].control())
    p = logits.softmax(1)[range(500), dataset.y_test]
    x = dataset.normalize(dataset.x_test).double().flatten(1)
    s = 1 + torch.sin(2 * math.pi * 0.05 * x.sum(1) / 8)
    old = np.polyfit(1 - 0.9 * 0.4 * s / s.mean(), p, 1)[0]
    band = null_band(null(configs), ["epoch"]).set_index("epoch").loc[12]
    assert old < 2 * band["low"] < 0 < band["high"]
    gains = fitting(configs).query("epoch == 12")["gain"]
    assert (gains > 2 * band["high"]).all()


@pytest.mark.parametrize(
    ("name", "frequency", "only"), [("radial", 1.0, None), ("1/f", 0.3, None), ("radial", 1.0, 4)]
)
def test_noise_fitting_is_the_difference_of_torchs_cross_entropies(
    trained_waves, name, frequency, only
):
    """Of the network's full probabilities, though float16 of two numbers an image is all that was
    kept."""
    (config,) = trained_waves(name, frequency, wave_class=only)
    last = fitting([config]).iloc[-1]
    for each, column in ((config, "noise_fitting"), (config.control(), "control_fitting")):
        logits, dataset = probabilities(each)
        images = dataset.normalize(dataset.x_test)
        s = wave(each.wave, each.frequency, dataset.image_shape)(images).double()
        noisy = smooth_labels(dataset.y_test, s, 0.4, 10, only)
        expected = F.cross_entropy(logits, dataset.y_test) - F.cross_entropy(logits, noisy)
        assert last[column] == pytest.approx(expected.item(), abs=1e-3)
        assert abs(last[column]) > 0.02


def test_gain_of_a_trained_network_from_its_full_probabilities(trained_waves):
    (config,) = trained_waves("radial", 0.6)
    pairs = [probabilities(each) for each in (config, config.control())]
    labels = pairs[0][1].y_test
    run, control = (logits.softmax(1)[range(500), labels].numpy() for logits, _ in pairs)
    x = pairs[0][1].normalize(pairs[0][1].x_test).double().flatten(1).norm(dim=1).numpy()
    s = 1 + np.sin(2 * np.pi * 0.6 * (x - math.sqrt(2) * math.gamma(32.5) / math.gamma(32)))
    expected = np.polyfit(1 - 0.9 * 0.4 * s / s.mean(), run - control, 1)[0]
    assert fitting([config])["gain"].iloc[-1] == pytest.approx(expected, abs=2e-3)


def test_summary_of_three_runs_by_hand():
    """A wave below one period takes no part, and its measures are there all the same."""
    gains = {"a": [0.1, 0.4, 0.7], "b": [0.0, -0.2, 0.2], "c": [0.5, 0.5, 0.2]}
    noise = {"a": [-0.1, -0.5, 0.2], "b": [0.3, 0.1, -0.2], "c": [-1.0, -1.0, 0.0]}
    control = {"a": [-0.6, -0.7, -0.1], "b": [-0.2, 0.0, 0.0], "c": [0.0, -0.5, -2.0]}
    periods = {"a": 2.3, "b": 0.99, "c": 1.0}
    parts = [
        pd.DataFrame({"epoch": EPOCHS, "wave": name, "seed": 0, "gain": gains[name]})
        .assign(noise_fitting=noise[name], control_fitting=control[name])
        .assign(test_accuracy=[0.1, 0.2, 0.3], periods=periods[name], frequency=0.5)
        for name in gains
    ]
    summary = wave_summary(pd.concat(parts), ["wave", "seed"])  # rows 0..2 three times
    expected = pd.DataFrame(
        {
            "wave": ["a", "b", "c"],
            "seed": 0,
            "mean_gain": [0.4, 0.0, 0.4],
            "final_gain": [0.7, 0.2, 0.2],
            "min_noise_fitting": [-0.5, -0.2, -1.0],
            "dip_epoch": [4, 8, 2],
            "beyond_control": [0.2, 0.0, 1.0],
            "test_accuracy": 0.3,
            "periods": [2.3, 0.99, 1.0],
            "included": [True, False, True],
        }
    )
    pd.testing.assert_frame_equal(summary, expected)
