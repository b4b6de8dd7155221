"""Frequency measures against closed forms, a table of known curves, and definitions in loops."""

import cmath
import itertools
import math

import numpy as np
import pytest
import torch

from lib.measure import spectrum
from lib.parameters import StudyError

POINTS = (12, 25, 60)
every_length = pytest.mark.parametrize("points", POINTS)
PHASES = 2 * math.pi * np.arange(16) / 16


def one_path(values):
    """(1, points, 1) from a list of values."""
    return torch.as_tensor(np.asarray(values, dtype=np.float64))[None, :, None]


def random_paths(points, paths=3, classes=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(paths, points, classes)))


def sines(frequency, points, spacing=1.0, phases=PHASES):
    """(phases, points, 1): sines of `frequency` cycles per nu."""
    angle = 2 * math.pi * frequency * spacing * np.arange(points) + np.asarray(phases)[:, None]
    return torch.from_numpy(np.sin(angle))[:, :, None]


def logistic(slope, points=60, centre=None):
    """A transition in the middle, of `slope` per nu, at spacing 1."""
    centre = (points - 1) / 2 if centre is None else centre
    return 1 / (1 + np.exp(-np.clip(slope * (np.arange(points) - centre), -500, 500)))


def num_columns(points, cutoff):
    """Constant, line and ceil(2 N D f) + 2 prolate sequences, at spacing 1."""
    return 2 + math.ceil(2 * points * cutoff - 1e-9) + 2


