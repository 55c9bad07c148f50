"""Trained models at work: loading, arrays, files and folders."""

from i2i.inference.trained import TrainedModel, open_model
from i2i.inference.translator import Translator, load

__all__ = ["TrainedModel", "Translator", "load", "open_model"]
