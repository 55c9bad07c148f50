"""The coordinates of the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.painting.curves import Points, ellipse, jittered
from i2i.data.cats.painting.rasters import Floats, Window
from i2i.data.cats.painting.scene import Scene

Oval = tuple[tuple[float, float], tuple[float, float]]  # centre and radii, in body coordinates


@dataclass(frozen=True)
class BodyFrame:
    """Body coordinates: origin at the head's centre, one unit is the head's radius."""

    scene: Scene

    @property
    def cat(self) -> Cat:
        """The cat of the scene."""
        return self.scene.cat

    def place(self, points: npt.ArrayLike, jitter: float = 0.0) -> Points:
        """Map body coordinates [n, 2] to the picture."""
        knots = jittered(points, jitter, self.scene.rng) if jitter else np.asarray(points, dtype=np.float64)
        placed: Points = knots * self.cat.radius + np.asarray(self.cat.head)
        return placed

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Map one point."""
        return self.cat.head[0] + x * self.cat.radius, self.cat.head[1] + y * self.cat.radius

    def to_picture(self, oval: Oval) -> Oval:
        """Map centre and radii."""
        centre, (wide, tall) = oval
        return self.at(*centre), (wide * self.cat.radius, tall * self.cat.radius)

    def ellipse(self, oval: Oval, angle: float = 0.0) -> Points:
        """Outline [n, 2] of an oval in the picture."""
        return ellipse(*self.to_picture(oval), angle)

    def spot(self, window: Window, oval: Oval) -> Floats:
        """A Gaussian spot [h, w] the size of an oval."""
        return window.spot(*self.to_picture(oval))
