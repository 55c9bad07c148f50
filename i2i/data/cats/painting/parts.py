"""Painting one part of the cat: silhouette, relief, fur, light and shadow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from i2i.data.cats.painting.curves import Points
from i2i.data.cats.painting.fur import Flow, fur_relief
from i2i.data.cats.painting.light import inflated, lit
from i2i.data.cats.painting.rasters import Painter, floats, smooth_step
from i2i.data.cats.painting.scene import Scene


def paint_part(
    scene: Scene,
    outlines: Sequence[Points],
    paint: Painter,
    flow: Flow,
    thickness: float,
    *,
    bumps: Painter | None = None,
    fade: Painter | None = None,
    shadow: float = 0.4,
    fur_length: float = 0.026,
) -> None:
    """Paint one furry, rounded part of the cat.

    `paint` gives its colours [h, w, 3] in [0, 255], `bumps` more height [h, w] in units of the thickness, `flow` the
    direction of fur at points [n, 2]; `fade` [h, w] in [0, 1] lets the part grow out of those behind it, and
    `shadow` is the depth of the shadow that it casts on them.
    """
    window = scene.window(outlines)
    if window is None:
        return
    if shadow:
        offset = (-0.05 * scene.cat.light[0] * thickness, 0.12 * thickness)
        scene.shade_cat(outlines, offset, 0.09 * thickness, shadow, fade)
    mask = window.mask(outlines, canvas=True)
    coverage = cv2.resize(mask, (window.width, window.height), interpolation=cv2.INTER_AREA)
    bulge = inflated(floats(coverage) / np.float32(255), thickness, scene.field)
    height = bulge * np.float32(0.32)
    if bumps is not None:
        height = floats(height + bumps(window))
    colours = paint(window) * fur_relief(scene, window, outlines, flow, fur_length)[..., None]
    rim = np.clip(bulge / 3, 0, 1)
    colours = colours * (0.86 + 0.14 * smooth_step(rim, 0.3, 0.8))[..., None]
    if fade is not None:
        kept = cv2.resize((255 * fade(window)).astype(np.uint8), window.canvas_size)
        bare = cv2.bitwise_not(scene.covered[window.on_canvas()])  # nothing to grow out of: stay opaque
        mask = np.asarray(cv2.multiply(mask, cv2.max(kept, bare), scale=1 / 255), dtype=np.uint8)
    scene.blend(window, lit(scene.cat, floats(colours), floats(height), thickness * scene.field), mask)
    covered = scene.covered[window.on_canvas()]
    np.maximum(covered, mask, out=covered)
