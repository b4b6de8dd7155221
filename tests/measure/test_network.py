"""One network, measured: every path against definitions, and networks of anyone."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.signal.windows
import torch
from torch import nn

from lib import data, measure
from lib.measure import Protocol, spectrum
from lib.parameters import StudyError

PROTOCOL = Protocol(num_pairs=45, spacing=0.1, cutoff=0.5)
MULTIPLES = {"1": 1, "1.41": 2**0.5, "2": 2, "2.83": 2**1.5, "4": 4}
COLUMNS = ["changes", "hff", "variation", "variance_softmax", "variance_logits"]
COLUMNS += [
    f"{name}_{output}_{multiple}"
    for name in ("power", "floor")
    for output in ("softmax", "logits")
    for multiple in MULTIPLES
]


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


def residual(outputs, frequency):
    """What a constant, a line and prolate sequences leave of outputs (points, classes)."""
    points = len(outputs)
    width = points * PROTOCOL.spacing * frequency
    sequences = scipy.signal.windows.dpss(points, width, math.ceil(2 * width) + 2)
    basis = np.column_stack([np.ones(points), np.arange(points), *sequences])
    return outputs - basis @ np.linalg.lstsq(basis, outputs, rcond=None)[0]


def test_measures_of_single_paths_by_definition(trained, measured):
    """Points, logits and all measures computed anew, in float64."""
    config, run = trained
    dataset, spacing = config.load_data(), PROTOCOL.spacing
    model, images = network(config, run).double(), dataset.normalize(dataset.x_test).double()
    with torch.no_grad():
        every = model(images).numpy()
    scale = (every - every.mean(1, keepdims=True)).std()
    for row in measured.paths.iloc[::17].to_dict("records"):
        step = images[row["b"]] - images[row["a"]]
        distance = step.norm().item()
        n = np.arange(math.ceil(distance / spacing))
        share = torch.from_numpy(n * spacing / distance)[:, None, None, None]
        with torch.no_grad():
            logits = model(images[row["a"]] + share * step).numpy()
        views = {"softmax": np.exp(logits) / np.exp(logits).sum(1, keepdims=True)}
        views["logits"] = (logits - logits.mean(1, keepdims=True)) / scale
        assert row["distance"] == pytest.approx(distance, rel=1e-5)
        assert row["changes"] == np.count_nonzero(np.diff(logits.argmax(1)))
        steps = np.linalg.norm(np.diff(views["softmax"], axis=0), axis=1)
        assert row["variation"] == pytest.approx(steps.sum(), rel=1e-3)
        hff = spectrum.high_frequency_fraction(torch.from_numpy(views["softmax"])[None]).item()
        assert row["hff"] == pytest.approx(hff, rel=1e-3)
        for name, outputs in views.items():
            assert row[f"variance_{name}"] == pytest.approx(outputs.var(0).sum(), rel=1e-4)
            cubic = np.transpose([np.polyval(np.polyfit(n, u, 3), n) for u in outputs.T])
            for label, multiple in MULTIPLES.items():
                for measured_as, values in (("power", outputs), ("floor", cubic)):
                    left = residual(values, multiple * PROTOCOL.cutoff)
                    expected = (left**2).sum(1).mean()
                    value = row[f"{measured_as}_{name}_{label}"]
                    assert value == pytest.approx(expected, rel=1e-2, abs=1e-15)


@pytest.fixture
def waves():
    """A function that measures a network whose logits are a sine of so many cycles per nu and its
    negative, along paths of 40 to 60 nu: (paths, places of the test images, their sines)."""
    place = np.array([0.3, 45.1, 0.9, 50.4, 1.7, 60.3] * 2)
    images = torch.zeros(12, 1, 2, 2)
    images[:, 0, 0, 0] = torch.from_numpy(place)
    labels, zero = torch.arange(12) // 2 % 2, torch.zeros(1)
    dataset = data.Dataset("sine", images, labels, images, labels, 2, zero, zero + 1, "")

    def measured(frequency):
        def network(x):
            wave = torch.sin(2 * torch.pi * frequency * x[:, 0, 0, 0])
            return torch.stack([wave, -wave], 1)

        protocol = Protocol(num_pairs=6, spacing=1, cutoff=0.05)
        paths = measure.measure(network, dataset, protocol, "cpu").paths
        return paths, place, np.sin(2 * np.pi * frequency * place)

    return measured


def points_of(row, place):
    """Where the points of a path lie, from its first image on, 1 nu apart."""
    towards = np.sign(place[row["b"]] - place[row["a"]])
    return place[row["a"]] + towards * np.arange(math.ceil(row["distance"] - 1e-6))


@pytest.mark.parametrize("frequency", [0.04, 0.11, 0.3])
def test_a_network_that_is_a_sine_has_its_power_below_its_frequency(frequency, waves):
    """Most is above a cutoff of up to half the sine's frequency, nothing above one beyond it."""
    paths, place, sines = waves(frequency)
    assert len(paths) == 12
    for row in paths.to_dict("records"):
        wave = np.sin(2 * np.pi * frequency * points_of(row, place))
        variance = 2 * wave.var() / np.mean(sines**2)  # two logits, standardised over the images
        assert row["variance_logits"] == pytest.approx(variance, rel=1e-4)
        for label, multiple in MULTIPLES.items():
            share = row[f"power_logits_{label}"] / variance
            if multiple * 0.05 <= frequency / 2:
                assert share > 0.75
            if multiple * 0.05 >= frequency / 0.8:
                assert share < 1e-3
    assert (paths["changes"] > 0).all()


