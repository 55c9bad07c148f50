"""The coordinates of the face, which lies on a dome that turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.painting.curves import Points
from i2i.data.cats.painting.rasters import Floats, Window, floats
from i2i.data.cats.painting.scene import Scene

MUZZLE_OUT = 0.14  # how far the muzzle stands out of the face's dome


@dataclass(frozen=True)
class HeadFrame:
    """Face coordinates (u right, v down, cheeks near u = -1 and 1), turned by yaw, pitch and roll.

    A face point lies on the dome, `out` above it, or at a fixed `depth` from the middle of the head.
    """

    scene: Scene

    @property
    def cat(self) -> Cat:
        """The cat of the scene."""
        return self.scene.cat

    def turn(self, points: npt.ArrayLike, depth: float | None = None, out: float = 0.0) -> Points:
        """Map face coordinates [n, 2] to head coordinates (before roll)."""
        cat = self.cat
        knots = np.asarray(points, dtype=np.float64)
        u, v = knots[:, 0] * cat.face_width, knots[:, 1]
        dome = 0.72 * np.sqrt(np.maximum(1 - (0.85 * u) ** 2 - (0.85 * v) ** 2, 0.04))
        z = dome + out if depth is None else np.full_like(u, depth)
        x = u * np.cos(cat.yaw) + z * np.sin(cat.yaw)
        z = z * np.cos(cat.yaw) - u * np.sin(cat.yaw)
        y = v * np.cos(cat.pitch) - z * np.sin(cat.pitch)
        return np.stack([x, y], axis=1)

    def to_picture(self, points: Points) -> Points:
        """Map head coordinates [n, 2] to the picture."""
        cos, sin = np.cos(self.cat.roll), np.sin(self.cat.roll)
        x, y = points[:, 0], points[:, 1]
        rolled = np.stack([x * cos - y * sin, x * sin + y * cos], axis=1)
        placed: Points = rolled * self.cat.radius + np.asarray(self.cat.head)
        return placed

    def place(self, points: npt.ArrayLike, depth: float | None = None, out: float = 0.0) -> Points:
        """Map face coordinates [n, 2] to the picture."""
        return self.to_picture(self.turn(points, depth, out))

    def at(self, u: float, v: float, depth: float | None = None, out: float = 0.0) -> tuple[float, float]:
        """Map one face point to the picture."""
        x, y = self.place([(u, v)], depth, out)[0]
        return float(x), float(y)

    def coordinates(self, window: Window, centre: tuple[float, float], out: float = 0.0) -> tuple[Floats, Floats]:
        """Head coordinates of the window's field pixels, relative to a face point: two [h, w]."""
        x, y = window.coordinates()
        middle = self.place([centre], out=out)[0]
        x, y = (x - middle[0]) / self.cat.radius, (y - middle[1]) / self.cat.radius
        cos, sin = np.cos(self.cat.roll), np.sin(self.cat.roll)
        return floats(x * cos + y * sin), floats(y * cos - x * sin)

    def spot(self, window: Window, centre: tuple[float, float], radii: tuple[float, float], out: float = 0.0) -> Floats:
        """A Gaussian spot [h, w] at a face point, radii in face units."""
        x, y = self.coordinates(window, centre, out)
        return floats(np.exp(-((x / radii[0]) ** 2) - (y / radii[1]) ** 2))
