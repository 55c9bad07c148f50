"""Where data that belongs to the user, and not to the checkout, lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_root() -> Path:
    """Return the folder of prepared and downloaded data: ``I2I_DATA``, or ``i2i`` in the user's cache folder."""
    if chosen := os.environ.get("I2I_DATA"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "i2i"


def cache_root() -> Path:
    """Return the folder of what can be computed again at any time, and deleted at any time."""
    return data_root() / "cache"
