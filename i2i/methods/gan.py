"""Generative adversarial networks: noise to image, with labels or without.

One method carries the MLP GAN (Goodfellow et al. 2014), DCGAN (Radford et al. 2016), the conditional GAN (Mirza &
Osindero 2014), WGAN (Arjovsky et al. 2017) and WGAN-GP (Gulrajani et al. 2017): they differ in networks, losses and
optimizers, which are options; the presets hold each paper's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, Self

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor
from torch.func import functional_call

from i2i import world
from i2i.config import Config, OneOrMore
from i2i.errors import UserError
from i2i.losses.labels import LabelsConfig
from i2i.methods.adversary import AdversarialConfig, Penalties, clip_weights
from i2i.methods.base import Batch, Scalars, detached, network_spec
from i2i.methods.noise import NoiseConfig, NoiseMethod, refuse_unfit
from i2i.methods.unroll import Weights, unrolled
from i2i.nn import (
    CriticConfig,
    Imported,
    InferencePolicy,
    MLPCriticConfig,
    MLPGeneratorConfig,
    NoiseGeneratorConfig,
    build_critic,
    build_noise_generator,
    frozen,
)
from i2i.nn.diffaugment import Change, diff_augment
from i2i.optim import OptimConfig, Precision, Stepper


class InputNoiseConfig(Config):
    """Gaussian noise on all that the discriminator sees, fading out (Arjovsky & Bottou 2017, section 3).

    Attributes:
        std: its standard deviation at the first step, of images in [-1, 1]; 0: none.
        steps: after how many steps it has gone, linearly.
    """

    std: NonNegativeFloat = 0.0
    steps: PositiveInt = 10_000

    def at(self, step: int) -> float:
        """Return the standard deviation after `step` steps."""
        return self.std * max(0.0, 1 - step / self.steps)


class GANConfig(NoiseConfig, AdversarialConfig):
    """Options of the GAN cores; the defaults are a fully connected GAN for small images.

    Attributes:
        generator: makes images of noise.
        discriminator: judges whole images.
        conditional: give labels to both (Mirza & Osindero 2014); the data must have classes.
        gan_loss: name of an adversarial loss; `penalties`, `lambda_penalty` and `weight_clip` go with it.
        d_steps: steps of the discriminator for each of the generator (Goodfellow et al. 2014, algorithm 1), each with
            images of its own.
        joint_batches: show the discriminator real and generated images in one batch, in the generator's steps as well;
            apart, as by default, its batch norm normalises each kind by itself.
        labels: what the discriminator is told real and generated images are, other than 1 and 0.
        input_noise: noise on what the discriminator sees.
        augment: kinds of differentiable augmentation of what the discriminator sees (Zhao et al. 2020).
        pack: images that the discriminator judges together, so that it sees whether they vary (Lin et al. 2018). A step
            shows it that many times fewer packs than the batch has images, so choose a larger batch.
        unroll: steps of the discriminator that the generator looks ahead (Metz et al. 2017). It then climbs the
            discriminator's loss of that time (eq. 10) instead of going down its own.
    """

    name: Literal["gan"] = "gan"
    generator: NoiseGeneratorConfig = MLPGeneratorConfig()
    discriminator: CriticConfig = MLPCriticConfig()
    conditional: bool = False
    gan_loss: str = "nonsaturating"
    d_steps: PositiveInt = 1
    joint_batches: bool = False
    labels: LabelsConfig = LabelsConfig()
    input_noise: InputNoiseConfig = InputNoiseConfig()
    augment: Annotated[tuple[Change, ...], OneOrMore] = ()
    pack: PositiveInt = 1
    unroll: NonNegativeInt = 0

    @model_validator(mode="after")
    def _make_sense_together(self) -> Self:
        if not self.labels.plain:
            self.labels.refuse_unlabelled(self.loss)
        if self.pack > 1 and self.conditional:
            raise ValueError(
                "method.pack puts images side by side whose labels differ; set it to 1, or train without labels"
            )
        if self.unroll and self.chosen_penalties:
            raise ValueError(
                f"method.unroll looks ahead along the loss alone, without the penalty {self.chosen_penalties[0]}; set "
                "it to 0, or choose a loss without a penalty"
            )
        if self.unroll and self.clip:
            raise ValueError(
                f"method.unroll looks ahead without clipping weights to {self.clip:g}; set it to 0, or choose a loss "
                "without weight_clip"
            )
        return self

    @property
    def batches_per_step(self) -> int:
        """How many batches of images a step takes."""
        return self.d_steps

    def remarks(self, optim: OptimConfig) -> list[str]:
        """Return what a user should hear of defaults that gave way, and of settings that the loss was not made for."""
        lines = super().remarks(optim)
        if self.unroll:
            lines.append(
                "with unroll the generator climbs the discriminator's loss, as published, instead of going down its own"
            )
        return lines

    def completed(self, image_size: int, batch_size: int) -> Self:
        """Return these options with everything left None chosen.

        Raises:
            UserError: the discriminator's norm forbids the loss's penalty, the batch cannot be packed, or a network is
                not made for images of that size or for that batch.
        """
        if batch_size % self.pack:
            raise UserError(
                f"method.pack={self.pack} does not divide a batch of {batch_size}; choose another --batch-size"
            )
        refuse_unfit(self.generator, image_size, batch_size)
        if not isinstance(self.discriminator, Imported):
            with torch.device("meta"):
                self.discriminator.build(channels=1, size=image_size)
        return self.with_norm().model_copy(update={"inference": self.inference or InferencePolicy()})


class GAN(NoiseMethod):
    """The two-player game: G makes images of noise, D tells them from real ones.

    Args:
        config: options.
        channels: channels of the images.
        size: their side in pixels.
        classes: number of classes that the data has.
        optim: optimizer settings; `lr_d` is the discriminator's, if it differs.
        precision: device and arithmetic.

    Raises:
        UserError: labels are wanted and there are none, or a network cannot be built for that size.
    """

    config: GANConfig

    def __init__(
        self,
        config: GANConfig,
        channels: int = 1,
        size: int = 28,
        classes: int = 0,
        optim: OptimConfig | None = None,
        precision: Precision | None = None,
    ) -> None:
        optim, precision = optim or OptimConfig(), precision or Precision()
        self.config = config = config.with_norm()
        self.policy = config.inference or InferencePolicy()
        self.gan, self.penalty = config.loss, Penalties(config)
        if config.conditional and classes < 2:
            raise UserError(
                "method.conditional needs data with classes, a folder for each or files of labels; or train without: "
                "i2i train dcgan"
            )
        self.classes = classes if config.conditional else 0
        self.device = precision.device
        made = {"latent": self.latent_values(config), "channels": channels, "size": size, "classes": self.classes}
        judged = {"channels": channels * config.pack, "size": size, "classes": self.classes}
        self.G = build_noise_generator(config.generator, **made).to(precision.device)
        self.D = build_critic(config.discriminator, **judged).to(precision.device)
        self.networks = {"G": self.G, "D": self.D}
        self.specs = {
            "G": network_spec("noise_generator", config.generator, **made),
            "D": network_spec("critic", config.discriminator, **judged),
        }
        self.opt_g = Stepper({"G": self.G}, optim, precision)
        self.opt_d = Stepper({"D": self.D}, optim, precision, lr=optim.lr_d)
        self.steppers = {"g": self.opt_g, "d": self.opt_d}

    @staticmethod
    def latent_values(config: GANConfig) -> int:
        """Return how many values the generator takes."""
        return config.latent

    def train_step(self, batch: Batch, step: int) -> Scalars:
        """Some steps of D, each on images and noise of its own, then one of G (Goodfellow et al. 2014, algorithm 1)."""
        for part in parts_of(batch, self.config.d_steps):
            real, labels = part["image"], self.labels(part)  # [N, C, S, S] in [-1, 1], int64 [N] or None
            with torch.no_grad():
                fake = self.G(self.noise(len(real)), labels)
            real, fake = self.shown(real, step), self.shown(fake, step)
            on_real, on_fake = self.judged(real, fake, labels)
            d_real, d_fake = self.config.labels.d_terms(self.gan, on_real, on_fake)
            penalty = self.penalty(lambda images, labels=labels: self.D(images, labels), real, fake)  # type: ignore[misc]
            d_loss = d_real + d_fake + penalty
            self.opt_d.minimize(d_loss)
            clip_weights(self.config.clip, self.D)

        fake = self.shown(self.G(self.noise(len(part["image"])), labels), step)
        if self.config.unroll:
            g_loss = self.foreseen(real, fake, labels)
            self.opt_g.minimize(g_loss)
        else:
            with frozen(self.D):
                if self.gan.relativistic or self.config.joint_batches:  # D has moved since it judged real images
                    real_again, on_new = self.judged(real, fake, labels)
                    g_loss = self.gan.g_loss(on_new, real_again)
                else:
                    g_loss = self.gan.g_loss(self.D(fake, labels))
                self.opt_g.minimize(g_loss)

        right_real, right_fake = self.gan.accuracy(on_real, on_fake)
        return detached(
            {
                "loss/d": d_loss,
                "loss/g": g_loss,
                "d/real": d_real,
                "d/fake": d_fake,
                "d/accuracy_real": right_real,
                "d/accuracy_fake": right_fake,
                "d/distance": on_real.float().mean() - on_fake.float().mean(),  # WGAN's estimate, eq. 2
                **({"loss/d_penalty": penalty} if self.penalty else {}),
            }
        )

    def shown(self, images: Tensor, step: int) -> Tensor:
        """Return what D is shown of images: with noise, augmented, several as one, as the options say."""
        std = self.config.input_noise.at(step)
        if std:
            normal = partial(torch.randn, device=images.device, dtype=images.dtype)
            images = images + std * world.drawn(normal, *images.shape)
        images = diff_augment(images, self.config.augment)
        count, channels, *sides = images.shape
        return images.reshape(count // self.config.pack, self.config.pack * channels, *sides)

    def judged(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None,
        judge: Callable[[Tensor, Tensor | None], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of D, or of `judge` in its place, on real and on generated images."""
        judge = judge or self.D
        if not self.config.joint_batches:
            return judge(real, labels), judge(fake, labels)
        logits = judge(torch.cat([real, fake]), None if labels is None else labels.repeat(2))
        on_real, on_fake = logits.chunk(2)
        return on_real, on_fake

    def foreseen(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """Return what G minimises: the negative of D's loss once D has answered these images for some steps.

        As in Metz et al. 2017 (eq. 10), that is D's whole loss, whatever the generator's own is: through D's answer,
        the term on real images depends on G as well.
        """
        buffers = {name: buffer.clone() for name, buffer in self.D.named_buffers()}

        def d_loss(weights: Weights) -> Tensor:
            def ahead(images: Tensor, labels: Tensor | None) -> Tensor:
                answer: Tensor = functional_call(self.D, {**weights, **buffers}, (images, labels))
                return answer

            on_real, on_fake = self.config.labels.d_terms(self.gan, *self.judged(real, fake, labels, ahead))
            return on_real + on_fake

        return -d_loss(unrolled(self.D, d_loss, self.config.unroll, self.opt_d.optimizer))


def parts_of(batch: Batch, count: int) -> list[Batch]:
    """Cut a batch into equal ones."""
    pieces = {name: tensor.chunk(count) for name, tensor in batch.items()}
    return [{name: piece[index] for name, piece in pieces.items()} for index in range(count)]
