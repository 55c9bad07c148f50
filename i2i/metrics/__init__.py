"""Measures of how near an output is to its target, or a set of images to another."""

from i2i.metrics.paired import psnr, ssim
from i2i.metrics.sliced import sliced_wasserstein

__all__ = ["psnr", "sliced_wasserstein", "ssim"]
