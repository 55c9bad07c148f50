"""InfoGAN: codes with a meaning that nobody named (Chen, Duan, Houthooft, Schulman, Sutskever & Abbeel 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal, Self

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gaussian_nll_loss, one_hot

from i2i import world
from i2i.config import OneOrMore
from i2i.errors import UserError
from i2i.methods.adversary import clip_weights
from i2i.methods.base import Batch, Scalars, detached
from i2i.methods.gan import GAN, GANConfig, parts_of
from i2i.methods.noise import COLUMNS
from i2i.nn import Critic, CriticConfig, DCGANCriticConfig, DCGANGeneratorConfig, NoiseGeneratorConfig, frozen
from i2i.nn.init import PAPER_GAINS, initialise
from i2i.optim import OptimConfig, Precision, Stepper
from i2i.seeding import torch_generator

ROWS_PER_CODE = 3
SWEEP = 2.0  # continuous codes are drawn from -1 to 1, and shown beyond (figure 2)


class InfoGANConfig(GANConfig):
    """Options of InfoGAN; the defaults are the paper's for digits.

    Attributes:
        categories: sizes of the categorical codes.
        continuous: number of continuous codes, uniform in -1 to 1.
        lambda_info: weight of the information about categorical codes (eq. 6).
        lambda_continuous: weight of that about continuous ones, which the paper makes smaller (section 6).
    """

    name: Literal["infogan"] = "infogan"  # type: ignore[assignment]
    generator: NoiseGeneratorConfig = DCGANGeneratorConfig()
    discriminator: CriticConfig = DCGANCriticConfig()
    latent: PositiveInt = 62
    categories: Annotated[tuple[PositiveInt, ...], OneOrMore] = (10,)
    continuous: NonNegativeInt = 2
    lambda_info: NonNegativeFloat = 1.0
    lambda_continuous: NonNegativeFloat = 0.1

    @model_validator(mode="after")
    def _leave_codes_readable(self) -> Self:
        if not self.categories and not self.continuous:
            raise ValueError("infogan needs codes; give method.categories or method.continuous, or train gan instead")
        for key in ("conditional", "joint_batches", "pack", "unroll"):
            if getattr(self, key) != GANConfig.model_fields[key].default:
                raise ValueError(f"infogan knows no method.{key}; leave it out, or train gan instead")
        return self


class CodeReader(nn.Module):
    """The paper's Q without the layers that it shares with D: what codes made an image, from D's features of it.

    Args:
        features: how many features there are.
        categories: sizes of the categorical codes.
        continuous: number of continuous codes.
    """

    def __init__(self, features: int, categories: tuple[int, ...], continuous: int) -> None:
        super().__init__()
        self.categories, self.continuous = categories, continuous
        self.hidden = nn.Sequential(nn.Linear(features, 128), nn.LeakyReLU(0.1))
        self.head = nn.Linear(128, sum(categories) + 2 * continuous)

    def forward(self, features: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return logits [N, K] per categorical code, and mean and variance [N, codes] of the continuous ones."""
        values = self.head(self.hidden(features)).float()
        sizes = [*self.categories, self.continuous, self.continuous]
        *logits, means, logs = torch.split(values, sizes, dim=1)
        return logits, means, logs.exp()


