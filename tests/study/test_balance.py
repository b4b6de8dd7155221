"""Notebook 11's usual drawings: every class is in a label of each size equally often."""

import ast
import re

import numpy as np
import pytest

from lib import data
from lib.parameters import ROOT
from study import profiles

SOURCE = (ROOT / "notebooks/11_class_diversity.py").read_text()
SIZES, SEEDS = (
    ast.literal_eval(re.search(rf"^{name}: .*?= (\[.*?\])", SOURCE, re.MULTILINE)[1])
    for name in ("sizes", "seeds")
)


def size_of_each(seed):
    """The size of the label that each digit's images are in, (10,), by the images alone."""
    digits, merged = data.load("digits"), data.load(f"digits+merged:1-1-1-2-5:{seed}")
    where = {image.numpy().tobytes(): int(y) for image, y in zip(*of(digits), strict=True)}
    seen = np.zeros(10, int)
    for image, y in zip(*of(merged), strict=True):
        seen[where[image.numpy().tobytes()]] = SIZES[int(y)]
    return seen


def of(dataset):
    return dataset.x_train, dataset.y_train


@pytest.mark.parametrize("profile", ["digits", "cifar10-cpu", "cifar10", "paper"])
def test_every_class_is_drawn_into_each_size_equally_often(profile):
    given = profiles.resolve(["11_class_diversity"], profile, [])["11_class_diversity"]
    seeds = given.get("seeds", SEEDS)
    sizes = np.array([size_of_each(seed) for seed in seeds])
    assert SIZES == [1, 1, 1, 2, 5]
    assert len(seeds) == 10
    counts = [(sizes == size).sum(0).tolist() for size in (1, 2, 5)]
    assert counts == [[3] * 10, [2] * 10, [5] * 10]
