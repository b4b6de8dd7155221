"""One network, measured: every path against definitions, and networks of anyone."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from lib import data, measure
from lib.measure import Protocol, spectrum, temperature
from lib.parameters import StudyError

PROTOCOL = Protocol(num_pairs=45, spacing=0.5, cutoff=0.2)
MEASURES = ("power", "absolute", "variation", "degree")
COLUMNS = ["hff", *(f"{name}_{view}" for name in MEASURES for view in measure.REPRESENTATIONS)]


def network(config, run, epoch=3):
    model = config.build()
    model.load_state_dict(run.weights(epoch))
    return model.eval()


@pytest.fixture
def measured(trained):
    config, run = trained
    return measure.measure(network(config, run), config.load_data(), PROTOCOL, "cpu")


def test_measurement_has_a_finite_row_a_path(trained, measured):
    labels, paths = trained[0].load_data().y_test.numpy(), measured.paths
    assert paths["kind"].value_counts().to_dict() == {"within": 45, "between": 45}
    same = labels[paths["a"]] == labels[paths["b"]]
    np.testing.assert_array_equal(same, paths["kind"] == "within")
    assert set(paths) == {"kind", "a", "b", "distance", "correct", *COLUMNS}
    assert np.isfinite(paths[COLUMNS].to_numpy(float)).all()
    assert paths.filter(like="power").stack().between(0, 1).all()
    assert len(measured.network) == 1
    assert np.isfinite(measured.network.to_numpy(float)).all()


def test_correct_means_that_both_ends_are_classified_correctly(trained, measured):
    config, run = trained
    dataset, paths = config.load_data(), measured.paths
    with torch.no_grad():
        logits = network(config, run)(dataset.normalize(dataset.x_test))
    right = (logits.argmax(1) == dataset.y_test).numpy()
    np.testing.assert_array_equal(paths["correct"], right[paths["a"]] & right[paths["b"]])
    assert 0 < paths["correct"].sum() < len(paths)
    assert measured.network["accuracy"].item() == right.mean()


def test_measures_of_single_paths_by_definition(trained, measured):
    """Points, logits and the simpler measures computed anew, in float64."""
    config, run = trained
    dataset, spacing = config.load_data(), PROTOCOL.spacing
    model, images = network(config, run).double(), dataset.normalize(dataset.x_test).double()
    with torch.no_grad():
        every = model(images).numpy()
    scale = (every - every.mean(1, keepdims=True)).std()
    calibration = temperature(every, dataset.y_test.numpy())
    for row in measured.paths.iloc[::17].itertuples():
        step = images[row.b] - images[row.a]
        distance = step.norm().item()
        t = np.arange(0, distance, spacing)
        share = torch.from_numpy(t / distance)[:, None, None, None]
        with torch.no_grad():
            logits = model(images[row.a] + share * step).numpy()
        softmax, calibrated = (np.exp(logits / heat) for heat in (1, calibration))
        views = {"softmax": softmax / softmax.sum(1, keepdims=True)}
        views["calibrated"] = calibrated / calibrated.sum(1, keepdims=True)
        views["logits"] = (logits - logits.mean(1, keepdims=True)) / scale
        assert row.distance == pytest.approx(distance, rel=1e-5)
        for name, outputs in views.items():
            variation = np.linalg.norm(np.diff(outputs, axis=0), axis=1).sum()
            line = outputs[0] + np.linspace(0, 1, len(t))[:, None] * (outputs[-1] - outputs[0])
            power = (np.abs(np.fft.fft(outputs - line, axis=0)) ** 2).sum(1)
            high = np.abs(np.fft.fftfreq(len(t), spacing)) >= PROTOCOL.cutoff
            absolute = power[high].sum() / len(t) ** 2
            assert getattr(row, f"variation_{name}") == pytest.approx(variation, rel=1e-3)
            assert getattr(row, f"absolute_{name}") == pytest.approx(absolute, rel=1e-2)
        hff = spectrum.high_frequency_fraction(torch.from_numpy(views["softmax"])[None]).item()
        assert row.hff == pytest.approx(hff, rel=1e-3)


def test_spectra_are_shares_of_power_of_paths_with_correct_ends(measured):
    for (kind, name), table in measured.spectra.groupby(["kind", "representation"]):
        edges = np.linspace(0, 0.5 / PROTOCOL.spacing, 33)[:-1]
        np.testing.assert_allclose(table["cycles_per_nu"], edges)
        assert (table["power"] >= 0).all()
        assert table["power"].sum() == pytest.approx(1, abs=1e-9)
        chosen = measured.paths[(measured.paths["kind"] == kind) & measured.paths["correct"]]
        above = table["power"][edges >= 0.25].sum()  # the cutoff lies within a bin
        share = chosen[f"power_{name}"].mean()
        assert above < share + 0.05
        assert share < table["power"][edges >= 0.125].sum() + 0.05
    assert len(measured.spectra) == 2 * 3 * 32


def test_scale_of_the_logits_changes_the_softmax_alone(trained, measured):
    config, run = trained
    louder = network(config, run)
    with torch.no_grad():
        louder[-1].weight *= 3
        louder[-1].bias *= 3
    second = measure.measure(louder, config.load_data(), PROTOCOL, "cpu").paths
    powered = measured.paths["absolute_logits"] > 1e-9  # else the share is that of rounding
    assert powered.mean() > 0.9
    first, second = measured.paths[powered], second[powered]
    for name in ("power", "variation"):
        for view in ("logits", "calibrated"):
            one, other = first[f"{name}_{view}"], second[f"{name}_{view}"]
            np.testing.assert_allclose(one, other, rtol=2e-2, atol=1e-3)
    assert (second["variation_softmax"] / first["variation_softmax"]).median() > 1.05


def test_a_constant_network_has_no_frequency(linear):
    model = linear(10, (1, 8, 8))
    nn.init.zeros_(model[1].weight)
    measured = measure.measure(model, data.load("digits", 200), PROTOCOL, "cpu")
    assert (measured.paths[COLUMNS].abs() < 1e-9).all(axis=None)
    assert measured.network["jacobian_norm"].item() == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_a_measurement_is_the_same_every_time(threads, trained, measured, on_threads):
    """Also on several threads, of images in float32, and with a bar."""
    config, run = trained
    on_threads(threads)
    dataset = config.load_data()
    dataset = dataclasses.replace(dataset, x_test=dataset.x_test.float())
    again = measure.measure(network(config, run), dataset, PROTOCOL, "cpu", progress=True)
    for table, other in zip(measured, again, strict=True):
        assert table.equals(other)
    assert torch.get_num_threads() == threads


def test_the_bar_ends_at_its_end(trained, capfd):
    config, run = trained
    measured = measure.measure(network(config, run), config.load_data(), PROTOCOL, "cpu", True)
    points = np.ceil(measured.paths["distance"] / PROTOCOL.spacing).sum()
    total = int(200 + points + 200)  # every test image, every point, and test images once more
    assert f"{total}/{total}" in capfd.readouterr().err


def test_every_path_can_be_measured(trained):
    config, run = trained
    model, dataset = network(config, run), config.load_data()
    lengths = {}
    for path in ("slerp", "random_direction", "fourier_amplitude", "fourier_phase"):
        protocol = dataclasses.replace(PROTOCOL, path=path, num_pairs=20, spacing=0.1)
        paths = measure.measure(model, dataset, protocol, "cpu").paths
        assert np.isfinite(paths[COLUMNS].to_numpy(float)).all()
        lengths[path] = measure.lengths(dataset, paths[["a", "b"]].to_numpy(), path)
        np.testing.assert_allclose(paths["distance"], lengths[path], rtol=1e-5)
    assert (lengths["slerp"] > lengths["random_direction"]).mean() > 0.9  # around, not across


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda x: x, r"\(2, 1, 8, 8\)"),
        (lambda x: x.flatten(1)[:, :5], r"\(2, 5\); .*classes >= 10"),
        (nn.Conv2d(3, 4, 3), "accepted: a network for digits"),
        (lambda x: x.flatten(1) / 0, "NaN or infinite"),
        (lambda x: torch.log(x.flatten(1)[:, :10]), "NaN or infinite"),
        (lambda x: x.flatten(1)[:, :10].detach(), "without a gradient"),
    ],
)
def test_outputs_that_cannot_be_measured(network, message):
    with pytest.raises(StudyError, match=f"^network: got .*{message}") as caught:
        measure.measure(network, data.load("digits", 300))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spacing", [4.0, 1000.0])
def test_a_spacing_too_wide_for_a_path_is_refused_before_anything_is_measured(spacing, linear):
    def network(x):
        pytest.fail("was evaluated")

    protocol = Protocol(num_pairs=45, spacing=spacing, cutoff=0.1)
    message = rf"^spacing: got {spacing}; accepted: below \d\.\d+, half the shortest path$"
    with pytest.raises(StudyError, match=message):
        measure.measure(network, data.load("digits", 300), protocol)


def test_too_few_images_for_the_pairs_are_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(StudyError, match=r"^num_pairs: "):
        measure.measure(network, data.load("digits", 2))


def test_two_lines_and_a_network_that_stays_as_it_was():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5)).train()
    before = network[1].weight.clone()
    measured = measure.measure(network, data.load("digits"))
    assert network.training
    assert torch.equal(network[1].weight, before)
    assert all(weight.requires_grad for weight in network.parameters())
    assert len(measured.paths) == 2 * 200


def test_default_protocol_puts_64_points_on_the_median_path(as_dataset):
    """Spots of height 12 and 24 pixels at many places: all paths between them are as long."""
    images = torch.zeros(40, 1, 10, 10)
    for number, image in enumerate(images):
        image[0, number // 10, number % 10] = 12 if number % 2 else 24
    distance = math.hypot(12, 24)  # 26.8; over 64 in two digits: 0.42
    assert measure.default_protocol(as_dataset(images)) == Protocol(
        num_pairs=200, spacing=float(f"{distance / 64:.2g}"), cutoff=float(f"{0.05 / 0.42:.2g}")
    )
    other = measure.default_protocol(as_dataset(images), 7, 30, "slerp")
    assert other == Protocol(num_pairs=7, spacing=0.89, cutoff=0.056, path="slerp")


@pytest.mark.parametrize(
    "change", [{"num_pairs": 50}, {"spacing": 0.4}, {"cutoff": 0.3}, {"seed": 1}, {"path": "slerp"}]
)
def test_another_protocol_has_another_key(change):
    assert dataclasses.replace(PROTOCOL, **change).key() != PROTOCOL.key()
    written_out = Protocol(num_pairs=45, spacing=0.5, cutoff=0.2, seed=0, path="linear")
    assert written_out.key() == PROTOCOL.key()


def test_a_protocols_key_does_not_depend_on_how_a_number_is_written():
    one, same = (Protocol(num_pairs=5, spacing=spacing, cutoff=0.2) for spacing in (1, 1.0))
    assert one == same
    assert one.key() == same.key()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_pairs": 0}, "num_pairs"),
        ({"spacing": 0.0}, "spacing"),
        ({"cutoff": -1.0}, "cutoff"),
        ({"path": "curly"}, "path"),
        ({"seed": 0.5}, "seed"),
        ({"spacing": "1"}, "spacing"),
    ],
)
def test_bad_fields_are_refused(change, named):
    with pytest.raises(StudyError, match=f"^{named}: "):
        dataclasses.replace(PROTOCOL, **change)
