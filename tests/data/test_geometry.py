"""Resizing against Pillow, and sizes worked out by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from i2i.data.geometry import center_crop, resize, short_side_size


def noise(height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(13, 29), (64, 64), (100, 60)])
def test_bicubic_is_antialiased_as_pillows(height: int, width: int) -> None:
    image = noise(64, 80)
    expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    ours = resize(image, height, width).astype(float)
    assert np.abs(ours - expected).max() <= 2
    assert np.sqrt(np.square(ours - expected).mean()) < 0.5


def test_floats_stay_in_range() -> None:
    image = (noise(20, 20) > 127).astype(np.float32)
    out = resize(image, 37, 41)
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 1


def test_nearest_invents_no_label() -> None:
    labels = np.random.default_rng(1).choice([3, 90, 201], (50, 70, 1)).astype(np.uint8)
    assert set(np.unique(resize(labels, 31, 33, "nearest"))) <= {3, 90, 201}


def test_short_side_and_crop_by_hand() -> None:
    assert short_side_size(200, 400, 50) == (50, 100)
    assert short_side_size(333, 250, 100) == (133, 100)
    image = np.arange(6 * 8).reshape(6, 8, 1)
    np.testing.assert_array_equal(center_crop(image, 4), image[1:5, 2:6])
