"""How far an output is from its target."""

from __future__ import annotations

import torch
from torch import Tensor


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference, a scalar, in fp32 at least (Isola et al. 2017, eq. 3)."""
    wide = _at_least_fp32(output, target)
    return (output.to(wide) - target.to(wide)).abs().mean()


def ssim_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return ``1 - SSIM``, a scalar from 0 (equal) to 2, in fp32 at least; the mean over images, channels and places.

    The structural similarity is that of Wang et al. 2004 (eq. 13), with a Gaussian window of 11 pixels and sigma 1.5
    (smaller where the image is), without padding, the images taken to [0, 1]. As a loss: Zhao et al. 2017, section
    III-B, who compute it at each patch's centre alone.

    Args:
        output: [N, C, H, W] in [-1, 1].
        target: the same shape and range.
    """
    from kornia.metrics import ssim  # takes long to import, and most runs need none

    wide = _at_least_fp32(output, target)
    shorter = min(output.shape[-2:])
    window = min(11, shorter if shorter % 2 else shorter - 1)
    with torch.autocast(output.device.type, enabled=False):
        images = (output.to(wide) + 1) / 2, (target.to(wide) + 1) / 2
        similarity = ssim(*images, window, eps=0.0, padding="valid")  # without eps, equal images are at distance 0
        return 1 - similarity.mean()


def _at_least_fp32(output: Tensor, target: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(output.dtype, target.dtype), torch.float32)
