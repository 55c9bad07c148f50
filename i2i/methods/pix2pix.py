"""pix2pix: image-to-image translation learned from pairs (Isola, Zhu, Zhou & Efros, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import NonNegativeFloat, model_validator
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.losses import charbonnier, feature_matching, l1, l2, ssim_distance, total_variation
from i2i.losses.perceptual import CHANNELS, Perceptual
from i2i.methods.adversary import Penalties, clip_weights
from i2i.methods.base import (
    PERCEPTUAL_KEY,
    Batch,
    Direction,
    Method,
    Scalars,
    TranslationConfig,
    detached,
    network_spec,
)
from i2i.metrics import psnr, ssim
from i2i.nn import (
    DiscriminatorConfig,
    GeneratorConfig,
    InferencePolicy,
    PatchGANConfig,
    UNetConfig,
    build_discriminator,
    build_generator,
    enlarged_like,
    frozen,
    inference_mode,
)
from i2i.optim import OptimConfig, Precision, Stepper


class Pix2PixConfig(TranslationConfig):
    """Options of pix2pix; the defaults are the paper's.

    Attributes:
        generator: maps A to B.
        discriminator: judges B beside A.
        gan_loss: name of an adversarial loss; `penalties`, `lambda_penalty` and `weight_clip` go with it.
        lambda_gan: weight of the adversarial term in the generator's loss; 0: there is no discriminator, and the
            generator learns from the other terms alone.
        lambda_l1: weight of the L1 term (eq. 4).
        lambda_l2: weight of the mean squared error, with which SRResNet was trained (Ledig et al. 2017, eq. 4).
        lambda_charbonnier: weight of an L1 that is smooth near zero (Lai et al. 2017).
        lambda_ssim: weight of 1 - SSIM (Zhao et al. 2017).
        lambda_tv: weight of the output's total variation (Johnson et al. 2016, section 3.2).
        lambda_perceptual: weight of the distance of a trained network's features (Johnson et al. 2016, eq. 2).
        perceptual: which features these are.
        lambda_features: weight of the distance of the discriminator's features (Wang et al. 2018, pix2pixHD, eq. 4).
        inference: how the generator runs when it does not train; None: statistics of each image after training at batch
            1, as in the paper, running statistics otherwise, and no dropout.
    """

    name: Literal["pix2pix"] = "pix2pix"
    generator: GeneratorConfig = UNetConfig()
    discriminator: DiscriminatorConfig = PatchGANConfig()
    gan_loss: str = "nonsaturating"
    lambda_gan: NonNegativeFloat = 1.0
    lambda_l1: NonNegativeFloat = 100.0
    lambda_l2: NonNegativeFloat = 0.0
    lambda_charbonnier: NonNegativeFloat = 0.0
    lambda_ssim: NonNegativeFloat = 0.0
    lambda_tv: NonNegativeFloat = 0.0
    lambda_perceptual: NonNegativeFloat = 0.0
    lambda_features: NonNegativeFloat = 0.0
    inference: InferencePolicy | None = None

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        if not self.plays and self.lambda_features:
            raise ValueError(
                "lambda_features compares features of the discriminator, and lambda_gan=0 leaves it out; set "
                "lambda_features=0, or another lambda_gan"
            )
        pixelwise = (self.lambda_l1, self.lambda_l2, self.lambda_charbonnier)
        if not any((self.lambda_gan, *pixelwise, self.lambda_ssim, self.lambda_perceptual)):
            raise ValueError("nothing compares outputs with targets; set lambda_l1, or lambda_gan")
        return self

    @property
    def plays(self) -> bool:
        """Whether the generator plays against a discriminator."""
        return self.lambda_gan > 0

    @property
    def sees_features(self) -> bool:
        """Whether the perceptual loss is used."""
        return self.lambda_perceptual > 0


class Pix2Pix(Method):
    """The conditional GAN of the paper: G maps A to B, D tells real pairs (a, b) from (a, G(a)).

    A may be smaller than B, for a generator that enlarges (super-resolution).

    Args:
        config: options.
        channels_a: channels of the input domain A.
        channels_b: channels of the output domain B.
        optim: optimizer settings, the same for G and D unless `lr_d` is given.
        precision: device and arithmetic; the networks are built on the CPU from torch's global generator, then moved.

    Raises:
        UserError: a network or a distance does not go with these channels, the perceptual one has no weights, or the
            discriminator shows no features.
    """

    generators: ClassVar[tuple[str, ...]] = ("G",)
    needs: ClassVar[Literal["pairs", "heaps", "images"]] = "pairs"
    compared: ClassVar[tuple[tuple[str, str], ...]] = (("output", "target"),)
    recordable: ClassVar[bool] = True

    def __init__(
        self,
        config: Pix2PixConfig,
        channels_a: int = 3,
        channels_b: int = 3,
        optim: OptimConfig | None = None,
        precision: Precision | None = None,
    ) -> None:
        optim, precision = optim or OptimConfig(), precision or Precision()
        if config.sees_features and channels_b not in CHANNELS:
            raise UserError(
                f"method.lambda_perceptual compares images of 1 or 3 channels, not {channels_b}: set it to 0, or "
                "data.channels_b to 3"
            )
        self.config = config = config.with_norm()
        self.policy = config.inference or InferencePolicy(statistics="image")
        self.distances = _distances(config, precision.device)
        self.G = build_generator(config.generator, channels_a, channels_b).to(precision.device)
        self.networks = {"G": self.G}
        self.specs = {"G": network_spec("generator", config.generator, in_channels=channels_a, out_channels=channels_b)}
        self.opt_g = Stepper({"G": self.G}, optim, precision)
        self.steppers = {"g": self.opt_g}
        self.lower_is_better = ("val/l1",)
        if config.plays:
            channels = channels_a + channels_b
            self.gan, self.penalty = config.loss, Penalties(config)
            self.D = build_discriminator(config.discriminator, channels).to(precision.device)
            self.D_with_features: Any = getattr(self.D, "with_features", None)
            self.networks["D"] = self.D
            self.specs["D"] = network_spec("discriminator", config.discriminator, in_channels=channels)
            self.steppers["d"] = self.opt_d = Stepper({"D": self.D}, optim, precision, lr=optim.lr_d)
            self.lower_is_better += ("val/g_gan",)
            if config.lambda_features and self.D_with_features is None:
                raise UserError(
                    f"method.lambda_features compares features of the discriminator, and {config.discriminator.name} "
                    "has no method with_features; set method.lambda_features=0, or take patchgan"
                )

    def train_step(self, batch: Batch, step: int) -> Scalars:
        """One step of D, then one of G (section 3.3); of G alone where there is no D."""
        real_a, real_b = batch["a"], batch["b"]  # [N, C, H, W] in [-1, 1]
        fake_b = self.G(real_a)
        scalars: Scalars = {}
        terms: Scalars = {}  # of G's loss

        if self.config.plays:
            # D(image, condition): the condition comes first in the concatenation, and has the image's size
            shown_a = enlarged_like(real_a, real_b)
            real, fake = self.D(real_b, shown_a), self.D(fake_b.detach(), shown_a)
            d_real, d_fake = self.gan.d_terms(real, fake)
            penalty = self.penalty(lambda image: self.D(image, shown_a), real_b, fake_b)
            d_loss = 0.5 * (d_real + d_fake) + penalty  # halved, so that D learns more slowly than G
            right_real, right_fake = self.gan.accuracy(real, fake)
            self.opt_d.minimize(d_loss)
            clip_weights(self.config.clip, self.D)
            scalars = {"loss/d": d_loss, "d/real": d_real, "d/fake": d_fake}
            scalars |= {"d/accuracy_real": right_real, "d/accuracy_fake": right_fake}
            scalars |= {"loss/d_penalty": penalty} if self.penalty else {}

            with frozen(self.D):  # which has moved since
                if self.config.lambda_features:
                    real, real_features = self.D_with_features(real_b, shown_a)
                    fake, fake_features = self.D_with_features(fake_b, shown_a)
                    terms["features"] = self.config.lambda_features * feature_matching(fake_features, real_features)
                else:
                    real = self.D(real_b, shown_a) if self.gan.relativistic else None
                    fake = self.D(fake_b, shown_a)
                terms["gan"] = self.config.lambda_gan * self.gan.g_loss(fake, real)

        for name, (weight, distance) in self.distances.items():
            terms[name] = weight * distance(fake_b, real_b)
        g_loss = torch.stack(list(terms.values())).sum()  # eq. 4, and what was added to it
        self.opt_g.minimize(g_loss)
        return detached({"loss/g": g_loss, **{f"loss/g_{name}": term for name, term in terms.items()}, **scalars})

    def validate(self, batch: Batch, generators: Mapping[str, nn.Module]) -> Scalars:
        """Return how near G's outputs, as they are saved, are to their targets.

        And the adversarial loss on images never trained on, where there is a discriminator.
        """
        real_a, real_b = batch["a"], batch["b"]
        fake_b = generators["G"](real_a).float().clamp(-1, 1)
        scalars = {
            "val/l1": (fake_b - real_b).abs().mean(dim=(1, 2, 3)),
            "val/psnr": psnr(fake_b, real_b),
            "val/ssim": ssim(fake_b, real_b),
        }
        if self.config.plays:
            shown_a = enlarged_like(real_a, real_b)
            with inference_mode(self.D, self.policy):
                g_gan = self.gan.g_loss(self.D(fake_b, shown_a), self.D(real_b, shown_a))
            scalars["val/g_gan"] = (self.config.lambda_gan * g_gan).expand(len(real_a))
        return scalars

    def outcomes(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return outputs and targets."""
        return {"": (generators["G"](batch["a"]), batch["b"])}

    def pictures(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Return input, output and target; a smaller input is enlarged, so that its pixels are seen."""
        shown = enlarged_like(batch["a"], batch["b"], "nearest")
        return {"input": shown, "output": generators["G"](batch["a"]).float(), "target": batch["b"]}

    def translations(self, direction: Direction) -> dict[str, Direction]:
        """The one direction that G was trained in."""
        return {"G": direction}


Distance = Callable[[Tensor, Tensor], Tensor]


def _distances(config: Pix2PixConfig, device: torch.device) -> dict[str, tuple[float, Distance]]:
    """Return the terms by which G learns from (output, target) without D, those that have a weight, with it."""
    terms: dict[str, tuple[float, Distance]] = {
        "l1": (config.lambda_l1, l1),
        "l2": (config.lambda_l2, l2),
        "charbonnier": (config.lambda_charbonnier, charbonnier),
        "ssim": (config.lambda_ssim, ssim_distance),
        "tv": (config.lambda_tv, lambda output, target: total_variation(output)),
    }
    if config.sees_features:
        terms["perceptual"] = (config.lambda_perceptual, Perceptual(config.perceptual, PERCEPTUAL_KEY).to(device))
    return {name: (weight, distance) for name, (weight, distance) in terms.items() if weight}
