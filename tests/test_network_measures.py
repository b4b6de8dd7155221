"""Measures that need no path, what the store holds of them, and the claims made over runs."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torch import nn

from lib import claims, measure, models, network_measures, runs
from lib.measure import MeasurementConfig
from lib.parameters import StudyError

CPU = torch.device("cpu")
HOW = MeasurementConfig(num_pairs=45, spacing=0.8, cutoff=0.2)


def images(n=7, shape=(1, 4, 4), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def norm_by_jacrev(model, points):
    model = model.double().eval()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: model(x[None]).softmax(1)[0]))(points.double())
    return jacobian.flatten(1).norm(dim=1).mean().item()


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_jacobian_norm_of_a_linear_softmax(classes, scale):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, classes))
    with torch.no_grad():
        model[1].weight *= scale
    assert network_measures.jacobian_norm(model, images()) == pytest.approx(norm_by_jacrev(model, images()), rel=1e-5)


@pytest.mark.parametrize("name", ["resnet8-2", "mlp-2-8", "shakeshake-8-2"])
def test_jacobian_norm_of_a_network(name):
    model, points = models.build(name, (1, 8, 8), 4).eval(), images(5, (1, 8, 8))
    expected = norm_by_jacrev(models.build(name, (1, 8, 8), 4), points)
    for batch_size in (1, 2, 100):
        assert network_measures.jacobian_norm(model, points, batch_size) == pytest.approx(expected, rel=1e-4)


def test_jacobian_norm_of_a_constant_network():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    nn.init.zeros_(model[1].weight)
    assert network_measures.jacobian_norm(model, images()) == 0


def test_jacobian_norm_is_a_mean_per_unit_of_length():
    """Images twice as far apart, the same outputs: half the norm. And one image's share is 1 / n."""
    torch.manual_seed(0)
    model, half = (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)) for _ in range(2))
    with torch.no_grad():
        half[1].weight.copy_(model[1].weight / 2)
        half[1].bias.copy_(model[1].bias)
    whole = network_measures.jacobian_norm(model, images())
    assert network_measures.jacobian_norm(half, 2 * images()) == pytest.approx(whole / 2, rel=1e-5)
    assert whole == pytest.approx(
        np.mean([network_measures.jacobian_norm(model, image[None]) for image in images()]), rel=1e-5
    )


