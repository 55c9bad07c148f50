"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Keeps ``shadow = d shadow + (1 - d) weights``, with d rising to `decay` so that the first steps are forgotten.

    At step t the decay is ``min(decay, (1 + t) / (10 + t))``. Batch norm's running statistics are averaged likewise,
    for those of the last weights do not fit the averaged ones.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = network
        self.shadow = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.shadow.parameters()), list(self.network.parameters()), 1 - decay)
        for mean, buffer in zip(self.shadow.buffers(), self.network.buffers(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(buffer, 1 - decay)
            else:
                mean.copy_(buffer)  # the count of batches
