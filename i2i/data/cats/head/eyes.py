"""Eyes, open and closed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from i2i.data.cats.colours import Colour, between, tint
from i2i.data.cats.head.frame import HeadFrame
from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.painting.curves import SIDES, Points, smooth, stroke
from i2i.data.cats.painting.rasters import Floats, floats, mix, smooth_step

EYE_CENTRE = np.array([0.385, -0.03])  # of the right eye, in face coordinates
RIM: Colour = (34.0, 27.0, 26.0)


def paint_eyes(head: HeadFrame) -> None:
    """Paint both eyes, each as far open as it is."""
    for side, openness, iris in zip(SIDES, head.cat.eye_openness, head.cat.irises, strict=True):
        if openness < 0.2:
            _paint_closed_eye(head, side)
        else:
            _paint_open_eye(head, side, openness, iris)


def _eye_points(cat: Cat, side: float, shape: npt.ArrayLike, grow: float = 0.0) -> Points:
    """Map a shape [n, 2], its eye spanning [-1, 1], inner corner at -1, to face coordinates, widened by grow."""
    size = np.array([0.215, 0.185]) * cat.eye_size + grow
    cos, sin = np.cos(cat.eye_slant), np.sin(cat.eye_slant)
    placed: Points = (EYE_CENTRE + np.asarray(shape) * size @ np.array([[cos, sin], [-sin, cos]])) * (side, 1.0)
    return placed


def _paint_closed_eye(head: HeadFrame, side: float) -> None:
    """Paint the dark line of the lashes of a closed eye."""
    scene, cat, radius = head.scene, head.cat, head.cat.radius
    lid = [(-1.0, 0.02), (-0.45, 0.38), (0.15, 0.48), (0.7, 0.28), (1.08, -0.12)]
    knots = head.place(_eye_points(cat, side, lid))
    dark = between(RIM, cat.coat.base, 0.12)
    lashes = (112, 100, 96) if max(cat.coat.base) < 70 else dark  # on black fur only a glint shows
    scene.fill([stroke(knots, np.array([0.12, 0.15, 0.15, 0.1]) * radius)], dark, 0.3, 0.03 * radius)
    scene.fill([stroke(knots, np.array([0.02, 0.055, 0.06, 0.05, 0.015]) * radius)], lashes, 0.95)


def _paint_open_eye(head: HeadFrame, side: float, openness: float, iris: Colour) -> None:
    """Paint one eye: dark rim, glossy iris with pupil and highlights."""
    scene, cat = head.scene, head.cat
    almond = np.array(
        [(-1.08, 0.16), (-0.72, -0.55 * openness), (-0.1, -openness), (0.6, -0.72 * openness), (1.0, -0.02),
         (0.66, 0.62), (0.0, 0.9), (-0.66, 0.6)]
    )  # fmt: skip
    scene.fill([smooth(head.place(_eye_points(cat, side, almond, 0.045)))], RIM, 0.42, 0.025 * cat.radius)
    scene.fill([smooth(head.place(_eye_points(cat, side, almond, 0.028)))], RIM)
    ball = smooth(head.place(_eye_points(cat, side, almond)))
    window = scene.window([ball])
    if window is None:
        return
    iris_radius = 0.205 * cat.eye_size
    gaze_x, gaze_y = cat.gaze[0] * iris_radius, cat.gaze[1] * iris_radius + 0.01
    x, y = head.coordinates(window, (float(EYE_CENTRE[0]) * side + gaze_x, float(EYE_CENTRE[1]) + gaze_y))
    foreshortening = np.cos(cat.yaw + side * 0.25)
    x, y = x / np.float32(iris_radius * foreshortening), y / np.float32(iris_radius)
    scene.blend(window, _eyeball_colours(cat, x, y, iris, openness), window.mask([ball], canvas=True))


def _eyeball_colours(cat: Cat, x: Floats, y: Floats, iris: Colour, openness: float) -> Floats:
    """Colours [h, w, 3] of a glossy eye; x and y [h, w] from the pupil's centre in radii of the iris."""
    from_centre, angle = floats(np.hypot(x, y)), np.arctan2(y, x)
    light_x, light_y, _ = cat.light
    colours = np.empty((*from_centre.shape, 3), np.float32)
    colours[:] = iris
    glow = np.clip(0.5 - 0.5 * (x * light_x + y * light_y), 0, 1)  # light gathers opposite to where it enters
    colours *= (0.62 + 0.62 * glow)[..., None]
    bright = between(iris, (246, 240, 170), 0.45)
    colours = mix(colours, bright, smooth_step(from_centre, 0.75, 0.25) * np.float32(0.5))
    colours = mix(colours, tint(iris, 0.35), smooth_step(from_centre, 0.78, 1.12) * np.float32(0.8))
    fibres = np.sin(17 * angle + 3 * from_centre) * np.sin(29 * angle - 2 * from_centre)
    colours *= (1 + 0.09 * fibres * smooth_step(from_centre, 0.25, 0.6))[..., None]
    tall = max(0.8, cat.pupil)
    reach = np.clip(1 - (y / tall) ** 2, 0, None) ** (0.5 if cat.pupil > 0.4 else 0.85)  # slits have pointed ends
    colours = mix(colours, (14, 11, 14), smooth_step(np.abs(x) / (cat.pupil * reach + 1e-3), 1.12, 0.88))
    lid_shadow = smooth_step(y + 0.25 * x * x, -0.35 * openness, -0.95 * openness)
    colours *= (1 - 0.55 * lid_shadow)[..., None]
    shine_x, shine_y = 0.36 * np.sign(light_x), -0.38 + 0.05 * light_y
    for at_x, at_y, size, opacity in ((shine_x, shine_y, 0.2, 0.95), (-0.8 * shine_x, 0.42, 0.13, 0.3)):
        shine = np.hypot(x - np.float32(at_x), y - np.float32(at_y)) / np.float32(size)
        colours = mix(colours, (255, 255, 255), smooth_step(shine, 1.2, 0.7) * np.float32(opacity))
    return colours
