"""i2i: image-to-image translation with pix2pix and CycleGAN, and the GAN cores underneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from i2i.inference import load as load


def __getattr__(name: str) -> Any:
    """Import `load` when it is first asked for, for torch takes its time."""
    if name == "load":
        from i2i.inference import load

        return load
    raise AttributeError(f"module 'i2i' has no attribute '{name}'")
