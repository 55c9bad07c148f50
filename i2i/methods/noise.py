"""What the methods have in common that make images of noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from i2i import world
from i2i.config import Config
from i2i.errors import UserError
from i2i.methods.base import Batch, Direction, Measured, Method, Scalars
from i2i.metrics.sliced import sliced_wasserstein
from i2i.nn import Imported, InferencePolicy, MLPGeneratorConfig, NoiseGeneratorConfig
from i2i.seeding import torch_generator

COLUMNS = 10  # of a grid of samples
MOST_ROWS = 20
Prior = Literal["normal", "uniform"]


class NoiseConfig(Config):
    """Where images come from.

    Attributes:
        latent: how many random numbers an image is made of.
        prior: their distribution: N(0, 1), or uniform in -1 to 1.
        inference: how the generator runs when it does not train; None: with running statistics and without dropout.
    """

    latent: PositiveInt = 100
    prior: Prior = "normal"
    inference: InferencePolicy | None = None


def draw_noise(count: int, latent: int, prior: Prior, generator: torch.Generator | None = None) -> Tensor:
    """Return noise [count, latent] from a CPU generator, torch's global one by default."""
    if prior == "normal":
        return world.drawn(partial(torch.randn, generator=generator), count, latent)
    return 2 * world.drawn(partial(torch.rand, generator=generator), count, latent) - 1


def refuse_unfit(generator: NoiseGeneratorConfig, image_size: int, batch_size: int) -> None:
    """Refuse training that a generator is not made for.

    Raises:
        UserError: it makes no images of that size, or its batch norm would find one value a channel in a batch.
    """
    if not isinstance(generator, Imported):
        with torch.device("meta"):
            generator.build(latent=1, channels=1, size=image_size)
    if isinstance(generator, MLPGeneratorConfig) and generator.norm == "batch" and batch_size == 1:
        raise UserError(
            "method.generator.norm=batch needs two images or more at a time; choose a larger --batch-size, or set it "
            "to none"
        )


class NoiseMethod(Method):
    """A method whose generator ``G`` makes images of noise, and of labels where it is conditional."""

    generators: ClassVar[tuple[str, ...]] = ("G",)
    needs: ClassVar[Literal["pairs", "heaps", "images"]] = "images"
    compared: ClassVar[tuple[tuple[str, str], ...]] = ()
    lower_is_better: tuple[str, ...] = ("val/swd",)
    pictures_of_images: ClassVar[bool] = False

    config: Any
    device: torch.device
    G: nn.Module
    classes: int = 0  # that the networks are given labels of

    @classmethod
    def measures(cls, data: Measured) -> dict[str, int]:
        """Return the constructor's arguments that follow from the data."""
        (channels,) = data.channels
        return {"channels": channels, "size": data.config.image_size, "classes": len(data.classes)}

    def noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return noise [count, latent] on the device, drawn on the CPU, so that it is the same everywhere."""
        return draw_noise(count, self.config.latent, self.config.prior, generator).to(self.device)

    def labels(self, batch: Batch) -> Tensor | None:
        """Return the labels of a batch, int64 [N], if they are used."""
        return batch["label"] if self.classes else None

    def validate(self, batch: Batch, generators: Mapping[str, nn.Module]) -> Scalars:
        """Return how far as many generated images are from the held-out ones (`sliced_wasserstein`)."""
        real = batch["image"]
        fake = generators["G"](self.noise(len(real)), self.labels(batch)).float()
        return {"val/swd": sliced_wasserstein(fake, real).expand(len(real))}

    def outcomes(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return images made of noise, of the labels of the real ones, and these."""
        real = batch["image"]
        return {"": (generators["G"](self.noise(len(real)), self.labels(batch)), real)}

    def pictures(self, batch: Batch, generators: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Return a grid of the same noise every time: a row per class where there are labels, of many classes some."""
        generator = generators["G"]
        seeded = torch_generator("fixed noise")
        if not self.classes:
            noise = self.noise(COLUMNS * COLUMNS, seeded)
            images = generator(noise).float()
            return {f"{column + 1}": images[column::COLUMNS] for column in range(COLUMNS)}
        noise = self.noise(COLUMNS, seeded)  # a column is one noise in every class
        shown = min(self.classes, MOST_ROWS)
        labels = torch.linspace(0, self.classes - 1, shown, device=self.device).round().long()
        return {
            f"{column + 1}": generator(noise[column].expand(shown, -1), labels).float() for column in range(COLUMNS)
        }

    def translations(self, direction: Direction) -> dict[str, Direction]:
        """No network here translates images."""
        return {}
