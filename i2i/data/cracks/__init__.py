"""A seeded generator that draws cracked roads and walls: the built-in data of `cracks`.

Each picture is taken three times: with its cracks, without them, and as the mask of the cracks. From the bottom up:

- `noise`: clouds and grains, of which everything is made
- `surface`: asphalt or concrete, its stones and pores, and what lies, runs and is painted on it: stains, repairs, tar,
  joints, lines, twigs, which are there to be taken for cracks
- `walks`: cracks as branching random walks
- `picture`: the surface broken by cracks, lit from one side, photographed

Lengths are shares of the picture's side. Colours are reflected light, 0 to 1, before the camera's curve.
"""

from i2i.data.cracks.picture import Road, draw_road

__all__ = ["Road", "draw_road"]
