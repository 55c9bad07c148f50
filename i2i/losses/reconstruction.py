"""How far an output is from its target."""

from __future__ import annotations

import torch
from torch import Tensor


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference, a scalar, in fp32 at least (Isola et al. 2017, eq. 3)."""
    wide = torch.promote_types(torch.promote_types(output.dtype, target.dtype), torch.float32)
    return (output.to(wide) - target.to(wide)).abs().mean()