class InfoGAN(GAN):
    """A GAN whose noise is partly codes that a reader must find again in the image.

    Args: see `GAN`.

    Raises:
        UserError: as `GAN`, or the discriminator has no features to read codes from.
    """

    config: InfoGANConfig

    def __init__(
        self,
        config: InfoGANConfig,
        channels: int = 1,
        size: int = 28,
        classes: int = 0,
        optim: OptimConfig | None = None,
        precision: Precision | None = None,
    ) -> None:
        optim, precision = optim or OptimConfig(), precision or Precision()
        super().__init__(config, channels, size, classes, optim, precision)
        if not isinstance(self.D, Critic):
            raise UserError(
                f"method.discriminator.name={config.discriminator.name}: infogan reads codes from the features of an "
                "i2i.nn.Critic, and this makes none; choose mlp or dcgan"
            )
        self.trunk: Critic = self.D
        self.Q = CodeReader(self.trunk.num_features, config.categories, config.continuous)
        initialise(self.Q, "kaiming", PAPER_GAINS["kaiming"])
        self.Q.to(precision.device)
        self.networks["Q"] = self.Q
        self.opt_d = Stepper({"D": self.D, "Q": self.Q}, optim, precision, lr=optim.lr_d)
        self.steppers["d"] = self.opt_d

    @staticmethod
    def latent_values(config: GANConfig) -> int:
        """Return how many values the generator takes: noise, one-hot categories and continuous codes."""
        assert isinstance(config, InfoGANConfig)
        return config.latent + sum(config.categories) + config.continuous

    def noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return incompressible noise and codes behind it, [count, latent + categories + continuous]."""
        codes = [
            one_hot(world.drawn(partial(torch.randint, size, generator=generator), count), size).float()
            for size in self.config.categories
        ]
        codes.append(2 * world.drawn(partial(torch.rand, generator=generator), count, self.config.continuous) - 1)
        return torch.cat([super().noise(count, generator), torch.cat(codes, dim=1).to(self.device)], dim=1)

    def train_step(self, batch: Batch, step: int) -> Scalars:
        """Steps of D and Q, then one of G; both sides seek the information that codes leave in images (eq. 6)."""
        trunk = self.trunk
        for part in parts_of(batch, self.config.d_steps):
            real, codes = self.shown(part["image"], step), self.noise(len(part["image"]))
            with torch.no_grad():
                fake = self.shown(self.G(codes), step)
            seen = trunk.features(fake)
            on_real, on_fake = self.D(real), trunk.judge(seen)
            d_real, d_fake = self.config.labels.d_terms(self.gan, on_real, on_fake)
            penalty = self.penalty(self.D, real, fake)
            d_loss = d_real + d_fake + penalty + self.lost_information(seen, codes)
            self.opt_d.minimize(d_loss)
            clip_weights(self.config.clip, self.D)

        codes = self.noise(len(part["image"]))
        with frozen(self.D, self.Q):
            seen = trunk.features(self.shown(self.G(codes), step))
            real_again = self.D(real) if self.gan.relativistic else None
            g_info = self.lost_information(seen, codes)
            g_loss = self.gan.g_loss(trunk.judge(seen), real_again) + g_info
            self.opt_g.minimize(g_loss)

        right_real, right_fake = self.gan.accuracy(on_real, on_fake)
        return detached(
            {
                "loss/d": d_loss,
                "loss/g": g_loss,
                "loss/g_info": g_info,
                "d/real": d_real,
                "d/fake": d_fake,
                "d/accuracy_real": right_real,
                "d/accuracy_fake": right_fake,
                **({"loss/d_penalty": penalty} if self.penalty else {}),
            }
        )

    def lost_information(self, features: Tensor, codes: Tensor) -> Tensor:
        """Return the weighted bound on the information that images lost about their codes (eqs. 4-5), a scalar.

        Up to the codes' constant entropy it is -E log Q(c | x): cross-entropy of categorical codes, and the negative
        log-likelihood of a factored Gaussian for continuous ones (section 6).
        """
        config = self.config
        with torch.autocast(features.device.type, enabled=False):
            logits, means, variances = self.Q(features.float())
            sizes = [*config.categories, config.continuous]
            *wanted, values = torch.split(codes[:, config.latent :], sizes, dim=1)
            lost = codes.new_zeros(())
            for guess, code in zip(logits, wanted, strict=True):
                lost = lost + config.lambda_info * cross_entropy(guess, code)
            if config.continuous:
                surprise = gaussian_nll_loss(means, values, variances, full=True, eps=1e-4, reduction="none")
                lost = lost + config.lambda_continuous * surprise.sum(dim=1).mean()
            return lost

    def pictures(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Return a grid: some rows for each code, along which it alone changes, from the same noise every time."""
        config, seeded = self.config, torch_generator("fixed noise")
        starts = self.noise(ROWS_PER_CODE, seeded)
        columns: list[list[Tensor]] = [[] for _ in range(COLUMNS)]
        place = config.latent
        for size in config.categories:
            for column in range(COLUMNS):
                varied = starts.clone()
                varied[:, place : place + size] = one_hot(torch.tensor(column % size), size).to(varied)
                columns[column].append(varied)
            place += size
        for code in range(place, place + config.continuous):
            for column, value in enumerate(torch.linspace(-SWEEP, SWEEP, COLUMNS).tolist()):
                varied = starts.clone()
                varied[:, code] = value
                columns[column].append(varied)
        return {
            f"{column + 1}": generators["G"](torch.cat(rows)).float() for column, rows in enumerate(columns) if rows
        }
