"""Whiskers, the dots that they grow from, and the long hairs above the eyes."""

from __future__ import annotations

import numpy as np

from i2i.data.cats.colours import WHITE, Colour, tint
from i2i.data.cats.head.frame import MUZZLE_OUT, HeadFrame
from i2i.data.cats.painting.curves import SIDES, Points, ellipse, stroke

HAIR: Colour = (250, 248, 244)


def paint_whiskers(head: HeadFrame) -> None:
    """Paint dots on the whisker pads, whiskers and the few long hairs above the eyes."""
    scene, cat = head.scene, head.cat
    whiskers = [_whisker(head, side, row) for side in SIDES for row in range(4)]
    brows = [_brow_hair(head, side, outer) for side in SIDES for outer in (0.0, 1.0)]
    dots = [dot for side in SIDES for dot in _pad_dots(head, side)]
    muzzle = WHITE if cat.white_muzzle else cat.coat.mark if cat.coat.pattern == "points" else cat.coat.light
    scene.fill(dots, tint(muzzle, 0.5), 0.55)
    scene.fill(whiskers, HAIR, 0.85)
    scene.fill(brows, HAIR, 0.5)


def _whisker(head: HeadFrame, side: float, row: int) -> Points:
    """One of four whiskers of a side, from the top one, which rises, to the bottom one, which sinks."""
    rng = head.scene.rng
    root = ((0.2 + 0.03 * (row % 2)) * side, 0.40 + 0.055 * row)
    start = head.turn([root], out=MUZZLE_OUT)[0]
    length = rng.uniform(0.85, 1.15) * (1 + 0.25 * side * np.sin(head.cat.yaw))
    lift = -0.22 + 0.16 * row + rng.normal(0, 0.03)
    bend = start + np.array([0.5 * side * length, lift * 0.7 - 0.06])
    tip = start + np.array([1.0 * side * length, lift * 1.5 + 0.05])
    widths = np.array([0.012, 0.011, 0.002]) * head.cat.radius + 0.0009
    return stroke(head.to_picture(np.array([start, bend, tip])), widths, steps=10)


def _brow_hair(head: HeadFrame, side: float, outer: float) -> Points:
    """One of two hairs above an eye: the inner (0) or the outer one (1)."""
    start = head.turn([(side * (0.42 + 0.1 * outer), -0.3)])[0]
    knots = start + np.array([(0, 0), (side * 0.16, -0.14), (side * (0.4 + 0.1 * outer), -0.2 - 0.03 * outer)])
    return stroke(head.to_picture(knots), np.array([0.005, 0.002]) * head.cat.radius + 0.0006)


def _pad_dots(head: HeadFrame, side: float) -> list[Points]:
    """Three rows of three dots."""
    radius = 0.011 * head.cat.radius
    dot = ellipse((0.0, 0.0), (radius, radius), count=8)
    roots = [(side * (0.13 + 0.07 * k + 0.02 * row), 0.41 + 0.06 * row) for row in range(3) for k in range(3)]
    return [dot + middle for middle in head.place(roots, out=MUZZLE_OUT)]
