import numpy as np
import pytest
import torch

from lib import augment, targets
from lib.parameters import StudyError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(n=200, channels=3, height=8, width=8):
    return torch.rand(n, channels, height, width, generator=generator(99)) + 0.1  # nowhere zero


def crops_of(image, pad):
    """{(row, column, flipped): crop} of one image, (C, H, W), by loops."""
    channels, height, width = image.shape
    padded = np.zeros((channels, height + 2 * pad, width + 2 * pad), dtype=image.dtype)
    padded[:, pad : pad + height, pad : pad + width] = image
    crops = {}
    for row in range(2 * pad + 1):
        for column in range(2 * pad + 1):
            crop = padded[:, row : row + height, column : column + width]
            crops[row, column, False], crops[row, column, True] = crop, crop[:, :, ::-1]
    return crops


@pytest.mark.parametrize(("pad", "height", "width"), [(4, 8, 8), (1, 5, 7), (0, 6, 6)])
def test_flip_crop_is_a_shifted_and_maybe_flipped_copy(pad, height, width):
    images = random_images(height=height, width=width)
    out = augment.flip_crop(images, generator(), pad)
    assert out.shape == images.shape
    assert out.dtype == images.dtype
    seen = []
    for image, found in zip(images.numpy(), out.numpy(), strict=True):
        matches = [draw for draw, crop in crops_of(image, pad).items() if np.array_equal(crop, found)]
        assert len(matches) == 1
        seen += matches
    rows, columns, flips = (set(draws) for draws in zip(*seen, strict=True))
    assert rows == columns == set(range(2 * pad + 1))
    assert flips == {False, True}
    assert 70 < sum(draw[2] for draw in seen) < 130  # of 200, four standard deviations


@pytest.mark.parametrize("size", [4, 5, 8, 16])
def test_cutout_is_a_square_cut_off_at_the_border(size):
    images = random_images(n=300, height=12, width=14)
    out = augment.cutout(images, generator(), size)
    starts = set()
    for image, found in zip(images.numpy(), out.numpy(), strict=True):
        hole = (found == 0).all(0)
        assert np.array_equal(found != 0, np.broadcast_to(~hole, found.shape))  # the same in every channel
        np.testing.assert_array_equal(found[:, ~hole], image[:, ~hole])
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole[np.ix_(rows, columns)].all()
        for where, extent in ((rows, 12), (columns, 14)):
            assert np.array_equal(where, np.arange(where[0], where[-1] + 1))
            assert len(where) == size or where[0] == 0 or where[-1] == extent - 1
            # the square's centre lies in the image: no less than about half of it is inside
            assert min(size // 2, extent) <= len(where) <= size
        starts.add((rows[0], columns[0]))
    assert len(starts) > 20 or size == 16


def test_cutout_centres_are_spread_evenly():
    """Each pixel of a row is the centre with probability 1/12; a hole of 3 covers an inner one with 3/12."""
    images = torch.ones(6000, 1, 12, 12)
    covered = (augment.cutout(images, generator(), 3) == 0).any(3).double().mean(0)[0]
    np.testing.assert_allclose(covered, [2 / 12] + [3 / 12] * 10 + [2 / 12], atol=0.025)


def one_hot(n=200, classes=10):
    return torch.nn.functional.one_hot(torch.arange(n) % classes, classes).double()


def test_mixup_mixes_two_images_and_their_labels_alike():
    torch.manual_seed(0)
    images, labels = random_images(40).double(), torch.eye(40, dtype=torch.float64)  # a label names its image
    weights = []
    for _ in range(20):
        mixed, soft = augment.mixup(images, labels, generator(), alpha=1.0)
        torch.testing.assert_close(mixed.flatten(1), soft @ images.flatten(1))
        np.testing.assert_allclose(soft.sum(1), 1, atol=1e-12)
        assert ((soft > 0).sum(1) <= 2).all()
        share = soft.diagonal()[soft.diagonal() < 1 - 1e-9]
        assert share.max() - share.min() < 1e-12  # one weight a batch
        weights.append(float(share[0]))
    assert 0.3 < np.mean(weights) < 0.7  # uniform on [0, 1]: four standard errors are 0.26
    assert np.std(weights) > 0.15


def test_mixup_weight_is_near_0_or_1_for_a_small_alpha():
    torch.manual_seed(0)
    weights = []
    for _ in range(300):
        _, soft = augment.mixup(random_images(8), torch.eye(8), generator(), alpha=0.1)
        weights.append(float(soft.diagonal().min()))
    assert np.var(weights) == pytest.approx(0.25 / 1.2, rel=0.15)  # of Beta(a, a): 1 / (4 (2 a + 1))


@pytest.mark.parametrize(("fraction", "smoothing"), [(0.0, 0.5), (1.0, 0.5), (0.5, 0.2)])
def test_frequency_adds_one_of_two_perturbations_of_a_known_length(fraction, smoothing):
    images, labels = random_images(400, height=8, width=8).double(), one_hot(400)
    perturbed, smooth = augment.frequency(images, labels, generator(), fraction, 4.0, smoothing)
    added = (perturbed - images).flatten(1)
    np.testing.assert_allclose(added.norm(dim=1), 4.0, rtol=1e-9)
    kinds = [4.0 * targets.named_direction(name, 8, 3).flatten() for name in ("f", "1/f")]
    is_f, is_inverse = ((added - kind).norm(dim=1) < 1e-9 for kind in kinds)
    assert (is_f ^ is_inverse).all()
    assert is_f.double().mean().item() == pytest.approx(fraction, abs=0.1)
    np.testing.assert_allclose(smooth, (1 - smoothing) * labels + smoothing / 10, atol=1e-12)


NAMES = ["none", "flip_crop", "cutout", "flip_crop+cutout", "mixup:0.5", "frequency:0.5:4", "flip_crop+mixup:1"]


@pytest.mark.parametrize("name", NAMES)
def test_images_and_labels_are_not_changed_in_place(name):
    images, labels = random_images(), one_hot()
    before = images.clone(), labels.clone()
    found, soft = augment.Pipeline(name).normalized(images, labels, generator())
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert (name == "none") == torch.equal(found, images)
    np.testing.assert_allclose(soft.sum(1), 1, atol=1e-9)


@pytest.mark.parametrize("name", NAMES[1:])
def test_draws_follow_their_seed(name):
    def drawn(seed):
        torch.manual_seed(seed)
        return augment.Pipeline(name).normalized(images, one_hot(), generator(seed))[0]

    images = random_images(height=32, width=32)
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_steps_are_applied_in_order():
    images, draws = random_images(height=32, width=32), generator(5)
    expected = augment.cutout(augment.flip_crop(images, draws), draws)
    found, _ = augment.Pipeline("flip_crop+cutout").normalized(images, one_hot(), generator(5))
    assert torch.equal(found, expected)


def random_pixels(n=64):
    return torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator(7))


