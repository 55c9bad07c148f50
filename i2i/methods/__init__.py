"""Published algorithms, one file each, and the union of their options."""

from typing import Annotated, Any

from pydantic import Field

from i2i.methods.base import Batch, Direction, Method, Scalars
from i2i.methods.cyclegan import CycleGAN, CycleGANConfig
from i2i.methods.pix2pix import Pix2Pix, Pix2PixConfig

METHODS: dict[str, type[Any]] = {"pix2pix": Pix2Pix, "cyclegan": CycleGAN}

MethodConfig = Annotated[Pix2PixConfig | CycleGANConfig, Field(discriminator="name")]

__all__ = [
    "METHODS",
    "Batch",
    "CycleGAN",
    "CycleGANConfig",
    "Direction",
    "Method",
    "MethodConfig",
    "Pix2Pix",
    "Pix2PixConfig",
    "Scalars",
]
