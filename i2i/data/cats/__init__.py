"""A seeded generator that draws cats: the built-in data of the edges2cats demo.

A cat is sampled as plain attributes (`sample_cat`) and then painted back to front by `draw_cat`: backdrop, shadow on
the ground, body parts, collar, head, grass, camera. From the bottom up, each importing only from those above it:

- `colours`: named colours and palettes
- `look`: what a cat can look like: coats, attributes, how they are sampled
- `painting`: curves, rasters, the canvas, light, and fur, with which any part of a cat is painted
- `ground`, `backdrops`: where the cat sits
- `body`: limbs, trunk and neck, put together in five poses
- `head`: ears, skull, eyes, nose, mouth and whiskers
- `picture`: the whole picture

All geometry lives in unit coordinates (x to the right, y down, the picture is [0, 1] x [0, 1]), so a cat looks the
same at every size. The body and the head have coordinates of their own, in units of the head's radius.
"""

from i2i.data.cats.look.attributes import Cat
from i2i.data.cats.look.sampling import sample_cat
from i2i.data.cats.picture import draw_cat

__all__ = ["Cat", "draw_cat", "sample_cat"]
