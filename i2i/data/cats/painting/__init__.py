"""Curves, rasters, the canvas, light and fur: what any part of a cat is painted with."""
