"""Derivations: how a photo (B) becomes the input (A) of a pair, so that any folder of photos can be trained on."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from i2i.config import Config

Image = npt.NDArray[np.uint8]
Share = Annotated[float, Field(gt=0, lt=1)]


class Derivation(Protocol):
    """Makes the input of a pair from its photo."""

    name: str

    @property
    def channels(self) -> int:
        """How many channels the derived image has."""
        ...

    def __call__(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the derived image, uint8 ``[H, W, channels]``, of a photo ``[H, W, 1 or 3]``."""
        ...


class Edges(Config):
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

    @property
    def channels(self) -> int:
        """One: a drawing is grey."""
        return 1

    def __call__(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the drawing, uint8 ``[H, W, 1]`` of 0 (line) and 255 (paper); nothing in it is random."""
        grey = photo[..., 0] if photo.shape[2] == 1 else cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        scale = min(grey.shape) / 256
        if self.blur:
            grey = cv2.GaussianBlur(grey, (0, 0), self.blur * scale)
        dx, dy = (cv2.Scharr(grey, cv2.CV_16S, *axis) for axis in ((1, 0), (0, 1)))
        strength = np.hypot(dx.astype(np.float32), dy.astype(np.float32))
        # A flat image has no contours: noise alone must not be stretched into some.
        upper = max(float(np.quantile(strength, 1 - self.density)), 16 * 8.0)
        lines = cv2.Canny(dx, dy, self.low * upper, upper, L2gradient=True)
        if self.shortest:
            _, labels, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
            long_enough = stats[:, cv2.CC_STAT_AREA] >= self.shortest * scale
            long_enough[0] = False  # the paper
            lines = long_enough[labels].astype(np.uint8) * 255
        if self.width > 1:
            lines = cv2.dilate(lines, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (self.width, self.width)))
        return np.asarray(255 - lines, dtype=np.uint8)[..., None]


DERIVATIONS: dict[str, type[Edges]] = {"edges": Edges}

DerivationConfig = Edges