@pytest.mark.parametrize("frequency", [0.04, 0.11, 0.3])
def test_class_changes_of_a_sine_are_its_zeros(frequency, waves):
    paths, place, _ = waves(frequency)
    for row in paths.to_dict("records"):
        turns = 2 * frequency * points_of(row, place)
        zeros = abs(math.floor(turns[-1]) - math.floor(turns[0]))
        assert row["changes"] == zeros > 2


def test_no_path_is_shorter_than_two_periods_of_the_cutoff(linear):
    dataset = data.load("digits", 200)
    protocol = dataclasses.replace(PROTOCOL, cutoff=0.4)
    assert protocol.shortest == 5
    paths = measure.measure(linear(10, (1, 8, 8)), dataset, protocol, "cpu").paths
    assert paths["distance"].min() >= 5
    assert paths.groupby("kind").size().tolist() == [45, 45]
    every = measure.within_class_pairs(dataset.y_test, 45, 0)
    assert (measure.lengths(dataset, every, "linear") < 5).mean() > 0.1  # so that it matters


@pytest.mark.parametrize(("num_pairs", "cutoff"), [(45, 0.2), (3000, 0.4), (10**6, 0.5)])
def test_too_few_pairs_that_are_long_enough_are_refused(num_pairs, cutoff):
    """Of distances below 10 nu, of 190 pairs a class, of all that there are."""

    def network(x):
        pytest.fail("was evaluated")

    protocol = Protocol(num_pairs=num_pairs, spacing=0.1, cutoff=cutoff)
    with pytest.raises(StudyError, match=r"^num_pairs: .* accepted: .*long enough") as caught:
        measure.measure(network, data.load("digits", 200), protocol)
    assert "\n" not in str(caught.value)


def test_scale_of_the_logits_changes_the_softmax_alone(trained, measured):
    config, run = trained
    louder = network(config, run)
    with torch.no_grad():
        louder[-1].weight *= 3
        louder[-1].bias *= 3
    second = measure.measure(louder, config.load_data(), PROTOCOL, "cpu").paths
    first, logits = measured.paths, [name for name in COLUMNS if "logits" in name]
    np.testing.assert_allclose(second[logits], first[logits], rtol=2e-2)
    assert second["changes"].equals(first["changes"])
    softmax = [name for name in COLUMNS if "power_softmax" in name]
    assert (second[softmax].median() > 1.5 * first[softmax].median()).all()


