"""What a coat's pattern looks like on a part of the cat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from i2i.data.cats.painting.curves import Points, normals, stroke
from i2i.data.cats.painting.rasters import Floats, Window, blur, floats, mix, smooth_step
from i2i.data.cats.painting.scene import Scene


def fur_colours(scene: Scene, window: Window, stripes: Sequence[Points] = (), pointed: float = 0.0) -> Floats:
    """Colours [h, w, 3] of fur without white: base, patches, stripes, or dark points."""
    coat = scene.cat.coat
    place = window.on_fields()
    colours = np.empty((window.height, window.width, 3), np.float32)
    colours[:] = coat.base
    colours *= (1 + np.float32(0.025) * (scene.mottle[place] + scene.patches[place]))[..., None]
    if coat.pattern == "patches":
        colours = _patched(scene, window, colours)
    if coat.pattern == "tabby" and stripes:
        soft = blur(floats(window.mask(stripes, canvas=False)), 0.0028 * scene.field) / np.float32(255)
        colours = mix(colours, coat.mark, soft * np.float32(scene.cat.stripe_strength))
    if pointed and coat.pattern == "points":
        colours = mix(colours, coat.mark, np.full((window.height, window.width), pointed, np.float32))
    return colours


def _patched(scene: Scene, window: Window, colours: Floats) -> Floats:
    """Lay patches of both marks over colours [h, w, 3]: few large ones on a calico, brindled on a tortoiseshell."""
    coat, place = scene.cat.coat, window.on_fields()
    brindle, reach = (0.5, 0.25) if coat.name == "calico" else (1.6, 0.1)
    first = scene.patches[place] + brindle * 0.35 * scene.mottle[place]
    second = scene.patches[::-1, ::-1][place] + brindle * 0.35 * scene.mottle[place]
    colours = mix(colours, coat.second_mark, smooth_step(second, reach, reach + 0.12))
    return mix(colours, coat.mark, smooth_step(first, reach + 0.1, reach + 0.22))


def flank_stripes(
    spine: Points, belly: Points, count: int, width: float, reach: float, rng: np.random.Generator
) -> list[Points]:
    """Tapering stripes from points along the spine towards the belly (both curves [n, 2])."""
    stripes = []
    for place in (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count:
        start, end = spine[int(place * (len(spine) - 1))], belly[int(place * (len(belly) - 1))]
        far = reach * rng.uniform(0.6, 1.1)
        bend = rng.normal(0, 0.09, 2) * np.hypot(*(end - start))
        knots = [start, start + (end - start) * far * 0.5 + bend * 0.6, start + (end - start) * far + bend * 0.2]
        stripes.append(stroke(knots, width * rng.uniform(0.7, 1.2) * np.array([0.9, 1.0, 0.95, 0.7, 0.12]), steps=5))
    return stripes


def ring_stripes(centreline: Points, width: float, thickness: float, count: int) -> list[Points]:
    """Bars across a limb or tail along its centreline [n, 2]."""
    across = normals(centreline)
    stripes = []
    for place in np.linspace(0.1, 0.95, count):
        index = int(place * (len(centreline) - 1))
        along = np.array([across[index][1], -across[index][0]])
        side = across[index] * width / 2
        middle = centreline[index]
        knots = [middle - side, middle + along * thickness * 0.6, middle + side]
        stripes.append(stroke(knots, thickness * np.array([1.1, 0.9, 0.5, 0.9, 1.1]), steps=4))
    return stripes
