"""Frequency measures against their definitions written out in loops, and closed forms."""

import cmath
import math

import numpy as np
import pytest
import torch

from lib.measure import spectrum
from lib.parameters import StudyError

POINTS = (12, 25, 60)
every_detrend = pytest.mark.parametrize("detrend", ["line", "hann"])
every_length = pytest.mark.parametrize("points", POINTS)


def one_path(values):
    """(1, points, 1) from a list of values."""
    return torch.as_tensor(values, dtype=torch.float64)[None, :, None]


def random_paths(points, paths=3, classes=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(paths, points, classes)))


def sine(cycles, points, spacing=1.0, phase=0.3):
    """A sine of `cycles` per nu."""
    return one_path([math.sin(2 * math.pi * cycles * spacing * n + phase) for n in range(points)])


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


def detrended_by_definition(values, detrend):
    n = len(values)
    if detrend == "line":
        slope = (values[-1] - values[0]) / (n - 1)
        return [v - values[0] - slope * t for t, v in enumerate(values)]
    mean, window = (
        sum(values) / n,
        [0.5 - 0.5 * math.cos(2 * math.pi * t / (n - 1)) for t in range(n)],
    )
    return [(v - mean) * w for v, w in zip(values, window, strict=True)]


def power_by_definition(path, detrend):
    columns = [transform(detrended_by_definition(column, detrend)) for column in np.transpose(path)]
    bins = range(1, len(columns[0]))
    return [0.0] + [sum(abs(column[k]) ** 2 for column in columns) for k in bins]


def fraction_above_by_definition(path, spacing, cutoff, detrend):
    power = power_by_definition(path, detrend)
    return sum(p for k, p in enumerate(power) if k / (len(path) * spacing) >= cutoff) / sum(power)


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
    fraction = spectrum.high_frequency_fraction(sine(k / 60, 60)).item()
    assert fraction == pytest.approx(expected, abs=1e-9)


RAMP = [t / 59 for t in range(60)]
STEPS = [[float(t >= k) for t in range(60)] for k in range(15, 46, 5)]


@pytest.mark.parametrize("values", [RAMP, *STEPS])
def test_hff_of_one_transition_is_mostly_leakage(values):
    assert 0.25 < spectrum.high_frequency_fraction(one_path(values)).item() < 0.45


# slope per nu: published HFF, corrected with line, corrected with hann
TABLE = {
    0.2: (0.297, 0.0011, 0.0014),
    0.5: (0.287, 0.0442, 0.0447),
    1: (0.281, 0.1151, 0.1082),
    2: (0.286, 0.1717, 0.1590),
}


@pytest.mark.parametrize(("slope", "printed"), TABLE.items())
def test_table_of_a_logistic_transition(slope, printed):
    path = one_path([1 / (1 + math.exp(-slope * (t - 30))) for t in range(60)])
    line, hann = (spectrum.power_above(path, 1.0, 0.05, how).item() for how in ("line", "hann"))
    published = spectrum.high_frequency_fraction(path).item()
    assert (round(published, 3), round(line, 4), round(hann, 4)) == printed


