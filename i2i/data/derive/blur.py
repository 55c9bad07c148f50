"""Blurred photos, to be sharpened."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data.derive.base import Amount, Derivation, Image, Range, draw

LEAST = 0.05  # pixels below which a blur is none
SAMPLES = 8  # per pixel of a motion


class Blur(Derivation):
    """A photo out of focus, or taken with a moving camera.

    Attributes:
        sigma: of a Gaussian blur; 0: none.
        motion: length of a straight motion during the exposure; 0: none.
        angle: of the motion in degrees from the horizontal, counter-clockwise.
    """

    name: Literal["blur"] = "blur"
    sigma: Amount = (0.5, 3)
    motion: Amount = (0, 0)
    angle: Range = (-90, 90)

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the blurred photo; it is mirrored at its borders."""
        sigma, motion, angle = (draw(ends, rng) for ends in (self.sigma, self.motion, self.angle))
        blurred: npt.NDArray[np.uint8] = photo
        if motion >= LEAST:
            blurred = np.asarray(cv2.filter2D(blurred, -1, motion_kernel(motion, angle)), dtype=np.uint8)
        if sigma >= LEAST:
            blurred = np.asarray(cv2.GaussianBlur(blurred, (0, 0), sigma), dtype=np.uint8)
        return blurred.reshape(photo.shape)  # one channel is dropped on the way


def motion_kernel(length: float, angle: float) -> npt.NDArray[np.float32]:
    """Return the kernel of a straight motion at even speed, float32 ``[K, K]`` of sum 1, K odd.

    Args:
        length: in pixels.
        angle: in degrees from the horizontal, counter-clockwise.
    """
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    count = int(np.ceil(length * SAMPLES))
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    x, y = half + along * np.cos(np.radians(angle)), half - along * np.sin(np.radians(angle))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # each place lies between four pixels
        weight = (1 - abs(top + row - y)) * (1 - abs(left + column - x))
        np.add.at(kernel, (top + row, left + column), (weight / count).astype(np.float32))
    return kernel
