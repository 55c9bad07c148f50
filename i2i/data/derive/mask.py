"""Photos with holes, to be painted in: inpainting."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from pydantic import model_validator

from i2i.data.derive.base import Count, Derivation, Fraction, Image, draw, draw_count, with_mask
from i2i.data.geometry import Pixels

HOLE = 128
"""The grey that stands where the photo is not known."""
BENDS = (4, 12)
REACH = (0.05, 0.2)  # from a bend to the next, as shares of the short side
TURN = 0.9  # standard deviation in radians of the change of direction at a bend


class Mask(Derivation):
    """A photo with holes, boxes and strokes of a brush, and their mask as one channel more.

    Holes are mid-grey, and 255 in the mask. Strokes are as in free-form inpainting (Yu et al. 2019): lines that change
    their direction at random.

    Attributes:
        boxes: how many boxes.
        box_size: their sides, as shares of the photo's.
        strokes: how many strokes.
        stroke_width: their width, as a share of the photo's short side.
    """

    name: Literal["mask"] = "mask"
    boxes: Count = (0, 2)
    box_size: Fraction = (0.15, 0.45)
    strokes: Count = (1, 4)
    stroke_width: Fraction = (0.04, 0.12)

    @model_validator(mode="after")
    def _holes_there_are(self) -> Mask:
        if self.boxes[1] == self.strokes[1] == 0:
            raise ValueError("boxes and strokes are both 0, so that there is nothing to paint; raise one of them")
        return self

    @property
    def wants_mask(self) -> bool:
        """It does: where to paint."""
        return True

    def channels_of(self, photo_channels: int) -> int:
        """Those of the photo, and the mask."""
        return photo_channels + 1

    def prepared(self, image: Pixels, mask: Image | None = None) -> Pixels:
        """Return the image with what the mask marks cut out, and the mask."""
        joined, marked = with_mask(self.name, image, mask)
        joined[..., :-1][marked[..., 0] > 0] = HOLE if image.dtype == np.uint8 else HOLE / 255
        return joined

    def __call__(self, photo: Image, rng: np.random.Generator, mask: Image | None = None) -> Image:
        """Return the photo with holes drawn at random, and their mask."""
        return self.prepared(photo, self._holes(photo.shape[0], photo.shape[1], rng))

    def _holes(self, height: int, width: int, rng: np.random.Generator) -> Image:
        holes = np.zeros((height, width), np.uint8)
        for _ in range(draw_count(self.boxes, rng)):
            h, w = (max(1, round(side * draw(self.box_size, rng))) for side in (height, width))
            top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            holes[top : top + h, left : left + w] = 255
        short = min(height, width)
        for _ in range(draw_count(self.strokes, rng)):
            bends = draw_count(BENDS, rng)
            direction = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, TURN, bends))
            steps = short * rng.uniform(*REACH, (bends, 1)) * np.column_stack([np.cos(direction), np.sin(direction)])
            points = rng.uniform(0, (width, height)) + np.cumsum(steps, axis=0) - steps[0]  # the first lies inside
            thickness = max(1, round(short * draw(self.stroke_width, rng)))
            cv2.polylines(holes, [np.round(points).astype(np.int32)], False, 255, thickness)
        return holes[..., None]
