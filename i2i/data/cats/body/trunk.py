"""The trunk with its stripes, chest and bib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from i2i.data.cats.body.frame import BodyFrame, Oval
from i2i.data.cats.colours import WHITE
from i2i.data.cats.painting.curves import Points, smooth
from i2i.data.cats.painting.fur import away_from, fur_edge
from i2i.data.cats.painting.markings import flank_stripes, fur_colours
from i2i.data.cats.painting.parts import paint_part
from i2i.data.cats.painting.rasters import Floats, Painter, Window, distance, mix, smooth_step


def trunk_stripes(
    frame: BodyFrame, spine: npt.ArrayLike, belly: npt.ArrayLike, count: int, width: float, reach: float
) -> list[Points]:
    """Stripes in the picture from the spine towards the belly (knots in body coordinates)."""
    start, end = frame.place(smooth(spine, closed=False)), frame.place(smooth(belly, closed=False))
    return flank_stripes(start, end, count, width * frame.cat.radius, reach, frame.scene.rng)


def _trunk_painter(frame: BodyFrame, stripes: Sequence[Points], bib: Oval) -> Painter:
    """Colours of the trunk: stripes, paler chest, white bib."""
    scene, cat = frame.scene, frame.cat

    def paint(window: Window) -> Floats:
        colours = fur_colours(scene, window, stripes)
        chest = frame.spot(window, bib)
        colours = mix(colours, cat.coat.light, chest * np.float32(0.8))
        if cat.white_bib:
            ragged = distance(chest) + 0.05 * scene.streaks[window.on_fields()]
            colours = mix(colours, WHITE, smooth_step(ragged, 0.98 * cat.white_bib, 0.9 * cat.white_bib))
        return colours

    return paint


def paint_trunk(
    frame: BodyFrame,
    knots: npt.ArrayLike,
    stripes: Sequence[Points],
    *,
    bib: Oval,
    muscles: Sequence[Oval],
    thickness: float,
) -> None:
    """Paint the trunk; all but the stripes in body coordinates."""
    scene, cat = frame.scene, frame.cat

    def bumps(window: Window) -> Floats:
        """Let shoulders and ribs stand out."""
        height = np.zeros((window.height, window.width), np.float32)
        for muscle in muscles:
            height += np.float32(0.09 / thickness) * frame.spot(window, muscle)
        return height

    paint_part(
        scene,
        [fur_edge(scene, smooth(frame.place(knots)))],
        _trunk_painter(frame, stripes, bib),
        away_from(frame.at(0, -0.6), 0.12),
        thickness * cat.radius,
        bumps=bumps,
        shadow=0.0,
        fur_length=0.03 + 0.012 * cat.fluff,
    )
