"""Published algorithms, one file each, and the union of their options."""

from typing import Any

from i2i.methods.base import Batch, Method, Scalars
from i2i.methods.pix2pix import Pix2Pix, Pix2PixConfig

METHODS: dict[str, type[Any]] = {"pix2pix": Pix2Pix}

MethodConfig = Pix2PixConfig

__all__ = ["METHODS", "Batch", "Method", "MethodConfig", "Pix2Pix", "Pix2PixConfig", "Scalars"]
