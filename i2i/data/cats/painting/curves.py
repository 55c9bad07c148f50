"""Curves as arrays of points [n, 2]: outlines to fill, centrelines to thicken."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

SIDES = (-1.0, 1.0)  # left and right in the picture; multiplies x


@functools.cache
def _catmull_rom(steps: int) -> Points:
    """Weights [steps, 4] of the four control points around a segment."""
    t = np.arange(steps) / steps
    weights: Points = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
    )
    return weights


def smooth(points: npt.ArrayLike, closed: bool = True, steps: int = 8) -> Points:
    """Run a Catmull-Rom curve through control points [n, 2]: [n * steps, 2], or [(n - 1) * steps + 1, 2] open."""
    knots = np.asarray(points, dtype=np.float64)
    if closed:
        ring = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        ring = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    quads = np.stack([ring[:-3], ring[1:-2], ring[2:-1], ring[3:]], axis=1)  # [segments, 4, 2]
    curve: Points = (_catmull_rom(steps) @ quads).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-1:]])


def ellipse(centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0, count: int = 40) -> Points:
    """Outline [count, 2] of an ellipse turned by angle (radians)."""
    phase = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = radii[0] * np.cos(phase), radii[1] * np.sin(phase)
    outline: Points = np.stack(
        [centre[0] + x * np.cos(angle) - y * np.sin(angle), centre[1] + x * np.sin(angle) + y * np.cos(angle)], axis=1
    )
    return outline


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Outline [4, 2] of a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def mirrored(right_half: Sequence[tuple[float, float]], width: float = 1.0) -> Points:
    """Close a symmetric outline from its right half, listed from top to bottom and widened."""
    right = [(x * width, y) for x, y in right_half]
    return np.array(right + [(-x, y) for x, y in reversed(right) if x > 0])


def jittered(points: npt.ArrayLike, amount: float, rng: np.random.Generator) -> Points:
    """Move every point by normal noise."""
    knots = np.asarray(points, dtype=np.float64)
    return knots + rng.normal(0, amount, knots.shape)


def tangents(curve: Points) -> Points:
    """Unit tangents [n, 2] of a curve."""
    along = np.empty_like(curve)
    along[1:-1] = curve[2:] - curve[:-2]
    along[0], along[-1] = curve[1] - curve[0], curve[-1] - curve[-2]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    along /= length[:, None]
    return along


def normals(curve: Points) -> Points:
    """Unit normals [n, 2] of a curve: outward where a closed curve runs clockwise on the screen."""
    return tangents(curve)[:, ::-1] * (1.0, -1.0)


def ribbon(centreline: Points, widths: npt.ArrayLike) -> Points:
    """Outline [2n, 2] of a band along a centreline [n, 2]; widths are knots along it, interpolated."""
    knots = np.asarray(widths, dtype=np.float64)
    count = len(centreline)
    width = np.interp(np.arange(count) * ((len(knots) - 1) / (count - 1)), np.arange(len(knots)), knots)
    side = normals(centreline) * (width / 2)[:, None]
    return np.concatenate([centreline + side, (centreline - side)[::-1]])


def stroke(points: npt.ArrayLike, widths: npt.ArrayLike, steps: int = 8) -> Points:
    """Outline of a brush stroke along a smooth open curve through control points [n, 2]."""
    return ribbon(smooth(points, closed=False, steps=steps), widths)
