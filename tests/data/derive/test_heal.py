"""Damage vanishes, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.data.derive import Heal, Image
from i2i.errors import UserError


def damaged(channels: int, grain: float) -> tuple[Image, Image, Image]:
    """Return a slope of light with grain, the same with a black crack, and the crack's mask."""
    noise = np.random.default_rng(0).normal(0, grain, (96, 96, channels))
    clean = np.clip(60 + np.arange(96)[None, :, None] + noise, 0, 255).astype(np.uint8)
    mask = np.zeros((96, 96, 1), np.uint8)
    mask[45:48, 5:90] = 255
    return clean, np.where(mask > 0, np.uint8(0), clean), mask


@pytest.mark.parametrize("channels", [1, 3])
def test_the_crack_is_gone_and_the_rest_untouched(channels: int) -> None:
    clean, photo, mask = damaged(channels, grain=0)
    image = Heal(grow=2)(photo, np.random.default_rng(0), mask)
    assert abs(image[..., :-1].astype(int) - clean).max() < 12
    np.testing.assert_array_equal(image[..., -1:], mask)
    far = np.ones((96, 96), bool)
    far[43:50] = False
    np.testing.assert_array_equal(image[far, :-1], photo[far])


def test_healed_places_have_the_grain_of_the_others() -> None:
    _, photo, mask = damaged(3, grain=10)
    for seed in range(5):
        healed = Heal()(photo, np.random.default_rng(seed), mask)[..., :3].astype(float)
        slope = 60 + np.arange(96)[None, :, None]
        inside, outside = ((healed - slope)[rows, 10:85].std() for rows in (slice(44, 49), slice(10, 30)))
        assert 0.7 < inside / outside < 1.3


def test_without_damage_and_without_a_mask() -> None:
    clean, photo, mask = damaged(3, grain=5)
    nothing = np.zeros_like(mask)
    np.testing.assert_array_equal(Heal()(clean, np.random.default_rng(0), nothing)[..., :3], clean)
    np.testing.assert_array_equal(Heal().prepared(clean, mask)[..., :3], clean)  # clean photos of a user's own
    with pytest.raises(UserError, match="heal: an image needs its mask"):
        Heal()(photo, np.random.default_rng(0))
