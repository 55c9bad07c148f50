from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

FIXTURES = Path(__file__).parents[1] / "fixtures" / "junyanz"

Trained = tuple[dict[str, Tensor], Tensor, Tensor]


@pytest.fixture
def trained() -> Callable[[str], Trained]:
    """Weights written by the CycleGAN-and-pix2pix code, an input in [-1, 1], and its output in eval mode."""

    def load(name: str) -> Trained:
        weights = torch.load(FIXTURES / f"{name}.pth", weights_only=True)
        arrays = np.load(FIXTURES / f"{name}.npz")
        return weights, torch.from_numpy(arrays["xq"]).float() / 127.5 - 1, torch.from_numpy(arrays["y"])

    return load


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
