"""Measures of how near an output is to its target."""

from i2i.metrics.paired import psnr, ssim

__all__ = ["psnr", "ssim"]
