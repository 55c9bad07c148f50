"""Images from files to batches; knows nothing of networks and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i2i.lazy import imported_later

if TYPE_CHECKING:
    from i2i.data.config import DataConfig
    from i2i.data.images import ImageSet, to_model_range
    from i2i.data.kept import Kept, kept_bytes
    from i2i.data.loader import Stream, batches_in_order, in_blocks, training_loader
    from i2i.data.opened import Data, open_data
    from i2i.data.pairs import PairedImages
    from i2i.data.singles import SingleImages
    from i2i.data.sources import Source, find_source
    from i2i.data.unpaired import UnpairedImages

__all__ = [
    "Data",
    "DataConfig",
    "ImageSet",
    "Kept",
    "PairedImages",
    "SingleImages",
    "Source",
    "Stream",
    "UnpairedImages",
    "batches_in_order",
    "find_source",
    "in_blocks",
    "kept_bytes",
    "open_data",
    "to_model_range",
    "training_loader",
]

# What knows only names and files, such as `sources`, is used without torch.
__getattr__ = imported_later(
    __name__,
    {
        "config": ["DataConfig"],
        "images": ["ImageSet", "to_model_range"],
        "kept": ["Kept", "kept_bytes"],
        "loader": ["Stream", "batches_in_order", "in_blocks", "training_loader"],
        "opened": ["Data", "open_data"],
        "pairs": ["PairedImages"],
        "singles": ["SingleImages"],
        "sources": ["Source", "find_source"],
        "unpaired": ["UnpairedImages"],
    },
)
