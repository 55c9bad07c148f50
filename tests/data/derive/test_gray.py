"""Grey values against formulas and another library."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from i2i.data.derive import Gray
from i2i.errors import UserError

RNG = np.random.default_rng(0)


def test_luma_by_hand() -> None:
    photo = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]]], np.uint8)
    assert Gray()(photo, RNG)[0, :, 0].tolist() == [76, 150, 29, 10]  # 255 times 0.299, 0.587, 0.114


def test_lab_keeps_the_lightness() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    grey = Gray(space="lab")(photo, RNG)
    lightness = [rgb2lab(image / 255)[..., 0] for image in (photo, grey.repeat(3, axis=2))]
    assert abs(lightness[0] - lightness[1]).max() < 0.35  # half a grey value
    assert abs(Gray()(photo, RNG).astype(int) - grey).max() > 20


def test_neutral_photos_stay_as_they_are() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None, :, None]
    for space in ("luma", "lab"):
        np.testing.assert_array_equal(Gray(space=space)(ramp.repeat(3, axis=2), RNG), ramp)
        np.testing.assert_array_equal(Gray(space=space)(ramp, RNG), ramp)


def test_photos_of_other_channels_are_refused() -> None:
    with pytest.raises(UserError, match=r"data\.derive\.name=gray takes photos of 1 or 3 channels, and these have 6"):
        Gray().channels_of(6)