@pytest.mark.parametrize("name", ["randaugment:9", "autoaugment"])
def test_policies_change_raw_pixels_and_leave_the_given_ones(name):
    pixels = random_pixels()
    before = pixels.clone()
    torch.manual_seed(0)
    pipeline = augment.Pipeline(f"{name}+flip_crop")
    found = pipeline.raw(pixels)
    assert torch.equal(pixels, before)
    assert (found.shape, found.dtype) == (pixels.shape, torch.uint8)
    changed = (found != pixels).flatten(1).any(1)
    assert changed.double().mean() > 0.3
    images, labels = found.float(), one_hot(64)
    assert pipeline.normalized(images, labels, generator())[0].shape == images.shape  # what is left: the crop


def test_policy_gives_every_image_back_once():
    """Under a policy that only adds a constant to a part, every image keeps its place."""
    pixels, calls = random_pixels(), []

    def add(part):
        calls.append(len(part))
        return part + 1

    assert torch.equal(augment.policy(pixels, add), pixels + 1)
    assert sum(calls) == len(pixels)
    assert len(calls) == augment.DRAWS


def test_without_a_policy_raw_pixels_pass():
    pixels = random_pixels()
    assert torch.equal(augment.Pipeline("flip_crop").raw(pixels), pixels)


def test_policies_need_bytes():
    with pytest.raises(StudyError, match=r"^augmentation: .*uint8"):
        augment.Pipeline("randaugment:9").raw(random_images())


@pytest.mark.parametrize(
    "name",
    ["", "flip", "flip_crop+", "none+cutout", "flip_crop, cutout", "mixup", "mixup:", "mixup:0", "mixup:-1",
     "mixup:a", "mixup:1:2", "mixup:nan", "frequency", "frequency:0.5", "frequency:2:4", "frequency:-0.1:4",
     "frequency:0.5:0", "randaugment", "randaugment:31", "randaugment:x", "autoaugment:1",
     "flip_crop+randaugment:9", "cutout:8"],
)  # fmt: skip
def test_unknown_names_are_refused_in_one_line(name):
    with pytest.raises(StudyError, match=r"^augmentation: got .*accepted: ") as caught:
        augment.Pipeline(name)
    assert "\n" not in str(caught.value)
