"""How far an output is from its target; images in [-1, 1], results in fp32 at least, whatever the precision around."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from i2i.losses.widen import at_least_fp32


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference, a scalar, in fp32 at least (Isola et al. 2017, eq. 3)."""
    return _difference(output, target).abs().mean()


def l2(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference, a scalar, in fp32 at least (Ledig et al. 2017, eq. 4)."""
    return _difference(output, target).square().mean()


def charbonnier(output: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Return the mean of ``sqrt(x^2 + epsilon^2)`` of the difference x, a scalar, in fp32 at least.

    L1 that is smooth where x is small (Charbonnier et al. 1994), for super-resolution by Lai et al. 2017 (LapSRN,
    section 3.2). Equal images are at the distance epsilon.

    Args:
        output: [N, C, H, W].
        target: the same shape.
        epsilon: below which differences count by their squares; the paper's, whose images are in [0, 1].
    """
    return (_difference(output, target).square() + epsilon**2).sqrt().mean()


def total_variation(output: Tensor) -> Tensor:
    """Return by how much neighbouring pixels differ, a scalar, in fp32 at least.

    The absolute differences to the neighbours below and to the right, summed and divided by the number of values: the
    total variation of Rudin, Osher & Fatemi 1992 (eq. 2.2a) with the gradient's L1 norm in place of L2. As a term of a
    network's loss: Johnson et al. 2016, section 3.2.

    Args:
        output: [N, C, H, W].
    """
    wide = at_least_fp32(output)
    return (wide.diff(dim=-2).abs().sum() + wide.diff(dim=-1).abs().sum()) / wide.numel()


def feature_matching(output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Return the sum over layers of the mean absolute difference of a discriminator's features, a scalar.

    ``sum_i 1/N_i |D_i(s, x) - D_i(s, G(s))|_1`` with N_i values in layer i (Wang et al. 2018, pix2pixHD, eq. 4), in
    fp32 at least.

    Args:
        output: the features of generated images, one tensor a layer.
        target: those of the real ones, in the same order; they get no gradients.

    Raises:
        ValueError: there are other numbers of layers, or none.
    """
    if not output:
        raise ValueError("there are no features to match")
    return torch.stack([l1(made, real.detach()) for made, real in zip(output, target, strict=True)]).sum()


def ssim_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return ``1 - SSIM``, a scalar from 0 (equal) to 2, in fp32 at least; the mean over images, channels and places.

    The structural similarity is that of Wang et al. 2004 (eq. 13), with a Gaussian window of 11 pixels and sigma 1.5
    (smaller where the image is), without padding, the images taken to [0, 1]. As a loss: Zhao et al. 2017, section
    III-B, who compute it at each patch's centre alone.

    Args:
        output: [N, C, H, W] in [-1, 1].
        target: the same shape and range.
    """
    from kornia.filters import filter2d_separable  # takes long to import, and most runs need none

    wide = torch.promote_types(torch.result_type(output, target), torch.float32)
    shorter = min(output.shape[-2:])
    window = _gaussian(min(11, shorter if shorter % 2 else shorter - 1), output.device, wide)

    def local_mean(images: Tensor) -> Tensor:
        return filter2d_separable(images, window, window, padding="valid")

    with torch.autocast(output.device.type, enabled=False):
        x, y = (output.to(wide) + 1) / 2, (target.to(wide) + 1) / 2
        mean_x, mean_y = local_mean(x), local_mean(y)
        variances = local_mean(x * x) - mean_x**2 + local_mean(y * y) - mean_y**2
        covariance = local_mean(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        similarity = luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)
        return 1 - similarity.mean()


@lru_cache(maxsize=16)
def _gaussian(side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the window [1, side]; made once, for what is made on the host has no place in a recorded step."""
    from kornia.filters import get_gaussian_kernel1d

    return get_gaussian_kernel1d(side, 1.5, device=device, dtype=dtype)


def _difference(output: Tensor, target: Tensor) -> Tensor:
    return at_least_fp32(output) - at_least_fp32(target)
