import math

import numpy as np
import pytest
import torch

from lib.data import fourier_basis_image, named_direction
from lib.parameters import StudyError

every_size = pytest.mark.parametrize("size", [7, 8])


@every_size
def test_basis_images_are_orthonormal(size):
    places = [(i, j) for i in range(size) for j in range(size)]
    basis = torch.stack([fourier_basis_image(i, j, size).flatten() for i, j in places]).numpy()
    np.testing.assert_allclose(basis @ basis.T, np.eye(size**2), atol=1e-12)


@every_size
def test_basis_image_lives_on_its_frequency_and_the_mirrored_one(size):
    for i in range(size):
        for j in range(size):
            transform = np.fft.fft2(fourier_basis_image(i, j, size).numpy())
            u, v = (i - size // 2) % size, (j - size // 2) % size
            places = {tuple(map(int, at)) for at in np.argwhere(np.abs(transform) > 1e-9)}
            assert places == {(u, v), (-u % size, -v % size)}


@every_size
def test_basis_image_at_the_centre_is_constant(size):
    image = fourier_basis_image(size // 2, size // 2, size)
    np.testing.assert_allclose(image, np.full((size, size), 1 / size), atol=1e-15)


@pytest.mark.parametrize(("i", "j"), [(-1, 0), (0, 8), (8, 0)])
def test_basis_image_outside_the_square_is_refused(i, j):
    for call in (fourier_basis_image, lambda *_: named_direction(f"fourier:{i},{j}", 8, 1)):
        with pytest.raises(StudyError, match=r"accepted: 0\.\.7$"):
            call(i, j, 8)


@every_size
@pytest.mark.parametrize(("name", "exponent"), [("f", 2), ("1/f", -2)])
def test_composite_direction_has_its_weights_as_spectrum(name, exponent, size):
    """The transform of (cos t - sin t) / size is size (1 + i) / 2 at (u, v) and size (1 - i) / 2 at
    its mirror; equal weights on both make a magnitude of size * weight wherever the mirror has a
    basis image too."""
    direction = named_direction(name, size, 1)[0].numpy()
    magnitude = np.abs(np.fft.fftshift(np.fft.fft2(direction)))
    u = np.arange(size) - size // 2
    radius = np.maximum(np.hypot(u[:, None], u[None, :]), 1.0)
    inner = slice(1 - size % 2, None)  # -size/2 is its own mirror in one coordinate only
    ratio = (magnitude / radius**exponent)[inner, inner]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)


@pytest.mark.parametrize("name", ["fourier:2,5", "random:3", "f", "1/f"])
@pytest.mark.parametrize("channels", [1, 3])
def test_directions_have_unit_length(name, channels):
    direction = named_direction(name, 8, channels)
    assert direction.shape == (channels, 8, 8)
    assert direction.norm().item() == pytest.approx(1.0, abs=1e-12)


def test_basis_direction_is_the_same_in_every_channel():
    expected = fourier_basis_image(2, 5, 8).expand(3, 8, 8) / math.sqrt(3)
    np.testing.assert_allclose(named_direction("fourier:2,5", 8, 3), expected, atol=1e-15)


def test_random_directions_follow_their_seed():
    first, again, other = (named_direction(f"random:{seed}", 8, 3) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert abs((first * other).sum().item()) < 0.3  # 192 dimensions: nearly orthogonal


@pytest.mark.parametrize(
    "name", ["", "square", "f2", "fourier:1", "fourier:a,b", "random:", "random:x", "fourier:1,2,3"]
)
def test_unknown_direction_is_refused(name):
    with pytest.raises(StudyError, match=r"^wave: got '.*'; accepted: none, .*fourier:I,J.*1/f$"):
        named_direction(name, 8, 1)