def noisy_classes(n=150, num_classes=3, flipped=0.3):
    """Images on a line, cut into classes, with labels flipped at random."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, num_classes, n))
    labels = np.where(rng.random(n) < flipped, rng.integers(0, num_classes, n), x.astype(int))
    return torch.tensor(x, dtype=torch.float32)[:, None, None, None], torch.from_numpy(labels)


def smoothing(points):
    """The matrix that takes the low-frequency part over the samples, in float64."""
    x = points.flatten(1).double().numpy()
    distances = np.sqrt(((x[:, None] - x[None]) ** 2).sum(2))
    width = np.median(np.quantile(distances, 0.1, axis=1)) / 2
    kernel = np.exp(-(distances**2) / (2 * width**2))
    return kernel / kernel.sum(1, keepdims=True)


def test_frequency_principle_of_a_perfect_fit():
    points, labels = noisy_classes()
    exact = nn.functional.one_hot(labels, 3).double()
    assert network_measures.frequency_principle(points, labels, exact) == (0, 0)


def test_frequency_principle_of_the_smooth_part_alone_and_of_the_rest():
    points, labels = noisy_classes()
    wanted = nn.functional.one_hot(labels, 3).double()
    smooth = torch.from_numpy(smoothing(points)) @ wanted
    low, high = network_measures.frequency_principle(points, labels, smooth)
    assert low < 0.15 < 0.7 < high
    low, high = network_measures.frequency_principle(points, labels, wanted - smooth)
    assert high < 0.5 < 0.8 < low


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 4), (3, 8, 8)])
def test_frequency_principle_by_its_formula(shape):
    points, labels = images(61, shape), torch.arange(61) % 3
    outputs = torch.randn(61, 3, generator=torch.Generator().manual_seed(1)).softmax(1)
    kernel, wanted = smoothing(points), np.eye(3)[labels]
    error, rest = wanted - outputs.double().numpy(), np.eye(61) - kernel
    expected = [np.linalg.norm(part @ error) / np.linalg.norm(part @ wanted) for part in (kernel, rest)]
    assert network_measures.frequency_principle(points, labels, outputs) == pytest.approx(expected, rel=1e-3)


def test_measures_at_images_are_a_row_over_the_first_ones():
    model, points, labels = models.build("mlp-1-8", (1, 4, 4), 3).eval(), images(80), torch.arange(80) % 3
    (row,) = measure.at_images(model, points, labels, limit=60).to_dict("records")
    assert row.keys() == {"jacobian_norm", "jacobian_low", "jacobian_high", "low_error", "high_error"}
    assert row["jacobian_low"] < row["jacobian_norm"] < row["jacobian_high"]
    with torch.no_grad():
        outputs = model(points[:60]).softmax(1)
    assert (row["low_error"], row["high_error"]) == pytest.approx(
        network_measures.frequency_principle(points[:60], labels[:60], outputs), rel=1e-5
    )
    assert row["jacobian_norm"] == pytest.approx(network_measures.jacobian_norm(model, points[:60]), rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("share", [0.55, 0.75, 0.99])
def test_temperature_by_its_formula(share, classes):
    """One logit of height h, right with probability `share`: e^(h/T) = share (C - 1) / (1 - share)."""
    height, n = 3.0, 9900
    top = np.arange(n) % classes
    right = (np.arange(n) // classes) % 100 < 100 * share
    other = (top + 1 + (np.arange(n) // (100 * classes)) % max(1, classes - 1)) % classes
    labels = np.where(right, top, other)
    logits = height * np.eye(classes)[top]
    measured = right.mean()
    expected = height / math.log(measured * (classes - 1) / (1 - measured))
    assert measure.temperature(logits, labels) == pytest.approx(expected, rel=1e-3)
    shifted = logits + np.random.default_rng(0).normal(size=(n, 1)) * 100
    assert measure.temperature(shifted, labels) == pytest.approx(expected, rel=1e-3)
    assert measure.temperature(3 * logits, labels) == pytest.approx(3 * expected, rel=1e-3)


def test_temperature_of_a_network_that_is_never_wrong_is_finite():
    labels = np.arange(30) % 3
    assert 0 < measure.temperature(5 * np.eye(3)[labels], labels) < 1


@dataclasses.dataclass(frozen=True)
class Other:
    """A run that is no classifier's and has no dataset."""

    kind: ClassVar[str] = "line"
    version: ClassVar[int] = 1

    def identity(self):
        return {}

    def described(self):
        return {"width": 3}

    def execute(self, device):
        return {"epoch": np.array([1])}, {}


@pytest.fixture
def put(configure, store):
    """A function that trains a run and measures it at an epoch (None: the last), or not at all (0 networks)."""

    def trained(how=HOW, epoch=None, **fields):
        config = configure(num_epochs=1, num_test=100, **fields)
        run = runs.find_or_execute(config, "cpu")
        if how is not None:
            measure.measured(run, config.num_epochs if epoch is None else epoch, how, config, "cpu")
        return run

    return trained


def test_stored_of_an_empty_store(store):
    with pytest.raises(StudyError, match=r"^store: 0 runs on digits are measured this way; run the other") as caught:
        measure.stored(HOW, "digits")
    assert "\n" not in str(caught.value)


def test_stored_needs_two_networks(put):
    put()
    with pytest.raises(StudyError, match=r"^store: 1 runs on digits"):
        measure.stored(HOW, "digits")


def test_stored_finds_what_was_measured(put):
    made = [put(seed=0), put(seed=1), put(weight_decay=0.0)]
    summary, found = measure.stored(HOW, "digits")
    assert {run.key for run in found} == {run.key for run in made}
    assert set(summary["key"]) == {run.key for run in made}
    assert summary.groupby("key")["selection"].value_counts().max() == 2  # within and between
    assert set(summary["epoch"]) == {1}
    for run in made:
        expected = measure.summarize(run, 1, measure.read_measurement(run, 1, HOW))
        rows = summary[summary["key"] == run.key].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected)


NOT_COMPARED = {
    "a wave": {"wave": "radial", "frequency": 0.2, "amplitude": 0.3},
    "the uniform control": {"wave": "uniform", "amplitude": 0.3},
    "not measured": {"seed": 7, "how": None},
    "measured in another way": {"seed": 7, "how": dataclasses.replace(HOW, spacing=1.0)},
    "along another path": {"seed": 7, "how": dataclasses.replace(HOW, path="slerp")},
    "before training": {"seed": 7, "epoch": 0},
}