@every_detrend
@every_length
def test_power_by_definition(points, detrend):
    paths = random_paths(points)
    frequencies, power = spectrum.power(paths, 0.5, detrend)
    bins = [k / (points * 0.5) for k in range(points // 2 + 1)]
    np.testing.assert_allclose(frequencies, bins, rtol=1e-12)
    expected = [power_by_definition(path, detrend) for path in paths.numpy()]
    np.testing.assert_allclose(power, expected, rtol=1e-9)


@every_detrend
@pytest.mark.parametrize(("spacing", "cutoff"), [(1.0, 0.05), (0.5, 0.31), (2.0, 0.1)])
def test_power_above_by_definition(spacing, cutoff, detrend):
    paths = random_paths(60)
    border = (spacing, cutoff, detrend)
    expected = [fraction_above_by_definition(path, *border) for path in paths.numpy()]
    np.testing.assert_allclose(spectrum.power_above(paths, *border), expected, rtol=1e-10)


@every_detrend
@pytest.mark.parametrize("spacing", [0.25, 1.0])
def test_sine_lies_on_its_side_of_a_cutoff_in_cycles_per_nu(spacing, detrend):
    path = sine(0.1, 401, spacing, phase=0.0)
    assert spectrum.power_above(path, spacing, 0.05, detrend).item() > 0.98
    assert spectrum.power_above(path, spacing, 0.2, detrend).item() < 0.02


def test_bin_on_the_cutoff_counts():
    """0.1 is the sixth bin; hann spreads it over bins 5 to 7 as 1/4, 1, 1/4 in power."""
    path = sine(0.1, 60, phase=0.0)
    at, beyond = (
        spectrum.power_above(path, 1.0, cutoff, "hann").item() for cutoff in (0.1, 0.1001)
    )
    assert at == pytest.approx(5 / 6, abs=0.01)
    assert beyond == pytest.approx(1 / 6, abs=0.01)


@every_detrend
def test_path_without_power_has_fraction_zero(detrend):
    paths = torch.full((1, 60, 3), 0.1, dtype=torch.float64)
    assert spectrum.power_above(paths, 1.0, 0.05, detrend).tolist() == [0.0]


def test_straight_line_has_no_corrected_power():
    ramp = one_path(np.linspace(0.1, 0.9, 60))
    assert spectrum.power_above(ramp, 1.0, 0.05).tolist() == [0.0]
    assert spectrum.absolute_power_above(ramp, 1.0, 0.05).item() == pytest.approx(0, abs=1e-28)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_fraction_is_free_of_the_outputs_scale_and_absolute_power_goes_with_its_square(scale):
    paths, border = random_paths(60), (1.0, 0.2)
    fraction, power = spectrum.power_above, spectrum.absolute_power_above
    np.testing.assert_allclose(
        fraction(scale * paths, *border), fraction(paths, *border), rtol=1e-9
    )
    expected = scale**2 * power(paths, *border)
    np.testing.assert_allclose(power(scale * paths, *border), expected, rtol=1e-9)


@every_detrend
@every_length
def test_absolute_power_is_the_variance_when_the_cutoff_is_below_the_first_bin(points, detrend):
    paths = random_paths(points)
    expected = []
    for path in paths.numpy():
        columns = [detrended_by_definition(column, detrend) for column in path.T]
        expected.append(sum(np.var(column) for column in columns))
    power = spectrum.absolute_power_above(paths, 1.0, 0.5 / points, detrend)
    np.testing.assert_allclose(power, expected, rtol=1e-10)


def test_absolute_power_of_a_sine_is_half_its_squared_amplitude():
    values = 3 * sine(0.25, 400, phase=0.0)  # from 0 to -3, a quarter of a period before a zero
    assert spectrum.absolute_power_above(values, 1.0, 0.2).item() == pytest.approx(4.5, rel=0.01)


@every_detrend
@every_length
def test_binned_power_sums_to_one_up_to_nyquist(points, detrend):
    binned = spectrum.binned_power(random_paths(points), 0.5, detrend, np.linspace(0, 1, 9))
    assert (binned >= 0).all()
    np.testing.assert_allclose(binned.sum(1), 1, atol=1e-12)


@every_length
def test_binned_power_on_the_fourier_bins_is_the_power(points):
    paths, width = random_paths(points), 1 / points
    edges = np.append(np.arange(points // 2 + 1) - 0.5, points / 2) * width
    edges[0] = 0
    expected = np.array([power_by_definition(path, "line") for path in paths.numpy()])
    binned = spectrum.binned_power(paths, 1.0, "line", edges)
    np.testing.assert_allclose(binned, expected / expected.sum(1, keepdims=True), atol=1e-12)


def test_binned_power_puts_a_sine_in_its_bin():
    edges = np.linspace(0, 0.5, 11)
    for k in range(10):
        (binned,) = spectrum.binned_power(sine((k + 0.5) / 20, 400), 1.0, "hann", edges)
        assert binned[k] > 0.99


@every_detrend
def test_binned_power_is_the_same_along_longer_paths(detrend):
    """Two sines with 4 to 1 of the power, in the middle of two bins, over 5, 9 and 20 periods."""
    edges = np.linspace(0, 0.5, 6)
    for points in (101, 181, 401):
        path = 2 * sine(0.15, points, phase=0.0) + sine(0.35, points, phase=0.0)
        (binned,) = spectrum.binned_power(path, 1.0, detrend, edges)
        np.testing.assert_allclose(binned, [0, 0.8, 0, 0.2, 0], atol=0.03)


def test_binned_power_of_a_flat_path_is_zero():
    binned = spectrum.binned_power(torch.zeros(1, 30, 2), 1.0, "line", [0, 0.25, 0.5])
    assert binned.tolist() == [[0, 0]]


def test_total_variation_of_a_ramp_is_its_height():
    ramp = torch.stack([torch.linspace(0, 3, 20), torch.linspace(1, -3, 20)], dim=1)  # 3 and 4: 5
    assert spectrum.total_variation(ramp.double()[None]).item() == pytest.approx(5.0, abs=1e-6)


def test_total_variation_of_a_circle_is_its_polygon():
    angle = 2 * math.pi * torch.arange(101).double() / 100
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    expected = 200 * math.sin(math.pi / 100)
    assert spectrum.total_variation(circle[None]).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("points", [20, 60, 301])
@pytest.mark.parametrize("degree", range(8))
def test_effective_degree_of_a_monomial(degree, points):
    path = one_path(np.linspace(-1, 1, points) ** degree)
    assert spectrum.effective_degree(path).tolist() == [degree]


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 9, 14])
def test_effective_degree_of_a_chebyshev_polynomial(degree):
    values = np.cos(degree * np.arccos(np.linspace(-1, 1, 120)))
    assert spectrum.effective_degree(one_path(values)).tolist() == [degree]


def test_effective_degree_by_polynomial_fits():
    """Against a fit of every degree in turn, for smooth paths of two classes."""
    x, paths, expected = np.linspace(-1, 1, 50), [], []
    for k in range(5):
        paths.append(np.stack([np.tanh((1 + 2 * k) * x), np.sin((1 + k) * x + k)], axis=1))
    for path in paths:
        variance = ((path - path.mean(0)) ** 2).sum()
        for degree in range(50):
            fits = [np.polynomial.Legendre.fit(x, column, degree)(x) for column in path.T]
            if ((path - np.transpose(fits)) ** 2).sum() <= 1e-4 * variance:
                expected.append(degree)
                break
    assert spectrum.effective_degree(torch.from_numpy(np.stack(paths))).tolist() == expected


@pytest.mark.parametrize(("tolerance", "degree"), [(0.05, 1), (1e-3, 5), (0.999, 1), (1.0, 0)])
def test_effective_degree_to_a_tolerance(tolerance, degree):
    """A line with a ripple of degree 5 that has two hundredths of its variance."""
    x = np.linspace(-1, 1, 200)
    path = one_path(x + 0.1 * np.cos(5 * np.arccos(x)))
    assert spectrum.effective_degree(path, tolerance).tolist() == [degree]


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_effective_degree_of_a_constant_is_zero(value):
    assert spectrum.effective_degree(torch.full((2, 60, 10), value)).tolist() == [0, 0]


def test_effective_degree_of_noise_is_beyond_the_fit():
    assert spectrum.effective_degree(random_paths(400)).tolist() == [65, 65, 65]


def test_effective_degree_takes_the_neediest_class():
    x = np.linspace(-1, 1, 60)
    path = torch.from_numpy(np.stack([x, np.cos(7 * np.arccos(x))], axis=1)[None])
    assert spectrum.effective_degree(path).tolist() == [7]


MEASURES = {
    "hff": spectrum.high_frequency_fraction,
    "power": lambda outputs: spectrum.power(outputs, 1.0, "line")[1].sum(1),
    "power_above": lambda outputs: spectrum.power_above(outputs, 1.0, 0.1),
    "absolute": lambda outputs: spectrum.absolute_power_above(outputs, 1.0, 0.1),
    "binned": lambda outputs: spectrum.binned_power(outputs, 1.0, "hann", [0, 0.1, 0.5])[:, 1],
    "variation": spectrum.total_variation,
    "degree": spectrum.effective_degree,
}
every_measure = pytest.mark.parametrize("name", MEASURES)


@every_measure
def test_measures_take_each_path_on_its_own(name):
    paths = random_paths(30, paths=4)
    together = MEASURES[name](paths)
    assert together.shape == (4,)
    alone = [MEASURES[name](path[None]).item() for path in paths]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@every_measure
def test_measures_are_in_double_precision_where_the_network_is_in_single(name):
    """A ripple of 1e-4 on outputs of 1,000: single precision would leave three digits of it."""
    single = (1000 + 1e-4 * random_paths(30)).float()
    value, expected = MEASURES[name](single), MEASURES[name](single.double())
    assert value.dtype == (torch.int64 if name == "degree" else torch.float64)
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
    [
        ((0.0, 0.1), "spacing"),
        ((1.0, 0.0), "cutoff"),
        ((1.0, 0.1, "flat"), "detrend"),
        (("1", 0.1), "spacing"),
    ],
)
def test_power_above_checks_its_parameters(arguments, named):
    with pytest.raises(StudyError, match=f"^{named}: "):
        spectrum.power_above(random_paths(30), *arguments)
