"""What every method with a discriminator has in common: its adversarial loss and the penalties that go with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Self

import torch
from pydantic import NonNegativeFloat, PositiveFloat, field_validator, model_validator
from torch import Tensor, nn

from i2i.config import Config, OneOrMore
from i2i.errors import UserError
from i2i.losses import Advice, GANLoss, gan_loss, penalty
from i2i.losses.penalties import Critic
from i2i.nn import Norm
from i2i.optim import OptimConfig


class AdversarialConfig(Config):
    """The game between generator and discriminator.

    Attributes:
        discriminator: the networks that judge images; a norm that is left None is chosen by `with_norm`.
        gan_loss: name of an adversarial loss; some bring penalties with them (`i2i list losses`).
        penalties: names of gradient penalties, ``[]`` for none at all; None: those that the loss brings.
        lambda_penalty: weight of every penalty; None: each paper's own. Where a method halves its discriminator's loss,
            as pix2pix and CycleGAN do, the penalty is not halved with it.
        weight_clip: the discriminators' weights are clipped to plus and minus this after each of their steps; None:
            as the loss has it, which is wgan's 0.01 and no clipping for all others.
    """

    discriminator: Any
    gan_loss: str
    penalties: Annotated[tuple[str, ...] | None, OneOrMore] = None
    lambda_penalty: NonNegativeFloat | None = None
    weight_clip: PositiveFloat | None = None

    @field_validator("gan_loss")
    @classmethod
    def _loss_exists(cls, name: str) -> str:
        return _found(gan_loss, name)

    @field_validator("penalties")
    @classmethod
    def _penalties_exist(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return names and tuple(_found(penalty, name) for name in names)

    @model_validator(mode="after")
    def _one_bound_on_the_critic(self) -> Self:
        if self.clip and self.chosen_penalties:
            name = self.chosen_penalties[0]
            if self.loss.weight_clip is None:
                raise ValueError(
                    f"weight_clip and the penalty {name} both bound how steep the critic is; leave out weight_clip, or "
                    "set penalties=[]"
                )
            raise ValueError(
                f"{self.gan_loss} clips the critic's weights, which the penalty {name} is to replace; type "
                "--gan-loss wgan-gp, or leave the penalty out"
            )
        return self

    @property
    def loss(self) -> GANLoss:
        """The adversarial loss."""
        return gan_loss(self.gan_loss)

    @property
    def chosen_penalties(self) -> tuple[str, ...]:
        """The names of the penalties that are used."""
        return self.loss.penalties if self.penalties is None else self.penalties

    @property
    def clip(self) -> float | None:
        """What the discriminators' weights are clipped to."""
        return self.weight_clip or self.loss.weight_clip

    def with_norm(self) -> Self:
        """Return these options with the discriminator's norm, where none was chosen.

        It is batch norm, as in the papers. With a penalty it is instance norm, for a penalty takes the gradient of each
        image alone. With spectral normalisation there is none, as in Miyato et al. 2018: a norm divides by deviations,
        however small, so that bounded weights no longer bound how steep the discriminator is.

        Raises:
            UserError: batch norm was chosen, and a penalty goes with the loss.
        """
        norm = getattr(self.discriminator, "norm", "none")
        if norm == "batch" and self.chosen_penalties:
            raise UserError(
                "method.discriminator.norm=batch ties the images of a batch together, and the penalty "
                f"{self.chosen_penalties[0]} takes the gradient of each alone; leave it out, or set it to instance"
            )
        if norm is not None:
            return self
        norm = self._norm_by_default()
        return self.model_copy(update={"discriminator": self.discriminator.model_copy(update={"norm": norm})})

    def _norm_by_default(self) -> Norm:
        if getattr(self.discriminator, "spectral_norm", False):
            return "none"
        return "instance" if self.chosen_penalties else "batch"

    def remarks(self, optim: OptimConfig) -> list[str]:
        """Return what a user should hear of defaults that gave way, and of settings that the loss was not made for."""
        lines = []
        if getattr(self.discriminator, "norm", "none") is None:
            match self._norm_by_default():
                case "none":
                    lines.append(
                        "the discriminator's norm is none instead of batch, which would undo the bound of its spectral "
                        "normalisation"
                    )
                case "instance":
                    lines.append(
                        "the discriminator's norm is instance instead of batch, for the penalty "
                        f"{self.chosen_penalties[0]} takes the gradient of each image alone"
                    )
        advice = self.loss.advice
        if advice is not None:
            betas = optim.betas if advice.betas else None
            has = Advice(optim.name, optim.lr, betas, getattr(self, "d_steps", 1))
            lr_d = optim.lr if optim.lr_d is None else optim.lr_d
            if has != advice or lr_d != advice.lr:
                of_d = "" if lr_d == optim.lr else f", lr_d {lr_d:g}"
                shown = replace(has, betas=optim.betas if optim.name == "adam" else None)
                lines.append(f"{self.gan_loss} was published with {advice}; this run has {shown}{of_d}")
        return lines


class Penalties:
    """The gradient penalties of a run, each with its weight.

    Args:
        config: which, and how they are weighted.
    """

    def __init__(self, config: AdversarialConfig) -> None:
        chosen = [penalty(name) for name in config.chosen_penalties]
        self.terms = [
            (term.weight if config.lambda_penalty is None else config.lambda_penalty, term) for term in chosen
        ]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.terms)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Return their weighted sum, a scalar; 0 where there are none."""
        total = torch.zeros((), device=real.device)
        for weight, term in self.terms:
            total = total + weight * term(critic, real, fake)
        return total


@torch.no_grad()
def clip_weights(bound: float | None, *networks: nn.Module) -> None:
    """Keep all parameters within plus and minus `bound` (Arjovsky et al. 2017, algorithm 1); None leaves them alone."""
    if bound is not None:
        for network in networks:
            for parameter in network.parameters():
                parameter.clamp_(-bound, bound)


def _found(catalogue: Any, name: str) -> str:
    try:
        catalogue(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    return name
