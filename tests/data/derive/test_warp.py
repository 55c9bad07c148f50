"""Movements that can be told exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from i2i.data.derive import Image, Warp

STILL: dict[str, Any] = {"turn": (0, 0), "zoom": (1, 1), "shift": (0, 0), "elastic": (0, 0)}


def warped(photo: Image, seed: int = 0, **options: Any) -> Image:
    return Warp.model_validate({**STILL, **options})(photo, np.random.default_rng(seed))


def test_no_movement(cat: Image) -> None:
    np.testing.assert_array_equal(warped(cat), cat)


def test_turns_counter_clockwise(cat: Image) -> None:
    np.testing.assert_array_equal(warped(cat, turn=90), np.rot90(cat))


def test_shifts_and_mirrors_the_border(cat: Image) -> None:
    moved = warped(cat, shift=0.125)  # 12 pixels down and to the right
    np.testing.assert_array_equal(moved[12:, 12:], cat[:-12, :-12])
    np.testing.assert_array_equal(moved[10, 12:], cat[1, :-12])


def test_zoom_enlarges_the_middle() -> None:
    columns = np.broadcast_to(np.arange(101, dtype=np.uint8)[:, None], (101, 101, 1))
    assert warped(columns, zoom=2)[50, ::2, 0].tolist() == list(range(25, 76))


def test_elastic_shifts_are_as_large_as_told_and_smooth() -> None:
    """On a ramp of one value per pixel, a pixel's value tells where it came from."""
    ramp = np.ascontiguousarray(np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 1)))
    shifts = np.stack(
        [
            warped(ramp, seed, elastic=6, waves=64).astype(float)[40:-40, 40:-40, 0] - ramp[40:-40, 40:-40, 0]
            for seed in range(30)
        ]
    )
    assert 3.5 < shifts.std() < 6.5  # between the places that are drawn, less
    assert abs(shifts.mean()) < 1
    assert abs(np.diff(shifts, axis=1)).max() <= 2


def test_a_photo_cannot_vanish() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Warp(zoom=(0, 1))
