"""The picture under construction."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from i2i.data.cats.colours import Colour
from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.painting.curves import Points
from i2i.data.cats.painting.rasters import FIELDS_TO_CANVAS, Bytes, Floats, Painter, Window, blur, floats, resize


class Scene:
    """The picture under construction: canvas, coverage of the cat so far, and shared noise."""

    def __init__(self, cat: Cat, field: int) -> None:
        self.cat = cat
        self.field = field
        self.rng = np.random.default_rng(cat.texture_seed)
        side = field * FIELDS_TO_CANVAS
        self.canvas: Bytes = np.zeros((side, side, 3), np.uint8)
        self.covered: Bytes = np.zeros((side, side), np.uint8)  # where the cat has been painted already
        self.patches = self._noise(9)
        self.mottle = self._noise(26)
        self.streaks = self._noise(22, 90)  # borders between colours are combed downwards

    def _noise(self, rows: int, columns: int | None = None) -> Floats:
        """Smooth noise on the field raster, about standard normal; rows and columns of cells over the picture."""
        coarse = floats(self.rng.normal(size=(rows, columns or rows)))
        return floats(cv2.resize(coarse, (self.field, self.field), interpolation=cv2.INTER_CUBIC))

    def window(self, outlines: Sequence[Points], margin: float = 0.01) -> Window | None:
        """The window around outlines, clipped to the picture; None if nothing is inside."""
        points = np.concatenate(list(outlines))
        low = np.floor((points.min(axis=0) - margin) * self.field).astype(int)
        high = np.ceil((points.max(axis=0) + margin) * self.field).astype(int)
        left, top = np.clip(low, 0, self.field)
        right, bottom = np.clip(high, 0, self.field)
        if right - left < 2 or bottom - top < 2:
            return None
        return Window(int(left), int(top), int(right - left), int(bottom - top), self.field)

    def blend(self, window: Window, colours: Floats | Colour, alpha: Bytes, opacity: float = 1.0) -> None:
        """Lay colours (one, or field raster [h, w, 3]) over the canvas where alpha (canvas raster) is not zero."""
        place = window.on_canvas()
        below = self.canvas[place]
        if isinstance(colours, tuple):
            texel = bytes(int(min(max(channel, 0), 255)) for channel in colours)
            layer = np.frombuffer(texel * alpha.size, np.uint8).reshape(below.shape)
        else:
            shown = np.clip(colours, 0, 255).astype(np.uint8)
            layer = np.asarray(cv2.resize(shown, window.canvas_size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        weight = np.multiply(alpha, np.float32(opacity / 255), dtype=np.float32)
        self.canvas[place] = cv2.blendLinear(layer, below, weight, 1 - weight)

    def fill(self, outlines: Sequence[Points], colour: Colour, opacity: float = 1.0, softness: float = 0.0) -> None:
        """Fill the union of outlines with one colour; softness is a blur's sigma in unit coordinates."""
        window = self.window(outlines, 0.004 + 3 * softness)
        if window is None:
            return
        mask = window.mask(outlines, canvas=softness == 0)
        if softness:
            soft = blur(floats(mask), softness * self.field)
            mask = np.asarray(resize(soft, *window.canvas_size), dtype=np.uint8)
        self.blend(window, colour, mask, opacity)

    def shade_cat(
        self,
        outlines: Sequence[Points],
        offset: tuple[float, float],
        sigma: float,
        depth: float,
        fade: Painter | None = None,
    ) -> None:
        """Let outlines cast a soft shadow on the parts of the cat painted so far; fade weakens it in places."""
        shifted = [outline + offset for outline in outlines]
        window = self.window(shifted, 2 * sigma)
        if window is None:
            return
        shadow = blur(floats(window.mask(shifted, canvas=False)), sigma * self.field)
        if fade is not None:
            shadow = shadow * fade(window)
        fine = cv2.resize(shadow.astype(np.uint8), window.canvas_size, interpolation=cv2.INTER_LINEAR)
        on_cat = cv2.multiply(fine, self.covered[window.on_canvas()], scale=1 / 255)
        self.blend(window, (26.0, 18.0, 20.0), np.asarray(on_cat, dtype=np.uint8), depth)
