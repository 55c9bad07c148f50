"""Where images come from: priors, and grids that show the same noise every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i.data import DataConfig
from i2i.methods import BEGAN, GAN, BEGANConfig, GANConfig, InfoGAN, InfoGANConfig
from i2i.methods.noise import COLUMNS, NoiseMethod, draw_noise
from i2i.metrics.sliced import sliced_wasserstein
from i2i.nn import (
    BEGANAutoencoderConfig,
    BEGANGeneratorConfig,
    DCGANCriticConfig,
    DCGANGeneratorConfig,
    InferencePolicy,
    MLPGeneratorConfig,
    inference_mode,
)

SIDE = 10


def gan(classes: int = 0) -> GAN:
    return GAN(GANConfig(latent=4, conditional=classes > 0), channels=2, size=SIDE, classes=classes)


def infogan(classes: int = 0) -> InfoGAN:
    networks: dict[str, Any] = {"generator": DCGANGeneratorConfig(ngf=2), "discriminator": DCGANCriticConfig(ndf=2)}
    return InfoGAN(InfoGANConfig(latent=4, categories=(3,), continuous=1, **networks), channels=2, size=SIDE)


def began(classes: int = 0) -> BEGAN:
    generator, discriminator = BEGANGeneratorConfig(ngf=2), BEGANAutoencoderConfig(ndf=2)
    return BEGAN(BEGANConfig(latent=4, generator=generator, discriminator=discriminator), channels=2, size=SIDE)


METHODS = pytest.mark.parametrize("build", [gan, infogan, began])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


class Listening(nn.Module):
    """Stands in for a generator: keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.noise: list[Tensor] = []
        self.labels: list[Tensor] = []

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        self.noise.append(z)
        self.labels += [] if labels is None else [labels]
        return z[:, :1, None, None].expand(-1, 2, SIDE, SIDE)


def test_priors() -> None:
    normal, uniform = draw_noise(4000, 3, "normal"), draw_noise(4000, 3, "uniform")
    assert normal.shape == uniform.shape == (4000, 3)
    assert (float(normal.mean()), float(normal.std())) == pytest.approx((0, 1), abs=0.03)
    assert normal.abs().max() > 3
    assert -1 <= uniform.min() < -0.999 < 0.999 < uniform.max() <= 1
    assert (float(uniform.mean()), float(uniform.std())) == pytest.approx((0, 3**-0.5), abs=0.03)
    for prior in ("normal", "uniform"):
        method = GAN(GANConfig(latent=7, prior=prior), channels=1, size=SIDE)
        torch.manual_seed(3)
        drawn = method.noise(5)
        torch.manual_seed(3)
        assert torch.equal(drawn, draw_noise(5, 7, prior))
    assert BEGANConfig().prior == "uniform"  # Berthelot et al. 2017, section 3.5


@METHODS
def test_grids_are_the_same_every_time_and_draw_nothing_from_the_run(build: Callable[[], NoiseMethod]) -> None:
    method, batch = build(), {"image": torch.zeros(1, 2, SIDE, SIDE)}
    before = torch.get_rng_state()
    with inference_mode(method.G, InferencePolicy()):
        one = method.pictures(batch, {"G": method.G})
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(99)
        again = method.pictures({"image": torch.ones(3, 2, SIDE, SIDE)}, {"G": method.G})
    assert list(one) == list(again) == [str(column + 1) for column in range(COLUMNS)]
    for caption, images in one.items():
        torch.testing.assert_close(images, again[caption], rtol=0, atol=0)
        assert images.shape[1:] == (2, SIDE, SIDE)
    torch.manual_seed(7)
    other, one_more = Listening(), Listening()  # another run's grid shows the same noise
    method.pictures(batch, {"G": other})
    build().pictures(batch, {"G": one_more})
    assert torch.equal(torch.cat(other.noise), torch.cat(one_more.noise))


def test_a_grid_without_classes_is_full_of_different_noise() -> None:
    listening = Listening()
    columns = gan().pictures({}, {"G": listening})
    (noise,) = listening.noise
    assert noise.shape == (COLUMNS * COLUMNS, 4)
    assert len({tuple(row.tolist()) for row in noise}) == COLUMNS * COLUMNS
    shown = torch.stack([columns[str(column + 1)][:, 0, 0, 0] for column in range(COLUMNS)], dim=1)
    torch.testing.assert_close(shown.flatten(), noise[:, 0])  # row by row


def test_a_row_per_class_and_a_noise_per_column() -> None:
    listening = Listening()
    columns = gan(classes=3).pictures({}, {"G": listening})
    assert [tuple(images.shape) for images in columns.values()] == [(3, 2, SIDE, SIDE)] * COLUMNS
    assert all(labels.tolist() == [0, 1, 2] for labels in listening.labels)
    assert all((noise == noise[0]).all() for noise in listening.noise)
    assert len({tuple(noise[0].tolist()) for noise in listening.noise}) == COLUMNS


@METHODS
def test_validation_is_the_distance_of_as_many_images(build: Callable[[], NoiseMethod]) -> None:
    method, real = build(), torch.rand(5, 2, SIDE, SIDE) * 2 - 1
    with inference_mode(method.G, InferencePolicy()):
        torch.manual_seed(1)
        scalars = method.validate({"image": real}, {"G": method.G})
        torch.manual_seed(1)
        fake = method.G(method.noise(5))
    assert list(scalars) == ["val/swd"] == list(method.lower_is_better)
    torch.testing.assert_close(scalars["val/swd"], sliced_wasserstein(fake, real).expand(5))


def test_validation_makes_images_of_the_held_out_classes() -> None:
    method, listening = gan(classes=4), Listening()
    labels = torch.tensor([3, 0, 3])
    method.validate({"image": torch.zeros(3, 2, SIDE, SIDE), "label": labels}, {"G": listening})
    assert torch.equal(listening.labels[0], labels)


@METHODS
def test_what_follows_from_the_data(build: Callable[[], NoiseMethod]) -> None:
    class Digits:
        channels = (1,)
        config = DataConfig(image_size=28)
        classes = ("0", "1", "2")

    kind = type(build())
    assert kind.measures(Digits()) == {"channels": 1, "size": 28, "classes": 3}
    assert (kind.needs, kind.pictures_of_images) == ("images", False)
    assert build().translations("AtoB") == {}


def test_one_image_at_a_time_needs_no_batch_norm() -> None:
    lone = GANConfig(latent=4, generator=MLPGeneratorConfig(norm="none")).completed(SIDE, batch_size=1)
    method = GAN(lone, channels=2, size=SIDE)
    scalars = method.train_step({"image": torch.zeros(1, 2, SIDE, SIDE)}, 0)
    assert all(value.isfinite() for value in scalars.values())
