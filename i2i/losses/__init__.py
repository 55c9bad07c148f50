"""Losses: adversarial ones as pairs of functions of logits, and reconstruction losses."""

from i2i.losses.gan import GAN_LOSSES, GANLoss, gan_loss
from i2i.losses.reconstruction import l1

__all__ = ["GAN_LOSSES", "GANLoss", "gan_loss", "l1"]
