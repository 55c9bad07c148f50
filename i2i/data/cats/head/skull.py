"""The furry head with its face: outline, relief and coat."""

from __future__ import annotations

import numpy as np

from i2i.data.cats.colours import WHITE, between
from i2i.data.cats.head.frame import MUZZLE_OUT, HeadFrame
from i2i.data.cats.painting.curves import SIDES, Points, ellipse, jittered, mirrored, smooth, stroke
from i2i.data.cats.painting.fur import away_from, fur_edge
from i2i.data.cats.painting.markings import fur_colours
from i2i.data.cats.painting.parts import paint_part
from i2i.data.cats.painting.rasters import Floats, Painter, Window, distance, floats, mix, smooth_step

# the tabby's M on the forehead and the stripes of its right cheek: knots, width, and how the width runs along them
FACE_STRIPES: tuple[tuple[list[tuple[float, float]], float, list[float]], ...] = (
    ([(0.45, -0.26), (0.36, -0.40), (0.29, -0.56), (0.30, -0.74)], 0.085, [0.35, 0.9, 1, 0.9, 0.6]),
    ([(0.03, -0.20), (0.09, -0.32), (0.2, -0.47), (0.28, -0.54)], 0.07, [0.2, 0.8, 1, 0.8]),
    ([(0.10, -0.40), (0.11, -0.55), (0.09, -0.78)], 0.075, [0.2, 1, 0.9, 0.6]),
    ([(0.48, -0.42), (0.50, -0.55), (0.52, -0.68)], 0.07, [0.2, 1, 0.7]),
    ([(0.62, 0.00), (0.76, 0.06), (0.95, 0.02)], 0.075, [0.25, 1, 0.9, 0.8]),
    ([(0.52, 0.2), (0.68, 0.27), (0.82, 0.27), (0.96, 0.2)], 0.08, [0.1, 0.9, 1, 0.8]),
    ([(0.62, 0.42), (0.74, 0.45), (0.9, 0.4)], 0.07, [0.1, 1, 0.8]),
)


def paint_skull(head: HeadFrame) -> None:
    """Paint the head without ears, nose, mouth and eyes, and its shadow on the body."""
    scene, cat = head.scene, head.cat
    outlines = _outlines(head)
    scene.shade_cat(outlines, (-0.1 * cat.light[0] * cat.radius, 0.2 * cat.radius), 0.14 * cat.radius, 0.62)
    paint_part(
        scene,
        outlines,
        _face_painter(head),
        away_from(head.at(0.0, 0.18, out=0.1)),
        1.7 * cat.radius,
        bumps=_face_bumps(head),
        shadow=0.0,
        fur_length=0.02 + 0.03 * cat.radius,
    )


def _outlines(head: HeadFrame) -> list[Points]:
    """Skull with cheeks, and the muzzle that stands out when the head is turned."""
    cat = head.cat
    cheek = 0.05 * cat.fluff
    knots = mirrored([
        (0.0, -0.80), (0.34, -0.775), (0.64, -0.60), (0.85, -0.27), (0.95 + cheek, 0.08), (0.95 + 1.6 * cheek, 0.33),
        (0.78 + cheek, 0.56), (0.5, 0.72), (0.24, 0.81), (0.0, 0.84),
    ])  # fmt: skip
    knots[:, 0] *= 1 + 0.08 * cat.build * np.clip(knots[:, 1] + 0.1, 0, 0.7) / 0.7  # broad or narrow jaw
    # the dome's contour hardly narrows when it turns; only the near cheek gives way
    knots[:, 0] *= cat.face_width * (1 - 0.06 * abs(np.sin(cat.yaw)))
    knots[:, 0] += 0.08 * np.sin(cat.yaw) * (1 + knots[:, 1])
    knots[:, 1] -= 0.25 * np.sin(cat.pitch) * (0.3 + knots[:, 1])
    skull = fur_edge(head.scene, smooth(head.to_picture(knots)))
    muzzle = head.place(ellipse((0.0, 0.5), (0.4, 0.32)), out=MUZZLE_OUT - 0.02)
    return [skull, muzzle]


def _face_stripes(head: HeadFrame) -> list[Points]:
    """Outlines of the face's stripes in the picture."""
    stripes = []
    for knots, width, profile in FACE_STRIPES:
        for side in SIDES:
            line = head.place(jittered(knots, 0.014, head.scene.rng) * (side, 1.0))
            stripes.append(stroke(line, width * head.cat.radius * np.asarray(profile), steps=6))
    return stripes


def _face_painter(head: HeadFrame) -> Painter:
    """Colours of the face: stripes, pale muzzle, dark mask of pointed cats, white blaze."""
    scene, cat, coat = head.scene, head.cat, head.cat.coat
    stripes = _face_stripes(head) if coat.pattern == "tabby" else []

    def paint(window: Window) -> Floats:
        place = window.on_fields()
        colours = fur_colours(scene, window, stripes)
        if coat.pattern == "points":
            mask = head.spot(window, (0, 0.3), (0.56, 0.66), 0.05) + 0.04 * scene.mottle[place]
            return mix(colours, coat.mark, smooth_step(mask, 0.15, 0.8) * np.float32(0.92))
        muzzle = head.spot(window, (0, 0.56), (0.42, 0.3), MUZZLE_OUT)
        colours = mix(colours, coat.light, muzzle * np.float32(0.85))
        if coat.pattern == "tabby":
            for side in SIDES:  # pale around the eyes
                around_eye = head.spot(window, (0.36 * side, -0.02), (0.3, 0.27))
                colours = mix(colours, coat.light, around_eye * np.float32(0.55))
            bridge = head.spot(window, (0, 0.05), (0.13, 0.3), 0.05)
            colours = mix(colours, between(coat.base, coat.mark, 0.22), bridge * np.float32(0.7))
        if cat.white_muzzle:
            blaze = head.spot(window, (0, 0.1), (0.1 + 0.1 * cat.white_muzzle, 0.6 * cat.white_muzzle + 0.1), 0.05)
            chin = head.spot(window, (0, 0.74), (0.56, 0.44), 0.05)
            outside = np.minimum(np.minimum(distance(muzzle), distance(chin)), distance(blaze))
            outside += 0.05 * scene.streaks[place] + 0.03 * scene.mottle[place]
            colours = mix(colours, WHITE, smooth_step(outside, 0.96, 0.86))
        return colours

    return paint


def _face_bumps(head: HeadFrame) -> Painter:
    """Relief of the face: bridge of the nose, chin, whisker pads, sockets, cheeks."""

    def bumps(window: Window) -> Floats:
        height = 0.065 * head.spot(window, (0, 0.05), (0.2, 0.42), 0.05)
        height += 0.05 * head.spot(window, (0, 0.68), (0.2, 0.14), 0.1)
        for side in SIDES:
            height += 0.11 * head.spot(window, (0.19 * side, 0.48), (0.22, 0.18), MUZZLE_OUT)
            height -= 0.06 * head.spot(window, (0.36 * side, 0.0), (0.2, 0.2))
            height += 0.04 * head.spot(window, (0.62 * side, 0.26), (0.3, 0.25))
        return floats(height)

    return bumps