@pytest.mark.parametrize("fields", NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_stored_leaves_out(put, fields):
    made = [put(seed=0), put(seed=1)]
    runs.find_or_execute(Other(), "cpu")
    other = put(**fields)
    summary, found = measure.stored(HOW, "digits")
    assert {run.key for run in found} == set(summary["key"]) == {run.key for run in made}
    assert other.key not in set(summary["key"])


def test_stored_leaves_out_other_datasets_and_needs_no_folder(put, tmp_path):
    rng = np.random.default_rng(0)
    arrays, labels = rng.integers(0, 256, (200, 8, 8), dtype=np.uint8), np.arange(200) % 10
    name = f"npz:{tmp_path / 'noise.npz'}"
    np.savez(tmp_path / "noise.npz", x_train=arrays, y_train=labels, x_test=arrays, y_test=labels)
    made = {one: {put(dataset=one, seed=seed).key for seed in (0, 1)} for one in ("digits", name)}
    for one, keys in (*made.items(), ("npz:noise.npz", made[name])):
        assert {run.key for run in measure.stored(HOW, one)[1]} == keys


def three_columns(n=80, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    columns = [np.exp(z + rng.normal(size=n)), z**3 - rng.normal(size=n), z]  # ranks matter, not values
    return [column.round(0 if ties else 6) for column in columns]


def partial_by_formula(x, y, z):
    xy, xz, yz = (scipy.stats.spearmanr(*pair).statistic for pair in ((x, y), (x, z), (y, z)))
    return (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))


@pytest.mark.parametrize("ties", [False, True])
def test_partial_rank_correlation_by_its_formula(ties):
    x, y, z = three_columns(ties=ties)
    assert claims.partial_rank_correlation(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    assert claims.partial_rank_correlation(x, y, z) == pytest.approx(partial_by_formula(x, y, z), abs=1e-12)
    assert abs(partial_by_formula(x, y, z) - scipy.stats.spearmanr(x, y).statistic) > 0.1


@pytest.mark.parametrize(("shape", "axis"), [((6, 80), -1), ((6, 80), 1), ((80, 6), 0), ((2, 80, 3), 1)])
def test_partial_rank_correlation_along_an_axis(shape, axis):
    every = np.array([three_columns(seed=seed) for seed in range(6)])  # (6, 3, 80)
    stacked = [every[:, column] for column in range(3)]
    if shape != (6, 80):
        stacked = [np.moveaxis(column.reshape(*[n for n in shape if n != 80], 80), -1, axis) for column in stacked]
    expected = np.array([partial_by_formula(*columns) for columns in every])
    found = claims.partial_rank_correlation(*stacked, axis=axis)
    assert found.shape == tuple(n for n in shape if n != 80)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)
    plain = [scipy.stats.spearmanr(*columns[:2]).statistic for columns in every]
    np.testing.assert_allclose(claims.partial_rank_correlation(*stacked[:2], axis=axis).ravel(), plain, atol=1e-12)


def test_partial_rank_correlation_of_a_constant_is_0():
    x, y, _ = three_columns()
    assert claims.partial_rank_correlation(np.ones(80), y) == 0
    assert claims.partial_rank_correlation(x, y, x) == pytest.approx(0, abs=1e-9)


def test_a_constant_explains_nothing():
    x, y, _ = three_columns()
    with np.errstate(all="raise"):
        found = claims.partial_rank_correlation(x, y, np.ones(80))
    assert found == pytest.approx(claims.partial_rank_correlation(x, y), abs=1e-12)


def normal_table(correlation, n=100, seed=0):
    """x and y of a given linear correlation, apart from what z adds to both."""
    rng = np.random.default_rng(seed)
    x, noise, z = rng.normal(size=(3, n))
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    return pd.DataFrame({"x": x, "y": y, "z": z, "x with z": x + z, "y with z": y + z})


def spearman(correlation):
    """Spearman's of two normal variables of a linear correlation."""
    return 6 / math.pi * math.asin(correlation / 2)


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.5])
def test_interval_over_runs_contains_the_truth(correlation):
    """In about 95 % of 20 collections of 100 runs."""
    expected = spearman(correlation)
    found = [claims.over_runs("F11", "corrected", "s", normal_table(correlation, seed=seed), "x", "y", "> 0")
             for seed in range(20)]  # fmt: skip
    assert sum(one.low <= expected <= one.high for one in found) >= 17
    assert np.mean([one.estimate for one in found]) == pytest.approx(expected, abs=0.06)
    assert all(one.low < one.estimate < one.high for one in found)


def test_interval_over_runs_given_a_third_column_contains_the_truth():
    linear = (0.5 + 1) / 2, math.sqrt(0.5), math.sqrt(0.5)  # of x + z and y + z, and of each with z
    xy, xz, yz = map(spearman, linear)
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    found = [claims.over_runs("F11", "corrected", "s", normal_table(0.5, seed=seed), "x with z", "y with z", "> 0", "z")
             for seed in range(20)]  # fmt: skip
    assert sum(one.low <= expected <= one.high for one in found) >= 17


