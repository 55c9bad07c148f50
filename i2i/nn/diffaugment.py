"""Differentiable augmentation of what a discriminator sees (Zhao et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from i2i import world

Change = Literal["color", "translation", "cutout"]


def diff_augment(images: Tensor, changes: Sequence[Change]) -> Tensor:
    """Change images at random, each in its own way, so that gradients pass through (Zhao et al. 2020, section 3.2).

    Real and generated images go through the same kinds of change, in the discriminator's step and in the generator's,
    so that few real images last longer and the generator does not learn the changes.

    Args:
        images: [N, C, H, W] in [-1, 1]; ``color`` may leave this range.
        changes: of ``color`` (brightness, saturation and contrast), ``translation`` (by up to an eighth of the sides,
            grey, which is 0, where nothing is left) and ``cutout`` (a grey square of half the sides), done in this
            order. Draws come from the global generator of the images' device. None leaves the images as they are.

    Returns:
        [N, C, H, W], differentiable any number of times, as gradient penalties need it.
    """
    for change in changes:
        images = CHANGES[change](images)
    return images


def _color(x: Tensor) -> Tensor:
    x = x + (_uniform(x) - 0.5)
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (2 * _uniform(x))
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    return middle + (x - middle) * (0.5 + _uniform(x))


def _translation(x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    rows, inside_rows = _shifted(x, height)
    columns, inside_columns = _shifted(x, width)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    moved = x.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return moved * (inside_rows[:, None, :, None] & inside_columns[:, None, None, :])


def _shifted(x: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return for every image which line comes to which place, and whether there is one, both [N, side]."""
    most = (side + 4) // 8  # an eighth, rounded up from a half on, as in the authors' code
    shift = world.drawn(partial(torch.randint, -most, most + 1, device=x.device), len(x), 1)
    lines = torch.arange(side, device=x.device) + shift
    return lines.clamp(0, side - 1), (lines >= 0) & (lines < side)


def _cutout(x: Tensor) -> Tensor:
    rows, columns = (_cut_lines(x, side) for side in x.shape[-2:])
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _cut_lines(x: Tensor, side: int) -> Tensor:
    """Return which lines the square takes of every image, [N, side]; its middle is anywhere in the image."""
    length = (side + 1) // 2
    middle = world.drawn(partial(torch.randint, side + (1 - length % 2), device=x.device), len(x), 1)
    first = middle - length // 2
    lines = torch.arange(side, device=x.device)
    return (lines >= first) & (lines < first + length)


def _uniform(x: Tensor) -> Tensor:
    return world.drawn(partial(torch.rand, device=x.device, dtype=x.dtype), len(x), 1, 1, 1)


CHANGES: dict[Change, Callable[[Tensor], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
