"""PSNR and SSIM of images in [-1, 1], one value per image."""

from __future__ import annotations

from torch import Tensor


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB, one per image; 100 dB where output and target are equal.

    Args:
        output: [N, C, H, W] in [-1, 1].
        target: the same shape and range.

    Returns:
        [N] decibels, ``10 log10(peak^2 / MSE)`` with the peak 2 of this range; the MSE is over channels and pixels.
    """
    mse = (output.float() - target.float()).square().mean(dim=(1, 2, 3))
    return 10 * (4 / mse.clamp(min=4e-10)).log10()


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Return the structural similarity in [-1, 1], one per image (Wang et al. 2004).

    A Gaussian window of 11 pixels with sigma 1.5 (smaller where the image is), without padding, mean over channels.

    Args:
        output: [N, C, H, W] in [-1, 1].
        target: the same shape and range.
    """
    from kornia.metrics import ssim as ssim_map

    shorter = min(output.shape[-2:])
    window = min(11, shorter if shorter % 2 else shorter - 1)
    values = ssim_map((output.float() + 1) / 2, (target.float() + 1) / 2, max(window, 1), padding="valid")
    return values.mean(dim=(1, 2, 3))