def test_a_shift_of_all_logits_at_a_point_changes_nothing(trained, measured):
    """Of each image by another number: the softmax does not see it, and logits are centred."""
    config, run = trained
    model = network(config, run)

    def shifted(x):
        return model(x) + 3 * x.flatten(1).norm(dim=1, keepdim=True)

    second = measure.measure(lambda x: shifted(x), config.load_data(), PROTOCOL, "cpu").paths
    np.testing.assert_allclose(second[COLUMNS], measured.paths[COLUMNS], rtol=0.05, atol=1e-9)


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
        fields = {"path": path, "num_pairs": 20, "spacing": 0.05, "cutoff": 0.9}
        protocol = dataclasses.replace(PROTOCOL, **fields)
        paths = measure.measure(model, dataset, protocol, "cpu").paths
        assert np.isfinite(paths[COLUMNS].to_numpy(float)).all()
        assert paths["distance"].min() >= protocol.shortest
        lengths[path] = measure.lengths(dataset, paths[["a", "b"]].to_numpy(), path)
        np.testing.assert_allclose(paths["distance"], lengths[path], rtol=1e-5)
    assert lengths["slerp"].mean() > lengths["random_direction"].mean()  # around, not across


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
        measure.measure(network, data.load("digits", 300), PROTOCOL)
    assert "\n" not in str(caught.value)


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
    """Spots of height 12 and 24 pixels at many places: all paths between them are as long. Its
    shortest path is two periods of the cutoff, .05 cycles a spacing."""
    images = torch.zeros(40, 1, 10, 10)
    for number, image in enumerate(images):
        image[0, number // 10, number % 10] = 12 if number % 2 else 24
    distance = math.hypot(12, 24)  # 26.8; over 64 in two digits: 0.42
    protocol = measure.default_protocol(as_dataset(images))
    assert protocol == Protocol(
        num_pairs=200, spacing=float(f"{distance / 64:.2g}"), cutoff=0.05 / 0.42
    )
    assert protocol.shortest == pytest.approx(40 * 0.42)
    other = measure.default_protocol(as_dataset(images), 7, 30, "slerp")
    assert other == Protocol(num_pairs=7, spacing=0.89, cutoff=0.05 / 0.89, path="slerp")


@pytest.mark.parametrize(
    "change",
    [{"num_pairs": 50}, {"spacing": 0.05}, {"cutoff": 0.3}, {"seed": 1}, {"path": "slerp"}],
)
def test_another_protocol_has_another_key(change):
    assert dataclasses.replace(PROTOCOL, **change).key() != PROTOCOL.key()
    written_out = Protocol(num_pairs=45, spacing=0.1, cutoff=0.5, seed=0, path="linear")
    assert written_out.key() == PROTOCOL.key()


def test_a_protocols_key_does_not_depend_on_how_a_number_is_written():
    one, same = (Protocol(num_pairs=5, spacing=spacing, cutoff=0.02) for spacing in (1, 1.0))
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


@pytest.mark.parametrize("spacing", [0.05, 0.12, 0.3, 1.0, 7.0])
def test_a_cutoff_above_a_twentieth_of_a_cycle_a_spacing_is_refused(spacing):
    """A path of two periods could not tell what is above four times it."""
    highest = Protocol(num_pairs=1, spacing=spacing, cutoff=0.05 / spacing)
    for factor in (1.01, 2, 10):
        with pytest.raises(StudyError, match=r"^cutoff: got .*; accepted: at most 0\.05") as caught:
            dataclasses.replace(highest, cutoff=factor * highest.cutoff)
        assert "\n" not in str(caught.value)


def test_every_path_of_an_accepted_protocol_resolves_every_cutoff():
    """Of any length from two periods on, whatever the rounding of spacing and cutoff."""
    rng = np.random.default_rng(0)
    for spacing in 10 ** rng.uniform(-3, 2, 50):
        for turns in (0.05, 0.0499, rng.uniform(0.005, 0.05)):
            protocol = Protocol(num_pairs=1, spacing=float(spacing), cutoff=float(turns / spacing))
            shortest = int(measure.num_points(protocol.shortest, protocol.spacing))
            for points in range(shortest, shortest + 40):
                for multiple in protocol.multiples():
                    assert spectrum.resolves(points, multiple * turns)
