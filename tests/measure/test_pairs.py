"""Pairs of images: the right classes, no pair twice, no class or image preferred."""

import itertools

import numpy as np
import pytest
import torch

from lib.measure import between_class_pairs, within_class_pairs
from lib.parameters import StudyError

LABELS = np.array([0, 1, 2, 0, 1, 2, 2, 2, 0, 1, 1, 0, 2, 0, 1] * 2)
both_kinds = pytest.mark.parametrize("draw", [within_class_pairs, between_class_pairs])


def unordered(pairs):
    return {frozenset(map(int, pair)) for pair in pairs}


@pytest.mark.parametrize("count", [3, 30, 100])
def test_within_class_pairs(count):
    pairs = within_class_pairs(LABELS, count, seed=0)
    classes = LABELS[pairs]
    assert pairs.shape == (count, 2)
    assert (classes[:, 0] == classes[:, 1]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len(unordered(pairs)) == count
    shares = np.bincount(classes[:, 0], minlength=3)
    assert shares.max() - shares.min() <= 1


@pytest.mark.parametrize("count", [3, 31, 200])
def test_between_class_pairs(count):
    pairs = between_class_pairs(LABELS, count, seed=0)
    classes = [frozenset(map(int, LABELS[pair])) for pair in pairs]
    assert pairs.shape == (count, 2)
    assert all(len(two) == 2 for two in classes)
    assert len(unordered(pairs)) == count
    shares = [classes.count(frozenset(two)) for two in itertools.combinations(range(3), 2)]
    assert max(shares) - min(shares) <= 1


def test_a_remainder_goes_to_any_two_classes():
    """One pair more than there are pairs of classes: not always to the first two."""
    extra = set()
    for seed in range(20):
        classes = [
            frozenset(map(int, LABELS[pair])) for pair in between_class_pairs(LABELS, 4, seed)
        ]
        extra.add(max(classes, key=classes.count))
    assert len(extra) == 3


@both_kinds
def test_pairs_follow_their_seed(draw):
    first, again, other = (draw(LABELS, 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@both_kinds
def test_labels_may_be_a_tensor(draw):
    assert np.array_equal(draw(torch.from_numpy(LABELS), 20, 0), draw(LABELS, 20, 0))


@both_kinds
def test_every_pair_can_be_drawn_but_not_one_more(draw):
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    every = 12 if draw is within_class_pairs else 16
    assert len(unordered(draw(labels, every, seed=0))) == every
    with pytest.raises(StudyError, match=r"^num_pairs: .* accepted: at most \d"):
        draw(labels, every + 1, seed=0)


def test_pairs_reach_every_image_alike():
    """2,000 draws of 3 of the 45 pairs of 10 images: an image is in 3 / 45 * 9 pairs a draw."""
    drawn = [within_class_pairs(np.zeros(10, int), 3, seed) for seed in range(2000)]
    counts = np.bincount(np.concatenate(drawn).ravel(), minlength=10) / 2000
    np.testing.assert_allclose(counts, 0.6, atol=0.06)


def even_sums(pairs):
    return pairs.sum(1) % 2 == 0


@both_kinds
@pytest.mark.parametrize("count", [3, 12])
def test_pairs_that_may_not_be_drawn_are_not(draw, count):
    """And still as many of each class, or of each two classes."""
    pairs = draw(LABELS, count, 0, even_sums)
    assert even_sums(pairs).all()
    assert len(unordered(pairs)) == count
    classes = [tuple(sorted(map(int, LABELS[pair]))) for pair in pairs]
    assert [classes.count(one) for one in set(classes)] == [count // 3] * 3
    other = draw(LABELS, count, 1, even_sums)
    assert unordered(other) != unordered(pairs)


@both_kinds
def test_every_pair_that_may_be_drawn_can_be_and_not_one_more(draw):
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    every = 4 if draw is within_class_pairs else 8
    assert len(unordered(draw(labels, every, 0, even_sums))) == every
    with pytest.raises(StudyError, match=r"^num_pairs: .* and of these the long enough ones$"):
        draw(labels, every + 1, 0, even_sums)


@both_kinds
def test_pairs_are_the_same_where_all_may_be_drawn(draw):
    """What is refused does not change which others are drawn first."""
    every, even = draw(LABELS, 12, 0), draw(LABELS, 12, 0, even_sums)
    assert unordered(every[even_sums(every)]) <= unordered(even)


def test_one_class_alone_has_no_pair_between_classes():
    with pytest.raises(StudyError, match="two classes"):
        between_class_pairs(np.zeros(10, int), 5, seed=0)
