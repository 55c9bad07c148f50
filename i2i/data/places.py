"""Where data that belongs to the user, and not to the checkout, lies, and how a folder of it comes into being."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DOWNLOADED = "downloaded"  # name of the folder, in a data set's own, that downloads fill


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


@contextmanager
def new_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder` when the block ends, and vanishes if it fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # temporary folders are their maker's alone
        if replace and folder.is_dir():
            shutil.rmtree(folder)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            shutil.rmtree(temporary)  # another process has made it meanwhile
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
