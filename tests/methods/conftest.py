from __future__ import annotations

import pytest
import torch
from torch import Tensor

from i2i.methods import Method


class Recording:
    """Stands in for a stepper: keeps which networks got gradients instead of stepping."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self.touched: set[str] = set()

    def minimize(self, loss: Tensor) -> None:
        for network in self.method.networks.values():
            network.zero_grad()
        torch.autograd.backward(loss)
        self.touched = {
            name
            for name, network in self.method.networks.items()
            if any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
        }


@pytest.fixture
def recording() -> type[Recording]:
    return Recording
