"""Derivations of the user's own."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from pydantic import Field

from i2i.config import load_attribute, natural
from i2i.data.derive.base import Derivation, Image
from i2i.errors import UserError

TRIAL = 64  # side of the photo on which a function is tried


class Imported(Derivation):
    """A derivation of the user's own: `name` is `module:attribute`, called with a photo, a generator and the `options`.

    It returns an image as large as the photo, uint8 ``[H, W, C]`` of any number of channels, and draws all that is
    random from the generator (`numpy.random.Generator`).

    Attributes:
        name: such as ``my_derivations:sepia``.
        options: its further arguments, by name.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def names_code(self) -> bool:
        """It does."""
        return True

    def channels_of(self, photo_channels: int) -> int:
        """As many as it gives a photo of noise.

        Raises:
            UserError: there is no such function, or it returns no such image.
        """
        rng = np.random.default_rng(0)
        photo = rng.integers(0, 256, (TRIAL, TRIAL, photo_channels), dtype=np.uint8)
        return int(self.degraded(photo, rng).shape[2])

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return what the function makes of the photo.

        Raises:
            UserError: there is no such function, or it returns no such image.
        """
        function = load_attribute(self.name)
        if not callable(function):
            raise UserError(f"{self.name}: is a {type(function).__name__}, which derives no images")
        options = natural(self.options)
        try:
            inspect.signature(function).bind(photo, rng, **options)
        except TypeError as error:
            raise UserError(f"{self.name}: called with a photo, a generator and {options}: {error}") from error
        image = function(photo, rng, **options)
        if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3):
            what = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise UserError(f"{self.name}: returned {what}; an image must be an array of uint8, [H, W, C]")
        if image.shape[:2] != photo.shape[:2]:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (image.shape, photo.shape)]
            raise UserError(f"{self.name}: made {sizes[0]} pixels of a photo of {sizes[1]}; both must be of one size")
        return image
