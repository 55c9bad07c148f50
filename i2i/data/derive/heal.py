"""Photos of damage and masks of it, to learn how damage looks: fusing a clean photo with a mask of cracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeInt, PositiveFloat

from i2i.data.derive.base import Derivation, Image, with_mask
from i2i.data.geometry import Pixels

NEARBY = (8, 24)
"""Least and most pixels, up or down and to the side, from where grain is taken."""
TRIED = 8


class Heal(Derivation):
    """A photo whose marked places are painted over from around them, and their mask as one channel more.

    For pairs of a mask (A) and its photo (B). Where only damaged photos exist, it makes the clean ones that a model
    starts from which puts damage where a mask wants it. Colours come from the border (Telea 2004), grain from a place
    nearby: smooth patches would give away where the damage was.

    Attributes:
        grow: pixels by which the mask is widened before, for masks are drawn narrowly.
        radius: pixels around a place from which its colour is taken, and up to which details count as grain.
    """

    takes: ClassVar[Literal["photos", "pairs"]] = "pairs"
    name: Literal["heal"] = "heal"
    grow: NonNegativeInt = 4
    radius: PositiveFloat = 3

    @property
    def wants_mask(self) -> bool:
        """It does: where the damage shall be."""
        return True

    def channels_of(self, photo_channels: int) -> int:
        """Those of the photo, and the mask."""
        self._refuse_channels(photo_channels, 1, 3)
        return photo_channels + 1

    def prepared(self, image: Pixels, mask: Image | None = None) -> Pixels:
        """Return the image and the mask."""
        return with_mask(self.name, image, mask)[0]

    def __call__(self, photo: Image, rng: np.random.Generator, mask: Image | None = None) -> Image:
        """Return the photo without what the mask marks, and the mask.

        Raises:
            UserError: there is no mask.
        """
        joined, marked = with_mask(self.name, photo, mask)
        side = 2 * self.grow + 1
        wide = cv2.dilate(marked, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
        healed = cv2.inpaint(photo, wide.astype(np.uint8), self.radius, cv2.INPAINT_TELEA).astype(np.int16)
        grain = healed - cv2.GaussianBlur(healed, (0, 0), self.radius)
        healed += _moved(grain, _way_out(wide, rng))
        joined[wide, :-1] = np.clip(healed[wide], 0, 255).reshape(-1, photo.shape[2])
        return joined


def _way_out(wide: npt.NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """Return pixels (down, right) by which a mask, so moved, covers the least of itself, of a few drawn at random."""
    ways = rng.integers(*NEARBY, (TRIED, 2), endpoint=True) * rng.choice((-1, 1), (TRIED, 2))
    down, right = min(ways.tolist(), key=lambda way: int(np.count_nonzero(wide & _moved(wide, way))))
    return down, right


def _moved(image: npt.NDArray[Any], way: Sequence[int]) -> npt.NDArray[Any]:
    return np.roll(image, way, axis=(0, 1))
