from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.optim import Ema


def test_three_steps_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0)
    ema = Ema(network, decay=0.15)
    weights, wanted = [1.0, 2.0, -3.0], []
    shadow = 0.0
    for weight, decay in zip(weights, [1 / 10, 0.15, 0.15], strict=True):  # (1 + t) / (10 + t): 1/10, 2/11, 3/12
        shadow = decay * shadow + (1 - decay) * weight
        wanted.append(shadow)
    for step, weight in enumerate(weights):
        nn.init.constant_(network.weight, weight)
        ema.update(step)
        assert ema.shadow.get_parameter("weight").item() == pytest.approx(wanted[step], rel=1e-6)
    assert network.weight.item() == -3


def test_the_decay_rises_to_its_limit() -> None:
    network = nn.Linear(1, 1, bias=False)
    for step, decay in {0: 0.1, 1: 2 / 11, 90: 0.91, 10**6: 0.999}.items():
        nn.init.constant_(network.weight, 1)
        ema = Ema(network, decay=0.999)
        nn.init.constant_(network.weight, 0)
        ema.update(step)
        assert ema.shadow.get_parameter("weight").item() == pytest.approx(decay, rel=1e-6)


def test_the_shadow_stands_apart_and_averages_running_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    ema = Ema(network, decay=0.05)
    assert not any(parameter.requires_grad for parameter in ema.shadow.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    network(torch.randn(4, 2, 3, 3))
    mean, variance = network.get_buffer("1.running_mean"), network.get_buffer("1.running_var")
    assert mean.abs().min() > 0
    ema.update(0)
    torch.testing.assert_close(ema.shadow.get_buffer("1.running_mean"), 0.95 * mean)  # they start at 0 and 1
    torch.testing.assert_close(ema.shadow.get_buffer("1.running_var"), 0.05 + 0.95 * variance)
    assert ema.shadow.get_buffer("1.num_batches_tracked").item() == 1
    assert ema.shadow.get_buffer("1.running_mean") is not mean
