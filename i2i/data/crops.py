"""Which part of its image a training sample shows: drawn for a whole epoch at once, so that any batch is cut alike.

Loader processes cut one sample after the other, `i2i.data.kept` whole batches on the device; both take the draws from
here, which makes their batches equal.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data.geometry import Pixels
from i2i.seeding import numpy_generator

Shares = npt.NDArray[np.float64]  # uniform in [0, 1), [..., 3]: of the room for top, for left, and of the flip
Numbers = npt.NDArray[np.int64]


@lru_cache(maxsize=2)  # a batch may hold the end of one epoch and the start of the next
def epoch_shares(seed: int, epoch: int, count: int, columns: int) -> Shares:
    """Return the uniform draws ``[count, columns]`` of an epoch's samples, one row for each index."""
    shares = numpy_generator(seed, "crop", epoch).random((count, columns))
    shares.flags.writeable = False
    return shares


def windows(shares: Shares, height: int, width: int, size: int, *, flip: bool) -> Numbers:
    """Return the squares that draws stand for, ``[..., 3]``: top, left, and 1 where the square is mirrored.

    Args:
        shares: uniform draws in [0, 1), ``[..., 3]``.
        height: of the image.
        width: of the image.
        size: side of the square, no longer than the image's.
        flip: whether half of them are mirrored.
    """
    return (shares * (height - size + 1, width - size + 1, 1 + flip)).astype(np.int64)


def crop(image: Pixels, shares: Shares, size: int, *, flip: bool) -> Pixels:
    """Return the square ``[size, size, C]`` of an image ``[H, W, C]`` that the draws ``[3]`` stand for."""
    top, left, mirrored = windows(shares, image.shape[0], image.shape[1], size, flip=flip)
    part = np.ascontiguousarray(image[top : top + size, left : left + size])
    return np.asarray(cv2.flip(part, 1)).reshape(part.shape) if mirrored else part  # NumPy's takes eight times longer
