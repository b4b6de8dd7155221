import cmath
import math

import numpy as np
import pytest
import scipy.stats
import torch

from lib import spectrum
from lib.parameters import StudyError

POINTS = (12, 25, 60)


def one_path(values):
    """(1, points, 1) from a list of values."""
    return np.asarray(values, dtype=float)[None, :, None]


def random_paths(points, paths=3, classes=4, seed=0):
    return np.random.default_rng(seed).normal(size=(paths, points, classes))


def sine(cycles, points, spacing=1.0, phase=0.3):
    """A sine of `cycles` per nu."""
    return one_path([math.sin(2 * math.pi * cycles * spacing * n + phase) for n in range(points)])


def transform(values):
    """The bins 0..N/2 of the discrete Fourier transform, by its definition."""
    n = len(values)
    return [
        sum(value * cmath.exp(-2j * math.pi * k * t / n) for t, value in enumerate(values)) for k in range(n // 2 + 1)
    ]


def hff_by_definition(path):
    """Published summary of one path, (points, classes), in loops."""
    columns = [transform([row[c] for row in path]) for c in range(len(path[0]))]
    num_bins = len(columns[0])
    mean = [sum(abs(column[k]) for column in columns) / len(columns) for k in range(num_bins)]
    first = -(-num_bins // 10)
    return sum(mean[k] for k in range(first, num_bins - 1)) / sum(mean)


def detrended_by_definition(values, detrend):
    n = len(values)
    if detrend == "line":
        return [v - values[0] - (values[-1] - values[0]) * t / (n - 1) for t, v in enumerate(values)]
    mean = sum(values) / n
    return [(v - mean) * (0.5 - 0.5 * math.cos(2 * math.pi * t / (n - 1))) for t, v in enumerate(values)]


def power_by_definition(path, detrend):
    columns = [transform(detrended_by_definition([row[c] for row in path], detrend)) for c in range(len(path[0]))]
    return [0.0] + [sum(abs(column[k]) ** 2 for column in columns) for k in range(1, len(columns[0]))]


def fraction_above_by_definition(path, spacing, cutoff, detrend):
    power = power_by_definition(path, detrend)
    return sum(p for k, p in enumerate(power) if k / (len(path) * spacing) >= cutoff) / sum(power)


def test_softmax_by_hand_and_of_huge_logits():
    logits = [[0.0, math.log(3)], [1e4, 0.0]]
    np.testing.assert_allclose(spectrum.softmax(logits), [[0.25, 0.75], [1.0, 0.0]], atol=1e-15)


@pytest.mark.parametrize("points", POINTS)
def test_hff_by_definition(points):
    paths = random_paths(points)
    expected = [hff_by_definition(path) for path in paths]
    np.testing.assert_allclose(spectrum.high_frequency_fraction(paths), expected, rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_hff_of_a_constant_is_zero(value):
    assert spectrum.high_frequency_fraction(np.full((2, 60, 10), value)) == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(("k", "expected"), [(1, 0), (3, 0), (4, 1), (29, 1), (30, 0)])
def test_hff_of_a_sine_counts_bins_from_a_tenth_to_the_last_but_one(k, expected):
    # 60 points: 31 bins, of which 4..29 count
    assert spectrum.high_frequency_fraction(sine(k / 60, 60)) == pytest.approx(expected, abs=1e-9)


RAMP = [t / 59 for t in range(60)]
STEPS = [[float(t >= k) for t in range(60)] for k in range(15, 46, 5)]


@pytest.mark.parametrize("values", [RAMP, *STEPS])
def test_hff_of_one_transition_is_mostly_leakage(values):
    found = spectrum.high_frequency_fraction(one_path(values))[0]
    assert found == pytest.approx(hff_by_definition([[v] for v in values]), rel=1e-10)
    assert 0.25 < found < 0.45


# slope per nu: published HFF, corrected with line, corrected with hann
TABLE = {0.2: (0.297, 0.0011, 0.0014), 0.5: (0.287, 0.0442, 0.0447), 1: (0.281, 0.1151, 0.1082),
         2: (0.286, 0.1717, 0.1590)}  # fmt: skip


@pytest.mark.parametrize(("slope", "printed"), TABLE.items())
def test_table_of_a_logistic_transition(slope, printed):
    path = one_path([1 / (1 + math.exp(-slope * (t - 30))) for t in range(60)])
    published = round(spectrum.high_frequency_fraction(path)[0], 3)
    line, hann = (round(spectrum.power_above(path, 1.0, 0.05, detrend)[0], 4) for detrend in ("line", "hann"))
    assert (published, line, hann) == printed


@pytest.mark.parametrize("detrend", ["line", "hann"])
@pytest.mark.parametrize("points", POINTS)
def test_power_by_definition(points, detrend):
    paths = random_paths(points)
    frequencies, power = spectrum.power(paths, 0.5, detrend)
    np.testing.assert_allclose(frequencies, [k / (points * 0.5) for k in range(points // 2 + 1)], rtol=1e-12)
    np.testing.assert_allclose(power, [power_by_definition(path, detrend) for path in paths], rtol=1e-9)


@pytest.mark.parametrize("detrend", ["line", "hann"])
@pytest.mark.parametrize(("spacing", "cutoff"), [(1.0, 0.05), (0.5, 0.31), (2.0, 0.1)])
def test_power_above_by_definition(spacing, cutoff, detrend):
    paths = random_paths(60)
    expected = [fraction_above_by_definition(path, spacing, cutoff, detrend) for path in paths]
    np.testing.assert_allclose(spectrum.power_above(paths, spacing, cutoff, detrend), expected, rtol=1e-10)


@pytest.mark.parametrize("detrend", ["line", "hann"])
@pytest.mark.parametrize("spacing", [0.25, 1.0])
def test_sine_lies_on_its_side_of_a_cutoff_in_cycles_per_nu(spacing, detrend):
    path = sine(0.1, 401, spacing, phase=0.0)
    assert spectrum.power_above(path, spacing, 0.05, detrend)[0] > 0.98
    assert spectrum.power_above(path, spacing, 0.2, detrend)[0] < 0.02


def test_bin_on_the_cutoff_counts():
    path = sine(0.1, 60, phase=0.0)  # 0.1 is the sixth bin; hann spreads it over bins 5..7 as 1/4, 1, 1/4 in power
    at, beyond = (spectrum.power_above(path, 1.0, cutoff, "hann")[0] for cutoff in (0.1, 0.1001))
    assert at == pytest.approx(5 / 6, abs=0.01)
    assert beyond == pytest.approx(1 / 6, abs=0.01)


@pytest.mark.parametrize("detrend", ["line", "hann"])
def test_path_without_power_has_fraction_zero(detrend):
    assert spectrum.power_above(np.full((1, 60, 3), 0.1), 1.0, 0.05, detrend).tolist() == [0.0]


def test_straight_line_has_no_corrected_power():
    ramp = one_path(np.linspace(0.1, 0.9, 60))
    assert spectrum.power_above(ramp, 1.0, 0.05).tolist() == [0.0]
    assert spectrum.absolute_power_above(ramp, 1.0, 0.05)[0] == pytest.approx(0, abs=1e-28)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_fraction_does_not_depend_on_the_outputs_scale_and_the_absolute_power_goes_with_its_square(scale):
    paths = random_paths(60)
    fraction, scaled = (spectrum.power_above(p, 1.0, 0.2) for p in (paths, scale * paths))
    np.testing.assert_allclose(scaled, fraction, rtol=1e-9)
    power, scaled = (spectrum.absolute_power_above(p, 1.0, 0.2) for p in (paths, scale * paths))
    np.testing.assert_allclose(scaled, scale**2 * power, rtol=1e-9)


@pytest.mark.parametrize("detrend", ["line", "hann"])
@pytest.mark.parametrize("points", POINTS)
def test_absolute_power_is_the_variance_when_the_cutoff_is_below_the_first_bin(points, detrend):
    paths = random_paths(points)
    expected = []
    for path in paths:
        columns = [detrended_by_definition([row[c] for row in path], detrend) for c in range(path.shape[1])]
        expected.append(sum(sum(v**2 for v in column) / points - (sum(column) / points) ** 2 for column in columns))
    found = spectrum.absolute_power_above(paths, 1.0, 0.5 / points, detrend)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_absolute_power_of_a_sine_is_half_its_squared_amplitude():
    values = 3 * sine(0.25, 400, phase=0.0)  # starts at zero and ends a quarter period on: -3 at the end
    assert spectrum.absolute_power_above(values, 1.0, 0.2)[0] == pytest.approx(4.5, rel=0.01)


@pytest.mark.parametrize("detrend", ["line", "hann"])
@pytest.mark.parametrize("points", POINTS)
def test_binned_power_sums_to_one_up_to_nyquist(points, detrend):
    binned = spectrum.binned_power(random_paths(points), 0.5, detrend, np.linspace(0, 1, 9))
    assert (binned >= 0).all()
    np.testing.assert_allclose(binned.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize("points", POINTS)
def test_binned_power_on_the_fourier_bins_is_the_power(points):
    paths, width = random_paths(points), 1 / points
    edges = np.append(np.arange(points // 2 + 1) - 0.5, points / 2) * width
    edges[0] = 0
    expected = np.array([power_by_definition(path, "line") for path in paths])
    binned = spectrum.binned_power(paths, 1.0, "line", edges)
    np.testing.assert_allclose(binned, expected / expected.sum(1, keepdims=True), atol=1e-12)


def test_binned_power_puts_a_sine_in_its_bin():
    edges = np.linspace(0, 0.5, 11)
    for k in range(10):
        binned = spectrum.binned_power(sine((k + 0.5) / 20, 400), 1.0, "hann", edges)[0]
        assert binned.argmax() == k
        assert binned[k] > 0.99


@pytest.mark.parametrize("detrend", ["line", "hann"])
def test_binned_power_is_the_same_along_longer_paths(detrend):
    """Two sines with 4 to 1 of the power, in the middle of two bins, over 5, 9 and 20 common periods."""
    edges = np.linspace(0, 0.5, 6)
    for points in (101, 181, 401):
        path = 2 * sine(0.15, points, phase=0.0) + sine(0.35, points, phase=0.0)
        binned = spectrum.binned_power(path, 1.0, detrend, edges)[0]
        np.testing.assert_allclose(binned, [0, 0.8, 0, 0.2, 0], atol=0.03)


def test_binned_power_of_a_flat_path_is_zero():
    assert spectrum.binned_power(np.zeros((1, 30, 2)), 1.0, "line", [0, 0.25, 0.5]).tolist() == [[0, 0]]


def test_total_variation_of_a_ramp_is_its_height():
    ramp = np.stack([np.linspace(0, 3, 20), np.linspace(1, -3, 20)], axis=1)  # 3 and 4: 5
    assert spectrum.total_variation(ramp[None]) == pytest.approx([5.0], abs=1e-12)


def test_total_variation_of_a_circle_is_its_polygon():
    angle = 2 * math.pi * np.arange(101) / 100
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert spectrum.total_variation(circle[None]) == pytest.approx([200 * math.sin(math.pi / 100)], abs=1e-12)


@pytest.mark.parametrize("spacing", [0.5, 2.0])
def test_mean_square_derivative_of_a_ramp_is_its_squared_slope(spacing):
    t = spacing * np.arange(15)
    paths = np.stack([3 * t, 1 - 4 * t], axis=1)[None]
    assert spectrum.mean_square_derivative(paths, spacing) == pytest.approx([25.0], rel=1e-12)


def test_mean_square_derivative_of_a_sine():
    spacing, frequency = 0.01, 0.2  # five whole periods: mean of (2 pi f cos)^2
    found = spectrum.mean_square_derivative(sine(frequency, 2501, spacing), spacing)
    assert found == pytest.approx([(2 * math.pi * frequency) ** 2 / 2], rel=1e-3)


@pytest.mark.parametrize("points", [20, 60, 301])
@pytest.mark.parametrize("degree", range(8))
def test_effective_degree_of_a_monomial(degree, points):
    assert spectrum.effective_degree(one_path(np.linspace(-1, 1, points) ** degree)).tolist() == [degree]


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 9, 14])
def test_effective_degree_of_a_chebyshev_polynomial(degree):
    values = np.cos(degree * np.arccos(np.linspace(-1, 1, 120)))
    assert spectrum.effective_degree(one_path(values)).tolist() == [degree]


def test_effective_degree_by_polynomial_fits():
    """Against a fit of every degree in turn, for smooth paths of two classes."""
    x, paths = np.linspace(-1, 1, 50), []
    for k in range(5):
        paths.append(np.stack([np.tanh((1 + 2 * k) * x), np.sin((1 + k) * x + k)], axis=1))
    expected = []
    for path in paths:
        variance = ((path - path.mean(0)) ** 2).sum()
        for degree in range(50):
            fitted = np.stack([np.polynomial.Legendre.fit(x, column, degree)(x) for column in path.T], axis=1)
            if ((path - fitted) ** 2).sum() <= 1e-4 * variance:
                expected.append(degree)
                break
    assert spectrum.effective_degree(np.stack(paths)).tolist() == expected


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_effective_degree_of_a_constant_is_zero(value):
    assert spectrum.effective_degree(np.full((2, 60, 10), value)).tolist() == [0, 0]


def test_effective_degree_of_noise_is_beyond_the_fit():
    assert spectrum.effective_degree(random_paths(400)).tolist() == [65, 65, 65]


def test_effective_degree_takes_the_neediest_class():
    x = np.linspace(-1, 1, 60)
    assert spectrum.effective_degree(np.stack([x, np.cos(7 * np.arccos(x))], axis=1)[None]).tolist() == [7]


MEASURES = {
    "hff": spectrum.high_frequency_fraction,
    "power_above": lambda outputs: spectrum.power_above(outputs, 1.0, 0.1),
    "absolute": lambda outputs: spectrum.absolute_power_above(outputs, 1.0, 0.1),
    "binned": lambda outputs: spectrum.binned_power(outputs, 1.0, "hann", [0, 0.1, 0.5])[:, 1],
    "variation": spectrum.total_variation,
    "derivative": lambda outputs: spectrum.mean_square_derivative(outputs, 1.0),
    "degree": spectrum.effective_degree,
}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_take_each_path_on_its_own(name):
    paths = random_paths(30, paths=4)
    together = MEASURES[name](paths)
    assert together.shape == (4,)
    np.testing.assert_allclose(together, [MEASURES[name](path[None])[0] for path in paths], rtol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_measures_refuse_nan(name, value):
    paths = random_paths(30)
    paths[1, 7, 2] = value
    with pytest.raises(StudyError, match=r"^outputs: .*NaN"):
        MEASURES[name](paths)


@pytest.mark.parametrize("shape", [(60, 10), (2, 2, 10), (60,)])
@pytest.mark.parametrize("name", MEASURES)
def test_measures_refuse_other_shapes(name, shape):
    with pytest.raises(StudyError, match=r"accepted: \(paths, points >= 3, classes\)"):
        MEASURES[name](np.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((0.0, 0.1), "spacing"), ((1.0, 0.0), "cutoff"), ((1.0, 0.1, "flat"), "detrend"), (("1", 0.1), "spacing")],
)
def test_power_above_checks_its_parameters(arguments, named):
    with pytest.raises(StudyError, match=f"^{named}: "):
        spectrum.power_above(random_paths(30), *arguments)


@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_bootstrap_agrees_with_normal_theory(confidence):
    values = np.random.default_rng(1).normal(3, 2, 1000)
    found = spectrum.bootstrap(values, np.arange(1000), confidence)
    half = scipy.stats.norm.ppf(0.5 + confidence / 2) * values.std() / math.sqrt(1000)
    assert found.estimate == pytest.approx(values.mean(), abs=1e-12)
    assert found.n == 1000
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_of_clusters_counts_clusters():
    """25 groups of 16 equal values: an interval as of 25 values, four times as wide as of 400."""
    centres = np.random.default_rng(2).normal(size=25)
    values = np.repeat(centres, 16)
    clustered = spectrum.bootstrap(values, np.repeat(np.arange(25), 16))
    alone = spectrum.bootstrap(values, np.arange(400))
    assert clustered.n == 25
    assert (clustered.high - clustered.low) / (alone.high - alone.low) == pytest.approx(4, rel=0.1)
    half = 1.96 * centres.std() / 5
    assert clustered.high - clustered.low == pytest.approx(2 * half, rel=0.1)


def test_bootstrap_of_unequal_clusters_is_a_mean_over_values():
    """Groups of 1 and 3: draws give 8 (1/4), (8 + 3 * 4) / 4 = 5 (1/2) or 4 (1/4)."""
    values, groups = [8.0, 4.0, 4.0, 4.0], ["a", "b", "b", "b"]
    found = spectrum.bootstrap(values, groups, confidence=0.9)
    assert found == (5.0, 4.0, 8.0, 2)
    inner = spectrum.bootstrap(values, groups, confidence=0.4)  # quantiles 0.3 and 0.7
    assert (inner.low, inner.high) == (5.0, 5.0)


def test_bootstrap_over_the_two_images_of_a_path():
    """Three images, three paths of values 0, 1 and 5. Of the 27 draws 6 take each image once (mean 2), 6 leave
    one path alone, for each of the paths (0, 1 or 5), 3 leave none (the mean stands in: 2)."""
    values, images = [0.0, 1.0, 5.0], [[0, 1], [1, 2], [0, 2]]
    assert spectrum.bootstrap(values, images) == (2.0, 0.0, 5.0, 3)
    inner = spectrum.bootstrap(values, images, confidence=0.4)  # quantiles 0.3 and 0.7 of 2/9, 2/9, 3/9, 2/9
    assert (inner.low, inner.high) == (1.0, 2.0)


def test_shared_images_widen_the_interval():
    rng = np.random.default_rng(3)
    effect = rng.normal(size=30)
    images = np.stack([rng.permutation(30)[:2] for _ in range(600)])
    values = effect[images].sum(1)
    by_image, by_path = spectrum.bootstrap(values, images), spectrum.bootstrap(values, np.arange(600))
    assert by_image.n == 30
    assert by_image.high - by_image.low > 2 * (by_path.high - by_path.low)


def test_bootstrap_of_one_group_has_no_interval():
    found = spectrum.bootstrap([1.0, 2.0, 6.0], [7, 7, 7])
    assert (found.estimate, found.n) == (3.0, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_bootstrap_follows_its_seed():
    values = np.random.default_rng(4).normal(size=50)
    first, again, other = (spectrum.bootstrap(values, np.arange(50), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("values", "groups"), [([], []), ([1.0, math.nan], [0, 1]), ([1.0, math.inf], [0, 1]), ([1.0, 2.0], [0])]
)
def test_bootstrap_refuses_nan_and_unequal_lengths(values, groups):
    with pytest.raises(StudyError, match=r"^bootstrap: "):
        spectrum.bootstrap(values, groups)


TAKEN = {
    "softmax": spectrum.softmax,
    "hff": spectrum.high_frequency_fraction,
    "detrended": lambda x: spectrum.detrended(x, "hann"),
    "power": lambda x: spectrum.power(x, 0.5, "line")[1],
    "share": lambda x: spectrum.power_above(x, 0.5, 0.1),
    "absolute": lambda x: spectrum.absolute_power_above(x, 0.5, 0.1),
    "binned": lambda x: spectrum.binned_power(x, 0.5, "line", np.linspace(0, 1, 9)),
    "variation": spectrum.total_variation,
    "derivative": lambda x: spectrum.mean_square_derivative(x, 0.5),
    "degree": spectrum.effective_degree,
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_tensor_comes_out_as_a_tensor_and_equals_the_array(name):
    """In double precision also where the network's output is in single."""
    array = random_paths(25).astype(np.float32)
    of_array, of_tensor = TAKEN[name](array), TAKEN[name](torch.from_numpy(array))
    assert isinstance(of_array, np.ndarray)
    assert isinstance(of_tensor, torch.Tensor)
    assert of_array.dtype in (np.float64, np.int64)
    np.testing.assert_array_equal(of_array, of_tensor.numpy())
