"""Blurs of a point."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.data.derive import Blur, Image
from i2i.data.derive.blur import motion_kernel

RNG = np.random.default_rng(0)


def test_a_point_becomes_a_gaussian() -> None:
    photo = np.zeros((41, 41, 1), np.uint8)
    photo[20, 20] = 255
    blurred = Blur(sigma=(1.5, 1.5))(photo, RNG)[..., 0].astype(float)
    distance = (np.arange(41) - 20) ** 2
    wanted = 255 * np.exp(-(distance[:, None] + distance) / (2 * 1.5**2)) / (2 * np.pi * 1.5**2)
    assert abs(blurred - wanted).max() < 1


@pytest.mark.parametrize(("length", "angle"), [(7, 0), (12.5, 90), (20, 30), (9, -60)])
def test_a_motion_spreads_evenly_along_its_line(length: float, angle: float) -> None:
    """A rod of that length has variance length^2 / 12 along it, and sampling between pixels adds at most 1/4."""
    kernel = motion_kernel(length, angle).astype(float)
    assert kernel.sum() == pytest.approx(1)
    places = np.arange(len(kernel)) - len(kernel) // 2
    x, y = np.meshgrid(places, -places)  # y upwards
    assert abs((kernel * x).sum()) < 1e-3
    assert abs((kernel * y).sum()) < 1e-3
    turn = np.radians(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    assert 0 <= (kernel * along**2).sum() - length**2 / 12 + 0.05 < 0.3
    assert (kernel * across**2).sum() < 0.26


def test_nothing_to_blur(cat: Image) -> None:
    np.testing.assert_array_equal(Blur(sigma=(0, 0))(cat, RNG), cat)


def test_a_motion_goes_its_way(cat: Image) -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 200
    kept = Blur(sigma=(0, 0), motion=(8, 8), angle=(90, 90))(stripes, RNG)
    np.testing.assert_array_equal(kept, stripes)
    blurred = Blur(sigma=(0, 0), motion=(8, 8), angle=(0, 0))(stripes, RNG)
    assert abs(blurred[:, 8:-8].astype(int) - 100).max() <= 15
