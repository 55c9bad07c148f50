"""Images from files to batches; knows nothing of networks and losses."""

from i2i.data.config import DataConfig
from i2i.data.loader import batches_in_order, training_loader
from i2i.data.opened import Data, open_data
from i2i.data.pairs import PairedImages, to_model_range
from i2i.data.sources import Source, find_source

__all__ = [
    "Data",
    "DataConfig",
    "PairedImages",
    "Source",
    "batches_in_order",
    "find_source",
    "open_data",
    "to_model_range",
    "training_loader",
]
