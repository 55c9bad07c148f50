"""The whole picture: a surface, broken by cracks, lit from one side and photographed, with and without them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data.cats.painting.rasters import Floats, blur, floats, smooth_step
from i2i.data.cracks.noise import clouds, white
from i2i.data.cracks.surface import Surface, make_surface
from i2i.data.cracks.walks import draw_cracks

SMALLEST, LARGEST = 64, 1024
CRACKED = 0.2  # share of a pixel, times the depth, from which the mask counts it

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Road:
    """A picture and what belongs to it.

    Attributes:
        image: the photo, uint8 RGB ``[size, size, 3]``.
        mask: 255 where it is cracked, else 0, uint8 ``[size, size, 1]``.
        clean: the same photo of the same surface before it cracked.
    """

    image: Bytes
    mask: Bytes
    clean: Bytes


@dataclass(frozen=True)
class Camera:
    """Light and camera, the same for both photos.

    Attributes:
        direction: where slopes are lit, and how much.
        light: what falls on each pixel, with the colour of the light, ``[size, size, 3]``.
        noise: of the sensor, in steps of the photo.
        softness: sigma of the lens's blur, in pixels.
    """

    direction: Floats
    light: Floats
    noise: Floats
    softness: float

    def shoot(self, surface: Surface) -> Bytes:
        """Return the photo of a surface."""
        dx, dy = (cv2.Sobel(surface.height, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
        slope = dx * self.direction[0] + dy * self.direction[1]
        shade = np.clip(1 + slope, 0.25, 2.0)[..., None]
        seen = cv2.GaussianBlur(surface.albedo * shade * self.light, (0, 0), self.softness)
        curve = np.clip(seen, 0, 1) ** (1 / 2.2) * 255 + self.noise
        photo: Bytes = np.clip(np.round(curve), 0, 255).astype(np.uint8)
        return photo


def draw_road(rng: np.random.Generator, size: int = 256) -> Road:
    """Return one drawn picture with its mask and its clean twin.

    Args:
        rng: decides everything about it.
        size: side in pixels, 64 to 1024.

    Raises:
        ValueError: the size is out of range.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"a road is drawn at {SMALLEST} to {LARGEST} pixels, not {size}")
    surface = make_surface(rng, size)
    cracks = draw_cracks(rng, size)
    camera = _camera(rng, surface)
    mask = ((cracks >= CRACKED) * 255).astype(np.uint8)[..., None]
    return Road(camera.shoot(_broken(rng, surface, cracks)), mask, camera.shoot(surface))


def _broken(rng: np.random.Generator, surface: Surface, cracks: Floats) -> Surface:
    """Return a surface with cracks: dark within, dirty and crumbled at their borders, deep."""
    scale = surface.size / 256
    dirt = blur(cracks, 1.5 * scale) * rng.uniform(0.1, 0.5)
    dark = 1 - (1 - 0.9 * cracks) * (1 - np.clip(dirt, 0, 1))
    soil = floats((1.0, 0.93, 0.82)) * np.float32(rng.uniform(0.02, 0.09))
    albedo = surface.albedo + (soil - surface.albedo) * dark[..., None]
    crumbs = 0.5 * white(rng, surface.size) * blur(cracks, 1.2 * scale)
    height = surface.height - rng.uniform(1.5, 4) * blur(cracks, 0.7) + crumbs
    return Surface(floats(albedo), floats(height))


def _camera(rng: np.random.Generator, surface: Surface) -> Camera:
    size = surface.size
    angle = rng.uniform(0, 2 * np.pi)
    direction = floats((np.cos(angle), np.sin(angle))) * np.float32(rng.uniform(0.5, 1.3))
    warm = rng.uniform(-0.06, 0.06)
    light = _light(rng, size)
    exposure = rng.uniform(0.15, 0.32) / max(float((surface.albedo.mean(axis=2) * light).mean()), 1e-3)
    coloured = floats(light[..., None] * exposure * floats((1 + warm, 1, 1 - warm)))
    noise = floats(white(rng, size)[..., None] * rng.uniform(0.5, 3))
    return Camera(direction, coloured, noise, rng.uniform(0.35, 0.8) * size / 256)


def _light(rng: np.random.Generator, size: int) -> Floats:
    """Return uneven light [size, size]: a slope, dark corners, often the shadow of a tree, a wire or a wall."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.7) * (x * np.cos(angle) + y * np.sin(angle))
    light = light * (1 - rng.uniform(0, 0.5) * (x * x + y * y))
    depth = rng.uniform(0.3, 0.6)
    kind = rng.random()
    if kind < 0.2:
        leaves = clouds(rng, size, int(rng.integers(4, 9)), 3)
        light = light * (1 - depth * smooth_step(leaves, rng.uniform(-0.5, 0.8), 1.2))
    elif kind < 0.35:
        turn, offset, width = rng.uniform(0, np.pi), rng.uniform(-0.35, 0.35), rng.uniform(0.004, 0.012)
        across = np.abs(x * np.cos(turn) + y * np.sin(turn) - offset + rng.uniform(-0.3, 0.3) * x * y)
        light = light * (1 - depth * (1 - smooth_step(across, width, 2.2 * width)))
    elif kind < 0.5:
        turn, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3)
        across = x * np.cos(turn) + y * np.sin(turn) - offset
        light = light * (1 - depth * smooth_step(across, 0, rng.uniform(0.01, 0.1)))
    return floats(light)
