from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from i2i.errors import UserError
from i2i.nn import (
    DCGANCritic,
    DCGANCriticConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    Norm,
    ResizeConv,
    Upsample,
    build_noise_generator,
    smallest_square,
)

NORMS: tuple[Norm, ...] = get_args(Norm)


@pytest.mark.parametrize(("size", "square"), [(8, (4, 1)), (28, (7, 2)), (48, (6, 3)), (64, (4, 4)), (160, (5, 5))])
def test_smallest_square(size: int, square: tuple[int, int]) -> None:
    assert smallest_square(size) == square


@pytest.mark.parametrize(
    ("size", "nearest"), [(4, "8"), (30, "28 or 32"), (65, "64 or 80"), (100, "96 or 112"), (257, "256 or 320")]
)
def test_other_sizes_are_refused_with_the_nearest(size: int, nearest: str) -> None:
    for build in (lambda: DCGANGeneratorConfig().build(8, 3, size), lambda: DCGANCriticConfig().build(3, size)):
        with pytest.raises(UserError, match=f"images of {size} pixels .* choose an --image-size of {nearest}$"):
            build()


def test_parameter_counts_of_the_papers_networks() -> None:
    """64 pixels, 100 values of noise, 3 channels, 64 channels next to the image."""
    with torch.device("meta"):
        generator, critic = DCGANGenerator(100, 3, 64), DCGANCritic(3, 64)
    doublings = [(512, 256), (256, 128), (128, 64)]
    expected = 100 * 512 * 16 + 2 * 512 + sum(16 * a * b + 2 * b for a, b in doublings) + 16 * 64 * 3 + 3
    assert sum(p.numel() for p in generator.parameters()) == expected == 3_576_707
    halvings = [(64, 128), (128, 256), (256, 512)]
    expected = 16 * 3 * 64 + 64 + sum(16 * a * b + 2 * b for a, b in halvings) + 512 * 16 + 1
    assert sum(p.numel() for p in critic.parameters()) == expected == 2_765_633


@pytest.mark.parametrize("upsample", get_args(Upsample))
def test_resizing_has_no_transposed_convolutions(upsample: Upsample) -> None:
    modules = list(DCGANGeneratorConfig(ngf=2, upsample=upsample).build(4, 1, 32).modules())
    counts = [sum(isinstance(m, kind) for m in modules) for kind in (nn.ConvTranspose2d, ResizeConv)]
    assert counts == ([3, 0] if upsample == "transposed" else [0, 3])


def test_guidelines_of_the_paper() -> None:
    """Norm everywhere but at the generator's output and the critic's input; ReLU here, LeakyReLU there; None: batch."""
    generator, critic = DCGANGenerator(8, 3, 64, ngf=2), DCGANCriticConfig(ndf=2).build(3, 64)
    assert [list(dict(stage.named_children())) for stage in generator.stages] == [
        ["norm", "activation"],
        *[["conv", "norm", "activation"]] * 3,
    ]
    assert list(dict(generator.head.named_children())) == ["conv", "tanh"]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in generator.modules()) == 4
    assert not any(isinstance(m, nn.LeakyReLU) for m in generator.modules())
    stages = [dict(stage.named_children()) for stage in critic.trunk.children()][:-1]
    assert [list(stage) for stage in stages] == [["conv", "activation"], *[["conv", "norm", "activation"]] * 3]
    assert all(isinstance(stage["norm"], nn.BatchNorm2d) for stage in stages[1:])
    for stage in stages:
        assert isinstance(stage["activation"], nn.LeakyReLU)
        assert stage["activation"].negative_slope == 0.2


def test_widths_stop_doubling_at_eight_times_the_first() -> None:
    generator, critic = DCGANGenerator(8, 3, 256, ngf=2), DCGANCritic(3, 256, ndf=2)
    up = [m.in_channels for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m.out_channels for m in critic.modules() if isinstance(m, nn.Conv2d)]
    assert down == up[::-1] == [2, 4, 8, 16, 16, 16]


@pytest.mark.parametrize("norm", NORMS)
def test_no_bias_is_idle(norm: Norm) -> None:
    """A bias that the norm behind it cancels would get no gradient but rounding."""
    generator = build_noise_generator(DCGANGeneratorConfig(ngf=64, norm=norm, init="kaiming"), 8, 1, 16)
    critic = DCGANCriticConfig(ndf=64, norm=norm).build(1, 16)
    (critic(generator(torch.randn(8, 8))).square().sum()).backward()
    for network in (generator, critic):
        gradients = {name: p.grad.abs().max().item() for name, p in network.named_parameters() if p.grad is not None}
        assert len(gradients) == len(list(network.parameters()))
        assert min(gradients.values()) > 1e-4 * max(gradients.values()), gradients


def test_dropout_stands_in_every_hidden_stage() -> None:
    generator = DCGANGeneratorConfig(ngf=2, dropout=0.5).build(4, 1, 16)
    critic = DCGANCriticConfig(ndf=2, dropout=0.5).build(1, 16)
    assert [sum(isinstance(m, nn.Dropout) for m in network.modules()) for network in (generator, critic)] == [2, 2]
