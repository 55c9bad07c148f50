"""Published algorithms, one file each, and the union of their options."""

from typing import Annotated, Any

from pydantic import Field

from i2i.methods.base import Batch, Direction, Method, Scalars
from i2i.methods.began import BEGAN, BEGANConfig
from i2i.methods.cyclegan import CycleGAN, CycleGANConfig
from i2i.methods.gan import GAN, GANConfig
from i2i.methods.infogan import InfoGAN, InfoGANConfig
from i2i.methods.pix2pix import Pix2Pix, Pix2PixConfig

METHODS: dict[str, type[Any]] = {
    "pix2pix": Pix2Pix,
    "cyclegan": CycleGAN,
    "gan": GAN,
    "infogan": InfoGAN,
    "began": BEGAN,
}

MethodConfig = Annotated[
    Pix2PixConfig | CycleGANConfig | GANConfig | InfoGANConfig | BEGANConfig, Field(discriminator="name")
]

__all__ = [
    "BEGAN",
    "GAN",
    "METHODS",
    "BEGANConfig",
    "Batch",
    "CycleGAN",
    "CycleGANConfig",
    "Direction",
    "GANConfig",
    "InfoGAN",
    "InfoGANConfig",
    "Method",
    "MethodConfig",
    "Pix2Pix",
    "Pix2PixConfig",
    "Scalars",
]
