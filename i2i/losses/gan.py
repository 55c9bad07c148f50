"""Adversarial losses as pairs of functions of the critic's raw outputs, without sigmoid.

Notation: C is the critic's (the discriminator's) raw output, Cr on real and Cf on generated images, of any shape, one
per image or per patch; s is the sigmoid, E the mean over everything, batch and patches. Factors of a half on the
discriminator's side belong to the methods that use them, not here. In the code `r` and `f` stand for Cr and Cf, and
``log s(x)`` is `logsigmoid`, which does not overflow.

Each entry of `GAN_LOSSES` says in its fields, in ``help(gan_loss("hinge"))`` and in `i2i list losses` what its two
sides minimise, and which equation of which paper that is.

Where several processes train together (`i2i.world`), the mean of their losses is that of the whole batch: a mean inside
of another function (E Cf where it is taken from Cr) is one over all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from i2i import world
from i2i.errors import UserError
from i2i.losses.catalogue import look_up
from i2i.losses.widen import at_least_fp32


@dataclass(frozen=True)
class Advice:
    """The optimizer's settings that a loss was published with, where it depends on them.

    Attributes:
        optimizer: its name, as in `optim.name`.
        lr: learning rate of both networks.
        betas: Adam's decay rates; None for others.
        critic_steps: steps of the discriminator for each of the generator.
    """

    optimizer: Literal["adam", "rmsprop", "sgd"]
    lr: float
    betas: tuple[float, float] | None = None
    critic_steps: int = 1

    def __str__(self) -> str:
        """Return the settings in one line."""
        betas = "" if self.betas is None else f", betas {self.betas[0]:g} and {self.betas[1]:g}"
        steps = f"{self.critic_steps} critic step{'s' if self.critic_steps > 1 else ''}"
        return f"{self.optimizer}, lr {self.lr:g}{betas}, {steps}"


@dataclass(frozen=True)
class GANLoss:
    """An adversarial game: what the discriminator and what the generator minimises.

    Attributes:
        name: its name in the catalogue.
        d_formula: what the discriminator minimises, in this module's notation.
        g_formula: what the generator minimises.
        source: the paper and its equation.
        discriminator: (real, fake) logits to the two terms of its loss, on real and on fake images.
        generator: (fake, real) logits to a scalar.
        boundary: the logit, or margin, above which the discriminator takes an image for real.
        relativistic: whether the generator's loss depends on the real logits, too.
        margins: (real, fake) logits to what is held against the boundary instead of them; None: the logits themselves.
        penalties: names of the penalties that belong to it (`i2i.losses.penalty`).
        weight_clip: the discriminator's weights are clipped to plus and minus this after each of its steps; None: not.
        advice: the optimizer's settings that it was published with; None: it asks for nothing special.
    """

    name: str
    d_formula: str
    g_formula: str
    source: str
    discriminator: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    generator: Callable[[Tensor, Tensor], Tensor]
    boundary: float = 0.0
    relativistic: bool = False
    margins: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    penalties: tuple[str, ...] = ()
    weight_clip: float | None = None
    advice: Advice | None = None

    def __post_init__(self) -> None:
        lines = [f"D minimises {self.d_formula}", f"G minimises {self.g_formula}", f"Source: {self.source}"]
        lines += [f"Penalties: {', '.join(self.penalties)}"] if self.penalties else []
        # an instance's own docstring, for help() would show that of the class
        object.__setattr__(self, "__doc__", f"The adversarial loss '{self.name}'.\n\n" + "\n".join(lines) + "\n")

    def d_terms(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the discriminator's loss on real and on fake images, two scalars whose sum it minimises.

        The loss of `rsgan` is one expectation over pairs of a real and a fake image: each of its terms is half of it.

        Raises:
            ValueError: the loss compares logits one to one, and their shapes differ.
        """
        with torch.autocast(real.device.type, enabled=False):
            return self.discriminator(at_least_fp32(real), at_least_fp32(fake))

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator minimises, a scalar, from its logits on real and fake images.

        Raises:
            ValueError: the loss compares logits one to one, and their shapes differ.
        """
        on_real, on_fake = self.d_terms(real, fake)
        return on_real + on_fake

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return what the generator minimises, a scalar.

        Args:
            fake: the logits on generated images, with gradients towards the generator.
            real: the logits on real images; only relativistic losses look at them.

        Raises:
            ValueError: a relativistic loss was not given `real`; or it compares logits one to one, and their shapes
                differ.
        """
        if self.relativistic and real is None:
            raise ValueError(f"the generator's loss '{self.name}' is relativistic and needs the logits on real images")
        with torch.autocast(fake.device.type, enabled=False):
            return self.generator(at_least_fp32(fake), at_least_fp32(fake if real is None else real))

    def accuracy(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares in [0, 1] of real and of fake images that the discriminator takes for what they are.

        It takes for real what lies above the boundary, and a tie for fake. Most losses fix the boundary on the logits,
        as 0, or lsgan's 0.5. Others leave the logits free to drift together, and an image is compared with those of the
        other kind: with their mean logit (real where Cr - E Cf > 0, fake where Cf - E Cr <= 0) in the averaged
        relativistic losses and the wgan family; with its partner in `rsgan`, where a pair is right if Cr > Cf, so that
        the two shares are the same but for ties.

        Raises:
            ValueError: the loss compares logits one to one, and their shapes differ.
        """
        with torch.autocast(real.device.type, enabled=False):
            real, fake = at_least_fp32(real.detach()), at_least_fp32(fake.detach())
            if self.margins is not None:
                real, fake = self.margins(real, fake)
            return (real > self.boundary).float().mean(), (fake <= self.boundary).float().mean()


def _nll(x: Tensor) -> Tensor:
    """Return -E log s(x); with -x, that is -E log(1 - s(x))."""
    return -logsigmoid(x).mean()


def _lead(ahead: Tensor, behind: Tensor) -> Tensor:
    """Return how far each logit is ahead of its partner."""
    if ahead.shape != behind.shape:  # subtraction would broadcast some of them
        raise ValueError(
            "this loss pairs real and fake logits one to one, so they must have the same shape, not "
            f"{list(ahead.shape)} and {list(behind.shape)}"
        )
    return ahead - behind


def _halves(loss: Tensor) -> tuple[Tensor, Tensor]:
    return loss / 2, loss / 2


def _against_means(r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far each logit is above the mean of the other kind, in the batch of all processes."""
    return r - _mean(f), f - _mean(r)


def _mean(x: Tensor) -> Tensor:
    """Return the mean over everything, in the batch of all processes."""
    return world.mean(x.mean())


GAN_LOSSES: dict[str, GANLoss] = {
    loss.name: loss
    for loss in (
        GANLoss(
            "minimax",
            "-E log s(Cr) - E log(1 - s(Cf))",
            "E log(1 - s(Cf))",
            "Goodfellow et al. 2014, eq. 1",
            lambda r, f: (_nll(r), _nll(-f)),
            lambda f, r: -_nll(-f),
        ),
        GANLoss(
            "nonsaturating",
            "-E log s(Cr) - E log(1 - s(Cf))",
            "-E log s(Cf)",
            "Goodfellow et al. 2014, eq. 1, and section 3 for G",
            lambda r, f: (_nll(r), _nll(-f)),
            lambda f, r: _nll(f),
        ),
        GANLoss(
            "lsgan",
            "E (Cr - 1)^2 + E Cf^2",
            "E (Cf - 1)^2",
            "Mao et al. 2017, eq. 9 (a = 0, b = c = 1), without its halves",
            lambda r, f: ((r - 1).square().mean(), f.square().mean()),
            lambda f, r: (f - 1).square().mean(),
            boundary=0.5,
        ),
        GANLoss(
            "wgan",
            "-E Cr + E Cf",
            "-E Cf",
            "Arjovsky et al. 2017, eq. 3 and algorithm 1",
            lambda r, f: (-r.mean(), f.mean()),
            lambda f, r: -f.mean(),
            margins=_against_means,
            weight_clip=0.01,
            advice=Advice("rmsprop", lr=5e-5, critic_steps=5),
        ),
        GANLoss(
            "hinge",
            "E max(0, 1 - Cr) + E max(0, 1 + Cf)",
            "-E Cf",
            "Lim & Ye 2017; Miyato et al. 2018, eqs. 16-17",
            lambda r, f: (relu(1 - r).mean(), relu(1 + f).mean()),
            lambda f, r: -f.mean(),
        ),
        GANLoss(
            "rsgan",
            "-E log s(Cr - Cf)",
            "-E log s(Cf - Cr)",
            "Jolicoeur-Martineau 2018, section 4.1",
            lambda r, f: _halves(_nll(_lead(r, f))),
            lambda f, r: _nll(_lead(f, r)),
            relativistic=True,
            margins=lambda r, f: (_lead(r, f), _lead(f, r)),
        ),
        GANLoss(
            "rasgan",
            "-E log s(Cr - E Cf) - E log(1 - s(Cf - E Cr))",
            "-E log s(Cf - E Cr) - E log(1 - s(Cr - E Cf))",
            "Jolicoeur-Martineau 2018, section 4.3",
            lambda r, f: (_nll(r - _mean(f)), _nll(-(f - _mean(r)))),
            lambda f, r: _nll(f - _mean(r)) + _nll(-(r - _mean(f))),
            relativistic=True,
            margins=_against_means,
        ),
        GANLoss(
            "ralsgan",
            "E (Cr - E Cf - 1)^2 + E (Cf - E Cr + 1)^2",
            "E (Cf - E Cr - 1)^2 + E (Cr - E Cf + 1)^2",
            "Jolicoeur-Martineau 2018, section 4.3, with least squares",
            lambda r, f: ((r - _mean(f) - 1).square().mean(), (f - _mean(r) + 1).square().mean()),
            lambda f, r: (f - _mean(r) - 1).square().mean() + (r - _mean(f) + 1).square().mean(),
            relativistic=True,
            margins=_against_means,
        ),
        GANLoss(
            "rahinge",
            "E max(0, 1 - (Cr - E Cf)) + E max(0, 1 + (Cf - E Cr))",
            "E max(0, 1 - (Cf - E Cr)) + E max(0, 1 + (Cr - E Cf))",
            "Jolicoeur-Martineau 2018, section 4.3, with the hinge",
            lambda r, f: (relu(1 - (r - _mean(f))).mean(), relu(1 + (f - _mean(r))).mean()),
            lambda f, r: relu(1 - (f - _mean(r))).mean() + relu(1 + (r - _mean(f))).mean(),
            relativistic=True,
            margins=_against_means,
        ),
    )
}

# names that stand for a loss and its penalties
GAN_LOSSES |= {
    loss.name: loss
    for loss in (
        replace(
            GAN_LOSSES["wgan"],
            name="wgan-gp",
            source="Gulrajani et al. 2017, eq. 3 and algorithm 1",
            penalties=("wgan-gp",),
            weight_clip=None,
            advice=Advice("adam", lr=1e-4, betas=(0.0, 0.9), critic_steps=5),
        ),
        replace(
            GAN_LOSSES["nonsaturating"],
            name="dragan",
            source="Goodfellow et al. 2014, eq. 1 and section 3, with the penalty of Kodali et al. 2017, section 2.5",
            penalties=("dragan",),
        ),
        replace(
            GAN_LOSSES["rsgan"],
            name="rsgan-gp",
            source="Jolicoeur-Martineau 2018, section 4.1, with the penalty of Gulrajani et al. 2017, eq. 3",
            penalties=("wgan-gp",),
        ),
        replace(
            GAN_LOSSES["rasgan"],
            name="rasgan-gp",
            source="Jolicoeur-Martineau 2018, section 4.3, with the penalty of Gulrajani et al. 2017, eq. 3",
            penalties=("wgan-gp",),
        ),
        replace(
            GAN_LOSSES["rsgan"],
            name="r3gan",
            source="Huang et al. 2024, eqs. 2-3, with the generator's loss as in its code, which does not saturate",
            penalties=("r1", "r2"),
        ),
    )
}

ALIASES = {"mm": "minimax", "ns": "nonsaturating", "vanilla": "nonsaturating", "sgan": "nonsaturating"}


def gan_loss(name: str) -> GANLoss:
    """Return the adversarial loss of that name, alias or ``module:attribute``.

    Raises:
        UserError: there is no such loss.
    """
    if name == "began":
        raise UserError(
            "'began' is a method of its own and no GAN loss: its discriminator is an autoencoder and has no logits "
            "(Berthelot et al. 2017); choose another, see: i2i list losses"
        )
    return look_up(name, GAN_LOSSES, ALIASES, "GAN loss", GANLoss)
