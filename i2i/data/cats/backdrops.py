"""The backdrops. They are out of focus, so they are painted on a coarse raster and blurred."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from i2i.data.cats.colours import FABRICS, WHITE, Colour, between, tint
from i2i.data.cats.ground import ground_level
from i2i.data.cats.look.attributes import Backdrop, Cat
from i2i.data.cats.painting.curves import Points, box, ellipse, smooth
from i2i.data.cats.painting.rasters import FIELDS_TO_CANVAS, Floats, blur, fill_polygon, floats, mix, smooth_step
from i2i.data.cats.painting.scene import Scene

COARSE = 128  # pixels across


def paint_backdrop(scene: Scene) -> None:
    """Fill the canvas with the cat's backdrop."""
    painters: dict[Backdrop, Callable[[Cat, np.random.Generator], Floats]] = {
        "studio": _studio, "room": _room, "garden": _garden, "sofa": _sofa, "window": _window_sill, "bokeh": _bokeh,
    }  # fmt: skip
    image = painters[scene.cat.backdrop](scene.cat, scene.rng)
    side = scene.field * FIELDS_TO_CANVAS
    shown = np.clip(image, 0, 255).astype(np.uint8)
    scene.canvas = np.asarray(cv2.resize(shown, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _gradient(top: Colour, bottom: Colour) -> Floats:
    """Vertical gradient [COARSE, COARSE, 3]."""
    t = np.linspace(0, 1, COARSE, dtype=np.float32)[:, None, None]
    rows = floats(top) * (1 - t) + floats(bottom) * t
    return np.ascontiguousarray(np.broadcast_to(rows, (COARSE, COARSE, 3)))


def _fill(image: Floats, outline: Points, colour: Colour) -> None:
    """Fill an outline (unit coordinates) in a backdrop."""
    fill_polygon(image, outline * COARSE - 0.5, colour)


def _studio(cat: Cat, rng: np.random.Generator) -> Floats:
    """A plain backdrop with a glow behind the cat."""
    wall = between(cat.wall, cat.fabric, float(rng.uniform(0, 0.7)))
    image = _gradient(tint(wall, 0.78), tint(wall, 0.98))
    y, x = np.mgrid[0:COARSE, 0:COARSE].astype(np.float32) / COARSE
    glow = np.exp(-((x - cat.head[0] - 0.3 * cat.light[0]) ** 2 + (y - cat.head[1]) ** 2) / 0.22)
    return mix(image, between(wall, (255, 252, 244), 0.4), floats(glow) * np.float32(0.8))


def _room(cat: Cat, rng: np.random.Generator) -> Floats:
    """Wall, skirting and floorboards, often with a picture on the wall."""
    image = _gradient(tint(cat.wall, 0.86), tint(cat.wall, 1.0))
    horizon = min(cat.horizon, ground_level(cat) - 0.12)
    if rng.random() < 0.6:
        left = rng.uniform(0.02, 0.75)
        frame = box(left, 0.06, left + rng.uniform(0.2, 0.32), rng.uniform(0.26, 0.4))
        middle = frame.mean(axis=0)
        _fill(image, frame, tint(cat.floor, 0.72))
        _fill(image, middle + (frame - middle) * 0.82, between(cat.fabric, WHITE, 0.5))
    floor = _gradient(tint(cat.floor, 0.7), tint(cat.floor, 1.12))
    edge = int(horizon * COARSE)
    image[edge:] = floor[edge:]
    _fill(image, box(-0.1, horizon - 0.05, 1.1, horizon), between(cat.wall, WHITE, 0.6))
    _fill(image, box(-0.1, horizon, 1.1, horizon + 0.012), tint(cat.floor, 0.5))
    vanishing = np.array([rng.uniform(0.3, 0.7), horizon - 0.5])
    for foot in np.linspace(-1.6, 2.6, 15):  # gaps between the floorboards
        far = vanishing + (np.array([foot, 1.0]) - vanishing) * ((horizon - vanishing[1]) / (1 - vanishing[1]))
        gap = np.array([far, (far[0] + 0.004, far[1]), (foot + 0.012, 1.02), (foot, 1.02)])
        _fill(image, gap, tint(cat.floor, 0.72))
    return blur(image, 1.3)


def _garden(cat: Cat, rng: np.random.Generator) -> Floats:
    """Sky, blurred foliage and a lawn."""
    image = _gradient((150, 186, 222), (214, 226, 226))
    horizon = min(cat.horizon, ground_level(cat) - 0.1)
    for _ in range(46):
        x, y = rng.uniform(-0.1, 1.1), horizon - abs(rng.normal(0, 0.2)) + 0.05
        green = between((58, 92, 46), (150, 176, 92), float(rng.random()))
        size = rng.uniform(0.05, 0.14)
        _fill(image, ellipse((x, y), (size, size * 0.8), count=14), green)
    image = blur(image, 4.5)
    lawn = _gradient((84, 122, 52), (124, 158, 74))
    edge = int(horizon * COARSE)
    fade = smooth_step(np.arange(COARSE), edge - 3, edge + 3)
    image = mix(image, lawn, np.ascontiguousarray(np.broadcast_to(fade[:, None], (COARSE, COARSE))))
    for _ in range(220):
        x, y = rng.uniform(0, 1), rng.uniform(horizon, 1.02)
        tall = 0.03 * (0.3 + (y - horizon) * 2)
        tone = between((78, 118, 44), (156, 186, 92), float(rng.random()))
        lean = rng.normal(0, 0.01)
        _fill(image, np.array([(x - 0.005, y), (x + lean, y - tall), (x + 0.005, y)]), tone)
    return blur(image, 0.9)


def _sofa(cat: Cat, rng: np.random.Generator) -> Floats:
    """Back and seat of a sofa, often with a pillow."""
    image = _gradient(tint(cat.wall, 0.8), tint(cat.wall, 0.95))
    back = rng.uniform(0.12, 0.3)
    seat = min(ground_level(cat) - 0.1, 0.82)
    cushion = smooth(
        [(-0.2, back + 0.1), (0.02, back), (0.5, back - 0.03), (0.98, back), (1.2, back + 0.1), (1.2, 1.2), (-0.2, 1.2)]
    )
    _fill(image, cushion, tint(cat.fabric, 0.86))
    seam = rng.uniform(0.2, 0.8)
    _fill(image, box(seam - 0.008, back - 0.03, seam + 0.008, seat), tint(cat.fabric, 0.62))
    _fill(image, box(-0.1, seat, 1.1, 1.1), tint(cat.fabric, 1.08))
    _fill(image, box(-0.1, seat - 0.012, 1.1, seat + 0.012), tint(cat.fabric, 0.58))
    if rng.random() < 0.6:
        _fill_pillow(image, seat, cat.fabric, rng)
    return blur(image, 1.5)


def _fill_pillow(image: Floats, seat: float, fabric: Colour, rng: np.random.Generator) -> None:
    """Put a pillow of another fabric in one corner of the sofa."""
    x, accent = rng.choice([0.06, 0.94]), FABRICS[int(rng.integers(len(FABRICS)))]
    corners = np.array(
        [(-0.2, -0.2), (0, -0.17), (0.2, -0.2), (0.17, 0), (0.2, 0.2), (0, 0.17), (-0.2, 0.2), (-0.17, 0)]
    )
    lean = float(rng.uniform(-0.3, 0.3))
    turned = corners @ np.array([(np.cos(lean), np.sin(lean)), (-np.sin(lean), np.cos(lean))])
    cover = between(accent, WHITE, 0.2)
    layers = ((1.04, tint(fabric, 0.55)), (0.98, tint(cover, 0.9)), (0.8, tint(cover, 1.0)), (0.55, tint(cover, 1.08)))
    for size, colour in layers:  # its shadow on the sofa, then from the seam to the bulging middle
        _fill(image, smooth(turned * size) + np.array((x, seat - 0.14)), colour)


def _window_sill(cat: Cat, rng: np.random.Generator) -> Floats:
    """A window with a garden behind and a sill in front."""
    image = _gradient((168, 200, 228), (222, 228, 214))
    for _ in range(14):
        x, y = rng.uniform(0, 1), rng.uniform(0.35, 0.8)
        green = between((96, 128, 84), (176, 194, 150), float(rng.random()))
        _fill(image, ellipse((x, y), (0.14, 0.12), count=14), green)
    image = blur(image, 5.0)
    frame = between(cat.wall, WHITE, 0.75)
    bar = rng.uniform(0.3, 0.7)
    sill = min(ground_level(cat) - 0.08, 0.84)
    upright, across = box(bar - 0.02, 0, bar + 0.02, 1), box(-0.1, 0.3, 1.1, 0.33)
    left, right = box(-0.1, -0.1, 0.05, 1), box(0.95, -0.1, 1.1, 1)
    for timber in (upright, across, left, right):
        _fill(image, timber + 0.008, tint(frame, 0.7))
        _fill(image, timber, tint(frame, 0.94))
    _fill(image, box(-0.1, sill, 1.1, 1.1), tint(frame, 0.98))
    _fill(image, box(-0.1, sill, 1.1, sill + 0.012), tint(frame, 0.66))
    return blur(image, 1.2)


def _bokeh(cat: Cat, rng: np.random.Generator) -> Floats:
    """Lights far out of focus at dusk."""
    dusk = between(cat.fabric, (40, 40, 60), 0.55)
    image = _gradient(tint(dusk, 0.7), tint(dusk, 1.1))
    for _ in range(24):
        tone: Colour = (150, 190, 255) if rng.random() < 0.4 else (255, 120, 130)
        lamp = between((255, 196, 110), tone, float(rng.random()))
        disc = np.zeros((COARSE, COARSE), np.float32)
        size = rng.uniform(0.025, 0.08)
        _fill(disc, ellipse((rng.uniform(0, 1), rng.uniform(0, 0.85)), (size, size), count=24), (1, 1, 1))
        image = mix(image, lamp, disc * np.float32(rng.uniform(0.15, 0.5)))
    return blur(image, 1.6)
