"""SRResNet against the paper's figure, layer by layer in plain functions, and what it begins with."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from i2i.config import Config, Layer, parse_setting, resolve
from i2i.errors import UserError
from i2i.nn import (
    GeneratorConfig,
    Norm,
    ResNetConfig,
    SRResNet,
    SRResNetConfig,
    UNetConfig,
    build_generator,
    fitted_to_size,
)


class Options(Config):
    generator: GeneratorConfig = UNetConfig()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts() -> None:
    """k9n64, 16 blocks, k3n64, two shuffles and k9n3 (Ledig et al. 2017, fig. 4); a PReLU has one slope."""
    first = 9 * 9 * 3 * 64 + 64 + 1
    block = 2 * (9 * 64 * 64 + 2 * 64) + 1  # batch norm brings the bias
    last = 9 * 64 * 64 + 2 * 64
    shuffle = 9 * 64 * 256 + 256 + 1
    head = 9 * 9 * 64 * 3 + 3
    count = first + 16 * block + last + 2 * shuffle + head
    assert 1.5e6 < count < 1.6e6
    with torch.device("meta"):
        assert parameters(SRResNet(3, 3, scale=4)) == count
        assert parameters(SRResNet(3, 3, scale=1)) == count - 2 * shuffle
        assert parameters(SRResNet(3, 3, scale=3)) == count - 2 * shuffle + 9 * 64 * 576 + 576 + 1
        without_norm = SRResNet(3, 3, scale=4, norm="none")  # whose convolutions have biases themselves
        assert parameters(without_norm) == count - 33 * 64


def written_out(weights: dict[str, Tensor], image: Tensor, blocks: int, shuffles: int) -> Tensor:
    """Figure 4 in functions, with batch norm at inference and shuffles pixel by pixel."""

    def conv(x: Tensor, name: str) -> Tensor:
        weight = weights[f"{name}.weight"]
        return conv2d(x, weight, weights.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    def normed(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            weights[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return batch_norm(x, mean, var, weight, bias)

    def prelu(x: Tensor, name: str) -> Tensor:
        return x.clamp(min=0) + weights[f"{name}.weight"] * x.clamp(max=0)

    def shuffled(x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        enlarged = torch.empty(count, channels // 4, 2 * height, 2 * width)
        for row in (0, 1):
            for column in (0, 1):
                enlarged[..., row::2, column::2] = x[:, 2 * row + column :: 4]
        return enlarged

    x = skip = prelu(conv(image, "first.conv"), "first.activation")
    for block in range(blocks):
        name = f"blocks.{block}.residual"
        inner = prelu(normed(conv(x, f"{name}.conv1"), f"{name}.norm1"), f"{name}.activation")
        x = x + normed(conv(inner, f"{name}.conv2"), f"{name}.norm2")
    x = skip + normed(conv(x, "last.conv"), "last.norm")
    for shuffle in range(shuffles):
        x = prelu(shuffled(conv(x, f"enlarge.{shuffle}.conv")), f"enlarge.{shuffle}.activation")
    return conv(x, "head.conv").tanh()


def test_equals_the_figure_written_out() -> None:
    network = SRResNet(3, 2, scale=4, blocks=3, ngf=6).eval()
    with torch.no_grad():
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if value.is_floating_point():
                value.uniform_(0.5, 1.5) if "running_var" in name else value.uniform_(-0.3, 0.3)
        image = torch.rand(2, 3, 5, 7) * 2 - 1
        expected = written_out(dict(network.state_dict()), image, blocks=3, shuffles=2)
        assert expected.std() > 0.1
        torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(network.to(memory_format=torch.channels_last)(image), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_trains_from_its_initial_weights(scale: int, norm: Norm) -> None:
    network = build_generator(SRResNetConfig(scale=scale, blocks=2, ngf=4, norm=norm), 3, 3)
    torch.autograd.backward((network(torch.rand(1, 3, 8, 8)) - 0.5).square().mean())
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_begins_without_a_checkerboard() -> None:
    """Shuffles that begin alike make of a constant image a constant one, away from its borders."""

    def roughness(network: nn.Module) -> float:
        with torch.no_grad():
            return float(network(torch.full((1, 3, 32, 32), 0.5))[..., 52:76, 52:76].std((2, 3)).max())

    begun = build_generator(SRResNetConfig(scale=4, blocks=1, ngf=8, init="kaiming", output="residual"), 3, 3).eval()
    assert roughness(begun) < 1e-5
    plain = SRResNet(3, 3, scale=4, blocks=1, ngf=8, tanh=False).eval()
    assert roughness(plain) > 1e-3


def test_the_scale_is_that_of_the_data_unless_it_is_given() -> None:
    assert fitted_to_size(SRResNetConfig(), 64, 3) == SRResNetConfig(scale=3)
    assert fitted_to_size(SRResNetConfig(), 64) == SRResNetConfig(scale=1)
    assert fitted_to_size(SRResNetConfig(scale=4), 64, 4) == SRResNetConfig(scale=4)
    typed = [parse_setting("generator=srresnet"), parse_setting("generator.scale=8")]
    assert resolve(Options, typed).generator == SRResNetConfig(scale=8)
    unset = resolve(Options, [Layer("", {"generator": {"name": "srresnet", "scale": "null"}})])
    assert unset.generator == SRResNetConfig()
    with pytest.raises(ValueError, match="must be set"):
        build_generator(SRResNetConfig(), 3, 3)
    with pytest.raises(ValueError, match="1, 2, 3, 4, 8 times, not 5"):
        SRResNet(3, 3, scale=5)
    with pytest.raises(UserError, match=r"option 'generator\.scale': must be one of 1, 2, 3, 4, 8, not 5"):
        resolve(Options, [*typed, parse_setting("generator.scale=5")])


@pytest.mark.parametrize(
    ("config", "scale", "message"),
    [
        (
            UNetConfig(),
            4,
            "data.derive.enlarge=false makes inputs 4 times smaller, and unet does not enlarge; set "
            "data.derive.enlarge=true, or method.generator=srresnet",
        ),
        (ResNetConfig(), 2, "resnet does not enlarge"),
        (SRResNetConfig(scale=1), 2, "method.generator.scale=1: inputs are 2 times smaller than outputs in this data"),
        (SRResNetConfig(), 6, "srresnet enlarges 1, 2, 3, 4, 8 times, and inputs are 6 times smaller than outputs"),
        (
            SRResNetConfig(scale=2),
            4,
            "method.generator.scale=2: inputs are 4 times smaller than outputs in this data; set "
            "method.generator.scale=4",
        ),
        (SRResNetConfig(scale=4), 1, "method.generator.scale=4: inputs are as large as outputs in this data"),
    ],
)
def test_another_scale_than_the_datas_is_refused(
    config: UNetConfig | ResNetConfig | SRResNetConfig, scale: int, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        fitted_to_size(config, 64, scale)
