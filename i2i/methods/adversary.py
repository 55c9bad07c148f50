"""What every method with a discriminator has in common: its adversarial loss and the penalties that go with it."""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import NonNegativeFloat, PositiveFloat, field_validator, model_validator
from torch import Tensor, nn

from i2i.config import Config
from i2i.errors import UserError
from i2i.losses import GANLoss, gan_loss, penalty
from i2i.losses.penalties import Critic
from i2i.optim import OptimConfig


class AdversarialConfig(Config):
    """The game between generator and discriminator.

    Attributes:
        discriminator: the networks that judge images.
        gan_loss: name of an adversarial loss; some bring penalties with them (`i2i list losses`).
        penalties: names of gradient penalties; None: those that the loss brings.
        lambda_penalty: weight of every penalty; None: each paper's own.
        weight_clip: the discriminators' weights are clipped to plus and minus this after each of their steps; None:
            as the loss has it, which is wgan's 0.01 and no clipping for all others.
    """

    discriminator: Any
    gan_loss: str
    penalties: tuple[str, ...] | None = None
    lambda_penalty: NonNegativeFloat | None = None
    weight_clip: PositiveFloat | None = None

    @field_validator("gan_loss")
    @classmethod
    def _loss_exists(cls, name: str) -> str:
        return _found(gan_loss, name)

    @field_validator("penalties", mode="before")
    @classmethod
    def _one_needs_no_brackets(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("penalties")
    @classmethod
    def _penalties_exist(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return names and tuple(_found(penalty, name) for name in names)

    @model_validator(mode="after")
    def _one_bound_on_the_critic(self) -> Self:
        if self.clip and self.chosen_penalties:
            raise ValueError(
                f"{self.gan_loss} clips the critic's weights, which the penalty {self.chosen_penalties[0]} is to "
                "replace; type --gan-loss wgan-gp, or leave one of the two out"
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
        """Return these options with the discriminator's norm, where none was chosen: batch, or what a penalty needs.

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
        chosen = "instance" if self.chosen_penalties else "batch"
        return self.model_copy(update={"discriminator": self.discriminator.model_copy(update={"norm": chosen})})

    def remarks(self, optim: OptimConfig) -> list[str]:
        """Return what a user should hear of defaults that gave way, and of settings that the loss was not made for."""
        lines = []
        if self.chosen_penalties and getattr(self.discriminator, "norm", "none") is None:
            lines.append(
                f"the discriminator's norm is instance instead of batch, for {self.gan_loss} comes with the penalty "
                f"{self.chosen_penalties[0]}, which takes the gradient of each image alone"
            )
        advice = self.loss.advice
        steps = getattr(self, "d_steps", 1)
        if advice is not None:
            wanted = (advice.optimizer, advice.lr, advice.betas or optim.betas, advice.critic_steps)
            if wanted != (optim.name, optim.lr, optim.betas, steps):
                lines.append(
                    f"{self.gan_loss} was published with {advice}; this run has {optim.name}, lr {optim.lr:g}"
                    + (f", betas {optim.betas[0]:g} and {optim.betas[1]:g}" if optim.name == "adam" else "")
                    + f", {steps} critic step{'s' if steps > 1 else ''}"
                )
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
