"""Ears."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from i2i.data.cats.colours import WHITE, Colour, between, tint
from i2i.data.cats.head.frame import HeadFrame
from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.painting.curves import Points, smooth, stroke
from i2i.data.cats.painting.fur import away_from, fur_edge
from i2i.data.cats.painting.markings import fur_colours
from i2i.data.cats.painting.parts import paint_part
from i2i.data.cats.painting.rasters import Floats, Window, mix

PINK_SKIN: Colour = (222.0, 160.0, 152.0)
PINK_EARED = ("white", "calico", "cream", "cream tabby", "ginger tabby")  # coats with bright skin in their ears


def paint_ear(head: HeadFrame, side: float) -> None:
    """Paint one ear: its furry back, the pink hollow and the tufts that hang over it."""
    tip = np.array([0.70 + head.cat.ear_spread, -0.64 - 0.62 * head.cat.ear_height])
    ring = _ear_ring(head.cat, tip)
    _paint_back(head, side, ring, tip)
    _paint_hollow(head, side, ring)
    _paint_tufts(head, side)


def _ear_ring(cat: Cat, tip: npt.NDArray[np.float64]) -> Points:
    """Knots of the right ear's outline in face coordinates, around its tip, which may be blunt."""
    inner, outer = np.array([0.14, -0.66]), np.array([0.95, -0.2])
    blunt = 0.05 + 0.14 * cat.ear_roundness
    return np.array(
        [inner, inner + 0.5 * (tip - inner) + (-0.01, -0.08), tip + 1.6 * blunt * (inner - tip) + (0.0, -0.035),
         tip + 0.35 * blunt * (inner - tip), tip + 0.35 * blunt * (outer - tip),
         tip + 1.6 * blunt * (outer - tip) + (0.03, -0.01), outer + 0.5 * (tip - outer) + (0.08, -0.03), outer,
         (0.55, -0.2)]
    )  # fmt: skip


def _paint_back(head: HeadFrame, side: float, ring: Points, tip: npt.NDArray[np.float64]) -> None:
    """Paint the whole ear in fur, darker towards the tip."""
    scene, cat = head.scene, head.cat
    depth = -0.05
    outline = smooth(head.place(ring * (side, 1.0), depth))
    top = head.at(side * tip[0], tip[1], depth)
    darkness = 0.9 if cat.coat.pattern == "points" else 0.25

    def paint(window: Window) -> Floats:
        colours = fur_colours(scene, window, pointed=0.85)
        near_tip = window.spot(top, (0.5 * cat.radius, 0.5 * cat.radius))
        return mix(colours, cat.coat.mark, near_tip * np.float32(darkness))

    flow = away_from(head.at(0.5 * side, -0.3, depth))
    paint_part(scene, [fur_edge(scene, outline, 0.4)], paint, flow, 0.5 * cat.radius, shadow=0.0, fur_length=0.018)


def _paint_hollow(head: HeadFrame, side: float, ring: Points) -> None:
    """Paint the skin inside, brighter in the middle."""
    scene, coat, radius = head.scene, head.cat.coat, head.cat.radius
    depth = -0.02
    dullness = 0.08 if coat.name in PINK_EARED else 0.62 if coat.base[0] < 100 else 0.35
    skin = between(PINK_SKIN, coat.mark, dullness)
    middle = np.array([0.56 + 0.4 * head.cat.ear_spread, -0.52])
    hollow = middle + (ring - middle) * (0.72, 0.74)
    scene.fill([smooth(head.place(hollow * (side, 1.0), depth))], tint(skin, 0.62), 0.95, 0.018 * radius)
    core = middle + (ring - middle) * (0.46, 0.58) + (0.03, 0.02)
    scene.fill([smooth(head.place(core * (side, 1.0), depth))], tint(skin, 0.95), 0.8, 0.05 * radius)


def _paint_tufts(head: HeadFrame, side: float) -> None:
    """Paint locks from the inner edge across the hollow."""
    scene, cat = head.scene, head.cat
    far = np.array([0.66 + cat.ear_spread * 0.6, -0.82 - 0.25 * cat.ear_height])
    locks = []
    for place in np.linspace(0.0, 1.0, 9):
        root = np.array([0.24, -0.6]) + place * np.array([0.5, 0.2])
        tip = root + (far - root) * (0.55 + 0.3 * scene.rng.random() - 0.35 * place)
        knots = np.array([root, (root + tip) / 2 + (0.03, 0.0), tip])
        widths = np.array([0.085, 0.06, 0.03, 0.004]) * cat.radius
        locks.append(stroke(head.place(knots * (side, 1.0), depth=0.02), widths, steps=4))
    colour = WHITE if cat.coat.name in ("white", "calico") else cat.coat.light
    scene.fill(locks, tint(colour, 0.95), 0.7)
