"""The arithmetic of losses."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_fp32(values: Tensor) -> Tensor:
    """Return values in fp32, or in float64 if they are: half precision is for networks, not for losses."""
    return values if values.dtype == torch.float64 else values.float()
