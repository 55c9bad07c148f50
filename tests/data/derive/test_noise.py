"""The spread of noise."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.data.derive import Noise


@pytest.mark.parametrize("value", [64, 128, 192])
def test_variance_by_hand(value: int) -> None:
    photo = np.full((200, 200, 3), value, np.uint8)
    even = Noise(sigma=(10, 10))(photo, np.random.default_rng(0)).astype(float)
    assert even.mean() == pytest.approx(value, abs=0.2)
    assert even.std() == pytest.approx(10, rel=0.02)
    shot = Noise(sigma=(4, 4), shot=(16, 16))(photo, np.random.default_rng(1)).astype(float)
    assert shot.std() == pytest.approx(np.sqrt(4**2 + 16**2 * value / 255), rel=0.02)


def test_pixels_and_channels_are_independent_and_stay_in_range() -> None:
    noise = Noise(sigma=(30, 30))(np.full((200, 200, 3), 128, np.uint8), np.random.default_rng(0)).astype(float) - 128
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 1:, 0].ravel(), noise[:, :-1, 0].ravel())[0, 1]) < 0.02
    dark = Noise(sigma=(30, 30))(np.zeros((64, 64, 1), np.uint8), np.random.default_rng(0))
    assert 0.4 < (dark == 0).mean() < 0.6  # half would be below black
    assert dark.max() < 200
