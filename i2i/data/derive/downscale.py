"""Small photos, to be enlarged: super-resolution."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from i2i.data.derive.base import Derivation, Image
from i2i.data.geometry import Pixels, resize
from i2i.errors import UserError


class Downscale(Derivation):
    """A photo made smaller by antialiased bicubic interpolation, as the papers on super-resolution do.

    Attributes:
        factor: how many times smaller.
        enlarge: whether it is enlarged back, by bicubic interpolation too, for networks whose output is as large as
            their input (Dong et al. 2016); otherwise it stays small, for networks that enlarge by themselves.
    """

    name: Literal["downscale"] = "downscale"
    factor: Annotated[int, Field(ge=2, le=16)] = 4
    enlarge: bool = True

    @property
    def scale(self) -> int:
        """The factor, unless it is enlarged back."""
        return 1 if self.enlarge else self.factor

    @property
    def magnification(self) -> int:
        """The factor."""
        return self.factor

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the small photo ``[H / factor, W / factor, C]``; what does not divide by the factor is cut off.

        Raises:
            UserError: the photo has a side shorter than the factor.
        """
        height, width = (side // self.factor for side in photo.shape[:2])
        if not (height and width):
            size = f"{photo.shape[1]}x{photo.shape[0]}"
            raise UserError(f"{self.name}: a photo of {size} pixels cannot be made {self.factor} times smaller")
        return resize(photo[: height * self.factor, : width * self.factor], height, width)

    def prepared(self, image: Pixels, mask: Image | None = None) -> Pixels:
        """Return the image enlarged by the factor, or as it is for networks that do this."""
        if not self.enlarge:
            return image
        return resize(image, image.shape[0] * self.factor, image.shape[1] * self.factor)
