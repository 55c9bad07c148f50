"""Resizing and cropping of images ``[H, W, C]``, uint8 or float32."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

Pixels = npt.NDArray[Any]


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
