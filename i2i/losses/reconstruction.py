"""How far an output is from its target; images in [-1, 1], results in fp32 at least, whatever the precision around."""

from __future__ import annotations

from collections.abc import Sequence

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
    from kornia.metrics import ssim  # takes long to import, and most runs need none

    wide = torch.promote_types(torch.result_type(output, target), torch.float32)
    shorter = min(output.shape[-2:])
    window = min(11, shorter if shorter % 2 else shorter - 1)
    with torch.autocast(output.device.type, enabled=False):
        images = (output.to(wide) + 1) / 2, (target.to(wide) + 1) / 2
        similarity = ssim(*images, window, eps=0.0, padding="valid")  # without eps, equal images are at distance 0
        return 1 - similarity.mean()


def _difference(output: Tensor, target: Tensor) -> Tensor:
    return at_least_fp32(output) - at_least_fp32(target)
