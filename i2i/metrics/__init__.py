"""Measures of how near an output is to its target, or a set of images to another."""

from i2i.metrics.catalogue import METRICS, Metric, metrics_named
from i2i.metrics.paired import l1, luma, psnr, ssim
from i2i.metrics.sets import (
    frechet_distance,
    inception_score,
    kernel_distance,
    memorization_distance,
    mifid,
)
from i2i.metrics.sliced import sliced_wasserstein

__all__ = [
    "METRICS",
    "Metric",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "l1",
    "luma",
    "memorization_distance",
    "metrics_named",
    "mifid",
    "psnr",
    "sliced_wasserstein",
    "ssim",
]
