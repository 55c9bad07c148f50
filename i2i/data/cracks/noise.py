"""Clouds and grains, of which surfaces, stains and light are made."""

from __future__ import annotations

import cv2
import numpy as np

from i2i.data.cats.painting.rasters import Floats, blur, floats


def white(rng: np.random.Generator, size: int) -> Floats:
    """Return a raster [size, size] of independent values of mean 0 and deviation 1."""
    return rng.standard_normal((size, size), dtype=np.float32)


def grains(rng: np.random.Generator, size: int, finest: float, coarsest: float) -> Floats:
    """Return grains between two sizes in pixels, of deviation 1."""
    noise = white(rng, size)
    return _normed(blur(noise, finest) - blur(noise, coarsest))


def clouds(rng: np.random.Generator, size: int, cells: int, octaves: int = 3) -> Floats:
    """Return clouds as coarse as `cells` to the side, with finer ones in them, of mean 0 and deviation 1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        coarse = white(rng, max(4, cells * 2**octave))
        total += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) / 2**octave
    return _normed(total)


def _normed(raster: Floats) -> Floats:
    raster = raster - raster.mean()
    return floats(raster / max(float(raster.std()), 1e-6))