@pytest.mark.parametrize("n", [5, 33, 100])
def test_n_is_the_number_of_rows(n):
    for given in (None, "z"):
        found = claims.over_runs("F11", "corrected", "s", normal_table(0.5, n), "x", "y", "> 0", given)
        assert (found.n, found.unit) == (n, "runs")
        assert f"n = {n} runs" in found.line()


def test_interval_over_runs_is_narrower_with_more_of_them():
    found = [claims.over_runs("F11", "corrected", "s", normal_table(0.5, n), "x", "y", "> 0") for n in (25, 100, 400)]
    widths = [one.high - one.low for one in found]
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


@pytest.mark.parametrize(
    ("correlation", "verdicts"),
    [(0.7, {"> 0": "supported", "< 0": "contradicted", "!= 0": "supported"}),
     (-0.7, {"> 0": "contradicted", "< 0": "supported", "!= 0": "supported"}),
     (0.0, {"> 0": "inconclusive", "< 0": "inconclusive", "!= 0": "inconclusive"})],
)  # fmt: skip
def test_verdicts_over_runs(correlation, verdicts):
    for expected, verdict in verdicts.items():
        found = claims.over_runs("F11", "corrected", "s", normal_table(correlation), "x", "y", expected)
        assert found.verdict == verdict


@pytest.mark.parametrize(
    ("signs", "verdict"), [((1, 1, 1), "supported"), ((-1, -1, -1), "supported"), ((1, -1, 1), "inconclusive"),
                           ((0, 0, 0), "inconclusive")],
)  # fmt: skip
def test_something_changes_when_every_seed_says_so(signs, verdict):
    x = np.arange(5.0)
    table = pd.concat([pd.DataFrame({"seed": seed, "x": x, "y": sign * x}) for seed, sign in enumerate(signs)])
    assert claims.trend("F5", "corrected", "s", table, "x", "y", "!= 0").verdict == verdict


ROWS = [(kind, *row) for kind in ("between", "within") for row in claims.PATH_MEASURES]


def flat_summary(seeds=3, steps=4):
    """What `measure.sweep` gives, every measure of path constant."""
    columns = {column: 0.5 for _, _, column, *_ in ROWS}
    return pd.DataFrame([
        {"kind": kind, "selection": selection, "seed": seed, "x": float(step), **columns}
        for kind in ("between", "within") for selection in ("all", "correct")
        for seed in range(seeds) for step in range(steps)
    ])  # fmt: skip


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("kind", "name", "column", "selection", "title"), ROWS, ids=[f"{r[0]}, {r[4]}" for r in ROWS])
def test_path_trends_reads_each_claim_from_its_own_rows(kind, name, column, selection, title, sign):
    """One column moves, on paths of one kind and selection: one claim sees it."""
    summary = flat_summary()
    moving = (summary["kind"] == kind) & (summary["selection"] == selection)
    summary.loc[moving, column] += sign * summary.loc[moving, "x"]
    found = claims.path_trends("F2", summary, "x", "training time")
    moved = [one for one in found if one.estimate != 0]
    (claim,) = moved
    assert claim.estimate == pytest.approx(sign)
    assert (claim.measure, claim.finding, claim.n) == (name, "F2", 3)
    assert title in claim.statement
    assert claim.statement.startswith(f"{kind} classes, ")
    assert claim.verdict == ("supported" if (sign > 0) == (kind == "between") else "contradicted")


@pytest.mark.parametrize(
    ("expected", "signs", "words"),
    [({}, {"between": "> 0", "within": "< 0"}, {"between": "rises", "within": "falls"}),
     ({"between": "< 0"}, {"between": "< 0", "within": "< 0"}, {"between": "falls", "within": "falls"}),
     ({"between": "!= 0", "within": "!= 0"}, {"between": "!= 0", "within": "!= 0"},
      {"between": "changes", "within": "changes"})],
)  # fmt: skip
def test_path_trends_gives_a_row_per_kind_and_measure(expected, signs, words):
    found = claims.path_trends("F4", flat_summary(), "x", "more images", **expected)
    assert [(one.statement, one.measure, one.expected) for one in found] == [
        (f"{kind} classes, {title} {words[kind]} with more images", name, signs[kind])
        for kind, name, _, _, title in ROWS
    ]
    assert len({one.statement for one in found}) == 12
