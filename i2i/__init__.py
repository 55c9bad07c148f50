"""i2i: image-to-image translation with pix2pix and CycleGAN, and the GAN cores underneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

from i2i.lazy import imported_later

if TYPE_CHECKING:
    from i2i.inference import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]
__getattr__ = imported_later(__name__, {"inference": ["load"]})  # torch takes its time
