"""The whole picture: painted back to front, then photographed."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data.cats.backdrops import paint_backdrop
from i2i.data.cats.body import paint_body, paint_collar
from i2i.data.cats.body.frame import BodyFrame
from i2i.data.cats.ground import paint_grass, paint_ground_shadow
from i2i.data.cats.head import paint_head
from i2i.data.cats.head.frame import HeadFrame
from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.look.sampling import sample_cat
from i2i.data.cats.painting.rasters import Bytes, floats
from i2i.data.cats.painting.scene import Scene

SMALLEST_FIELD = 256  # smaller pictures are shrunk from this raster, so that thin whiskers survive


def draw_cat(rng: np.random.Generator, size: int = 256, coat: str | None = None) -> npt.NDArray[np.uint8]:
    """Return one drawn cat, uint8 RGB [size, size, 3]; the same generator state draws the same cat at any size.

    Args:
        rng: decides everything about the cat.
        size: side of the picture, 32 to 1024 pixels.
        coat: name of its coat, such as ``ginger tabby``; None: any.

    Raises:
        ValueError: the size is out of range.
    """
    if not 32 <= size <= 1024:
        raise ValueError(f"a cat is drawn at 32 to 1024 pixels, not {size}")
    cat = sample_cat(rng, coat)
    return _photograph(cat, _paint(cat, max(size, SMALLEST_FIELD)), size)


def _paint(cat: Cat, field: int) -> Bytes:
    """Paint a cat on a canvas that is finer than field."""
    scene = Scene(cat, field)
    paint_backdrop(scene)
    paint_ground_shadow(scene)
    body = BodyFrame(scene)
    paint_body(body)
    paint_collar(body)
    paint_head(HeadFrame(scene))
    paint_grass(scene)
    return scene.canvas


def _photograph(cat: Cat, picture: Bytes, size: int) -> Bytes:
    """Shrink the canvas to size and add what a camera adds: tint, vignette, mild noise."""
    small = floats(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    vignette = 1 - 0.07 * (axis[:, None] ** 2 + axis[None, :] ** 2)
    warm = 0.025 * cat.warmth
    small *= vignette[..., None] * floats((1 + warm, 1.0, 1 - warm))
    # one noise for all channels plus little of its own, as after a camera's denoising
    rng = np.random.default_rng(cat.texture_seed + 1)
    small += np.float32(1.6) * rng.standard_normal((size, size, 1), dtype=np.float32)
    shown: Bytes = np.clip(np.round(small), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(shown[:, ::-1]) if cat.mirrored else shown
