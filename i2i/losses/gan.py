r"""Adversarial losses as pairs of functions of the critic's raw outputs, without sigmoid.

Notation: r and f are the critic's logits on real and fake images, of any shape (one per image or per patch), s the
sigmoid, E the mean over everything. ``-log s(x)`` is computed as ``softplus(-x)``, which does not overflow. Factors
of a half on the discriminator's side belong to the methods that use them, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from i2i.config import load_attribute
from i2i.errors import UserError, did_you_mean


@dataclass(frozen=True)
class GANLoss:
    """An adversarial game: what the discriminator and what the generator minimises.

    Attributes:
        name: its name in the catalogue.
        d_formula: what the discriminator minimises, in words of this module's notation.
        g_formula: what the generator minimises.
        source: the paper and its equation.
        discriminator: (real, fake) logits to the two terms of its loss, on real and on fake images.
        generator: (fake, real) logits to a scalar.
        boundary: the logit above which the discriminator takes an image for real.
        relativistic: whether the generator's loss depends on the real logits, too.
    """

    name: str
    d_formula: str
    g_formula: str
    source: str
    discriminator: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    generator: Callable[[Tensor, Tensor], Tensor]
    boundary: float = 0.0
    relativistic: bool = False

    def d_terms(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the discriminator's loss on real and on fake images, two scalars whose sum it minimises."""
        with torch.autocast(real.device.type, enabled=False):
            return self.discriminator(_at_least_fp32(real), _at_least_fp32(fake))

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises, a scalar, from its logits on real and fake images."""
        on_real, on_fake = self.d_terms(real, fake)
        return on_real + on_fake

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return what the generator minimises, a scalar.

        Args:
            fake: the logits on generated images, with gradients towards the generator.
            real: the logits on real images; only relativistic losses look at them.

        Raises:
            ValueError: a relativistic loss was not given `real`.
        """
        if self.relativistic and real is None:
            raise ValueError(f"the generator's loss '{self.name}' is relativistic and needs the logits on real images")
        with torch.autocast(fake.device.type, enabled=False):
            return self.generator(_at_least_fp32(fake), _at_least_fp32(fake if real is None else real))

    def accuracy(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares in [0, 1] of real and of fake logits that lie on their own side of the boundary."""
        return (real > self.boundary).float().mean(), (fake <= self.boundary).float().mean()


def _at_least_fp32(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _mean_softplus(x: Tensor) -> Tensor:
    return softplus(x).mean()


GAN_LOSSES: dict[str, GANLoss] = {
    loss.name: loss
    for loss in (
        GANLoss(
            "minimax",
            "-E log s(r) - E log(1 - s(f))",
            "E log(1 - s(f))",
            "Goodfellow et al. 2014, eq. 1",
            lambda r, f: (_mean_softplus(-r), _mean_softplus(f)),
            lambda f, r: -_mean_softplus(f),
        ),
        GANLoss(
            "nonsaturating",
            "-E log s(r) - E log(1 - s(f))",
            "-E log s(f)",
            "Goodfellow et al. 2014, section 3",
            lambda r, f: (_mean_softplus(-r), _mean_softplus(f)),
            lambda f, r: _mean_softplus(-f),
        ),
        GANLoss(
            "lsgan",
            "E (r - 1)^2 + E f^2",
            "E (f - 1)^2",
            "Mao et al. 2017, eq. 9 (a = 0, b = c = 1), without its halves",
            lambda r, f: ((r - 1).square().mean(), f.square().mean()),
            lambda f, r: (f - 1).square().mean(),
            boundary=0.5,
        ),
        GANLoss(
            "hinge",
            "E max(0, 1 - r) + E max(0, 1 + f)",
            "-E f",
            "Lim & Ye 2017; Miyato et al. 2018, eqs. 16-17",
            lambda r, f: (relu(1 - r).mean(), relu(1 + f).mean()),
            lambda f, r: -f.mean(),
        ),
    )
}

ALIASES = {"mm": "minimax", "ns": "nonsaturating", "vanilla": "nonsaturating", "sgan": "nonsaturating"}


def gan_loss(name: str) -> GANLoss:
    """Return the adversarial loss of that name, alias or ``module:attribute``.

    Raises:
        UserError: there is no such loss.
    """
    if ":" in name:
        loss = load_attribute(name)
        if not isinstance(loss, GANLoss):
            raise UserError(f"{name}: must be an i2i.losses.GANLoss, not a {type(loss).__name__}")
        return loss
    loss = GAN_LOSSES.get(ALIASES.get(name, name))
    if loss is None:
        raise UserError(f"there is no GAN loss '{name}'{did_you_mean(name, [*GAN_LOSSES, *ALIASES])}")
    return loss
