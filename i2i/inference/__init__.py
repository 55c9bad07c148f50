"""Trained models at work: loading, arrays, files and folders."""

from i2i.inference.translator import Translator, load

__all__ = ["Translator", "load"]
