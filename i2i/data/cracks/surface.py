"""Asphalt and concrete, and what lies on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from i2i.data.cats.painting.curves import Points
from i2i.data.cats.painting.rasters import Floats, blur, fill_polygon, floats, mix, smooth_step
from i2i.data.cracks.noise import clouds, grains, white

Colour = tuple[float, float, float]

TAR: Colour = (0.045, 0.045, 0.05)
RUST: Colour = (0.2, 0.14, 0.09)
CHALK: Colour = (0.62, 0.61, 0.58)
LEAVES: tuple[Colour, ...] = ((0.3, 0.2, 0.06), (0.16, 0.09, 0.04), (0.12, 0.16, 0.04))
PAINTS: tuple[Colour, ...] = ((0.8, 0.8, 0.76), (0.75, 0.52, 0.08))


@dataclass
class Surface:
    """What is photographed.

    Attributes:
        albedo: share of the light that is reflected, ``[size, size, 3]``.
        height: in pixels, up to the camera, ``[size, size]``.
    """

    albedo: Floats
    height: Floats

    @property
    def size(self) -> int:
        """Pixels to the side."""
        return len(self.height)

    def paint(self, colour: Colour | Floats, amount: Floats, fill: float = 0.0) -> None:
        """Blend towards a colour by `amount` [size, size], and level the grain below by a share of that."""
        self.albedo = mix(self.albedo, floats(colour), amount)
        self.height = floats(self.height * (1 - fill * amount))


def make_surface(rng: np.random.Generator, size: int) -> Surface:
    """Return asphalt or concrete with a few things on it."""
    surface = _asphalt(rng, size) if rng.random() < 0.65 else _concrete(rng, size)
    for put, chance, most in ON_IT:
        if rng.random() < chance:
            for _ in range(int(rng.integers(1, most + 1))):
                put(rng, surface)
    return surface


def _asphalt(rng: np.random.Generator, size: int) -> Surface:
    """Stones of many greys in a dark binder, some of them bare."""
    stone = max(rng.uniform(0.003, 0.0075) * size, 0.8)
    stones, fine = grains(rng, size, 0.6 * stone, 1.6 * stone), white(rng, size)
    bare = smooth_step(stones, rng.uniform(0.6, 1.4), 2.2)
    greys = np.exp(0.55 * grains(rng, size, 0.8 * stone, 3 * stone))  # no stone is as the next
    pits = smooth_step(-stones, 1.0, 2.4)
    grey = 1 + 0.08 * clouds(rng, size, 3) + rng.uniform(0.1, 0.22) * fine + rng.uniform(0.05, 0.2) * stones
    grey = grey * (1 - rng.uniform(0.2, 0.6) * pits) + rng.uniform(0.2, 0.9) * bare * greys
    bluish = rng.uniform(-0.05, 0.06)
    albedo = (rng.uniform(0.1, 0.22) * np.maximum(grey, 0.1))[..., None] * floats((1 - bluish, 1.0, 1 + bluish))
    return Surface(floats(albedo), floats(rng.uniform(0.1, 0.55) * (stones + 0.3 * fine)))


def _concrete(rng: np.random.Generator, size: int) -> Surface:
    """Cement, cloudy and fine, with pores."""
    base = rng.uniform(0.25, 0.5)
    fine = grains(rng, size, 0.5, 1.6)
    sand = rng.uniform(0.02, 0.08) * white(rng, size)
    grey = base * (1 + 0.09 * clouds(rng, size, 4, 4) + rng.uniform(0.02, 0.06) * fine + sand)
    pores = smooth_step(grains(rng, size, 1.2, 3), rng.uniform(2.4, 3.0), 3.6)
    grey = grey * (1 - 0.6 * pores)
    warm = rng.uniform(0.0, 0.09)
    albedo = grey[..., None] * floats((1 + warm, 1.0, 1 - warm))
    height = rng.uniform(0.04, 0.18) * fine - 0.8 * pores
    if rng.random() < 0.3:  # the grain of the boards it was cast in
        lines = cv2.resize(
            rng.standard_normal((size, 3), dtype=np.float32), (size, size), interpolation=cv2.INTER_CUBIC
        )
        height = height + 0.12 * (lines if rng.random() < 0.5 else lines.T)
    return Surface(floats(albedo), floats(height))


def _stain(rng: np.random.Generator, surface: Surface) -> None:
    """Oil and water darken, salt and lime lighten."""
    size = surface.size
    blob = clouds(rng, size, int(rng.integers(2, 6)), 4) - 2.2 * _distance(rng, size, rng.uniform(0.15, 0.5))
    amount = smooth_step(blob, -2.2, 0.2) * np.float32(rng.uniform(0.1, 0.5))
    kinds: tuple[Colour, ...] = (TAR, TAR, CHALK, RUST)
    surface.paint(kinds[int(rng.integers(len(kinds)))], floats(amount))


def _repair(rng: np.random.Generator, surface: Surface) -> None:
    """A patch of another mix, with a seam of tar."""
    size = surface.size
    other = _asphalt(rng, size)
    corners = _rectangle(rng, size, rng.uniform(0.25, 0.8), rng.uniform(0.2, 0.6))
    inside = _filled(corners, size)
    ragged = smooth_step(inside + 0.15 * clouds(rng, size, 24, 2), 0.35, 0.65)
    surface.albedo = mix(surface.albedo, other.albedo, ragged)
    surface.height = floats(surface.height + (other.height - surface.height) * ragged)
    if rng.random() < 0.6:
        seam = np.zeros((size, size), np.float32)
        closed = np.vstack([corners, corners[:1]])
        _stroke(seam, closed, rng.uniform(0.004, 0.014) * size)
        surface.paint(TAR, floats(seam * smooth_step(clouds(rng, size, 10), -1.5, 0.2)), fill=0.8)


def _tar_seal(rng: np.random.Generator, surface: Surface) -> None:
    """A crack that was sealed, or a joint: a winding band of tar, smooth and wider than cracks."""
    size = surface.size
    start, end = _across(rng, size)
    along = np.linspace(0, 1, 40)[:, None]
    bend = np.cumsum(rng.standard_normal((40, 2)), axis=0) * rng.uniform(0.0, 0.012) * size
    line = start + (end - start) * along + bend - along * bend[-1]
    band = np.zeros((size, size), np.float32)
    _stroke(band, line, rng.uniform(0.014, 0.05) * size)
    band = smooth_step(blur(band, 0.8) + 0.08 * clouds(rng, size, 30, 2), 0.3, 0.7)
    surface.paint(TAR, floats(band * np.float32(rng.uniform(0.6, 0.95))), fill=0.85)


def _joint(rng: np.random.Generator, surface: Surface) -> None:
    """A straight groove, sawn or cast: as dark and as thin as a crack."""
    size = surface.size
    start, end = _across(rng, size)
    groove = np.zeros((size, size), np.float32)
    _stroke(groove, np.stack([start, end]), rng.uniform(0.006, 0.016) * size)
    groove = blur(groove, 0.6)
    surface.paint(TAR, floats(groove * np.float32(rng.uniform(0.5, 0.9))))
    surface.height = floats(surface.height - rng.uniform(1, 2.5) * groove)


def _lane_paint(rng: np.random.Generator, surface: Surface) -> None:
    """A painted line, worn off where the stones stand out."""
    size = surface.size
    start, end = _across(rng, size)
    line = np.zeros((size, size), np.float32)
    _stroke(line, np.stack([start, end]), rng.uniform(0.1, 0.3) * size)
    left = smooth_step(1.2 * clouds(rng, size, 8, 4) - 0.4 * surface.height, rng.uniform(-2.2, -0.2), 0.6)
    surface.paint(PAINTS[int(rng.random() < 0.25)], floats(line * left * np.float32(rng.uniform(0.6, 0.95))), fill=0.3)


def _twig(rng: np.random.Generator, surface: Surface) -> None:
    """A twig, a stalk or a scratch: thin, dark or light, and smooth."""
    size = surface.size
    middle = rng.uniform(0, size, 2)
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.3) * size
    turn = rng.uniform(-1.2, 1.2)
    headings = angle + turn * np.linspace(0, 1, 12)
    line = middle + np.cumsum(np.stack([np.cos(headings), np.sin(headings)], 1) * length / 12, axis=0)
    thin = np.zeros((size, size), np.float32)
    _stroke(thin, line, max(rng.uniform(0.003, 0.008) * size, 1.0))
    colours = (*LEAVES, TAR, CHALK)
    surface.paint(colours[int(rng.integers(len(colours)))], floats(thin * np.float32(rng.uniform(0.5, 0.95))))


def _leaf(rng: np.random.Generator, surface: Surface) -> None:
    """An oval."""
    size = surface.size
    radii = rng.uniform(0.008, 0.03, 2) * size
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    angle = rng.uniform(0, np.pi)
    oval = np.stack([radii[0] * np.cos(turn), radii[1] * np.sin(turn)], 1)
    rotated = oval @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    leaf = _filled(rotated + rng.uniform(0, size, 2), size)
    surface.paint(LEAVES[int(rng.integers(len(LEAVES)))], floats(leaf * np.float32(0.9)), fill=0.9)


def _tyre_mark(rng: np.random.Generator, surface: Surface) -> None:
    """A wide soft dark band."""
    size = surface.size
    start, end = _across(rng, size)
    band = np.zeros((size, size), np.float32)
    _stroke(band, np.stack([start, end]), rng.uniform(0.06, 0.25) * size)
    rubber = blur(band, 0.02 * size) * smooth_step(clouds(rng, size, 16, 3), -1.5, 1.0)
    surface.paint(TAR, floats(rubber * np.float32(rng.uniform(0.2, 0.5))))


Put = Callable[[np.random.Generator, Surface], None]

ON_IT: tuple[tuple[Put, float, int], ...] = (  # what, how often, how many at most; later ones lie on earlier ones
    (_repair, 0.18, 1),
    (_stain, 0.6, 4),
    (_joint, 0.22, 2),
    (_tar_seal, 0.2, 2),
    (_lane_paint, 0.18, 1),
    (_tyre_mark, 0.2, 2),
    (_leaf, 0.25, 5),
    (_twig, 0.55, 6),
)


def _across(rng: np.random.Generator, size: int) -> tuple[Points, Points]:
    """Return two points outside the picture whose line goes through it."""
    angle = rng.normal(0, 0.15) + rng.integers(4) * np.pi / 2 if rng.random() < 0.6 else rng.uniform(0, 2 * np.pi)
    middle = rng.uniform(0.1, 0.9, 2) * size
    reach = np.array([np.cos(angle), np.sin(angle)]) * 1.5 * size
    return middle - reach, middle + reach


def _distance(rng: np.random.Generator, size: int, radius: float) -> Floats:
    """Return the distance from a point, 1 at `radius`, along an oval."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    squeeze = rng.uniform(0.5, 2)
    return floats(np.hypot((x - rng.uniform()) * squeeze, (y - rng.uniform()) / squeeze) / radius)


def _rectangle(rng: np.random.Generator, size: int, width: float, height: float) -> Points:
    """Return the corners of a rectangle, nearly upright, anywhere."""
    angle = rng.normal(0, 0.2)
    half = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) * size / 2
    turned = half @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(turned + rng.uniform(0, size, 2))


def _filled(outline: Points, size: int) -> Floats:
    """Return 1 inside an outline in pixels, 0 outside."""
    raster = np.zeros((size, size), np.float32)
    fill_polygon(raster, outline, 1.0)
    return blur(raster, 0.5)


def _stroke(raster: Floats, line: Points, width: float) -> None:
    """Draw a line [n, 2] of a width in pixels, antialiased, in place."""
    steps = np.diff(line, axis=0)
    normals = np.stack([-steps[:, 1], steps[:, 0]], 1) / np.maximum(np.hypot(*steps.T), 1e-6)[:, None] * width / 2
    for start, end, normal in zip(line[:-1], line[1:], normals, strict=True):
        fill_polygon(raster, np.stack([start + normal, end + normal, end - normal, start - normal]), 1.0)
