"""The ground below the cat: its height, the shadow on it, and grass before the paws."""

from __future__ import annotations

import numpy as np

from i2i.data.cats.look.attributes import Cat, Pose
from i2i.data.cats.painting.curves import ellipse
from i2i.data.cats.painting.scene import Scene

# all in units of the head's radius from the head's centre
DEPTHS: dict[Pose, float] = {"portrait": 3.0, "sitting": 2.75, "turned": 2.75, "loaf": 1.48, "standing": 2.4}
SHADOWS: dict[Pose, tuple[float, float]] = {  # x of the middle, half the width
    "sitting": (0.1, 1.5), "turned": (0.9, 1.9), "loaf": (0.75, 1.9), "standing": (1.4, 2.1),
}  # fmt: skip


def ground_level(cat: Cat) -> float:
    """The y on which the cat rests; below the picture for a portrait."""
    return cat.head[1] + cat.radius * DEPTHS[cat.pose]


def paint_ground_shadow(scene: Scene) -> None:
    """Paint the shadow that falls away from the light, and a darker one where the cat touches the ground."""
    cat = scene.cat
    if cat.pose == "portrait":
        return
    radius, ground = cat.radius, ground_level(cat)
    middle, wide = SHADOWS[cat.pose]
    cast = (cat.head[0] + (middle - 0.5 * cat.light[0]) * radius, ground - 0.05 * radius)
    scene.fill([ellipse(cast, (wide * radius, 0.34 * radius))], (24, 18, 18), 0.4, 0.14 * radius)
    contact = (cat.head[0] + middle * radius, ground - 0.02)
    scene.fill([ellipse(contact, (wide * 0.8 * radius, 0.13 * radius))], (18, 13, 13), 0.55, 0.05 * radius)


def paint_grass(scene: Scene) -> None:
    """Let some blades of grass stand before the paws of a cat in the garden."""
    cat, rng = scene.cat, scene.rng
    if cat.backdrop != "garden" or cat.pose == "portrait":
        return
    ground = ground_level(cat)
    for tone in ((72, 108, 42), (110, 148, 62), (146, 178, 86)):
        blades = []
        for _ in range(16):
            x, y = cat.head[0] + rng.uniform(-1.6, 3.2) * cat.radius, ground + rng.uniform(-0.01, 0.06)
            lean, tall = rng.normal(0, 0.015), rng.uniform(0.03, 0.06)
            blades.append(np.array([(x - 0.004, y), (x + lean, y - tall), (x + 0.004, y)]))
        scene.fill(blades, tone, 0.9)
