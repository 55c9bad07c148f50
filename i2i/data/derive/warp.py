"""Crooked photos, to be brought into place: learning to align images."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from i2i.data.derive.base import Amount, Derivation, Ends, Image, PositiveAmount, Range, draw

Waves = Ends[Annotated[float, Field(ge=4)]]


class Warp(Derivation):
    """A photo turned, zoomed and shifted a little, and bent like a sheet of rubber (Simard et al. 2003).

    What comes from beyond its borders is mirrored.

    Attributes:
        turn: degrees, counter-clockwise.
        zoom: how many times larger things get.
        shift: shares of the sides, drawn for both.
        elastic: standard deviation of the local shifts; 0: none.
        waves: distance between the places whose shifts are drawn, and between which they change smoothly.
    """

    name: Literal["warp"] = "warp"
    turn: Range = (-4, 4)
    zoom: PositiveAmount = (0.96, 1.04)
    shift: Range = (-0.03, 0.03)
    elastic: Amount = (0, 3)
    waves: Waves = (32, 64)

    def channels_of(self, photo_channels: int) -> int:
        """Those of the photo."""
        self._refuse_channels(photo_channels, 1, 2, 3, 4)
        return photo_channels

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the warped photo."""
        height, width = photo.shape[:2]
        centre = ((width - 1) / 2, (height - 1) / 2)
        there = cv2.getRotationMatrix2D(centre, draw(self.turn, rng), draw(self.zoom, rng))
        there[:, 2] += [side * draw(self.shift, rng) for side in (width, height)]
        (xx, xy, x0), (yx, yy, y0) = cv2.invertAffineTransform(there)  # from a place in the outcome to the photo's
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        from_x, from_y = (
            (along_x * x + along_y * y + offset).astype(np.float32)
            for along_x, along_y, offset in ((xx, xy, x0), (yx, yy, y0))
        )
        if elastic := draw(self.elastic, rng):
            waves = draw(self.waves, rng)
            knots = [int(np.ceil(side / waves)) + 3 for side in (height, width)]
            for places in (from_x, from_y):
                places += cv2.resize(
                    rng.normal(0, elastic, knots).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
                )
        warped = cv2.remap(photo, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(warped, dtype=np.uint8).reshape(photo.shape)
