"""The coats that cats come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from i2i.data.cats.colours import Colour

Pattern = Literal["solid", "tabby", "points", "patches"]

BLACK: Colour = (50.0, 44.0, 44.0)
UMBER: Colour = (126.0, 80.0, 48.0)

PINK_NOSE: Colour = (214.0, 136.0, 132.0)
BRICK_NOSE: Colour = (178.0, 98.0, 84.0)
DARK_NOSE: Colour = (58.0, 48.0, 48.0)

AMBER: Colour = (222.0, 158.0, 48.0)
GOLD: Colour = (226.0, 192.0, 74.0)
GREEN: Colour = (150.0, 184.0, 86.0)
TEAL: Colour = (92.0, 172.0, 148.0)
BLUE: Colour = (98.0, 160.0, 220.0)
COPPER: Colour = (196.0, 112.0, 46.0)


@dataclass(frozen=True)
class Coat:
    """Colours of one breed of fur; RGB in [0, 255]."""

    name: str
    pattern: Pattern
    base: Colour
    mark: Colour  # stripes, points or first patches
    light: Colour  # muzzle, chin, chest and belly
    nose: Colour
    eyes: tuple[Colour, ...]
    white_chance: float  # how often a white muzzle, bib and socks come with it
    second_mark: Colour = (0.0, 0.0, 0.0)


COATS: tuple[Coat, ...] = (
    Coat("black", "solid", (46, 42, 44), (30, 27, 29), (56, 52, 53), DARK_NOSE, (GOLD, AMBER, GREEN), 0.0),
    Coat("tuxedo", "solid", (46, 43, 47), (30, 27, 29), (62, 58, 60), PINK_NOSE, (GOLD, GREEN, AMBER), 1.0),
    Coat("white", "solid", (236, 232, 226), (214, 206, 198), (244, 241, 236), PINK_NOSE, (BLUE, GOLD, TEAL), 0.0),
    Coat("blue", "solid", (122, 129, 142), (96, 102, 114), (142, 148, 160), (86, 84, 94), (AMBER, COPPER, GOLD), 0.15),
    Coat("cream", "solid", (236, 206, 168), (216, 176, 132), (246, 230, 206), PINK_NOSE, (COPPER, GOLD, BLUE), 0.3),
    Coat("cinnamon", "solid", (166, 108, 72), (126, 78, 50), (190, 136, 98), BRICK_NOSE, (GREEN, GOLD), 0.1),
    Coat("ginger tabby", "tabby", (222, 150, 82), (166, 88, 36), (246, 216, 178), PINK_NOSE, (AMBER, GOLD, GREEN), 0.5),
    Coat("brown tabby", "tabby", (158, 126, 92), (62, 46, 36), (214, 190, 160), BRICK_NOSE, (GREEN, GOLD, AMBER), 0.4),
    Coat("silver tabby", "tabby", (178, 180, 182), (66, 66, 72), (224, 224, 224), BRICK_NOSE, (GREEN, TEAL, GOLD), 0.3),
    Coat("cream tabby", "tabby", (232, 202, 164), (198, 150, 104), (246, 232, 212), PINK_NOSE, (GOLD, AMBER), 0.4),
    Coat("seal point", "points", (230, 214, 192), (74, 56, 48), (238, 228, 212), DARK_NOSE, (BLUE,), 0.0),
    Coat("blue point", "points", (226, 222, 218), (112, 112, 124), (238, 236, 232), (96, 90, 98), (BLUE,), 0.1),
    Coat("calico", "patches", (238, 233, 225), (210, 128, 58), (242, 238, 232), PINK_NOSE, (GOLD, GREEN), 1.0, BLACK),
    Coat("tortoiseshell", "patches", (58, 49, 46), (184, 108, 50), (92, 74, 62), DARK_NOSE, (GOLD, AMBER), 0.2, UMBER),
)
COAT_WEIGHTS = np.array([1.0, 1.2, 0.9, 1.2, 0.7, 0.5, 2.4, 2.4, 2.0, 0.8, 1.1, 0.6, 1.2, 0.8])
