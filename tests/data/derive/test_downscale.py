"""Sizes, and bicubic interpolation as another library does it."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from i2i.data.derive import Downscale, Image
from i2i.errors import UserError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_agrees_with_pillow(cat: Image, factor: int) -> None:
    small = Downscale(factor=factor, enlarge=False)(cat, RNG)
    pillow = PIL.Image.fromarray(cat)
    reduced = pillow.resize((96 // factor, 96 // factor), PIL.Image.Resampling.BICUBIC)
    assert abs(small.astype(int) - np.asarray(reduced)).max() <= 1
    back = Downscale(factor=factor)(cat, RNG)
    enlarged = PIL.Image.fromarray(small).resize((96, 96), PIL.Image.Resampling.BICUBIC)
    assert abs(back.astype(int) - np.asarray(enlarged)).max() <= 1


def test_what_does_not_divide_is_cut_off(cat: Image) -> None:
    odd = cat[:95, :94]
    np.testing.assert_array_equal(
        Downscale(enlarge=False)(odd, RNG), Downscale(enlarge=False)(np.ascontiguousarray(cat[:92, :92]), RNG)
    )
    assert Downscale()(odd, RNG).shape == (92, 92, 3)


def test_a_photo_smaller_than_the_factor_is_refused(cat: Image) -> None:
    with pytest.raises(UserError, match="a photo of 96x3 pixels cannot be made 4 times smaller"):
        Downscale()(cat[:3], RNG)
