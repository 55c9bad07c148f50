"""How often cats look like what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from i2i.data.cats.colours import COLLARS, FABRICS, FLOORS, WALLS
from i2i.data.cats.look.attributes import Backdrop, Cat, Pose
from i2i.data.cats.look.coats import BLUE, COAT_WEIGHTS, COATS, GOLD

POSE_WEIGHTS: dict[Pose, float] = {"portrait": 0.5, "sitting": 0.17, "turned": 0.13, "loaf": 0.12, "standing": 0.08}
BACKDROP_WEIGHTS: dict[Backdrop, float] = {
    "studio": 0.2, "room": 0.2, "garden": 0.2, "sofa": 0.16, "window": 0.1, "bokeh": 0.14,
}  # fmt: skip

Choice = TypeVar("Choice")
Range = tuple[float, float]


@dataclass(frozen=True)
class HeadRange:
    """Where the head goes such that the whole pose fits the picture."""

    radius: Range
    x: Range
    y: Range  # of the point that is `drop` radii below the head's centre: of the ground, where the pose shows it
    drop: float = 0.0


HEAD_RANGES: dict[Pose, HeadRange] = {
    "portrait": HeadRange((0.25, 0.35), (0.43, 0.57), (0.5, 0.58)),
    "sitting": HeadRange((0.18, 0.212), (0.42, 0.58), (0.91, 0.95), 2.85),
    "turned": HeadRange((0.175, 0.205), (0.27, 0.38), (0.91, 0.95), 2.8),
    "loaf": HeadRange((0.19, 0.235), (0.31, 0.38), (0.49, 0.56)),
    "standing": HeadRange((0.17, 0.195), (0.23, 0.28), (0.87, 0.92), 2.4),
}
BEHIND_LEDGE = HeadRange((0.24, 0.29), (0.43, 0.57), (0.91, 0.93), 1.45)


@dataclass(frozen=True)
class Dice:
    """A random generator that answers in plain Python numbers."""

    rng: np.random.Generator

    def uniform(self, low: float, high: float) -> float:
        """Sample evenly between bounds."""
        return float(self.rng.uniform(low, high))

    def normal(self, mean: float, spread: float, limit: float) -> float:
        """Sample a normal distribution, cut off at -limit and limit."""
        return float(np.clip(self.rng.normal(mean, spread), -limit, limit))

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return bool(self.rng.random() < probability)

    def pick(self, choices: Sequence[Choice], weights: npt.ArrayLike | None = None) -> Choice:
        """Pick one of some choices, all alike without weights."""
        share = None if weights is None else np.asarray(weights) / np.sum(weights)
        return choices[int(self.rng.choice(len(choices), p=share))]


def sample_cat(rng: np.random.Generator, coat_name: str | None = None) -> Cat:
    """Sample what one cat looks like, where it sits and how it is lit; its coat is the named one, or any."""
    dice = Dice(rng)
    coat = dice.pick(COATS, COAT_WEIGHTS)
    if coat_name is not None:
        coat = next(named for named in COATS if named.name == coat_name)
    pose = dice.pick(list(POSE_WEIGHTS), list(POSE_WEIGHTS.values()))
    ledge = pose == "portrait" and dice.chance(0.18)
    head, radius = _sample_head(dice, BEHIND_LEDGE if ledge else HEAD_RANGES[pose])
    build = dice.normal(-0.5 if coat.pattern == "points" else 0.1, 0.5, 1.0)
    iris = dice.pick(coat.eyes)
    odd_eyed = dice.chance(0.25 if coat.name == "white" else 0.02)
    whites = dice.chance(coat.white_chance)
    full_white = coat.name in ("calico", "tuxedo")
    return Cat(
        coat=coat,
        pose=pose,
        light=_sample_light(dice),
        backdrop=dice.pick(list(BACKDROP_WEIGHTS), list(BACKDROP_WEIGHTS.values())),
        mirrored=dice.chance(0.5),
        head=head,
        radius=radius,
        yaw=dice.uniform(-0.6, 0.1) if pose in ("turned", "standing") else dice.normal(0.0, 0.24, 0.55),
        pitch=dice.normal(0.0, 0.09, 0.2),
        roll=dice.normal(0.0, 0.1, 0.28),
        build=build,
        face_width=1.0 + 0.06 * build + dice.uniform(-0.03, 0.03),
        muzzle_length=dice.uniform(0.9, 1.1),
        fluff=float(rng.beta(1.3, 1.6)),
        ear_height=0.99 - 0.14 * build + dice.uniform(-0.09, 0.09),
        ear_spread=dice.uniform(-0.1, 0.13),
        ear_roundness=dice.uniform(0.1, 0.5),
        eye_size=dice.uniform(0.84, 1.1),
        eye_slant=dice.uniform(0.05, 0.34),
        eye_openness=_sample_openness(dice, pose),
        irises=(iris, BLUE if odd_eyed and iris != BLUE else GOLD if odd_eyed else iris),
        pupil=dice.uniform(0.16, 0.34) if dice.chance(0.5) else dice.uniform(0.4, 0.78),
        gaze=(dice.normal(0.0, 0.08, 0.2), dice.normal(0.0, 0.05, 0.15)),
        stripe_strength=dice.uniform(0.6, 0.95),
        white_muzzle=dice.uniform(0.3, 1.0) if whites else 0.0,
        white_bib=dice.uniform(0.7, 1.1) if full_white or (whites and dice.chance(0.8)) else 0.0,
        white_socks=dice.uniform(0.4, 1.0) if full_white or (whites and dice.chance(0.7)) else 0.0,
        tail_wrapped=dice.chance(0.5),
        body_width=1.02 + 0.06 * build + dice.uniform(-0.05, 0.05),
        collar=dice.pick(COLLARS) if dice.chance(0.16) else None,
        tongue=dice.chance(0.05),
        ledge=ledge,
        light_contrast=dice.uniform(0.8, 1.3),
        warmth=dice.uniform(-0.6, 1.0),
        wall=dice.pick(WALLS),
        floor=dice.pick(FLOORS),
        fabric=dice.pick(FABRICS),
        horizon=dice.uniform(0.5, 0.68),
        texture_seed=int(rng.integers(2**31)),
    )


def _sample_head(dice: Dice, ranges: HeadRange) -> tuple[tuple[float, float], float]:
    """Sample the head's centre and radius."""
    radius = dice.uniform(*ranges.radius)
    return (dice.uniform(*ranges.x), dice.uniform(*ranges.y) - ranges.drop * radius), radius


def _sample_light(dice: Dice) -> tuple[float, float, float]:
    """Sample a unit vector towards the light, which comes from above and from before the cat."""
    azimuth, elevation = dice.uniform(-2.7, -0.45), dice.uniform(0.4, 0.85)
    x, y, z = np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)
    return float(x), float(y), float(z)


def _sample_openness(dice: Dice, pose: Pose) -> tuple[float, float]:
    """Sample how far both eyes are open; lying cats doze more often, a few cats wink."""
    mood = dice.rng.random()
    if mood < {"loaf": 0.3, "standing": 0.0}.get(pose, 0.05):
        return 0.0, 0.0
    if mood > 0.985:
        return 0.0, 1.0
    openness = dice.uniform(0.5, 0.75) if mood > 0.86 else dice.uniform(0.85, 1.05)
    return openness, openness
