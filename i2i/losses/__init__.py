"""Losses: adversarial ones as pairs of functions of logits, gradient penalties, and reconstruction losses."""

from i2i.losses.gan import GAN_LOSSES, Advice, GANLoss, gan_loss
from i2i.losses.labels import LabelsConfig
from i2i.losses.penalties import PENALTIES, Penalty, penalty
from i2i.losses.reconstruction import charbonnier, feature_matching, l1, l2, ssim_distance, total_variation

__all__ = [
    "GAN_LOSSES",
    "PENALTIES",
    "Advice",
    "GANLoss",
    "LabelsConfig",
    "Penalty",
    "charbonnier",
    "feature_matching",
    "gan_loss",
    "l1",
    "l2",
    "penalty",
    "ssim_distance",
    "total_variation",
]
