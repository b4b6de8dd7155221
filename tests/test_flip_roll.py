"""The augmentation that keeps norms, by its door."""

import itertools

import numpy as np
import torch

from lib import data

NAME = "notebooks/flip_roll.py:flip_roll"


def augmented(images: np.ndarray, seed: int = 0) -> np.ndarray:
    labels = torch.eye(2)[torch.zeros(len(images), dtype=torch.long)]
    generator = torch.Generator().manual_seed(seed)
    return data.Pipeline(NAME).normalized(torch.from_numpy(images), labels, generator)[0].numpy()


def test_every_image_is_one_of_its_rolls_and_all_of_them_come():
    image = np.random.default_rng(0).normal(size=(3, 16, 24)).astype(np.float32)
    wanted = {
        np.roll(sided, (down, across), (1, 2)).tobytes()
        for sided in (image, image[:, :, ::-1])
        for down, across in itertools.product(range(-2, 3), repeat=2)
    }
    found = augmented(np.repeat(image[None], 2000, 0))
    assert {one.tobytes() for one in found} == wanted
    assert len(wanted) == 50


def test_norms_stay_and_chance_is_the_generators():
    images = np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32)
    moved = augmented(images)
    norms = [np.sort(np.abs(one).reshape(40, -1), axis=1) for one in (images, moved)]
    assert np.array_equal(*norms)
    assert np.array_equal(moved, augmented(images))
    assert not np.array_equal(moved, augmented(images, seed=1))
