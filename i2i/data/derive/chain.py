"""Several derivations one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from i2i.config import tag_of
from i2i.data.derive.base import Derivation, Image
from i2i.data.derive.blur import Blur
from i2i.data.derive.downscale import Downscale
from i2i.data.derive.edges import Edges
from i2i.data.derive.gray import Gray
from i2i.data.derive.imported import Imported
from i2i.data.derive.jpeg import Jpeg
from i2i.data.derive.mask import Mask
from i2i.data.derive.noise import Noise
from i2i.data.derive.rain import Rain
from i2i.data.derive.warp import Warp
from i2i.data.geometry import Pixels

OfPhotos = (
    Annotated[Edges, Tag("edges")]
    | Annotated[Downscale, Tag("downscale")]
    | Annotated[Rain, Tag("rain")]
    | Annotated[Mask, Tag("mask")]
    | Annotated[Gray, Tag("gray")]
    | Annotated[Blur, Tag("blur")]
    | Annotated[Noise, Tag("noise")]
    | Annotated[Jpeg, Tag("jpeg")]
    | Annotated[Warp, Tag("warp")]
    | Annotated[Imported, Tag("module:attribute")]
)
Step = Annotated[
    OfPhotos,
    Discriminator(tag_of),
    BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value),
]


class Chain(Derivation):
    """Several derivations one after the other, such as blur, downscale, noise and jpeg for photos of old cameras.

    All of them are done to the photo before the outcome is prepared for the network: noise that follows on `downscale`
    lies on the small photo, which is enlarged at the end.

    Attributes:
        steps: derivations of photos, by their names or with their options; `mask` can only be the last.
    """

    name: Literal["chain"] = "chain"
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @field_validator("steps", mode="before")
    @classmethod
    def _one_step(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Mapping) else value

    @field_validator("steps", mode="after")
    @classmethod
    def _mask_is_last(cls, steps: tuple[Derivation, ...]) -> tuple[Derivation, ...]:
        if any(step.wants_mask for step in steps[:-1]):
            raise ValueError("mask must be the last step, for the others would change its mask as well")
        return steps

    @property
    def wants_mask(self) -> bool:
        """Whether the last step does."""
        return self.steps[-1].wants_mask

    @property
    def scale(self) -> int:
        """That of all steps together."""
        return prod(step.scale for step in self.steps)

    @property
    def magnification(self) -> int:
        """That of all steps together."""
        return prod(step.magnification for step in self.steps)

    @property
    def names_code(self) -> bool:
        """Whether any step does."""
        return any(step.names_code for step in self.steps)

    def channels_of(self, photo_channels: int) -> int:
        """Those that the last step makes of what the others made."""
        for step in self.steps:
            photo_channels = step.channels_of(photo_channels)
        return photo_channels

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return what all steps do to the photo."""
        for step in self.steps:
            photo = step.degraded(photo, rng)
        return photo

    def prepared(self, image: Pixels, mask: Image | None = None) -> Pixels:
        """Return the image as all steps prepare it; its mask is enlarged with it."""
        *others, last = self.steps
        for step in others:
            image = step.prepared(image)
        times = prod(step.magnification // step.scale for step in others)
        return last.prepared(image, mask if mask is None else mask.repeat(times, 0).repeat(times, 1))

    def __call__(self, photo: Image, rng: np.random.Generator, mask: Image | None = None) -> Image:
        """Return the photo after all steps, prepared by all of them; holes are drawn in what is prepared."""
        image = self.degraded(photo, rng)
        for step in self.steps:
            image = step(image, rng) if step.wants_mask else step.prepared(image)
        return image
