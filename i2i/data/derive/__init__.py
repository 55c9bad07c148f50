"""Derivations: how a photo (B) becomes the input (A) of a pair, so that any folder of photos can be trained on."""

from typing import Annotated

from pydantic import Discriminator, Tag

from i2i.config import tag_of
from i2i.data.derive.base import MARKED, Derivation, Image, with_mask
from i2i.data.derive.blur import Blur
from i2i.data.derive.chain import Chain, OfPhotos
from i2i.data.derive.downscale import Downscale
from i2i.data.derive.edges import Edges
from i2i.data.derive.gray import Gray
from i2i.data.derive.heal import Heal
from i2i.data.derive.imported import Imported
from i2i.data.derive.jpeg import Jpeg
from i2i.data.derive.mask import Mask
from i2i.data.derive.noise import Noise
from i2i.data.derive.rain import Rain
from i2i.data.derive.warp import Warp

DerivationConfig = Annotated[
    OfPhotos | Annotated[Heal, Tag("heal")] | Annotated[Chain, Tag("chain")], Discriminator(tag_of)
]

# The names that the union above knows, for those who list.
DERIVATIONS: dict[str, type[Derivation]] = {
    "edges": Edges,
    "downscale": Downscale,
    "rain": Rain,
    "mask": Mask,
    "gray": Gray,
    "blur": Blur,
    "noise": Noise,
    "jpeg": Jpeg,
    "warp": Warp,
    "heal": Heal,
    "chain": Chain,
}

__all__ = [
    "DERIVATIONS",
    "MARKED",
    "Blur",
    "Chain",
    "Derivation",
    "DerivationConfig",
    "Downscale",
    "Edges",
    "Gray",
    "Heal",
    "Image",
    "Imported",
    "Jpeg",
    "Mask",
    "Noise",
    "Rain",
    "Warp",
    "with_mask",
]
