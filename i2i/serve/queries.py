"""What the query of a request may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator

from i2i.config import Config, Layer, resolve
from i2i.inference.latents import Along
from i2i.serve.images import Format

MOST_IMAGES = 64
MAX_SEED = 2**63 - 1

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Listed = BeforeValidator(lambda value: tuple(value.split(",")) if isinstance(value, str) else value)
Steps = Annotated[int, Field(ge=2, le=MOST_IMAGES)]


class OfModel(Config):
    """Which model.

    Attributes:
        model: its name; None: the first of the menu.
        format: of the image that comes back.
    """

    model: str | None = None
    format: Format = "png"


class OfImage(OfModel):
    """An image on its way through a model.

    Attributes:
        direction: which way, for models that go both ways; None: the model's first.
        size: short side to work at; None: the image's own, or where it is derived the size of training.
        seed: of what is random in a derivation.
    """

    direction: Literal["AtoB", "BtoA"] | None = None
    size: PositiveInt | None = None
    seed: Seed = 0


class TranslateQuery(OfImage):
    """``POST /api/translate``.

    Attributes:
        derive: the image is a photo, of which the model's input is made first, as in training.
    """

    derive: bool = False


class ExampleQuery(OfModel):
    """``GET /api/example``.

    Attributes:
        direction: see `OfImage`.
        index: number of a held-out image.
    """

    direction: Literal["AtoB", "BtoA"] | None = None
    index: NonNegativeInt = 0


class SampleQuery(OfModel):
    """``/api/sample``: the images of some seeds, or a way through the noise.

    Attributes:
        seeds: of the images, ``1,2,3``.
        label: their class, by name or number, for models that have classes.
        interpolate: two seeds, ``3,7``: the way from one to the other.
        along: path of that way.
        traverse: a value of the noise, or a code, that changes from image to image, of the first of `seeds`.
        steps: images of a way.
        truncation: normal noise beyond it is redrawn.
    """

    seeds: Annotated[tuple[Seed, ...], Listed, Field(min_length=1, max_length=MOST_IMAGES)] = (0,)
    label: str | None = None
    interpolate: Annotated[tuple[Seed, Seed], Listed] | None = None
    along: Along | None = None
    traverse: str | None = None
    steps: Steps | None = None
    truncation: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SampleQuery:
        if self.interpolate and self.traverse:
            raise ValueError("interpolate and traverse are given together; keep one")
        if self.steps and not (self.interpolate or self.traverse):
            raise ValueError("steps belongs to interpolate or traverse; add one of them, or leave it out")
        if self.along and not self.interpolate:
            raise ValueError("along belongs to interpolate; add it, or leave along out")
        if self.interpolate and "seeds" in self.model_fields_set:
            raise ValueError("interpolate names its two seeds itself; leave seeds out")
        return self


Query = TypeVar("Query", bound=Config)


def read_query(kind: type[Query], parameters: Mapping[str, str]) -> Query:
    """Return what a request's parameters say.

    Raises:
        UserError: one is unknown or does not fit; the line names it.
    """
    options: dict[str, Any] = dict(parameters)
    return resolve(kind, [Layer("query", options)])
