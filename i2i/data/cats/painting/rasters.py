"""Rasters, and the window of a picture in which one part of it is computed.

Two rasters share a window: soft things (colour, shading, fur) are computed on the field raster, contours on the canvas
raster, which is twice as fine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data.cats.colours import Colour
from i2i.data.cats.painting.curves import Points

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

FIELDS_TO_CANVAS = 2
SUBPIXEL_BITS = 4  # cv2 draws polygons with this many fractional bits


def floats(array: npt.ArrayLike) -> Floats:
    """Convert to float32."""
    return np.asarray(array, dtype=np.float32)


def resize(image: Floats, width: int, height: int) -> Floats:
    """Resize bilinearly."""
    return floats(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def blur(image: Floats, sigma: float) -> Floats:
    """Gaussian blur by sigma pixels; wide blurs are done on a shrunken copy, which looks the same."""
    shrink = max(int(sigma / 3), 1)
    height, width = image.shape[:2]
    if shrink == 1:
        return floats(cv2.GaussianBlur(image, (0, 0), sigma))
    small = cv2.resize(image, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    large = resize(floats(cv2.GaussianBlur(small, (0, 0), sigma / shrink)), width, height)
    # slopes of blurred heights are lit later, and the pieces between the small pixels would show as a grid
    return floats(cv2.blur(large, (2 * shrink + 1, 2 * shrink + 1)))


def mix(colours: Floats, target: Colour | Floats, amount: Floats) -> Floats:
    """Blend colours [h, w, 3] towards target by amount [h, w] in [0, 1]."""
    return floats(colours + (floats(target) - colours) * amount[..., None])


def smooth_step(values: npt.ArrayLike, low: float, high: float) -> Floats:
    """Smooth step from 0 at low to 1 at high."""
    t = np.clip((floats(values) - low) / (high - low), 0, 1)
    return floats(t * t * (3 - 2 * t))


def fixed_point(pixels: Points) -> npt.NDArray[np.int32]:
    """Convert points in pixels to what cv2 draws."""
    return np.asarray(np.round(pixels * 2**SUBPIXEL_BITS), dtype=np.int32)


def fill_polygon(image: Floats | Bytes, pixels: Points, colour: Colour | float) -> None:
    """Fill an outline [n, 2] in pixels in place, antialiased."""
    cv2.fillPoly(image, [fixed_point(pixels)], colour, cv2.LINE_AA, SUBPIXEL_BITS)


@dataclass(frozen=True)
class Window:
    """A rectangle of the field raster; its canvas rectangle is FIELDS_TO_CANVAS times as fine."""

    left: int
    top: int
    width: int
    height: int
    field: int  # pixels of the field raster per unit

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Width and height of the window on the canvas raster."""
        return self.width * FIELDS_TO_CANVAS, self.height * FIELDS_TO_CANVAS

    def coordinates(self) -> tuple[Floats, Floats]:
        """Unit coordinates of the window's field pixels: x [1, width] and y [height, 1]."""
        x = (np.arange(self.width, dtype=np.float32) + (self.left + 0.5)) / self.field
        y = (np.arange(self.height, dtype=np.float32) + (self.top + 0.5)) / self.field
        return floats(x[None, :]), floats(y[:, None])

    def on_fields(self) -> tuple[slice, slice]:
        """Index of this window in a field raster."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def on_canvas(self) -> tuple[slice, slice]:
        """Index of this window in the canvas raster."""
        k = FIELDS_TO_CANVAS
        return (
            slice(self.top * k, (self.top + self.height) * k),
            slice(self.left * k, (self.left + self.width) * k),
        )

    def mask(self, outlines: Sequence[Points], canvas: bool) -> Bytes:
        """Coverage of the union of outlines, uint8 [h, w] on the canvas or the field raster."""
        k = FIELDS_TO_CANVAS if canvas else 1
        mask = np.zeros((self.height * k, self.width * k), np.uint8)
        for outline in outlines:
            fill_polygon(mask, (outline * self.field - (self.left, self.top)) * k - 0.5, 255)
        return mask

    def spot(self, centre: tuple[float, float], radii: tuple[float, float]) -> Floats:
        """A Gaussian spot [h, w], 1 at its centre; unit coordinates."""
        x, y = self.coordinates()
        return floats(np.exp(-(((x - centre[0]) / radii[0]) ** 2) - ((y - centre[1]) / radii[1]) ** 2))


Painter = Callable[[Window], Floats]  # computes colours [h, w, 3], heights or opacity [h, w] on the field raster


def distance(spot: Floats) -> Floats:
    """Elliptic distance [h, w] from the centre of a Gaussian spot, 1 on the ellipse of its radii."""
    return floats(np.sqrt(-np.log(np.maximum(spot, 1e-8))))
