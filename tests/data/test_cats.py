"""The drawn cats of the edges2cats demo: deterministic, free of scale, varied."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from i2i.data.cats import draw_cat


def _cat(seed: int, size: int) -> np.ndarray:
    return draw_cat(np.random.default_rng(seed), size)


@pytest.mark.parametrize("size", [32, 100, 256, 300])
def test_shape_and_type(size: int) -> None:
    picture = _cat(3, size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


@pytest.mark.parametrize("size", [31, 1025])
def test_refuses_sizes_out_of_range(size: int) -> None:
    with pytest.raises(ValueError, match="32 to 1024"):
        _cat(0, size)


def test_the_generator_state_alone_decides_the_pixels() -> None:
    rng = np.random.default_rng(11)
    first, second = draw_cat(rng, 64), draw_cat(rng, 64)
    assert np.array_equal(first, _cat(11, 64))
    assert np.abs(first.astype(int) - second).mean() > 10


@pytest.mark.parametrize(("large", "bound"), [(256, 2.0), (512, 3.5)])
def test_draws_the_same_cat_at_every_size(large: int, bound: float) -> None:
    for seed in range(6):
        shrunk = cv2.resize(_cat(seed, large), (128, 128), interpolation=cv2.INTER_AREA)
        assert np.abs(_cat(seed, 128).astype(int) - shrunk).mean() < bound


def test_cats_differ_widely() -> None:
    pictures = np.stack([_cat(seed, 48) for seed in range(60)]).astype(float)
    assert pictures.mean(axis=(1, 2)).std(axis=0).min() > 15  # of the mean colour, per channel
    face = pictures[:, 20:30, 20:28].mean(axis=(1, 2))
    assert face.std(axis=0).min() > 30  # of the coats
    assert pictures.std(axis=(1, 2, 3)).min() > 15  # none is blank
