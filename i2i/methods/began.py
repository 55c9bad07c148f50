"""BEGAN: the discriminator is an autoencoder, kept in balance (Berthelot, Schumm & Metz 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from i2i import world
from i2i.losses import l1
from i2i.methods.base import Batch, Scalars, detached, network_spec
from i2i.methods.noise import NoiseConfig, NoiseMethod, Prior, refuse_unfit
from i2i.nn import (
    BEGANAutoencoderConfig,
    BEGANGeneratorConfig,
    InferencePolicy,
    NoiseGeneratorConfig,
    build_autoencoder,
    build_noise_generator,
    frozen,
)
from i2i.optim import OptimConfig, Precision, Stepper


class BEGANConfig(NoiseConfig):
    """Options of BEGAN; the defaults are the paper's.

    Attributes:
        generator: makes images of noise.
        discriminator: the autoencoder.
        gamma: the wanted share of the generated images' error in the real images': lower makes sharper images that are
            less varied (section 3.3).
        lambda_k: how fast the balance is kept.
    """

    name: Literal["began"] = "began"
    generator: NoiseGeneratorConfig = BEGANGeneratorConfig()
    discriminator: BEGANAutoencoderConfig = BEGANAutoencoderConfig()
    latent: Annotated[int, Field(ge=1)] = 64
    prior: Prior = "uniform"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    lambda_k: PositiveFloat = 0.001

    @property
    def batches_per_step(self) -> int:
        """How many batches of images a step takes."""
        return 1

    def completed(self, image_size: int, batch_size: int) -> Self:
        """Return these options with everything left None chosen.

        Raises:
            UserError: a network is not made for images of that size or for that batch.
        """
        refuse_unfit(self.generator, image_size, batch_size)
        with torch.device("meta"):
            self.discriminator.build(channels=1, size=image_size, hidden=1)
        return self.model_copy(update={"inference": self.inference or InferencePolicy()})

    def remarks(self, optim: OptimConfig) -> list[str]:
        """Return what a user should hear of the options: nothing."""
        return []


class BEGAN(NoiseMethod):
    """G makes images that the autoencoder D rebuilds well; D rebuilds real images well and G's badly, in balance.

    Args:
        config: options.
        channels: channels of the images.
        size: their side in pixels.
        classes: of the data; not used.
        optim: optimizer settings; `lr_d` is the discriminator's, if it differs.
        precision: device and arithmetic.

    Raises:
        UserError: a network cannot be built for that size.
    """

    config: BEGANConfig

    def __init__(
        self,
        config: BEGANConfig,
        channels: int = 3,
        size: int = 64,
        classes: int = 0,
        optim: OptimConfig | None = None,
        precision: Precision | None = None,
    ) -> None:
        optim, precision = optim or OptimConfig(), precision or Precision()
        self.config = config
        self.policy = config.inference or InferencePolicy()
        self.device = precision.device
        made = {"latent": config.latent, "channels": channels, "size": size, "classes": 0}
        judged = {"channels": channels, "size": size, "hidden": config.latent}
        self.G = build_noise_generator(config.generator, **made).to(precision.device)
        self.D = build_autoencoder(config.discriminator, **judged).to(precision.device)
        self.networks = {"G": self.G, "D": self.D}
        self.specs = {
            "G": network_spec("noise_generator", config.generator, **made),
            "D": network_spec("autoencoder", config.discriminator, **judged),
        }
        self.opt_g = Stepper({"G": self.G}, optim, precision)
        self.opt_d = Stepper({"D": self.D}, optim, precision, lr=optim.lr_d)
        self.steppers = {"g": self.opt_g, "d": self.opt_d}
        self.k = torch.zeros((), device=precision.device)

    def train_step(self, batch: Batch, step: int) -> Scalars:
        """One step of D, one of G, and one of the balance between them (section 3.4)."""
        real = batch["image"]
        with torch.no_grad():
            fake = self.G(self.noise(len(real)))
        error_real, error_fake = self.error(real), self.error(fake)
        d_loss = error_real - self.k * error_fake
        self.opt_d.minimize(d_loss)

        with frozen(self.D):
            g_loss = self.error(self.G(self.noise(len(real))))
            self.opt_g.minimize(g_loss)

        balance = world.mean((self.config.gamma * error_real - g_loss).detach())
        self.k = (self.k + self.config.lambda_k * balance).clamp(0, 1)
        return detached(
            {
                "loss/d": d_loss,
                "loss/g": g_loss,
                "d/real": error_real,
                "d/fake": error_fake,
                "began/k": self.k,
                "began/measure": error_real + balance.abs(),  # how far training has come (section 3.4.1)
            }
        )

    def error(self, images: Tensor) -> Tensor:
        """Return the autoencoder's error, L(v) = E |v - D(v)|, a scalar (eq. 1 with eta = 1)."""
        return l1(self.D(images), images)

    def state(self) -> dict[str, Tensor]:
        """Return the balance's control variable."""
        return {"k": self.k}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up the balance."""
        self.k = state["k"].to(self.device)
