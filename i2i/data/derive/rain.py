"""Rain: photos to be freed from it."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from i2i.config import Config
from i2i.data.derive.base import (
    Amount,
    Count,
    Derivation,
    Ends,
    Fraction,
    Image,
    PositiveAmount,
    draw,
    draw_count,
)

Lean = Ends[Annotated[float, Field(ge=-90, le=90)]]

FWHM = 2.3548  # of a Gaussian of sigma 1
LINES = 3  # that lie side by side in a streak
SPREAD = 1.0  # by which they do, in pixels
KNOT = 4  # pixels along a line between its brighter and darker places
FADE = 1.0  # sigma in pixels by which its ends fade
MIST = 200  # the light of mist, as pixels have it


class Shower(Config):
    """The ranges that a setting of `Rain` stands for; they are described there."""

    layers: Count
    density: Amount
    length: Amount
    width: PositiveAmount
    angle: Lean
    brightness: Amount


SETTINGS = {
    "light": Shower(
        layers=(1, 1), density=(9, 26), length=(35, 75), width=(1, 1.7), angle=(-30, 30), brightness=(0.03, 0.11)
    ),
    "heavy": Shower(
        layers=(5, 5), density=(8, 16), length=(40, 90), width=(1.2, 2.5), angle=(-45, 45), brightness=(0.07, 0.13)
    ),
}


class Rain(Derivation):
    """A photo in the rain: streaks that add their light to it.

    As in the sets Rain100L and Rain100H (Yang et al. 2017), a rainy image is the photo plus one grey layer of streaks,
    or plus five of different directions, cut off at white. Streaks of `light` were measured against those of Rain100L
    (docs/derivations.md), `heavy` follows the description of Rain100H. Every layer draws its own amounts. Options that
    are given take the place of the setting's.

    Attributes:
        setting: ``light`` or ``heavy``.
        layers: how many layers of streaks lie over each other.
        density: streaks that begin on 10,000 pixels.
        length: of streaks.
        width: of the lines that streaks are made of, at half their light.
        angle: degrees from the vertical; streaks of positive angles lean to the right.
        brightness: light in the middle of a line, as a share of white.
        haze: share of the photo's light that mist replaces by its own (Koschmieder 1924), under the streaks.
    """

    name: Literal["rain"] = "rain"
    setting: Literal["light", "heavy"] = "light"
    layers: Count | None = None
    density: Amount | None = None
    length: Amount | None = None
    width: PositiveAmount | None = None
    angle: Lean | None = None
    brightness: Amount | None = None
    haze: Fraction = (0, 0)

    @property
    def shower(self) -> Shower:
        """The setting's ranges, or those given in their place."""
        given = {option: getattr(self, option) for option in Shower.model_fields}
        return SETTINGS[self.setting].model_copy(
            update={option: ends for option, ends in given.items() if ends is not None}
        )

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the photo in the rain."""
        shower = self.shower
        height, width, _ = photo.shape
        light = np.zeros((height, width), np.float32)
        for _ in range(draw_count(shower.layers, rng)):
            light += draw(shower.brightness, rng) * streaks(
                height,
                width,
                rng,
                density=draw(shower.density, rng),
                length=draw(shower.length, rng),
                thickness=draw(shower.width, rng),
                angle=draw(shower.angle, rng),
            )
        mist = draw(self.haze, rng)
        scene = photo * np.float32(1 - mist) + np.float32(mist * MIST)
        return np.asarray(np.clip(scene + 255 * light[..., None] + 0.5, 0, 255), dtype=np.uint8)


def streaks(
    height: int, width: int, rng: np.random.Generator, *, density: float, length: float, thickness: float, angle: float
) -> npt.NDArray[np.float32]:
    """Draw streaks of rain, float32 ``[height, width]``, whose lines are of light 1 in their middle on the average.

    They are drawn upright, on a canvas that holds the image turned by `angle`. A streak is a bundle of thin parallel
    lines, each of which begins and ends somewhere within it, and shines unevenly: drops swing while they fall (Garg &
    Nayar 2006). A line is light switched on at its beginning and off at its end, so that the sum from the top down
    draws all of them at once.
    """
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    rows = int(height * cos + width * abs(sin)) + KNOT
    columns = int(width * cos + height * abs(sin)) + KNOT
    count = rng.poisson(density * (rows + length) * columns / 1e4)
    whole = length * rng.lognormal(0, 0.5, (count, 1))
    share = rng.uniform(0.3, 1, (count, LINES))
    begin = rng.uniform(-length, rows, (count, 1)) + whole * (1 - share) * rng.random((count, LINES))
    across = rng.uniform(0, columns, (count, 1)) + rng.normal(0, SPREAD, (count, LINES))
    light = np.broadcast_to(rng.gamma(3, 1 / 3, (count, 1)), across.shape).astype(np.float32)

    canvas = np.zeros((rows + 1, columns), np.float32)
    column = np.clip(across, 0, columns - 1).astype(int)
    for end, change in ((begin, light), (begin + whole * share, -light)):
        np.add.at(canvas, (np.clip(end, 0, rows).astype(int), column), change)
    canvas = np.cumsum(canvas[:-1], axis=0)
    knots = rng.uniform(0, 2, (rows // KNOT + 2, columns)).astype(np.float32)
    canvas *= cv2.resize(knots, (columns, rows), interpolation=cv2.INTER_LINEAR)
    sigma = thickness / FWHM
    canvas = cv2.GaussianBlur(canvas, (0, 0), sigmaX=sigma, sigmaY=FADE) * (sigma * np.sqrt(2 * np.pi))

    turned = np.array([[cos, sin], [-sin, cos]])
    shift = np.array([columns / 2, rows / 2]) - turned @ np.array([width / 2, height / 2])
    onto = np.column_stack([turned, shift])
    return np.asarray(cv2.warpAffine(canvas, onto, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
