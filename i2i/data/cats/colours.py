"""Colours, RGB in [0, 255]: the palettes to pick from, and how to vary a colour."""

from __future__ import annotations

Colour = tuple[float, float, float]

WHITE: Colour = (240.0, 236.0, 230.0)  # of fur

WALLS: tuple[Colour, ...] = (
    (206, 196, 182), (176, 190, 200), (190, 200, 180), (214, 186, 172), (160, 172, 186), (222, 214, 200),
    (150, 166, 158), (196, 178, 196), (118, 132, 148), (226, 204, 164),
)  # fmt: skip
FLOORS: tuple[Colour, ...] = ((150, 108, 72), (178, 140, 100), (120, 92, 74), (168, 160, 152), (196, 170, 138))
FABRICS: tuple[Colour, ...] = (
    (92, 120, 138), (150, 82, 76), (104, 124, 92), (182, 152, 116), (116, 98, 128), (196, 180, 160), (70, 84, 104),
)  # fmt: skip
COLLARS: tuple[Colour, ...] = ((190, 44, 48), (40, 92, 168), (44, 140, 110), (214, 128, 40), (150, 70, 150))


def tint(colour: Colour, factor: float) -> Colour:
    """Scale a colour's brightness."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def between(first: Colour, second: Colour, amount: float) -> Colour:
    """Blend two colours."""
    r, g, b = (a + (c - a) * amount for a, c in zip(first, second, strict=True))
    return r, g, b
