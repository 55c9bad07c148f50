"""How well the marks of a mask are found: precision, recall, F1 and IoU, with a tolerance in pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


class Found(NamedTuple):
    """Which share of the marks that were made is right, and which share of the right ones was made, from 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @property
    def iou(self) -> float:
        """Intersection over union: 1 / (1 / precision + 1 / recall - 1), which without tolerance is that of pixels."""
        return self.f1 / (2 - self.f1)


def found(output: Mask, target: Mask, tolerance: float = 0) -> Found:
    """Compare the marks of a mask with those of its target.

    A pixel that is marked in one counts as right if one within `tolerance` of it is marked in the other; thin marks
    such as cracks are drawn by hand no more exactly than that, and their detectors are allowed 2 pixels. So precision
    is a share of the output's pixels, and recall of the target's.

    Args:
        output: [H, W], true where it is marked.
        target: the same shape.
        tolerance: Euclidean distance in pixels.

    Returns:
        Both shares. A share of nothing is 1 where the other mask has no marks either, else 0.
    """
    return Found(_share(output, target, tolerance), _share(target, output, tolerance))


def _share(marks: Mask, others: Mask, tolerance: float) -> float:
    """Return the share of `marks` that have one of `others` near them."""
    if not marks.any():
        return float(not others.any())
    near = cv2.dilate(others.astype(np.uint8), _disc(tolerance)).astype(bool)
    return float(near[marks].mean())


def _disc(radius: float) -> npt.NDArray[np.uint8]:
    places = np.arange(-int(radius), int(radius) + 1)
    return (places[:, None] ** 2 + places**2 <= radius**2).astype(np.uint8)


MASK_METRICS: dict[str, Callable[[Found], float]] = {
    "iou": lambda found: found.iou,
    "f1": lambda found: found.f1,
    "precision": lambda found: found.precision,
    "recall": lambda found: found.recall,
}
