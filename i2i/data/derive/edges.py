"""Edges: drawings to be turned into photos."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from i2i.data.derive.base import Derivation, Image
from i2i.data.derive.gray import luma
from i2i.data.geometry import Pixels

Share = Annotated[float, Field(gt=0, lt=1)]


class Edges(Derivation):
    """Contours of a photo, black on white (Canny 1986), with thresholds taken from the image itself.

    The upper threshold is the gradient that only the strongest `density` of the pixels exceed, so dim and bright photos
    give drawings of like density; contours shorter than `shortest` are specks of texture and dropped.

    Lengths are in pixels of an image whose short side is 256 and scale with it, so that a photo gives the same drawing
    at every size; the width of the lines alone is in the image's own pixels.

    Attributes:
        blur: sigma of the Gaussian that takes away texture before edges are sought; 0: none.
        density: share of the pixels whose gradient counts as strong.
        low: lower threshold as a share of the upper one; weak edges count where they continue strong ones.
        width: width of the lines.
        shortest: length of the shortest contour that is kept.
    """

    name: Literal["edges"] = "edges"
    blur: NonNegativeFloat = 1.4
    density: Share = 0.12
    low: Share = 0.4
    width: PositiveInt = 1
    shortest: NonNegativeInt = 12

    def channels_of(self, photo_channels: int) -> int:
        """One: a drawing is grey."""
        self._refuse_channels(photo_channels, 1, 3)
        return 1

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the drawing, uint8 ``[H, W, 1]`` of 0 (line) and 255 (paper); nothing in it is random."""
        grey = luma(photo)
        scale = min(grey.shape) / 256
        if self.blur:
            grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), self.blur * scale), dtype=np.uint8)
        dx, dy = (cv2.Scharr(grey, cv2.CV_16S, *axis) for axis in ((1, 0), (0, 1)))
        # A flat image has no contours: noise alone must not be stretched into some.
        upper = max(_strength(dx, dy, 1 - self.density), 16 * 8.0)
        lines = cv2.Canny(dx, dy, self.low * upper, upper, L2gradient=True)
        if self.shortest:
            _, labels, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
            kept = np.where(stats[:, cv2.CC_STAT_AREA] >= self.shortest * scale, 255, 0).astype(np.uint8)
            kept[0] = 0  # the paper
            lines = np.take(kept, np.asarray(labels, dtype=np.int32))
        if self.width > 1:
            lines = cv2.dilate(lines, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (self.width, self.width)))
        return np.asarray(255 - lines, dtype=np.uint8)[..., None]


def _strength(dx: Pixels, dy: Pixels, share: float) -> float:
    """Return the length of the gradient (dx, dy), int16, that this share of the pixels does not exceed.

    It is `numpy.quantile` of the lengths, of which only those two are worked out that it lies between.
    """
    squares = (np.square(dx, dtype=np.int32) + np.square(dy, dtype=np.int32)).ravel()
    position = share * (squares.size - 1)
    below = int(position)
    ordered = np.partition(squares, below)
    ends = np.sqrt([ordered[below], ordered[below + 1 :].min(initial=squares.max())]).astype(np.float32)
    return float(np.quantile(ends, position - below))
