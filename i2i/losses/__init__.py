"""Losses: adversarial ones as pairs of functions of logits, gradient penalties, and reconstruction losses."""

from i2i.losses.gan import GAN_LOSSES, Advice, GANLoss, gan_loss
from i2i.losses.labels import LabelsConfig
from i2i.losses.penalties import PENALTIES, Penalty, penalty
from i2i.losses.reconstruction import l1

__all__ = ["GAN_LOSSES", "PENALTIES", "Advice", "GANLoss", "LabelsConfig", "Penalty", "gan_loss", "l1", "penalty"]
