"""How light falls on what bulges."""

from __future__ import annotations

import cv2
import numpy as np

from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.painting.rasters import Floats, blur, floats, mix


def inflated(inside: Floats, thickness: float, field: int) -> Floats:
    """Height [h, w] in [0, 3] of a silhouette [h, w] in [0, 1] that bulges like an inflated skin."""
    # blurred coverage at three widths is steepest at the contour; the border keeps the picture's edge from sloping
    padded = floats(cv2.copyMakeBorder(inside, 8, 8, 8, 8, cv2.BORDER_REPLICATE))
    return sum((blur(padded, thickness * width * field) for width in (0.06, 0.14, 0.28)), start=floats(0))[8:-8, 8:-8]


def lit(cat: Cat, colours: Floats, height: Floats, gain: float) -> Floats:
    """Light colours [h, w, 3] by a height field [h, w]: warm where it faces the light, cool and dim elsewhere."""
    slope_x = floats(cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=gain / 8))
    slope_y = floats(cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=gain / 8))
    light_x, light_y, light_z = cat.light
    facing = (light_z - light_x * slope_x - light_y * slope_y) / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    received = np.clip(facing * 0.5 + 0.5, 0, 1) ** 1.5
    received = received + 0.16 * np.clip(slope_y, 0, 1) * (1 - received)  # the ground throws some light back
    warm = cat.warmth * 0.04
    dim, bright = 0.74 - 0.28 * cat.light_contrast, 1.1
    shadow = floats((dim * (1 - warm), dim, dim * (1.04 + warm)))
    sun = floats((bright * (1 + warm), bright, bright * (1 - 1.3 * warm)))
    sheen = 0.13 * np.clip(received - 0.62, 0, 1) / 0.38
    shaded = floats(colours * (shadow + (sun - shadow) * received[..., None]))
    return mix(shaded, (255, 255, 255), floats(sheen))