def transform(values):
    """The bins 0..N/2 of the discrete Fourier transform, by its definition."""
    n = len(values)
    turns = [[cmath.exp(-2j * math.pi * k * t / n) for t in range(n)] for k in range(n // 2 + 1)]
    return [sum(v * turn for v, turn in zip(values, row, strict=True)) for row in turns]


def hff_by_definition(path):
    """Published summary of one path, (points, classes), in loops."""
    columns = [transform(column) for column in np.transpose(path)]
    num_bins = len(columns[0])
    mean = [sum(abs(column[k]) for column in columns) / len(columns) for k in range(num_bins)]
    first = -(-num_bins // 10)
    return sum(mean[k] for k in range(first, num_bins - 1)) / sum(mean)


@every_length
def test_hff_by_definition(points):
    paths = random_paths(points)
    expected = [hff_by_definition(path) for path in paths.numpy()]
    np.testing.assert_allclose(spectrum.high_frequency_fraction(paths), expected, rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_hff_of_a_constant_is_zero(value):
    paths = torch.full((2, 60, 10), value)
    assert spectrum.high_frequency_fraction(paths).tolist() == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(("k", "expected"), [(1, 0), (3, 0), (4, 1), (29, 1), (30, 0)])
def test_hff_of_a_sine_counts_bins_from_a_tenth_to_the_last_but_one(k, expected):
    # 60 points: 31 bins, of which 4..29 count
    fraction = spectrum.high_frequency_fraction(sines(k / 60, 60, phases=[0.3])).item()
    assert fraction == pytest.approx(expected, abs=1e-9)


STEPS = [[float(t >= k) for t in range(60)] for k in range(15, 46, 5)]


@pytest.mark.parametrize("values", [np.linspace(0, 1, 60), *STEPS])
def test_hff_of_one_transition_is_mostly_leakage(values):
    assert 0.25 < spectrum.high_frequency_fraction(one_path(values)).item() < 0.45


@pytest.mark.parametrize(("slope", "hff"), [(0.2, 0.297), (0.5, 0.287), (1, 0.281), (2, 0.286)])
def test_published_hff_of_logistics(slope, hff):
    path = one_path(logistic(slope, centre=30))
    assert round(spectrum.high_frequency_fraction(path).item(), 3) == hff


def as_printed(value, printed):
    """`value` to as many significant digits as the text has."""
    digits = len(printed.partition("e")[0].replace(".", "").lstrip("0"))
    return float(f"{value:.{digits - 1}e}")


T = np.arange(60)
# out-of-band share above .05 and above .1 cycles/nu of paths of 60 points
TABLE = {
    "logistic .2": (logistic(0.2), "2.5e-6", "3.4e-9"),
    "logistic .5": (logistic(0.5), ".00169", "3.8e-5"),
    "logistic 1": (logistic(1), ".0115", ".00163"),
    "logistic 2": (logistic(2), ".0259", ".00826"),
    "parabola": (T**2, "5e-7", "2e-7"),
    "cubic": ((T / 59) ** 3 - T / 59, "7.5e-6", "2e-6"),
    "step": (T >= 30, ".051", ".028"),
}


@pytest.mark.parametrize(("values", "low", "high"), TABLE.values(), ids=TABLE)
def test_table_of_transitions(values, low, high):
    for cutoff, printed in ((0.05, low), (0.1, high)):
        share = spectrum.out_of_band_share(one_path(values), 1.0, cutoff).item()
        assert as_printed(share, printed) == float(printed)


# a sine's frequency over the cutoff: least and most share over 16 phases
SINES = {
    0.5: ("4e-7", "6e-7"),  # the table has the least
    0.8: ("6e-8", "1e-5"),
    1: ("5e-5", "6e-4"),
    1.25: (".06", ".21"),
    1.5: (".62", ".85"),
    2: (".90", ".90"),
}


@pytest.mark.parametrize(("multiple", "printed"), SINES.items())
def test_table_of_sines(multiple, printed):
    shares = spectrum.out_of_band_share(sines(multiple * 0.05, 60), 1.0, 0.05)
    for share, text in zip((shares.min(), shares.max()), printed, strict=True):
        assert as_printed(share.item(), text) == float(text)


@pytest.mark.parametrize("points", [60, 97, 150])
@pytest.mark.parametrize("spacing", [0.1, 1.0])
def test_a_sine_lies_on_its_side_of_the_cutoff_at_any_phase(points, spacing):
    """Frequencies are in cycles per nu: at a tenth of the spacing the cutoff is ten times as
    high."""
    phases, cutoff = np.random.default_rng(0).uniform(0, 7, 40), 0.05 / spacing
    for multiple in (0.2, 0.5, 0.8):
        paths = sines(multiple * cutoff, points, spacing, phases)
        assert spectrum.out_of_band_share(paths, spacing, cutoff).max() < 1e-4
    for multiple in (2, 3.3, 7):
        paths = sines(multiple * cutoff, points, spacing, phases)
        assert spectrum.out_of_band_share(paths, spacing, cutoff).min() > 0.87


def test_power_of_a_sine_above_the_cutoff_is_half_its_squared_amplitude():
    powers = spectrum.out_of_band_power(3 * sines(0.25, 400), 1.0, 0.05)
    np.testing.assert_allclose(powers, 4.5, rtol=0.01)


@pytest.mark.parametrize(("points", "cutoff"), [(40, 0.05), (40, 0.2), (60, 0.1), (97, 0.08)])
def test_white_noise_by_counting_dimensions(points, cutoff):
    """Of N dimensions with variance 1 the basis takes its columns, and the mean one: power is 1 -
    columns / N, and the share (N - columns) / (N - 1). (The published .849 at 60 and .05 is one
    draw's, beside 50 / 60 = .833 and 50 / 59 = .847.)"""
    paths, classes = 2000, 5
    noise, columns = random_paths(points, paths, classes), num_columns(points, cutoff)
    power = spectrum.out_of_band_power(noise, 1.0, cutoff)
    expected = 1 - columns / points
    error = math.sqrt(2 * expected / points / (paths * classes))  # of a mean of chi squares
    assert power.mean().item() / classes == pytest.approx(expected, abs=4 * error)
    share = spectrum.out_of_band_share(noise, 1.0, cutoff).mean().item()
    assert share == pytest.approx((points - columns) / (points - 1), abs=4 * error)


def test_published_share_of_white_noise():
    shares = spectrum.out_of_band_share(random_paths(60, 2000, 1), 1.0, 0.05)
    assert shares.mean().item() == pytest.approx(0.849, abs=0.005)


@pytest.mark.parametrize("cutoff", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("far", [0.0, 1e3])
def test_constants_and_lines_have_no_power(cutoff, far):
    """To the rounding of float64, also far from 0."""
    line = np.stack([np.linspace(0, 1, 60), np.linspace(0, -3, 60)], axis=1)
    for values in (np.full((60, 2), 0.1), line):
        path = torch.from_numpy(far + values)[None]
        square = path.square().mean().item()
        assert spectrum.out_of_band_power(path, 1.0, cutoff).item() < 1e-15 * square
        assert spectrum.out_of_band_share(path, 1.0, cutoff).item() < 1e-9
        assert spectrum.floor(path, 1.0, [cutoff]).item() < 1e-15 * square


def test_a_constant_has_share_zero():
    """Not 0 / 0, nor the ratio of two roundings."""
    for value in (0.0, 0.1, -7.3, 1e6):
        assert spectrum.out_of_band_share(torch.full((2, 60, 10), value), 1.0, 0.05).tolist() == [
            0,
            0,
        ]


@pytest.mark.parametrize("points", [45, 60, 110])
@pytest.mark.parametrize(("degree", "most"), [(2, 1e-5), (3, 1e-5), (5, 1e-4), (8, 3e-3)])
def test_polynomials_have_almost_no_power(degree, most, points):
    for values in (np.linspace(-1, 1, points) ** degree, np.linspace(0, 1, points) ** degree):
        for cutoff in (0.05, 0.1, 0.2):
            assert 0 <= spectrum.out_of_band_share(one_path(values), 1.0, cutoff).item() < most


def test_power_of_a_transition_does_not_go_with_the_paths_length():
    """Power, not the share and not power x points, stays within a quarter of its middle for paths
    of 45 to 110 points: a transition's energy is divided by more points, but more of it is left,
    since 4 columns beyond the band are a smaller part of a longer path's."""
    paths = [one_path(logistic(1, points)) for points in range(45, 111)]
    powers = [spectrum.out_of_band_power(path, 1.0, 0.05).item() for path in paths]
    middle = (max(powers) + min(powers)) / 2
    assert max(powers) < 1.25 * middle
    assert abs(np.polyfit(np.log(range(45, 111)), np.log(powers), 1)[0]) < 0.4


@pytest.mark.parametrize("slope", [1, 2])
@pytest.mark.parametrize("cutoff", [0.05, 0.1])
def test_energy_of_a_transition_tends_to_that_of_its_fourier_transform(slope, cutoff):
    """Of 1 / (1 + exp(-k x)) the energy above f is (coth(2 pi^2 f / k) - 1) / k; a path's is below
    it and comes closer with its length."""
    exact = (1 / math.tanh(2 * math.pi**2 * cutoff / slope) - 1) / slope
    left = [
        1
        - points
        * spectrum.out_of_band_power(one_path(logistic(slope, points)), 1.0, cutoff)
        / exact
        for points in (50, 100, 200, 400)
    ]
    assert all(0 < longer < 0.7 * shorter for shorter, longer in itertools.pairwise(left))
    assert left[-1] < 0.1


@pytest.mark.parametrize("cutoff", [0.1, 0.17])
def test_power_and_share_by_least_squares(cutoff):
    """Against a fit by sequences made as eigenvectors of the sinc matrix (Slepian's definition)."""
    paths, n = random_paths(40), np.arange(40)
    matrix = 2 * cutoff * np.sinc(2 * cutoff * (n[:, None] - n[None, :]))
    prolate = np.linalg.eigh(matrix)[1][:, ::-1][:, : math.ceil(2 * 40 * cutoff) + 2]
    basis = np.column_stack([np.ones(40), n, prolate])
    power, share = [], []
    for path in paths.numpy():
        residual = path - basis @ np.linalg.lstsq(basis, path, rcond=None)[0]
        power.append((residual**2).sum() / 40)
        share.append(power[-1] / path.var(axis=0).sum())
    np.testing.assert_allclose(spectrum.out_of_band_power(paths, 1.0, cutoff), power, rtol=1e-9)
    np.testing.assert_allclose(spectrum.out_of_band_share(paths, 1.0, cutoff), share, rtol=1e-9)


@pytest.mark.parametrize(("points", "cutoff"), [(40, 0.05), (41, 0.2), (60, 0.1), (110, 0.2)])
def test_basis_is_orthonormal_and_holds_what_it_must(points, cutoff):
    basis, n = spectrum.band_basis(points, cutoff).numpy(), np.arange(points)
    assert basis.shape == (points, num_columns(points, cutoff))
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    for values in (np.ones(points), n, np.cos(2 * np.pi * 0.7 * cutoff * n + 1)):
        left = values - basis @ (basis.T @ values)
        assert np.linalg.norm(left) < 0.01 * np.linalg.norm(values)


def test_curve_is_the_power_at_each_cutoff():
    paths, cutoffs = random_paths(60), [0.05, 0.07, 0.1, 0.14, 0.2]
    curve = spectrum.out_of_band_curve(paths, 1.0, cutoffs)
    assert curve.shape == (3, 5)
    for number, cutoff in enumerate(cutoffs):
        power = spectrum.out_of_band_power(paths, 1.0, cutoff)
        np.testing.assert_allclose(curve[:, number], power, rtol=1e-12)
    assert (curve.diff(dim=1) < 0).all()


def test_spacing_and_cutoff_are_in_nu():
    """The same outputs at half the spacing have frequencies twice as high."""
    paths = random_paths(60)
    power = spectrum.out_of_band_power(paths, 1.0, 0.07)
    for spacing in (0.5, 0.01, 30.0):
        other = spectrum.out_of_band_power(paths, spacing, 0.07 / spacing)
        np.testing.assert_allclose(other, power, rtol=1e-9)


RAMP = one_path(np.linspace(0, 5, 60))
ROTATION = np.linalg.qr(np.random.default_rng(7).normal(size=(4, 4)))[0]
# a change of the outputs: by what it multiplies power
CHANGES = {
    "of a class by a constant": (lambda u: u + torch.arange(4), 1),
    "by a line": (lambda u: u + RAMP * torch.arange(4), 1),
    "of scale": (lambda u: 1e-9 * u, 1e-18),
    "of sign": (lambda u: -3 * u, 9),
    "of classes among each other": (lambda u: u @ torch.from_numpy(ROTATION), 1),
    "of the path's sense": (lambda u: u.flip(1), 1),
    "by a class that stays": (lambda u: torch.cat([u, 0.5 + 0 * u[:, :, :1]], dim=2), 1),
}


@pytest.mark.parametrize(("change", "factor"), CHANGES.values(), ids=CHANGES)
def test_what_a_change_of_the_outputs_does_to_power_and_share(change, factor):
    paths = random_paths(60)
    changed = change(paths)
    power = spectrum.out_of_band_power(paths, 1.0, 0.1)
    np.testing.assert_allclose(
        spectrum.out_of_band_power(changed, 1.0, 0.1), factor * power, rtol=1e-9
    )
    ratio = spectrum.variance(changed) / spectrum.variance(paths)
    share = spectrum.out_of_band_share(paths, 1.0, 0.1) * factor / ratio
    np.testing.assert_allclose(spectrum.out_of_band_share(changed, 1.0, 0.1), share, rtol=1e-9)


def test_power_of_several_classes_is_the_sum_of_theirs():
    paths = random_paths(60)
    for measure in (spectrum.out_of_band_power, lambda u, *_: spectrum.variance(u)):
        single = [measure(paths[:, :, [k]], 1.0, 0.05) for k in range(4)]
        np.testing.assert_allclose(measure(paths, 1.0, 0.05), sum(single), rtol=1e-12)


def test_variance_by_its_definition():
    paths = random_paths(25)
    expected = [sum(np.var(column) for column in path.T) for path in paths.numpy()]
    np.testing.assert_allclose(spectrum.variance(paths), expected, rtol=1e-12)


@pytest.mark.parametrize("points", [40, 60, 97])
def test_floor_is_the_curve_of_each_paths_cubic_fit(points):
    paths, n, cutoffs = random_paths(points), np.arange(points), [0.05, 0.1, 0.2]
    fits = [[np.polyval(np.polyfit(n, column, 3), n) for column in path.T] for path in paths]
    fits = torch.from_numpy(np.array(fits).transpose(0, 2, 1).copy())
    expected = spectrum.out_of_band_curve(fits, 1.0, cutoffs)
    floor = spectrum.floor(paths, 1.0, cutoffs)
    np.testing.assert_allclose(floor, expected, rtol=1e-6, atol=1e-14)
    assert (floor < 1e-4 * spectrum.out_of_band_curve(paths, 1.0, cutoffs)).all()


def test_class_changes_by_hand():
    winners = [[0, 0, 0, 0, 0], [0, 1, 1, 2, 0], [1, 0, 1, 0, 1]]
    outputs = torch.nn.functional.one_hot(torch.tensor(winners), 3).double()
    assert spectrum.class_changes(outputs).tolist() == [0, 3, 4]
    assert spectrum.class_changes(100 + 1e-6 * outputs).tolist() == [0, 3, 4]


def test_class_changes_of_a_sine_are_its_zeros():
    """Two classes, sin and -sin, from an angle of 0.5 to 0.5 + 59 / 60 * 7 pi, beyond 7 pi."""
    wave = sines(3.5 / 60, 60, phases=[0.5])
    assert spectrum.class_changes(torch.cat([wave, -wave], dim=2)).tolist() == [7]


def test_total_variation_of_a_ramp_is_its_height():
    ramp = torch.stack([torch.linspace(0, 3, 20), torch.linspace(1, -3, 20)], dim=1)  # 3 and 4: 5
    assert spectrum.total_variation(ramp.double()[None]).item() == pytest.approx(5.0, abs=1e-6)


def test_total_variation_of_a_circle_is_its_polygon():
    angle = 2 * math.pi * torch.arange(101).double() / 100
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    expected = 200 * math.sin(math.pi / 100)
    assert spectrum.total_variation(circle[None]).item() == pytest.approx(expected, abs=1e-12)


MEASURES = {
    "hff": spectrum.high_frequency_fraction,
    "power": lambda outputs: spectrum.out_of_band_power(outputs, 1.0, 0.1),
    "share": lambda outputs: spectrum.out_of_band_share(outputs, 1.0, 0.1),
    "curve": lambda outputs: spectrum.out_of_band_curve(outputs, 1.0, [0.1, 0.15])[:, 1],
    "floor": lambda outputs: spectrum.floor(outputs, 1.0, [0.1, 0.15])[:, 1],
    "variance": spectrum.variance,
    "variation": spectrum.total_variation,
    "changes": spectrum.class_changes,
}
every_measure = pytest.mark.parametrize("name", MEASURES)


@every_measure
def test_measures_take_each_path_on_its_own(name):
    paths = random_paths(30, paths=4)
    together = MEASURES[name](paths)
    assert together.shape == (4,)
    alone = [MEASURES[name](path[None]).item() for path in paths]
    np.testing.assert_allclose(together, alone, rtol=1e-11)


@every_measure
def test_measures_are_in_double_precision_where_the_network_is_in_single(name):
    """A ripple of 1e-4 on outputs of 1,000: single precision would leave three digits of it."""
    single = (1000 + 1e-4 * random_paths(30)).float()
    value, expected = MEASURES[name](single), MEASURES[name](single.double())
    assert value.dtype == torch.float64
    assert torch.equal(value, expected)


@every_measure
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_measures_refuse_nan(name, value):
    paths = random_paths(30)
    paths[1, 7, 2] = value
    with pytest.raises(StudyError, match=r"^outputs: .*NaN"):
        MEASURES[name](paths)


@every_measure
@pytest.mark.parametrize("shape", [(60, 10), (2, 2, 10), (60,)])
def test_measures_refuse_other_shapes(name, shape):
    with pytest.raises(StudyError, match=r"accepted: \(paths, points >= 3, classes\)"):
        MEASURES[name](torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((0.0, 0.1), "spacing"), ((1.0, 0.0), "cutoff"), (("1", 0.1), "spacing")],
)
def test_parameters_of_another_kind_are_refused(arguments, named):
    with pytest.raises(StudyError, match=f"^{named}: "):
        spectrum.out_of_band_power(random_paths(30), *arguments)


@pytest.mark.parametrize(
    ("points", "cutoff", "accepted"),
    [
        (39, 0.05, "0.0513 to 0.205 for paths of 39 points"),  # less than two periods
        (60, 0.25, "0.0333 to 0.217 for paths of 60 points"),  # more than half of all dimensions
        (12, 0.2, "paths of more than 12 points"),  # no cutoff at all
    ],
)
def test_a_cutoff_that_a_path_cannot_resolve_is_refused_in_one_line(points, cutoff, accepted):
    paths = random_paths(points)
    for measure in (spectrum.out_of_band_power, spectrum.out_of_band_share):
        with pytest.raises(StudyError, match=rf"^cutoff.*: got .*; accepted: {accepted}$"):
            measure(paths, 1.0, cutoff)
    with pytest.raises(StudyError, match=r"^cutoff"):
        spectrum.floor(paths, 1.0, [0.1, cutoff])


@pytest.mark.parametrize(("points", "cutoffs"), [(39, (0.0513, 0.205)), (60, (0.0334, 0.216))])
def test_what_is_accepted_is_measured(points, cutoffs):
    assert (spectrum.out_of_band_curve(random_paths(points), 1.0, cutoffs) > 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_measure
def test_measures_are_made_on_the_outputs_device(name):
    paths = random_paths(30).float()
    on_device = MEASURES[name](paths.cuda())
    assert on_device.is_cuda
    np.testing.assert_allclose(on_device.cpu(), MEASURES[name](paths), rtol=1e-9)
