"""Below the chin: locks of chest fur, and the collar."""

from __future__ import annotations

import numpy as np

from i2i.data.cats.body.frame import BodyFrame
from i2i.data.cats.colours import WHITE, between, tint
from i2i.data.cats.painting.curves import ribbon, smooth, stroke


def paint_ruff(frame: BodyFrame, centre: tuple[float, float], width: float) -> None:
    """Lay a few locks of chest fur below the chin."""
    scene, cat = frame.scene, frame.cat
    x, y = centre
    locks = []
    for place in np.linspace(-1, 1, 9):
        root = (x + place * width * 0.8, y + 0.1 * (1 - place**2))
        tip = (
            x + place * width * 0.85 + scene.rng.normal(0, 0.03),
            root[1] + (0.28 + 0.2 * cat.fluff) * (1.2 - 0.5 * abs(place)),
        )
        bend = ((root[0] + tip[0]) / 2 + 0.06 * place, (root[1] + tip[1]) / 2)
        locks.append(stroke(frame.place([root, bend, tip]), np.array([0.04, 0.1, 0.01]) * cat.radius, steps=5))
    scene.fill(locks, tint(WHITE if cat.white_bib else cat.coat.light, 1.04), 0.3, 0.004)


def paint_collar(frame: BodyFrame) -> None:
    """Paint a collar with a tag below the chin, if the cat wears one."""
    scene, cat = frame.scene, frame.cat
    if cat.collar is None:
        return
    radius = cat.radius
    lean = -0.35 * cat.yaw
    knots = [
        (-0.72 + lean * 0.3, 0.42), (-0.46 + lean * 0.6, 0.86), (lean, 1.04), (0.46 + lean * 0.6, 0.86),
        (0.72 + lean * 0.3, 0.42),
    ]  # fmt: skip
    line = smooth(frame.place(knots), closed=False)
    band = ribbon(line, np.full(5, 0.15) * radius)
    highlight = ribbon(line - (0, 0.025 * radius), np.full(5, 0.05) * radius)
    scene.shade_cat([band], (0.0, 0.04 * radius), 0.04 * radius, 0.5)
    scene.fill([band], tint(cat.collar, 0.8))
    scene.fill([highlight], between(cat.collar, WHITE, 0.25), 0.6, 0.012 * radius)
    tag = (lean, 1.22)
    scene.fill([frame.ellipse((tag, (0.13, 0.13)))], (150, 108, 40))
    scene.fill([frame.ellipse((tag, (0.105, 0.105)))], (228, 186, 84))
    scene.fill([frame.ellipse(((lean - 0.03, 1.18), (0.04, 0.03)))], (255, 244, 200), 0.8, 0.012 * radius)
