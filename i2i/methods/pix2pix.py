"""pix2pix: image-to-image translation learned from pairs (Isola, Zhu, Zhou & Efros, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat
from torch import Tensor, nn

from i2i.losses import l1
from i2i.methods.adversary import Penalties, clip_weights
from i2i.methods.base import Batch, Direction, Method, Scalars, TranslationConfig, detached, network_spec
from i2i.metrics import psnr, ssim
from i2i.nn import (
    DiscriminatorConfig,
    GeneratorConfig,
    InferencePolicy,
    PatchGANConfig,
    UNetConfig,
    build_discriminator,
    build_generator,
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
        lambda_gan: weight of the adversarial term in the generator's loss.
        lambda_l1: weight of the L1 term (eq. 4).
        inference: how the generator runs when it does not train; None: statistics of each image after training at batch
            1, as in the paper, running statistics otherwise, and no dropout.
    """

    name: Literal["pix2pix"] = "pix2pix"
    generator: GeneratorConfig = UNetConfig()
    discriminator: DiscriminatorConfig = PatchGANConfig()
    gan_loss: str = "nonsaturating"
    lambda_gan: NonNegativeFloat = 1.0
    lambda_l1: NonNegativeFloat = 100.0
    inference: InferencePolicy | None = None


class Pix2Pix(Method):
    """The conditional GAN of the paper: G maps A to B, D tells real pairs (a, b) from (a, G(a)).

    Args:
        config: options.
        channels_a: channels of the input domain A.
        channels_b: channels of the output domain B.
        optim: optimizer settings, the same for G and D unless `lr_d` is given.
        precision: device and arithmetic; the networks are built on the CPU from torch's global generator, then moved.
    """

    generators: ClassVar[tuple[str, ...]] = ("G",)
    needs: ClassVar[Literal["pairs", "heaps", "images"]] = "pairs"
    compared: ClassVar[tuple[tuple[str, str], ...]] = (("output", "target"),)
    lower_is_better: ClassVar[tuple[str, ...]] = ("val/l1", "val/g_gan")

    def __init__(
        self,
        config: Pix2PixConfig,
        channels_a: int = 3,
        channels_b: int = 3,
        optim: OptimConfig | None = None,
        precision: Precision | None = None,
    ) -> None:
        optim, precision = optim or OptimConfig(), precision or Precision()
        self.config = config = config.with_norm()
        self.policy = config.inference or InferencePolicy(statistics="image")
        self.gan, self.penalty = config.loss, Penalties(config)
        self.G = build_generator(config.generator, channels_a, channels_b).to(precision.device)
        self.D = build_discriminator(config.discriminator, channels_a + channels_b).to(precision.device)
        self.networks = {"G": self.G, "D": self.D}
        self.specs = {
            "G": network_spec("generator", config.generator, in_channels=channels_a, out_channels=channels_b),
            "D": network_spec("discriminator", config.discriminator, in_channels=channels_a + channels_b),
        }
        self.opt_g = Stepper({"G": self.G}, optim, precision)
        self.opt_d = Stepper({"D": self.D}, optim, precision, lr=optim.lr_d)
        self.steppers = {"g": self.opt_g, "d": self.opt_d}

    def train_step(self, batch: Batch, step: int) -> Scalars:
        """One step of D, then one of G (section 3.3)."""
        real_a, real_b = batch["a"], batch["b"]  # [N, C, H, W] in [-1, 1]
        fake_b = self.G(real_a)

        # D(image, condition): the condition comes first in the concatenation
        real, fake = self.D(real_b, real_a), self.D(fake_b.detach(), real_a)
        d_real, d_fake = self.gan.d_terms(real, fake)
        penalty = self.penalty(lambda image: self.D(image, real_a), real_b, fake_b)
        d_loss = 0.5 * (d_real + d_fake) + penalty  # halved, so that D learns more slowly than G
        right_real, right_fake = self.gan.accuracy(real, fake)
        self.opt_d.minimize(d_loss)
        clip_weights(self.config.clip, self.D)

        with frozen(self.D):
            real_again = self.D(real_b, real_a) if self.gan.relativistic else None  # D has moved since
            g_gan = self.config.lambda_gan * self.gan.g_loss(self.D(fake_b, real_a), real_again)
            g_l1 = self.config.lambda_l1 * l1(fake_b, real_b)
            g_loss = g_gan + g_l1  # eq. 4
            self.opt_g.minimize(g_loss)

        return detached(
            {
                "loss/d": d_loss,
                "loss/g": g_loss,
                "loss/g_gan": g_gan,
                "loss/g_l1": g_l1,
                "d/real": d_real,
                "d/fake": d_fake,
                "d/accuracy_real": right_real,
                "d/accuracy_fake": right_fake,
                **({"loss/d_penalty": penalty} if self.penalty else {}),
            }
        )

    def validate(self, batch: Batch, generators: Mapping[str, nn.Module]) -> Scalars:
        """Return how near G's outputs are to their targets, and the adversarial loss on images never trained on."""
        real_a, real_b = batch["a"], batch["b"]
        fake_b = generators["G"](real_a).float()
        with inference_mode(self.D, self.policy):
            g_gan = self.gan.g_loss(self.D(fake_b, real_a), self.D(real_b, real_a))
        return {
            "val/l1": (fake_b - real_b).abs().mean(dim=(1, 2, 3)),
            "val/g_gan": (self.config.lambda_gan * g_gan).expand(len(real_a)),
            "val/psnr": psnr(fake_b, real_b),
            "val/ssim": ssim(fake_b, real_b),
        }

    def pictures(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Return input, output and target."""
        return {"input": batch["a"], "output": generators["G"](batch["a"]).float(), "target": batch["b"]}

    def translations(self, direction: Direction) -> dict[str, Direction]:
        """The one direction that G was trained in."""
        return {"G": direction}
