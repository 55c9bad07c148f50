"""Translating an image larger than memory: in tiles that overlap and fade into each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

import torch
from torch import Tensor


def tiled(
    forward: Callable[[Tensor], Tensor], image: Tensor, tile: int, overlap: int | None = None, *, align: int = 16
) -> Tensor:
    """Translate `image` tile by tile and return the output ``[1, C', kH, kW]`` in fp32 on the image's device.

    Every tile has the same size, `tile` or the image's side where that is smaller. Where tiles overlap, the outermost
    quarter of each tile's share is thrown away, for there the network sees the tile's border where the image goes on;
    over the half in the middle one tile fades into the other along a cosine, so that no seam shows. The output of a
    network whose receptive field reaches at most a quarter of `overlap` to each side is that of the whole image.

    Memory holds the image, the output and one tile.

    Args:
        forward: the network, ``[1, C, h, w]`` on any device to ``[1, C', kh, kw]`` in floats on the same device, with
            one whole number k: 1, or the factor of super-resolution.
        image: ``[1, C, H, W]``, in whatever range the network takes.
        tile: side of the tiles in pixels of the input.
        overlap: fewest pixels of the input by which neighbours overlap, less than `tile`. A quarter of the tile by
            default, which costs 16/9 of the whole image's work: with tiles of 256, 16 pixels of context and 32 of
            fading.
        align: tiles start at multiples of this, save those at the bottom and the right, so that strided convolutions
            meet the pixels at one phase; smaller powers of two where so large a step would not fit.

    Raises:
        ValueError: the arguments contradict each other, or the outputs are not finite or of a shape as above.
    """
    if image.dim() != 4 or len(image) != 1 or not image.numel():
        raise ValueError(f"tiles are of one image [1, C, H, W], not of {list(image.shape)}")
    overlap = tile // 4 if overlap is None else overlap
    sides = image.shape[-2:]
    starts = [tile_starts(side, tile, overlap, align) for side in sides]
    height, width = (min(tile, side) for side in sides)

    output = torch.empty(0)
    windows: list[list[Tensor]] = []
    scale = 0
    for (row, top), (column, left) in product(*map(enumerate, starts)):
        result = forward(image[..., top : top + height, left : left + width])
        if not scale:
            scale = _scale(result, height, width)
            output = torch.zeros(1, result.shape[1], *(scale * side for side in sides), device=image.device)
            windows = [
                _windows([scale * start for start in axis], scale * size, scale * side, image.device)
                for axis, size, side in zip(starts, (height, width), sides, strict=True)
            ]
        if result.shape != (1, output.shape[1], scale * height, scale * width):
            raise ValueError(f"the network made {list(result.shape)} of a tile of {height}x{width}, unlike before")
        if not result.isfinite().all():
            raise ValueError(f"the network's output for the tile at row {top}, column {left} is not finite")
        weights = windows[0][row][:, None] * windows[1][column]
        place = output[..., scale * top :, scale * left :][..., : scale * height, : scale * width]
        place.addcmul_(result.to(output), weights)
    return output


def scattered(image: Tensor, tile: int, crop: int) -> Iterator[Tensor]:
    """Cut `image` into crops and yield them in batches ``[N, C, h, w]``, each from all over the image.

    Together the batches show the image about once. None has more pixels than a tile, so that they need no more memory,
    but crops smaller than tiles make each a fairer sample of the image: `i2i.nn.policy.shared_statistics` finds from
    them by what tiles are to be normalised.

    Args:
        image: ``[1, C, H, W]``.
        tile: side of the tiles.
        crop: side of the crops, at most that of a tile (see `i2i.inference.memory.crop_side`).

    Raises:
        ValueError: `crop` is not positive or larger than a tile.
    """
    if crop > tile:
        raise ValueError(f"crops of {crop} pixels are larger than tiles of {tile}")
    height, width = (min(crop, side) for side in image.shape[-2:])
    groups = []
    for side in image.shape[-2:]:
        starts = tile_starts(side, crop, 0, 16)
        apart = -(-len(starts) // (tile // crop))
        groups.append([starts[first::apart] for first in range(apart)])
    for rows, columns in product(*groups):
        yield torch.cat([image[..., top : top + height, left : left + width] for top, left in product(rows, columns)])


def tile_starts(side: int, tile: int, overlap: int, align: int = 1) -> list[int]:
    """Return where tiles start along one side: as few as overlap enough, evenly spread from 0 to ``side - tile``.

    Args:
        side: length of the side.
        tile: length of a tile; one tile covers a side that is no longer.
        overlap: fewest pixels by which neighbours overlap.
        align: a power of two of which all starts but the last are multiples, or of half, a quarter ... of it if two
            steps of that size would not fit between tiles.

    Raises:
        ValueError: `overlap` is negative or not less than `tile`, or `align` is not positive.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"tiles of {tile} pixels cannot overlap by {overlap}")
    if align < 1:
        raise ValueError(f"tiles cannot start at multiples of {align}")
    if side <= tile:
        return [0]
    while align > 1 and 2 * align > tile - overlap:
        align //= 2
    last = -(-(side - tile) // align)
    gaps = -(-last // ((tile - overlap) // align))
    return [min(align * (gap * last // gaps), side - tile) for gap in range(gaps + 1)]


def _scale(result: Tensor, height: int, width: int) -> int:
    """Return how many times larger than its input an output is."""
    scale = result.shape[-1] // width
    if result.dim() != 4 or scale < 1 or result.shape[-2:] != (scale * height, scale * width):
        raise ValueError(
            f"tiles need a network that keeps the size or multiplies it by a whole number; this one made "
            f"{list(result.shape)} of {height}x{width}"
        )
    return scale


def _windows(starts: Sequence[int], size: int, side: int, device: torch.device) -> list[Tensor]:
    """Return each tile's weights ``[size]`` along one side of the output; at every pixel they add up to one."""
    windows = torch.ones(len(starts), size, dtype=torch.float64)
    for index, (start, following) in enumerate(pairwise(starts)):
        fading = _fade(start + size - following)
        windows[index, size - len(fading) :] *= fading.flip(0)
        windows[index + 1, : len(fading)] *= fading
    # Two tiles add up to one by themselves, three that overlap at one place do not.
    total = torch.zeros(side, dtype=torch.float64)
    for start, window in zip(starts, windows, strict=True):
        total[start : start + size] += window
    normed = [window / total[start : start + size] for start, window in zip(starts, windows, strict=True)]
    return [window.to(device, torch.float32) for window in normed]


def _fade(overlap: int) -> Tensor:
    """Return weights ``[overlap]`` that rise from 0 to 1 over the middle half, and with their mirror image make one."""
    margin = overlap // 4
    steps = (torch.arange(overlap, dtype=torch.float64) + 0.5 - margin) / max(1, overlap - 2 * margin)
    return (1 - torch.cos(math.pi * steps.clamp(0, 1))) / 2
