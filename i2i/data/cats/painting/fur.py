"""Fur: tufts along contours, and strokes along the direction in which it grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from i2i.data.cats.painting.curves import Points, normals
from i2i.data.cats.painting.rasters import SUBPIXEL_BITS, Floats, Window, fixed_point, floats
from i2i.data.cats.painting.scene import Scene

Flow = Callable[[Points], Points]  # direction of fur [n, 2] at points [n, 2]


def downwards(points: Points) -> Points:
    """Flow of fur that hangs."""
    return np.tile([0.0, 1.0], (len(points), 1))


def away_from(centre: tuple[float, float], sink: float = 0.0) -> Flow:
    """Flow of fur away from a centre, drawn downwards by sink."""

    def flow(points: Points) -> Points:
        away: Points = points - np.asarray(centre) + np.array([0.0, sink])
        return away

    return flow


def furry(outline: Points, height: float, spacing: float, rng: np.random.Generator) -> Points:
    """Give a closed outline [n, 2] pointed tufts of fur of about this height and spacing (unit coordinates)."""
    ring = np.concatenate([outline, outline[:1]])
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    tufts = max(int(travelled[-1] / spacing), 8)
    feet = np.cumsum(rng.uniform(0.35, 1.65, tufts))
    feet *= travelled[-1] / feet[-1]
    at = np.sort(np.concatenate([feet, feet - 0.5 * spacing * rng.uniform(0.5, 1.0, tufts)]) % travelled[-1])
    base = np.stack([np.interp(at, travelled, ring[:, 0]), np.interp(at, travelled, ring[:, 1])], axis=1)
    area = np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1])
    outward = normals(base) * np.sign(area)
    # every second point is a tip; tips hang a little, as fur does
    rise = rng.uniform(0.1, 1.0, len(at)) ** 1.3 * (np.arange(len(at)) % 2)
    tufted: Points = base + (outward + np.array((0.0, 0.5))) * (height * rise)[:, None]
    return tufted


def fur_edge(scene: Scene, outline: Points, tuft: float = 1.0) -> Points:
    """Furry version of an outline in the picture; longer tufts on long-haired cats."""
    radius, fluff = scene.cat.radius, scene.cat.fluff
    return furry(outline, tuft * radius * (0.025 + 0.1 * fluff), radius * (0.05 + 0.05 * fluff), scene.rng)


def _scattered_hairs(outlines: Sequence[Points], flow: Flow, length: float, rng: np.random.Generator) -> Points:
    """Roots and tips [n, 2, 2] of hairs all over the bounds of outlines, unit coordinates."""
    # bounds of the outlines: a window's rounding would make the numbers drawn depend on the picture's size
    contour = np.clip(np.concatenate(list(outlines)), 0, 1)
    corner = contour.min(axis=0)
    extent = contour.max(axis=0) - corner
    count = int(np.clip(extent[0] * extent[1] / (length * 0.010), 12, 1500))
    roots = rng.uniform(0, 1, (count, 2)) * extent + corner
    turn = rng.normal(0, 0.22, count)
    ahead = flow(roots)
    ahead /= np.maximum(np.hypot(ahead[:, 0], ahead[:, 1]), 1e-6)[:, None]
    cos, sin = np.cos(turn), np.sin(turn)
    ahead = np.stack([ahead[:, 0] * cos - ahead[:, 1] * sin, ahead[:, 0] * sin + ahead[:, 1] * cos], axis=1)
    tips = roots + ahead * (length * rng.uniform(0.6, 1.4, count))[:, None]
    return np.stack([roots, tips], axis=1)


def fur_relief(scene: Scene, window: Window, outlines: Sequence[Points], flow: Flow, length: float) -> Floats:
    """Brightness of fur along a flow, a factor around 1 on the field raster [h, w]."""
    contrast = 0.26
    hairs = _scattered_hairs(outlines, flow, length, scene.rng)
    fixed = fixed_point(hairs * window.field - (window.left, window.top) - 0.5)
    relief = np.full((window.height, window.width), 128, np.uint8)
    tones = (148, 96, 166, 112)
    thickness = max(round(window.field / 256), 1)
    for tone, group in zip(tones, np.array_split(fixed, len(tones)), strict=True):
        cv2.polylines(relief, list(group), False, tone, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    soft = cv2.GaussianBlur(relief, (0, 0), 0.6 * thickness)
    return floats(1 + (floats(soft) - 128) * np.float32(contrast / 128))
