"""What every derivation offers: to the training data, and to the translation of a user's own images."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from i2i.config import Config
from i2i.data.geometry import Pixels
from i2i.errors import UserError

Image = npt.NDArray[np.uint8]
MARKED = 128
"""The least value by which a mask marks a pixel."""

N = TypeVar("N", int, float)


def _both_ends(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value, value
    if isinstance(value, list | tuple) and len(value) == 2:
        return value
    raise ValueError(f"must be one number or [low, high], not {value}")


def _in_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"must be one number or [low, high], not [{ends[0]:g}, {ends[1]:g}]")
    return ends


Ends = Annotated[tuple[N, N], BeforeValidator(_both_ends), AfterValidator(_in_order)]
"""The ends of a range, from which a number is drawn for each image; one number stands for both."""
Range = Ends[float]
Amount = Ends[NonNegativeFloat]
PositiveAmount = Ends[PositiveFloat]
Fraction = Ends[Annotated[float, Field(ge=0, le=1)]]
Count = Ends[NonNegativeInt]


def draw(ends: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw an amount between the ends of its range."""
    return float(rng.uniform(*ends))


def draw_count(ends: tuple[int, int], rng: np.random.Generator) -> int:
    """Draw a whole number between the ends of its range, both among them."""
    return int(rng.integers(ends[0], ends[1] + 1))


class Derivation(Config):
    """Makes the input of a pair (A) from its photo (B).

    What happens to the photo (`degraded`) is apart from how a network takes the outcome (`prepared`), for the images
    that a user translates later are degraded already, and go through the latter alone. Everything random comes from
    the generator that is passed in. Lengths are in pixels of the image, unless said otherwise.

    Attributes:
        name: which derivation.
        takes: whether A is made of the photo alone, or pairs are given and A is made of both.
    """

    name: str
    takes: ClassVar[Literal["photos", "pairs"]] = "photos"

    @property
    def wants_mask(self) -> bool:
        """Whether `prepared` needs a mask beside the image."""
        return False

    @property
    def scale(self) -> int:
        """How many times smaller than the photo the input is."""
        return 1

    @property
    def magnification(self) -> int:
        """How many times larger than a degraded image the network's output is, and so what photos must divide by."""
        return 1

    @property
    def names_code(self) -> bool:
        """Whether it runs code that is no part of this package."""
        return False

    def channels_of(self, photo_channels: int) -> int:
        """Return how many channels the input has.

        Raises:
            UserError: it does not take photos of so many channels.
        """
        return photo_channels

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the photo ``[H, W, C]`` as someone might have it who wants the photo."""
        return photo

    def prepared(self, image: Pixels, mask: Image | None = None) -> Pixels:
        """Return what the network takes of a degraded image.

        Args:
            image: ``[h, w, C]``, uint8 or floats in [0, 1].
            mask: ``[h, w, 1]``, where the derivation wants one; what is `MARKED` or more is marked.

        Raises:
            UserError: there is no mask where one is wanted, or it is of another size.
        """
        return image

    def __call__(self, photo: Image, rng: np.random.Generator, mask: Image | None = None) -> Image:
        """Return the input of a pair.

        Args:
            photo: uint8 ``[H, W, C]``.
            rng: all that is random is drawn from it.
            mask: the given A, uint8 ``[H, W, 1]``, for derivations that take pairs.

        Returns:
            uint8 ``[H / scale, W / scale, channels_of(C)]``.
        """
        return self.prepared(self.degraded(photo, rng))

    def _refuse_channels(self, photo_channels: int, *taken: int) -> None:
        if photo_channels not in taken:
            raise UserError(
                f"data.derive.name={self.name} takes photos of {' or '.join(map(str, taken))} channels, and these have "
                f"{photo_channels}; choose another derivation, or give pairs of images instead"
            )


def with_mask(name: str, image: Pixels, mask: Image | None) -> tuple[Pixels, Pixels]:
    """Return the image ``[H, W, C + 1]`` with the mask, black or white, as its last channel, and that ``[H, W, 1]``.

    Args:
        name: of the derivation, for the errors' words.
        image: ``[H, W, C]``, uint8 or floats in [0, 1].
        mask: ``[H, W, 1]``; what is `MARKED` or more is marked.

    Raises:
        UserError: there is no mask, or it is of another size.
    """
    if mask is None:
        raise UserError(f"{name}: an image needs its mask beside it, white where it is marked")
    if mask.shape[:2] != image.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (mask.shape, image.shape)]
        raise UserError(f"{name}: the mask is of {sizes[0]} pixels and its image of {sizes[1]}; make both of one size")
    white = 255 if image.dtype == np.uint8 else 1
    marked = np.where(mask[..., :1] >= MARKED, white, 0).astype(image.dtype)
    return np.concatenate([image, marked], axis=2), marked
