"""Photos of damage and masks of it, to learn how damage looks: fusing a clean photo with a mask of cracks."""

from __future__ import annotations

from typing import ClassVar, Literal

import cv2
import numpy as np
from pydantic import NonNegativeInt, PositiveFloat

from i2i.data.derive.base import Derivation, Image, with_mask


class Heal(Derivation):
    """A photo whose marked places were painted over from around them, and as one channel more the mask: 255 there.

    For pairs of a mask (A) and its photo (B). Where only damaged photos exist, it makes the clean ones that a model
    starts from which puts damage where a mask wants it.

    Attributes:
        grow: pixels by which the mask is widened before, for masks are drawn narrowly.
        radius: pixels around a place from which it is painted over (Telea 2004).
    """

    takes: ClassVar[Literal["photos", "pairs"]] = "pairs"
    name: Literal["heal"] = "heal"
    grow: NonNegativeInt = 2
    radius: PositiveFloat = 3

    @property
    def wants_mask(self) -> bool:
        """It does: where the damage shall be."""
        return True

    def channels_of(self, photo_channels: int) -> int:
        """Those of the photo, and the mask."""
        self._refuse_channels(photo_channels, 1, 3)
        return photo_channels + 1

    def prepared(self, image: Image, mask: Image | None = None) -> Image:
        """Return the image and the mask."""
        return with_mask(self.name, image, mask)[0]

    def __call__(self, photo: Image, rng: np.random.Generator, mask: Image | None = None) -> Image:
        """Return the photo without what the mask marks, and the mask.

        Raises:
            UserError: there is no mask.
        """
        joined, marked = with_mask(self.name, photo, mask)
        side = 2 * self.grow + 1
        wide = cv2.dilate(marked, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        healed = cv2.inpaint(photo, wide, self.radius, cv2.INPAINT_TELEA)
        joined[..., :-1] = healed.reshape(photo.shape)
        return joined
