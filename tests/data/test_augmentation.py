"""Augmentations against closed forms, alone and joined by name."""

import collections

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from lib.data import Pipeline, flip_crop, named_direction
from lib.data.augmentation import DRAWS, crop, cutout, policy
from lib.parameters import StudyError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=200, channels=3, height=8, width=8):
    return torch.rand(n, channels, height, width, generator=generator(99)) + 0.1  # nowhere zero


def pixels(n=64, channels=3, size=16):
    shape = (n, channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(7))


def one_hot(n=200, classes=10):
    return torch.nn.functional.one_hot(torch.arange(n) % classes, classes).double()


def crops_of(image, pad):
    """{crop as bytes: (row, column, flipped)} of one image, (C, H, W), by loops."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    crops = {}
    for row in range(2 * pad + 1):
        for column in range(2 * pad + 1):
            part = padded[:, row : row + height, column : column + width]
            crops[part.tobytes()] = row, column, False
            crops[part[:, :, ::-1].tobytes()] = row, column, True
    return crops


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (16, 12), (7, 7)])
@pytest.mark.parametrize("augmentation", [crop, flip_crop])
def test_crop_is_shifted_by_up_to_an_eighth_and_maybe_flipped(augmentation, height, width):
    given, pad = images(height=height, width=width), height // 8
    cropped = augmentation(given, generator())
    assert (cropped.shape, cropped.dtype) == (given.shape, given.dtype)
    pairs = zip(given.numpy(), cropped.numpy(), strict=True)
    draws = [crops_of(image, pad)[crop.tobytes()] for image, crop in pairs]
    rows, columns, flips = zip(*draws, strict=True)
    assert set(rows) == set(columns) == set(range(2 * pad + 1))
    assert 70 < sum(flips) < 130 if augmentation is flip_crop else sum(flips) == 0  # 4 deviations


@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 14), (5, 7)])
def test_cutout_is_a_square_cut_off_at_the_border(height, width):
    given, size, corners = images(300, height=height, width=width), height // 2, set()
    for image, cut in zip(given.numpy(), cutout(given, generator()).numpy(), strict=True):
        hole = (cut == 0).all(0)
        np.testing.assert_array_equal(cut, np.where(hole, 0, image))
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        for side, extent in ((rows, height), (columns, width)):
            assert len(side) == side[-1] - side[0] + 1
            assert len(side) == size or side[0] == 0 or side[-1] == extent - 1
            assert size // 2 <= len(side) <= size  # the square's centre lies in the image
        corners.add((rows[-1], columns[-1]))
    assert len(corners) > 10


def test_cutout_centres_are_spread_evenly():
    """A hole of 6 around each of 12 pixels with equal probability, from 3 before to 2 after."""
    covered = (cutout(torch.ones(6000, 1, 12, 12), generator()) == 0).any(3).double().mean(0)[0]
    expected = [sum(c - 3 <= pixel <= c + 2 for c in range(12)) / 12 for pixel in range(12)]
    np.testing.assert_allclose(covered, expected, atol=0.027)  # four deviations


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 8.0])
def test_mixup_weighs_image_and_label_by_one_weight_a_batch(alpha, channels):
    """The weight's variance is that of Beta(a, a), 1 / (4 (2 a + 1))."""
    torch.manual_seed(0)
    x, y = images(30, channels).double(), torch.eye(30).double()  # a label names its image
    weights = []
    for seed in range(300):
        mixed, soft = Pipeline(f"mixup:{alpha}").normalized(x, y, generator(seed))
        torch.testing.assert_close(mixed.flatten(1), soft @ x.flatten(1), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(soft.sum(1), 1, atol=1e-12)
        own = soft.diagonal()[soft.diagonal() < 1 - 1e-9]  # others are mixed with themselves
        assert own.numel() == 0 or own.max() - own.min() < 1e-12
        weights.append(float(soft.diagonal().min()))
    assert np.mean(weights) == pytest.approx(0.5, abs=0.11)
    assert np.var(weights) == pytest.approx(0.25 / (2 * alpha + 1), rel=0.3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", [0.5, 4.0])
@pytest.mark.parametrize("fraction", [0.0, 0.2, 1.0])
def test_frequency_adds_f_to_a_share_and_its_inverse_to_the_rest(fraction, norm, channels):
    x, y = images(2000, channels).double(), one_hot(2000)
    perturbed, soft = Pipeline(f"frequency:{fraction}:{norm}").normalized(x, y, generator())
    added = (perturbed - x) / norm
    directions = [named_direction(name, 8, channels) for name in ("f", "1/f")]
    distance = [(added - direction).flatten(1).norm(dim=1) for direction in directions]
    is_f, is_inverse = (d < 1e-9 for d in distance)
    assert (is_f ^ is_inverse).all()
    share = is_f.double().mean().item()
    assert share == (pytest.approx(0.2, abs=0.036) if fraction == 0.2 else fraction)
    torch.testing.assert_close(soft, 0.5 * y + 0.05)


NAMES = ["none", "crop", "flip_crop", "cutout", "flip_crop+cutout", "mixup:0.5", "frequency:0.5:4"]


@pytest.mark.parametrize("name", [*NAMES, "flip_crop+mixup:1", "frequency:0.5:4+mixup:1"])
def test_images_and_labels_are_not_changed_in_place(name):
    """The released code adds its perturbations to the training set itself: they pile up."""
    x, y = images(), one_hot()
    before = x.clone(), y.clone()
    augmented, soft = Pipeline(name).normalized(x, y, generator())
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    assert (name == "none") == torch.equal(augmented, x)
    np.testing.assert_allclose(soft.sum(1), 1, atol=1e-9)


@pytest.mark.parametrize("name", NAMES[1:])
def test_draws_follow_their_seed(name):
    def drawn(seed):
        torch.manual_seed(seed)
        return Pipeline(name).normalized(images(height=16, width=16), one_hot(), generator(seed))[0]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_steps_are_applied_in_order():
    x, draws = images(height=32, width=32), generator(5)
    expected = cutout(flip_crop(x, draws), draws)
    joined, _ = Pipeline("flip_crop+cutout").normalized(x, one_hot(), generator(5))
    assert torch.equal(joined, expected)


POLICIES = {
    "randaugment:0": v2.RandAugment(magnitude=0),
    "randaugment:9": v2.RandAugment(magnitude=9),
    "randaugment:30": v2.RandAugment(magnitude=30),
    "autoaugment": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_torchvisions_on_bytes(name, channels):
    given = pixels(channels=channels)
    before, pipeline = given.clone(), Pipeline(f"{name}+flip_crop")
    torch.manual_seed(0)
    changed = pipeline.raw(given)
    torch.manual_seed(0)
    assert torch.equal(changed, policy(given, POLICIES[name]))
    assert torch.equal(given, before)
    assert not torch.equal(changed, given)


@pytest.mark.parametrize("name", ["randaugment:9", "autoaugment", "randaugment:9+cutout"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int16])
def test_policies_refuse_what_is_not_bytes(name, dtype):
    with pytest.raises(
        StudyError, match=r"^augmentation: .*got torch\..*; accepted: uint8, 0\.\.255"
    ):
        Pipeline(name).raw(pixels().to(dtype))


def test_without_a_policy_raw_pixels_pass():
    assert torch.equal(Pipeline("flip_crop").raw(images()), images())


@pytest.fixture
def paint(monkeypatch):
    """A function that replaces a policy of torchvision's by one of the test's own."""

    def replace(name, transform):
        monkeypatch.setattr(v2, name, lambda *_, **__: transform)

    return replace


def test_crop_takes_what_the_policy_made(paint):
    """The released code crops the image as it was before its policy."""
    paint("RandAugment", lambda part: torch.full_like(part, 77))
    pipeline, x = Pipeline("randaugment:9+flip_crop"), pixels(100)
    cropped, _ = pipeline.normalized(pipeline.raw(x).float(), one_hot(100), generator())
    assert sorted(cropped.unique().tolist()) == [0, 77]
    kept = (cropped[:, 0] == 77).flatten(1).sum(1).tolist()  # of 16 x 16, shifted by 0 to 2
    assert set(kept) == {rows * columns for rows in (14, 15, 16) for columns in (14, 15, 16)}


def test_policies_follow_one_another(paint):
    paint("AutoAugment", lambda part: part // 2 + 10)
    paint("RandAugment", lambda part: part // 2 + 3)
    expected = (pixels() // 2 + 10) // 2 + 3
    assert torch.equal(Pipeline("autoaugment+randaugment:9+crop").raw(pixels()), expected)


def counting():
    """A policy that paints its first call's images 1, the second's 2 and so on."""
    calls = iter(range(1, 256))
    return lambda part: torch.full_like(part, next(calls))


@pytest.mark.parametrize(
    ("n", "sizes"), [(64, [4] * 16), (50, [4] * 12 + [2]), (16, [1] * 16), (5, [1] * 5), (1, [1])]
)
def test_each_group_gets_a_draw_of_its_own(n, sizes):
    torch.manual_seed(0)
    draws = policy(pixels(n), counting()).flatten(1)
    assert torch.equal(draws.amin(1), draws.amax(1))  # an image belongs to one draw
    counts = collections.Counter(draws[:, 0].tolist())
    assert [counts[number] for number in range(1, len(counts) + 1)] == sizes
    assert len(sizes) <= DRAWS


def test_images_keep_their_place_under_a_policy():
    given = pixels()
    assert torch.equal(policy(given, lambda part: 255 - part), 255 - given)


def test_groups_are_drawn_anew_in_every_batch():
    torch.manual_seed(0)
    first, second = (policy(pixels(64), counting())[:, 0, 0, 0] for _ in range(2))
    assert (first == second).sum() < 20  # 4 expected
    assert len(first[:4].unique()) > 1  # not neighbours


@pytest.mark.parametrize("name", ["randaugment:9", "randaugment:30", "autoaugment"])
def test_copies_of_an_image_come_out_in_as_many_ways_as_there_are_draws(name):
    torch.manual_seed(0)
    copies = Pipeline(name).raw(pixels(1).expand(160, -1, -1, -1))
    assert 4 < len(copies.flatten(1).unique(dim=0)) <= DRAWS


UNKNOWN = (
    "|flip|blur|blur:3|flip_crop+|none+cutout|cutout+none|flip_crop, cutout|cutout+blur|cutout:8"
)
MIXUPS = "mixup|mixup:|mixup:0|mixup:-1|mixup:a|mixup:1:2|mixup:nan|mixup:inf|mixup:-inf|mixup:101"
FREQUENCIES = (
    "frequency|frequency:0.5|frequency:2:4|frequency:-0.1:4|frequency:0.5:0|frequency:0.5:4:1"
)
NO_POLICIES = "randaugment|randaugment:31|randaugment:-1|randaugment:x|autoaugment:1|autoaugment:3"


@pytest.mark.parametrize("name", "|".join([UNKNOWN, MIXUPS, FREQUENCIES, NO_POLICIES]).split("|"))
def test_what_cannot_be_read_is_refused_in_one_line(name):
    with pytest.raises(StudyError, match=r"^augmentation: got '.*'; accepted: none, ") as caught:
        Pipeline(name)
    for form in ("flip_crop", "mixup:ALPHA", "frequency:FRACTION:NORM", "randaugment:MAGNITUDE"):
        assert form in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["cutout+randaugment:3", "mixup:1+autoaugment", "randaugment:9+crop+autoaugment"]
)
def test_policy_after_another_step_is_refused(name):
    with pytest.raises(
        StudyError, match=r"^augmentation: got '.*'; accepted: .* before other steps"
    ):
        Pipeline(name)
