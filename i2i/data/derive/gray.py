"""Grey photos, to be coloured."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from i2i.data.derive.base import Derivation, Image

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # of red, green and blue light (ITU-R BT.709)
_VALUES = np.arange(256) / 255
LIGHT = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""The light that each pixel value stands for (sRGB, IEC 61966-2-1)."""


class Gray(Derivation):
    """A photo without its colours.

    Attributes:
        space: ``luma`` weighs the pixel values as grey files and old television do (ITU-R BT.601); ``lab`` gives the
            grey that is as light to the eye, of the same lightness L* in CIELAB.
    """

    name: Literal["gray"] = "gray"
    space: Literal["luma", "lab"] = "luma"

    def channels_of(self, photo_channels: int) -> int:
        """One."""
        self._refuse_channels(photo_channels, 1, 3)
        return 1

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the grey photo, uint8 ``[H, W, 1]``; nothing in it is random."""
        grey = luma(photo) if self.space == "luma" else _equally_light(photo)
        return grey[..., None]


def luma(photo: Image) -> Image:
    """Return the luma, uint8 ``[H, W]``, of a photo ``[H, W, 1 or 3]``."""
    return np.asarray(photo[..., 0] if photo.shape[2] == 1 else cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))


def _equally_light(photo: Image) -> Image:
    """Return the grey ``[H, W]`` of the same luminance, of which alone L* is a function."""
    if photo.shape[2] == 1:
        return photo[..., 0]
    luminance = LIGHT[photo] @ LUMINANCE
    values = np.where(luminance <= 0.0031308, 12.92 * luminance, 1.055 * luminance ** np.float32(1 / 2.4) - 0.055)
    return np.round(values * 255).astype(np.uint8)
