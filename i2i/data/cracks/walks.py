"""Cracks: random walks that keep their heading roughly, jag, widen and narrow, and branch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data.cats.painting.curves import Points
from i2i.data.cats.painting.rasters import Floats, floats

FINER = 4  # times as fine as the picture is the raster on which cracks are drawn
STEP = 0.012
DEEPEST = 3  # branches of branches of branches
BITS = 4  # fractional bits of the coordinates that cv2 draws


@dataclass(frozen=True)
class Habit:
    """How the cracks of a picture go.

    Attributes:
        jag: how far a step turns aside and back, in radians.
        drift: how far the heading wanders with each step.
        branching: how often a step branches.
        strength: how dark they are, 0 to 1.
    """

    jag: float
    drift: float
    branching: float
    strength: float


@dataclass(frozen=True)
class Crack:
    """A line of points ``[n, 2]``, its width at each, and how dark it is."""

    points: Points
    widths: Points
    strength: float


def draw_cracks(rng: np.random.Generator, size: int) -> Floats:
    """Return how much of each pixel is cracked times how deeply, ``[size, size]``, 0 to 1."""
    habit = Habit(
        jag=rng.uniform(0.2, 0.6),
        drift=rng.uniform(0.02, 0.14),
        branching=float(rng.choice([0.0, 0.02, 0.05])),
        strength=rng.uniform(0.6, 1.0),
    )
    widest = float(np.exp(rng.uniform(np.log(0.007), np.log(0.018))))
    cracks: list[Crack] = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.28, 0.12]))):
        start, heading = _beginning(rng)
        cracks += _walk(rng, habit, start, heading, rng.uniform(0.7, 1.8), widest * rng.uniform(0.6, 1))
    raster = np.zeros((size * FINER, size * FINER), np.uint8)
    for crack in sorted(cracks, key=lambda crack: crack.strength):  # where two cross, the deeper one is seen
        _stroke(raster, crack)
    return floats(cv2.resize(raster, (size, size), interpolation=cv2.INTER_AREA)) / np.float32(255)


def _beginning(rng: np.random.Generator) -> tuple[Points, float]:
    """Return a point near the border, and a heading into the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    outwards = np.array([np.cos(angle), np.sin(angle)])
    start = 0.5 + outwards / np.abs(outwards).max() * rng.uniform(0.3, 0.52)
    goal = rng.uniform(0.25, 0.75, 2)
    return start, float(np.arctan2(*(goal - start)[::-1]))


def _walk(
    rng: np.random.Generator,
    habit: Habit,
    start: Points,
    heading: float,
    length: float,
    width: float,
    depth: int = 0,
) -> list[Crack]:
    """Return a crack and its branches."""
    count = max(4, int(length / STEP))
    behind = np.arange(count) * STEP
    wander = np.cumsum(rng.normal(0, habit.drift, count))
    wander -= np.linspace(0, rng.uniform(0, 1), count) * wander[-1]
    jags = np.repeat(rng.normal(0, habit.jag, count), rng.integers(1, 4, count))[:count]
    headings = heading + wander + jags
    points = start + np.cumsum(np.stack([np.cos(headings), np.sin(headings)], 1), axis=0) * STEP
    swell = np.convolve(rng.standard_normal(count + 8), np.ones(9) / 3, "valid")
    widths = width * np.exp(0.35 * swell + rng.normal(0, 0.25, count))
    widths *= np.minimum(1, (count * STEP - behind) / 0.15)  # it runs out
    if depth == 0:
        widths *= np.minimum(1, 0.4 + behind / 0.1)
    if rng.random() < 0.4:  # and closes here and there
        widths *= np.clip(1.4 + 1.1 * np.repeat(rng.standard_normal(count // 8 + 1), 8)[:count], 0, 1)
    cracks = [Crack(points, widths, habit.strength * 0.85**depth)]
    branches = np.flatnonzero(rng.random(count) < habit.branching) if depth < DEEPEST else ()
    for index in branches:
        aside = rng.choice([-1, 1]) * rng.uniform(0.4, 1.3)
        rest, narrower = length * rng.uniform(0.2, 0.6), widths[index] * rng.uniform(0.4, 0.8)
        cracks += _walk(rng, habit, points[index], headings[index] + aside, rest, narrower, depth + 1)
    return cracks


def _stroke(raster: npt.NDArray[np.uint8], crack: Crack) -> None:
    """Draw a line whose width changes."""
    points, widths, size = crack.points, crack.widths, len(raster)
    colour = int(255 * crack.strength)
    steps = np.diff(points, axis=0, append=points[-1:] * 2 - points[-2:-1])
    normals = np.stack([-steps[:, 1], steps[:, 0]], 1) / np.hypot(*steps.T)[:, None] * widths[:, None] / 2
    left, right = points + normals, points - normals
    pieces = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    for piece in np.round(pieces * size * 2**BITS).astype(np.int32):
        cv2.fillConvexPoly(raster, piece, colour, cv2.LINE_AA, BITS)
    centres = np.round(points * size * 2**BITS).astype(int).tolist()
    radii = (widths * size / 2 * 2**BITS).astype(int).tolist()
    for centre, radius in zip(centres, radii, strict=True):  # the joints between the pieces
        cv2.circle(raster, centre, radius, colour, -1, cv2.LINE_AA, BITS)
