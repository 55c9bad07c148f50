"""Photos that were compressed too much, to be restored."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from i2i.data.derive.base import Derivation, Ends, Image, draw_count

Quality = Ends[Annotated[int, Field(ge=1, le=100)]]


class Jpeg(Derivation):
    """A photo with the blocks and halos of JPEG.

    Attributes:
        quality: as libjpeg counts it, 1 to 100; colours are stored at half the resolution.
    """

    name: Literal["jpeg"] = "jpeg"
    quality: Quality = (10, 50)

    def channels_of(self, photo_channels: int) -> int:
        """Those of the photo."""
        self._refuse_channels(photo_channels, 1, 3)
        return photo_channels

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the photo as it comes out of a JPEG file."""
        quality = draw_count(self.quality, rng)
        bgr = photo if photo.shape[2] == 1 else cv2.cvtColor(photo, cv2.COLOR_RGB2BGR)
        _, file = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        stored = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
        assert stored is not None
        return np.asarray(stored[..., None] if stored.ndim == 2 else cv2.cvtColor(stored, cv2.COLOR_BGR2RGB))
