"""A photo for all derivations."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.data.cats import draw_cat
from i2i.data.derive import Image


@pytest.fixture(scope="session")
def cat() -> Image:
    """A drawn cat, uint8 RGB ``[96, 96, 3]``."""
    return draw_cat(np.random.default_rng(0), 96)
