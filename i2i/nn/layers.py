"""Small pieces that the networks share: named stages, dropout, padding to a size, cropping back."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, pad

from i2i import world


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) that draws for the whole batch of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop values of `input` [N, ...]."""
        if not self.training or world.size() == 1:
            return super().forward(input)
        # Drawn by the kernel and in the memory layout in which one process would draw for the whole batch.
        ones = input.new_ones(world.size() * len(input), *input.shape[1:])
        if input.dim() == 4 and input.is_contiguous(memory_format=torch.channels_last):
            ones = ones.contiguous(memory_format=torch.channels_last)
        return input * world.share(dropout(ones, self.p))


def stage(**layers: nn.Module | None) -> nn.Sequential:
    """Return a sequence of named layers; the keys of its state do not depend on which are left out (None)."""
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers.items() if layer is not None))


def pad_to(x: Tensor, height: int, width: int, mode: Literal["reflect", "replicate"]) -> Tensor:
    """Enlarge `x` [N, C, H, W] to [N, C, height, width] at the bottom and the right.

    There, and not all around, so that every stride meets the original pixels at the phase it would without padding.
    Reflection needs more pixels than it adds; where there are fewer, the edge is replicated.

    Sizes may be symbols, which they are in `torch.export`: then nothing is decided by their values.
    """
    bottom, right = height - x.shape[-2], width - x.shape[-1]
    if isinstance(bottom, int) and isinstance(right, int) and not bottom and not right:
        return x
    if mode == "replicate":
        return pad(x, (0, right, 0, bottom), mode=mode)
    return x[..., _reflected(x, -2, height), :][..., _reflected(x, -1, width)]


def _reflected(x: Tensor, dim: int, size: int) -> Tensor:
    """Return the places [size] along a dimension of `x` that an enlarged one takes its values from."""
    last = x.shape[dim] - 1
    places = torch.arange(size, device=x.device)
    mirrored = last - (places - last).abs()
    return torch.where(mirrored[-1] < 0, places.clamp(max=last), mirrored)


def crop_like(x: Tensor, reference: Tensor) -> Tensor:
    """Cut `x` to the height and width of `reference`, undoing `pad_to`."""
    return x[..., : reference.shape[-2], : reference.shape[-1]]
