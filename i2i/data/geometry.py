"""Resizing and cropping of images ``[H, W, C]``, uint8 or float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in pixels: the columns from `left` up to `right`, the rows from `top` up to `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    def is_on(self, height: int, width: int) -> bool:
        """Say whether any of it lies on an image of that size."""
        return max(self.left, 0) < min(self.right, width) and max(self.top, 0) < min(self.bottom, height)

    def squared(self, height: int, width: int) -> Box:
        """Return the part on an image of that size, grown to a square around its middle as far as the image reaches."""
        left, right = max(self.left, 0), min(self.right, width)
        top, bottom = max(self.top, 0), min(self.bottom, height)
        side = max(right - left, bottom - top)
        left, right = _grown(left, right, side, width)
        top, bottom = _grown(top, bottom, side, height)
        return Box(left, top, right, bottom)

    def cut(self, image: Pixels) -> Pixels:
        """Return the part of an image ``[H, W, C]``."""
        return image[self.top : self.bottom, self.left : self.right]


def _grown(first: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """Lengthen a stretch on both sides, and move it where it would reach beyond 0 or `limit`."""
    length = min(length, limit)
    first = min(max(first - (length - (end - first)) // 2, 0), limit - length)
    return first, first + length


def resize(image: Pixels, height: int, width: int, how: Literal["bicubic", "nearest"] = "bicubic") -> Pixels:
    """Resize to ``[height, width, C]``; bicubic is antialiased when it shrinks, like Pillow's, and clipped to range."""
    if image.shape[:2] == (height, width):
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    if how == "nearest":
        out = interpolate(tensor, (height, width), mode="nearest-exact")
    else:
        out = interpolate(tensor, (height, width), mode="bicubic", antialias=True, align_corners=False)
        if out.is_floating_point():
            out = out.clamp_(0, 1)
    return np.ascontiguousarray(out[0].permute(1, 2, 0).numpy())


def short_side_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Return (height, width) scaled so that the short side is `size`."""
    short = min(height, width)
    return max(size, round(height * size / short)), max(size, round(width * size / short))


def center_crop(image: Pixels, size: int) -> Pixels:
    """Return the square of side `size` in the middle."""
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]
