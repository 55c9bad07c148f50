"""Every random draw comes from the run's seed and a place in the run (a step, an epoch, an index), never from state.

So a resumed run draws what the uninterrupted one would have drawn, and the number of loader workers changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    import torch

Key = int | str


def sequence(*keys: Key) -> np.random.SeedSequence:
    """Return the seed sequence of a place, such as ``sequence(seed, "crop", epoch, index)``."""
    return np.random.SeedSequence([crc32(key.encode()) if isinstance(key, str) else key for key in keys])


def derive(*keys: Key) -> int:
    """Return a 63-bit integer seed for a place in the run."""
    return int(sequence(*keys).generate_state(1, np.uint64)[0] >> np.uint64(1))


def numpy_generator(*keys: Key) -> np.random.Generator:
    """Return a numpy generator for a place in the run."""
    return np.random.default_rng(sequence(*keys))


def torch_generator(*keys: Key, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator on `device` for a place in the run."""
    import torch

    return torch.Generator(device).manual_seed(derive(*keys))


@contextmanager
def torch_seeded(*keys: Key, device: str | torch.device = "cpu") -> Iterator[None]:
    """Seed torch's global generators (dropout, initial weights) for a place in the run, and restore them after."""
    import torch

    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # torch.manual_seed seeds every device; what would not be restored after the block must not be touched in it
        seed = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        seed(derive(*keys))
        yield
