from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from i2i.config import Config, Layer, resolve
from i2i.nn import CriticConfig, Dropout, MLPCritic, MLPCriticConfig, MLPGenerator, MLPGeneratorConfig
from i2i.nn.norms import BatchNorm1d


def test_parameter_counts() -> None:
    generator, critic = MLPGenerator(100, 1, 28), MLPCritic(1, 28)
    expected = sum(a * b + 2 * b for a, b in [(100, 256), (256, 512), (512, 1024)]) + 1024 * 784 + 784
    assert sum(p.numel() for p in generator.parameters()) == expected
    expected = sum(a * b + b for a, b in [(784, 512), (512, 256), (256, 1)])
    assert sum(p.numel() for p in critic.parameters()) == expected


def test_options_build_the_layers() -> None:
    plain = MLPGeneratorConfig(hidden=(5,), activation="relu", norm="none", dropout=0.3).build(4, 3, 9)
    assert [type(m) for m in next(plain.layers.children()).children()] == [nn.Linear, nn.ReLU, Dropout]
    full = MLPGeneratorConfig(hidden=(5,)).build(4, 3, 9)
    assert [type(m) for m in next(full.layers.children()).children()] == [nn.Linear, BatchNorm1d, nn.LeakyReLU]
    critic = MLPCriticConfig(hidden=(6, 5), norm="layer", dropout=0.3).build(3, 9)
    assert [type(m) for m in critic.trunk.get_submodule("1").children()] == [
        nn.Linear,
        nn.LayerNorm,
        nn.LeakyReLU,
        Dropout,
    ]
    assert critic.num_features == 5
    assert critic(torch.randn(2, 3, 9, 9)).shape == (2,)


def test_widths_are_typed_as_text() -> None:
    class Options(Config):
        critic: CriticConfig = MLPCriticConfig()

    config = resolve(Options, [Layer("--set", {"critic": {"hidden": ["784", "256"]}})])
    assert config.critic == MLPCriticConfig(hidden=(784, 256))
    for wrong in ((), (3, 0)):
        with pytest.raises(ValidationError):
            MLPGeneratorConfig(hidden=wrong)
