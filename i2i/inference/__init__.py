"""Trained models at work: loading, arrays, files and folders, and images of noise."""

from i2i.inference.sampler import Sampler, load_sampler
from i2i.inference.trained import TrainedModel, open_model
from i2i.inference.translator import Translator, load

__all__ = ["Sampler", "TrainedModel", "Translator", "load", "load_sampler", "open_model"]
