"""Nose and mouth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from i2i.data.cats.colours import Colour, tint
from i2i.data.cats.head.frame import MUZZLE_OUT, HeadFrame
from i2i.data.cats.painting.curves import SIDES, Points, ellipse, mirrored, ribbon, smooth

LEATHER_OUT = MUZZLE_OUT + 0.02  # nose and lips lie on the muzzle's fur


def _below_eyes(head: HeadFrame, knots: npt.ArrayLike) -> Points:
    """Face coordinates [n, 2] of points given from the nose's middle."""
    lowered: Points = np.asarray(knots) + np.array((0.0, 0.36 * head.cat.muzzle_length))
    return lowered


def paint_mouth(head: HeadFrame) -> None:
    """Paint the split lip, the mouth's curves, the shade below, and sometimes the tip of the tongue."""
    scene, cat, radius = head.scene, head.cat, head.cat.radius
    light_muzzle = (cat.white_muzzle > 0 or cat.coat.light[0] > 150) and cat.coat.pattern != "points"
    dark: Colour = (70, 44, 40) if light_muzzle else (22, 17, 17)

    def line(knots: npt.ArrayLike, out: float = LEATHER_OUT) -> Points:
        return smooth(head.place(_below_eyes(head, knots), out=out), closed=False)

    lips = [ribbon(line([(0, 0.08), (0, 0.14), (0, 0.2)]), np.array([0.03, 0.028, 0.035]) * radius)]
    for side in SIDES:
        curve = line(np.array([(0.0, 0.19), (0.07, 0.245), (0.15, 0.25), (0.24, 0.2)]) * (side, 1))
        lips.append(ribbon(curve, np.array([0.035, 0.04, 0.032, 0.01]) * radius))
    below = line([(-0.17, 0.27), (0, 0.29), (0.17, 0.27)], MUZZLE_OUT - 0.03)
    scene.fill([ribbon(below, np.array([0.02, 0.1, 0.02]) * radius)], dark, 0.3, 0.03 * radius)
    if cat.tongue:
        tongue = line([(-0.055, 0.2), (-0.065, 0.27), (-0.03, 0.32), (0.03, 0.32), (0.065, 0.27), (0.055, 0.2)])
        scene.fill([tongue], (226, 120, 128))
    scene.fill(lips, dark, 0.85)


def paint_nose(head: HeadFrame) -> None:
    """Paint the nose leather with its nostrils and a soft highlight."""
    scene, cat, radius, leather = head.scene, head.cat, head.cat.radius, head.cat.coat.nose

    def place(knots: npt.ArrayLike) -> Points:
        return head.place(_below_eyes(head, knots), out=LEATHER_OUT)

    half = [(0.0, -0.07), (0.063, -0.066), (0.122, -0.033), (0.1, 0.028), (0.036, 0.08), (0.0, 0.095)]
    nose = smooth(place(mirrored(half)))
    scene.fill([nose], tint(leather, 0.55), 0.8, 0.016 * radius)
    scene.fill([nose], leather)
    nostril = np.array([(0.04, 0.022), (0.085, -0.005), (0.092, 0.02), (0.055, 0.038)])
    scene.fill([smooth(place(nostril * (side, 1))) for side in SIDES], tint(leather, 0.32), 0.9)
    shine = ellipse((0.03 * float(np.sign(cat.light[0])), -0.035), (0.06, 0.02), count=16)
    scene.fill([place(shine)], (255, 240, 236), 0.45, 0.012 * radius)
