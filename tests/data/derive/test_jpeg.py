"""JPEG against another encoder."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from i2i.data.derive import Image, Jpeg

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("quality", [10, 60])
@pytest.mark.parametrize("channels", [1, 3])
def test_as_pillow_stores_it(cat: Image, quality: int, channels: int) -> None:
    photo = np.ascontiguousarray(cat[..., :channels])
    file = io.BytesIO()
    PIL.Image.fromarray(photo.squeeze()).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    wanted = np.asarray(PIL.Image.open(file)).reshape(photo.shape).astype(int)
    stored = Jpeg(quality=(quality, quality))(photo, RNG)
    assert abs(stored - wanted).mean() < 0.5
    assert abs(stored - photo.astype(int)).mean() > 1  # there is something to restore
