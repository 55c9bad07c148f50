"""Images from files to batches; knows nothing of networks and losses."""

from i2i.data.config import DataConfig
from i2i.data.images import ImageSet, to_model_range
from i2i.data.loader import batches_in_order, training_loader
from i2i.data.opened import Data, open_data
from i2i.data.pairs import PairedImages
from i2i.data.singles import SingleImages
from i2i.data.sources import Source, find_source
from i2i.data.unpaired import UnpairedImages

__all__ = [
    "Data",
    "DataConfig",
    "ImageSet",
    "PairedImages",
    "SingleImages",
    "Source",
    "UnpairedImages",
    "batches_in_order",
    "find_source",
    "open_data",
    "to_model_range",
    "training_loader",
]
