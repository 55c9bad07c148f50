"""How near an image is to its target, pixel by pixel: PSNR, SSIM and L1, one value per image."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, SIGMA = 11, 1.5  # of SSIM, in pixels
K1, K2 = 0.01, 0.03
Span = tuple[float, float]
MODEL: Span = (-1.0, 1.0)  # of images as networks see them


def psnr(output: Tensor, target: Tensor, span: Span = MODEL) -> Tensor:
    """Return the peak signal-to-noise ratio in dB, one per image; 100 dB where output and target are equal.

    Args:
        output: [N, C, H, W].
        target: the same shape.
        span: the least and the greatest value there may be.

    Returns:
        [N] decibels, ``10 log10(L^2 / MSE)`` with the span's length L; the MSE is over channels and pixels.
    """
    mse = (_floats(output) - _floats(target)).square().mean(dim=(1, 2, 3))
    return -10 * (mse / _length(span) ** 2).clamp(min=1e-10).log10()


def l1(output: Tensor, target: Tensor, span: Span = MODEL) -> Tensor:
    """Return the mean absolute difference as a share of the span, from 0 to 1, one per image.

    Args:
        output: [N, C, H, W].
        target: the same shape.
        span: the least and the greatest value there may be.
    """
    return (_floats(output) - _floats(target)).abs().mean(dim=(1, 2, 3)) / _length(span)


def ssim(output: Tensor, target: Tensor, span: Span = MODEL) -> Tensor:
    """Return the structural similarity in [-1, 1], one per image (Wang et al. 2004, eq. 13).

    A Gaussian window of 11 pixels with sigma 1.5 (smaller where the image is), where it lies on the image as a whole;
    K1 = 0.01, K2 = 0.03; mean over places and channels.

    Args:
        output: [N, C, H, W].
        target: the same shape.
        span: the least and the greatest value there may be, which stand for Wang's 0 and L.
    """
    x, y = _floats(output) - span[0], _floats(target) - span[0]
    shorter = min(x.shape[-2:])
    window = _gaussian(min(WINDOW, shorter - 1 + shorter % 2))
    mean_x, mean_y, square_x, square_y, product = (_blurred(z, window) for z in (x, y, x * x, y * y, x * y))
    c1, c2 = (K1 * _length(span)) ** 2, (K2 * _length(span)) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    contrast_and_structure = (2 * (product - mean_x * mean_y) + c2) / (variances + c2)
    return (luminance * contrast_and_structure).mean(dim=(1, 2, 3))


def luma(images: Tensor) -> Tensor:
    """Return Y of ITU-R BT.601 in whole grey levels from 16 to 235, as papers on super-resolution compare it.

    They do as MATLAB's ``rgb2ycbcr`` does with bytes, rounding included.

    Args:
        images: [N, 3, H, W], RGB from 0 to 255.

    Returns:
        [N, 1, H, W].
    """
    red, green, blue = images.unbind(1)
    return (16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255).round()[:, None]


def _length(span: Span) -> float:
    return span[1] - span[0]


def _gaussian(size: int) -> list[float]:
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-(places**2) / (2 * SIGMA**2))
    return (weights / weights.sum()).tolist()


def _blurred(x: Tensor, window: list[float]) -> Tensor:
    """Return sums weighted by the window along both axes, without padding; no convolution, which TF32 would round."""
    for axis in (2, 3):
        length = x.shape[axis] - len(window) + 1
        parts = [x.narrow(axis, start, length) for start in range(len(window))]
        total = parts[0] * window[0]
        for part, weight in zip(parts[1:], window[1:], strict=True):
            total = total.add(part, alpha=weight)
        x = total
    return x


def _floats(images: Tensor) -> Tensor:
    return images if images.dtype == torch.float64 else images.float()
