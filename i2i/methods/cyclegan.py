"""CycleGAN: translation between two domains learned without pairs (Zhu, Park, Isola & Efros, ICCV 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.losses import l1
from i2i.losses.perceptual import CHANNELS, Perceptual
from i2i.losses.reconstruction import ssim_distance
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
from i2i.methods.pool import ImagePool
from i2i.nn import (
    DiscriminatorConfig,
    GeneratorConfig,
    InferencePolicy,
    PatchGANConfig,
    ResNetConfig,
    build_discriminator,
    build_generator,
    forward_each,
    frozen,
)
from i2i.optim import OptimConfig, Precision, Stepper


class CycleGANConfig(TranslationConfig):
    """Options of CycleGAN; the defaults are the paper's.

    Attributes:
        generator: of G_AB and of G_BA.
        discriminator: of D_A and of D_B.
        gan_loss: name of an adversarial loss; `penalties`, `lambda_penalty` and `weight_clip` go with it.
        lambda_gan: weight of the adversarial terms.
        lambda_a: weight of the cycle A to B to A (eq. 3).
        lambda_b: weight of the cycle B to A to B.
        lambda_identity: weight of the identity loss as a share of the cycle's (section 5.2, photos from paintings).
        cycle_ssim: share of 1 - SSIM in the cycle's distance, the rest is L1; a mix in the spirit of Zhao et al. 2017,
            section III-D, on one scale and without their Gaussian weights on L1.
        identity: distance of the identity loss: the paper's L1, or that of a trained network's features. Fang et al.
            2020 (identity-aware CycleGAN) train with a perceptual loss, too, but theirs keeps a face's identity in its
            translation; here it replaces L1 between G_BA(A) and A, and between G_AB(B) and B, under the same weight.
            Its numbers are others than L1's, so `lambda_identity` may need another value.
        perceptual: the features that `identity: perceptual` compares.
        pool_size: generated images that each discriminator's history keeps; 0: none.
        inference: how the generators run when they do not train; None: as for pix2pix.
    """

    name: Literal["cyclegan"] = "cyclegan"
    generator: GeneratorConfig = ResNetConfig()
    discriminator: DiscriminatorConfig = PatchGANConfig(norm="instance")
    gan_loss: str = "lsgan"
    lambda_gan: NonNegativeFloat = 1.0
    lambda_a: NonNegativeFloat = 10.0
    lambda_b: NonNegativeFloat = 10.0
    lambda_identity: NonNegativeFloat = 0.5
    cycle_ssim: Annotated[float, Field(ge=0, le=1)] = 0.0
    identity: Literal["l1", "perceptual"] = "l1"
    pool_size: NonNegativeInt = 50
    inference: InferencePolicy | None = None

    @property
    def sees_features(self) -> bool:
        """Whether the perceptual loss is used."""
        return self.identity == "perceptual" and self.lambda_identity > 0


class CycleGAN(Method):
    """Two generators that undo each other, and a discriminator for each domain.

    The paper's G is `G_AB` here, its F is `G_BA`; its D_Y, which judges images of domain B, is `D_B`, its D_X is `D_A`.

    Args:
        config: options.
        channels_a: channels of domain A.
        channels_b: channels of domain B.
        optim: optimizer settings; `lr_d` is that of the discriminators, if it differs.
        precision: device and arithmetic.

    Raises:
        UserError: the domains have other numbers of channels and an identity loss, or the perceptual one has no weights
            or does not know images of so many channels.
    """

    generators: ClassVar[tuple[str, ...]] = ("G_AB", "G_BA")
    needs: ClassVar[Literal["pairs", "heaps", "images"]] = "heaps"
    lower_is_better: tuple[str, ...] = ("val/cycle", "val/cycle_a", "val/cycle_b")
    compared: ClassVar[tuple[tuple[str, str], ...]] = (("G_AB(A)", "B"), ("G_BA(B)", "A"))
    recordable: ClassVar[bool] = True

    def __init__(
        self,
        config: CycleGANConfig,
        channels_a: int = 3,
        channels_b: int = 3,
        optim: OptimConfig | None = None,
        precision: Precision | None = None,
    ) -> None:
        optim, precision = optim or OptimConfig(), precision or Precision()
        if config.lambda_identity and channels_a != channels_b:
            raise UserError(
                f"A has {channels_a} channels and B {channels_b}, so no image is of both kinds: set "
                "method.lambda_identity=0, or data.channels_a and data.channels_b to the same"
            )
        self.identity_distance: Callable[[Tensor, Tensor], Tensor] = l1
        if config.sees_features:
            if channels_a not in CHANNELS:
                raise UserError(
                    f"method.identity=perceptual compares images of 1 or 3 channels, not {channels_a}: set "
                    "method.identity=l1, or data.channels_a and data.channels_b to 3"
                )
            self.identity_distance = Perceptual(config.perceptual, PERCEPTUAL_KEY).to(precision.device)
        self.config = config = config.with_norm()
        self.policy = config.inference or InferencePolicy(statistics="image")
        self.gan, self.penalty = config.loss, Penalties(config)
        self.G_AB = build_generator(config.generator, channels_a, channels_b).to(precision.device)
        self.G_BA = build_generator(config.generator, channels_b, channels_a).to(precision.device)
        self.D_A = build_discriminator(config.discriminator, channels_a).to(precision.device)
        self.D_B = build_discriminator(config.discriminator, channels_b).to(precision.device)
        self.networks = {"G_AB": self.G_AB, "G_BA": self.G_BA, "D_A": self.D_A, "D_B": self.D_B}
        self.specs = {
            "G_AB": network_spec("generator", config.generator, in_channels=channels_a, out_channels=channels_b),
            "G_BA": network_spec("generator", config.generator, in_channels=channels_b, out_channels=channels_a),
            "D_A": network_spec("discriminator", config.discriminator, in_channels=channels_a),
            "D_B": network_spec("discriminator", config.discriminator, in_channels=channels_b),
        }
        self.opt_g = Stepper({"G_AB": self.G_AB, "G_BA": self.G_BA}, optim, precision)
        self.opt_d = Stepper({"D_A": self.D_A, "D_B": self.D_B}, optim, precision, lr=optim.lr_d)
        self.steppers = {"g": self.opt_g, "d": self.opt_d}
        self.pool_a, self.pool_b = ImagePool(config.pool_size), ImagePool(config.pool_size)
        self.device = precision.device

    def train_step(self, batch: Batch, step: int) -> Scalars:
        """One step of both generators, then one of both discriminators (eq. 3 and section 4)."""
        real_a, real_b = batch["a"], batch["b"]  # [N, C, H, W] in [-1, 1]
        gan, weight = self.gan, self.config

        fake_b, same_b = self._with_identity(self.G_AB, real_a, real_b)
        fake_a, same_a = self._with_identity(self.G_BA, real_b, real_a)
        cycle_a = weight.lambda_a * self._cycle_distance(self.G_BA(fake_b), real_a)
        cycle_b = weight.lambda_b * self._cycle_distance(self.G_AB(fake_a), real_b)
        identity_a = weight.lambda_a * weight.lambda_identity * self._identity_distance(same_a, real_a)
        identity_b = weight.lambda_b * weight.lambda_identity * self._identity_distance(same_b, real_b)
        with frozen(self.D_A, self.D_B):
            judged_b = self.D_B(real_b) if gan.relativistic else None
            judged_a = self.D_A(real_a) if gan.relativistic else None
            gan_ab = weight.lambda_gan * gan.g_loss(self.D_B(fake_b), judged_b)
            gan_ba = weight.lambda_gan * gan.g_loss(self.D_A(fake_a), judged_a)
            g_loss = gan_ab + gan_ba + cycle_a + cycle_b + identity_a + identity_b
            self.opt_g.minimize(g_loss)

        past_a, past_b = self.pool_a.query(fake_a), self.pool_b.query(fake_b)
        real_on_a, fake_on_a = forward_each(self.D_A, real_a, past_a)
        real_on_b, fake_on_b = forward_each(self.D_B, real_b, past_b)
        terms_a, terms_b = gan.d_terms(real_on_a, fake_on_a), gan.d_terms(real_on_b, fake_on_b)
        penalty = self.penalty(self.D_A, real_a, past_a) + self.penalty(self.D_B, real_b, past_b)
        d_a, d_b = 0.5 * (terms_a[0] + terms_a[1]), 0.5 * (terms_b[0] + terms_b[1])  # halved, so that D learns slowly
        right_a, right_b = gan.accuracy(real_on_a, fake_on_a), gan.accuracy(real_on_b, fake_on_b)
        d_loss = d_a + d_b + penalty
        self.opt_d.minimize(d_loss)
        clip_weights(self.config.clip, self.D_A, self.D_B)

        return detached(
            {
                "loss/g": g_loss,
                "loss/g_gan_ab": gan_ab,
                "loss/g_gan_ba": gan_ba,
                "loss/cycle_a": cycle_a,
                "loss/cycle_b": cycle_b,
                "loss/identity_a": identity_a,
                "loss/identity_b": identity_b,
                "loss/d": d_loss,
                "loss/d_a": d_a,
                "loss/d_b": d_b,
                "d/real": (terms_a[0] + terms_b[0]) / 2,
                "d/fake": (terms_a[1] + terms_b[1]) / 2,
                "d/accuracy_real": (right_a[0] + right_b[0]) / 2,
                "d/accuracy_fake": (right_a[1] + right_b[1]) / 2,
                **({"loss/d_penalty": penalty} if self.penalty else {}),
            }
        )

    def _with_identity(self, generator: nn.Module, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the translation of `source`, and what becomes of an image that is of the target domain already."""
        if self.config.lambda_identity == 0:
            return generator(source), None
        translated, same = forward_each(generator, source, target)
        return translated, same

    def _identity_distance(self, same: Tensor | None, real: Tensor) -> Tensor:
        """Return how far an image is from what its own domain's generator makes of it; 0 without an identity loss."""
        return real.new_zeros(()) if same is None else self.identity_distance(same, real)

    def _cycle_distance(self, back: Tensor, real: Tensor) -> Tensor:
        """Return how far an image is from what came back of it."""
        share = self.config.cycle_ssim
        if share == 0:
            return l1(back, real)
        return (1 - share) * l1(back, real) + share * ssim_distance(back, real)

    def validate(self, batch: Batch, generators: Mapping[str, nn.Module]) -> Scalars:
        """Return how well the cycles close, mean absolute differences of images in [-1, 1]."""
        real_a, real_b = batch["a"], batch["b"]
        g_ab, g_ba = generators["G_AB"], generators["G_BA"]
        cycle_a = (g_ba(g_ab(real_a)).float() - real_a).abs().mean(dim=(1, 2, 3))
        cycle_b = (g_ab(g_ba(real_b)).float() - real_b).abs().mean(dim=(1, 2, 3))
        return {"val/cycle": (cycle_a + cycle_b) / 2, "val/cycle_a": cycle_a, "val/cycle_b": cycle_b}

    def outcomes(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the translations in both directions, and images of the domains they went to."""
        real_a, real_b = batch["a"], batch["b"]
        return {"_ab": (generators["G_AB"](real_a), real_b), "_ba": (generators["G_BA"](real_b), real_a)}

    def pictures(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Return both directions: the image, its translation, the cycle back and the identity."""
        real_a, real_b = batch["a"], batch["b"]
        g_ab, g_ba = generators["G_AB"], generators["G_BA"]
        fake_b, fake_a = g_ab(real_a), g_ba(real_b)
        columns = {"A": real_a, "G_AB(A)": fake_b, "back to A": g_ba(fake_b)}
        columns |= {"B": real_b, "G_BA(B)": fake_a, "back to B": g_ab(fake_a)}
        if real_a.shape[1] == real_b.shape[1]:
            columns |= {"G_BA(A)": g_ba(real_a), "G_AB(B)": g_ab(real_b)}
        return {caption: images.float() for caption, images in columns.items()}

    def translations(self, direction: Direction) -> dict[str, Direction]:
        """Both directions, whichever was named."""
        return {"G_AB": "AtoB", "G_BA": "BtoA"}

    def state(self) -> dict[str, Tensor]:
        """Return the image pools."""
        pools = {"pool_a": self.pool_a, "pool_b": self.pool_b}
        return {f"{name}/{key}": value for name, pool in pools.items() for key, value in pool.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take up the image pools."""
        for name, pool in (("pool_a", self.pool_a), ("pool_b", self.pool_b)):
            own = {key.removeprefix(f"{name}/"): value for key, value in state.items() if key.startswith(f"{name}/")}
            pool.load_state(own, self.device)
