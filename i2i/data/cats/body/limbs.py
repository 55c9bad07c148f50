"""Legs, paws, haunches and tails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from i2i.data.cats.body.frame import BodyFrame, Oval
from i2i.data.cats.colours import WHITE, tint
from i2i.data.cats.painting.curves import Points, ellipse, ribbon, smooth, stroke, tangents
from i2i.data.cats.painting.fur import away_from, downwards, fur_edge
from i2i.data.cats.painting.markings import fur_colours, ring_stripes
from i2i.data.cats.painting.parts import paint_part
from i2i.data.cats.painting.rasters import Floats, Painter, Window, mix, smooth_step
from i2i.data.cats.painting.scene import Scene


def _limb_painter(scene: Scene, stripes: Sequence[Points], sock_top: float) -> Painter:
    """Colours of a leg, paw or haunch: bars, dark points below, white sock below sock_top (y in the picture)."""
    cat = scene.cat

    def paint(window: Window) -> Floats:
        colours = fur_colours(scene, window, stripes)
        _, y = window.coordinates()
        edge = y + 0.009 * scene.streaks[window.on_fields()]
        if cat.coat.pattern == "points":
            darkness = smooth_step(edge, sock_top - 0.14, sock_top + 0.04) * np.float32(0.75)
            colours = mix(colours, cat.coat.mark, darkness)
        if cat.white_socks:
            colours = mix(colours, WHITE, smooth_step(edge, sock_top - 0.008, sock_top + 0.008))
        return colours

    return paint


def paint_leg(
    frame: BodyFrame,
    knots: npt.ArrayLike,
    widths: Sequence[float],
    paw: Oval,
    *,
    shadow: float,
    sock: float | None = None,
    bars: int = 4,
) -> None:
    """Paint a leg along knots and its paw (body coordinates); sock is how far above its end the white ends."""
    scene, cat = frame.scene, frame.cat
    radius = cat.radius
    line = smooth(frame.place(knots), closed=False)
    outline = fur_edge(scene, ribbon(line, np.asarray(widths) * radius), 0.6)
    stripes = ring_stripes(line, 0.8 * max(widths) * radius, 0.07 * radius, bars)
    if sock is None:
        sock = 0.1 + 0.75 * cat.white_socks
    paint = _limb_painter(scene, stripes, float(line[-1, 1]) - sock * radius)
    top = float(line[0, 1])

    def fade(window: Window) -> Floats:
        """Let the leg grow out of the chest."""
        y = np.broadcast_to(window.coordinates()[1], (window.height, window.width))
        return smooth_step(y, top - 0.05 * radius, top + 0.5 * radius)

    paint_part(scene, [outline], paint, downwards, max(widths) * radius, fade=fade, shadow=shadow, fur_length=0.02)
    paint_paw(frame, paw)


def paint_paw(frame: BodyFrame, paw: Oval) -> None:
    """Paint a paw with the lines between its toes."""
    scene, cat = frame.scene, frame.cat
    (x, y), (rx, ry) = paw
    shape = [
        (-1, 0.15), (-0.8, -0.62), (0, -1), (0.8, -0.62), (1, 0.15), (0.82, 0.78), (0.35, 0.98), (-0.35, 0.98),
        (-0.82, 0.78),
    ]  # fmt: skip
    outline = smooth(frame.place([(x + rx * u, y + ry * v) for u, v in shape]))
    dark = cat.coat.pattern == "points"
    # the whole paw is in the sock, or none of it
    paint = _limb_painter(scene, (), outline[:, 1].min() - (0.0 if cat.white_socks or dark else -1.0))
    furry_outline = fur_edge(scene, outline, 0.35)
    paint_part(scene, [furry_outline], paint, downwards, 2 * ry * cat.radius, shadow=0.35, fur_length=0.014)
    colour = WHITE if cat.white_socks else cat.coat.mark if dark else cat.coat.base
    for place in np.linspace(-0.42, 0.42, 3):
        toe = [(place, 0.2), (place * 1.12, 0.62), (place * 1.1, 0.95)]
        knots = frame.place([(x + rx * u, y + ry * v) for u, v in toe])
        line = stroke(knots, np.array([0.01, 0.045, 0.035]) * cat.radius, steps=4)
        scene.fill([line], tint(colour, 0.42), 0.8)


def paint_haunch(frame: BodyFrame, haunch: Oval, angle: float) -> None:
    """Paint a thigh with its arcs of stripes."""
    scene, radius = frame.scene, frame.cat.radius
    centre, radii = haunch
    middle, (wide, tall) = frame.to_picture(haunch)
    outline = frame.ellipse(haunch, angle)
    stripes = []
    side = 1.0 if centre[0] > 0 else -1.0
    for k in range(4):
        x, y = centre[0] + side * radii[0] * (0.75 - 0.1 * k), centre[1] + radii[1] * (-0.55 + 0.32 * k)
        knots = frame.place([(x, y), (x - side * 0.25, y - 0.02), (x - side * 0.5, y + 0.1)], 0.02)
        stripes.append(stroke(knots, np.array([0.1, 0.1, 0.07, 0.01]) * radius, steps=4))
    paint = _limb_painter(scene, stripes, 9.0)  # a sock that starts far below the picture: none
    flow = away_from((middle[0], middle[1] - tall), 0.05)

    def fade(window: Window) -> Floats:
        """Let the thigh grow out of the back."""
        x, y = window.coordinates()
        rise = (y - middle[1]) / tall - 0.25 * side * (x - middle[0]) / wide
        return smooth_step(rise, -1.0, 0.1)

    furry_outline = fur_edge(scene, outline, 0.6)
    paint_part(scene, [furry_outline], paint, flow, 2 * radii[1] * radius, fade=fade, shadow=0.45)


def paint_tail(frame: BodyFrame, knots: npt.ArrayLike) -> None:
    """Paint the tail along knots (body coordinates), its root first."""
    scene, radius = frame.scene, frame.cat.radius
    bushy = 1 + 0.75 * frame.cat.fluff
    line = smooth(frame.place(knots, 0.03), closed=False, steps=10)
    widths = np.array([0.30, 0.33, 0.34, 0.33, 0.29, 0.22]) * bushy * radius
    outline = fur_edge(scene, ribbon(line, widths), 0.9)
    thick = np.interp(np.linspace(0, 5, len(line)), np.arange(6), widths) / 2
    # discs close the holes that a band folded over itself leaves, and round the tip
    discs = [ellipse((float(x), float(y)), (r, r), count=14) for (x, y), r in zip(line[4::5], thick[4::5], strict=True)]
    tip = ellipse((float(line[-1, 0]), float(line[-1, 1])), (float(thick[-1]), float(thick[-1])), count=20)
    stripes = ring_stripes(line, 0.4 * bushy * radius, 0.1 * radius, 8)
    ahead = tangents(line)

    def paint(window: Window) -> Floats:
        return fur_colours(scene, window, stripes, pointed=0.85)

    def flow(points: Points) -> Points:
        nearest = np.argmin(((points[:, None] - line[None, ::4]) ** 2).sum(axis=2), axis=1)
        return np.array(ahead[::4][nearest])

    def fade(window: Window) -> Floats:
        """Let the tail grow out of the rump."""
        x, y = window.coordinates()
        return smooth_step(np.hypot(x - line[0, 0], y - line[0, 1]), 0.15 * radius, 0.6 * radius)

    thickness = 0.34 * bushy * radius
    paint_part(scene, [outline, *discs, tip], paint, flow, thickness, fade=fade, shadow=0.35, fur_length=0.02)
