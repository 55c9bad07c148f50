"""Everything that is decided about a cat before it is painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i2i.data.cats.colours import Colour
from i2i.data.cats.look.coats import Coat

Pose = Literal["portrait", "sitting", "turned", "loaf", "standing"]
Backdrop = Literal["studio", "room", "garden", "sofa", "window", "bokeh"]


@dataclass(frozen=True)
class Cat:
    """Everything that is drawn, as sampled: lengths in units of the picture or (face) of the head's radius."""

    coat: Coat
    pose: Pose
    backdrop: Backdrop
    mirrored: bool
    head: tuple[float, float]  # centre of the head in the picture
    radius: float  # half the head's width
    yaw: float  # radians, positive looks right
    pitch: float  # radians, positive looks up
    roll: float  # radians, head tilt
    build: float  # -1 slim: narrow jaw, tall ears .. 1 round: broad cheeks, small ears
    face_width: float
    muzzle_length: float
    fluff: float  # 0 short-haired .. 1 long-haired
    ear_height: float
    ear_spread: float
    ear_roundness: float
    eye_size: float
    eye_slant: float
    eye_openness: tuple[float, float]  # left, right in the picture before mirroring; 0 is closed
    irises: tuple[Colour, Colour]
    pupil: float  # width of the pupil over the iris' radius
    gaze: tuple[float, float]
    stripe_strength: float
    white_muzzle: float  # 0 none .. 1 up to the forehead
    white_bib: float
    white_socks: float
    tail_wrapped: bool
    body_width: float
    collar: Colour | None
    tongue: bool
    ledge: bool  # a portrait with the paws on a ledge
    light: tuple[float, float, float]  # unit vector towards the light; z towards the viewer
    light_contrast: float
    warmth: float  # -1 cool .. 1 warm light
    wall: Colour
    floor: Colour
    fabric: Colour
    horizon: float  # y of the edge between wall and floor
    texture_seed: int
