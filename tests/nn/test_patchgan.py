from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.config import Config, Layer, resolve
from i2i.nn import (
    BatchNorm,
    DCGANCriticConfig,
    DiscriminatorConfig,
    Norm,
    PatchGAN,
    PatchGANConfig,
    PixelGAN,
    PixelGANConfig,
)

PIXEL = {"net.0": "features.0.conv", "net.2": "features.1.conv", "net.3": "features.1.norm", "net.5": "head"}


def test_pixel_equals_the_authors_code(trained: Callable[[str], Any]) -> None:
    weights, x, y = trained("d_pixel_batch")
    network = PixelGAN(6, ndf=8).eval()
    network.load_state_dict({PIXEL[key[:5]] + key[5:]: value for key, value in weights.items()})
    with torch.no_grad():
        torch.testing.assert_close(network(x), y, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("channels", "norm", "count"), [(6, "batch", 2_768_705), (3, "instance", 2_764_737)])
def test_parameter_counts(channels: int, norm: Norm, count: int) -> None:
    with torch.device("meta"):
        network = PatchGAN(channels, norm=norm)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(("layers", "side"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_receptive_field_is_the_extent_of_a_logits_gradient(layers: int, side: int) -> None:
    network = PatchGAN(1, layers=layers, ndf=1, norm="none") if layers else PixelGAN(1, ndf=1, norm="none")
    network = network.double()
    image = torch.randn(1, 1, 2 * side + 2**layers, 2 * side + 2**layers, dtype=torch.double, requires_grad=True)
    logits = network(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    rows, columns = image.grad[0, 0].nonzero(as_tuple=True)
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == side
    assert network.receptive_field == side


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_size_of_the_logits(layers: int) -> None:
    network = PatchGAN(3, layers=layers, ndf=1, norm="none")
    side = 3 * 2**layers
    assert network(torch.randn(1, 3, side, 2 * side)).shape == (1, 1, 1, 4)
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 3, side - 1, side))


@pytest.mark.parametrize("kind", [PatchGAN, PixelGAN])
def test_condition_goes_first(kind: type[PatchGAN | PixelGAN]) -> None:
    torch.manual_seed(0)
    network = kind(5, ndf=2)
    with torch.no_grad():
        network.head.weight.mul_(100)  # so that a sigmoid would show
    image, condition = torch.randn(2, 3, 32, 32), torch.randn(2, 2, 32, 32)
    logits = network(image, condition)
    torch.testing.assert_close(logits, network(torch.cat([condition, image], 1)), rtol=0, atol=0)
    assert logits.abs().max() > 0
    assert logits.min() < 0 or logits.max() > 1  # raw: no sigmoid


def test_a_patchgan_has_a_layer() -> None:
    with pytest.raises(ValueError, match="PixelGAN"):
        PatchGAN(3, layers=0)


@pytest.mark.parametrize("kind", [PatchGANConfig, PixelGANConfig, DCGANCriticConfig])
def test_no_norm_is_not_no_choice(kind: type[PatchGANConfig | PixelGANConfig | DCGANCriticConfig]) -> None:
    """`none` is a norm, as typed and as saved; null leaves the choice to the method."""
    for text in ("none", "batch", "group"):
        config = kind.model_validate({"norm": text})
        assert config.norm == text
        assert kind.model_validate(config.model_dump(mode="json")) == config
    assert kind(norm="none").norm == "none"
    assert [kind.model_validate({"norm": null}).norm for null in ("null", "~", None)] == [None] * 3
    assert kind().norm is None


def test_the_norm_as_users_type_it() -> None:
    class Options(Config):
        discriminator: DiscriminatorConfig = PatchGANConfig(norm="instance")

    for text, norm in (("none", "none"), ("null", None)):
        config = resolve(Options, [Layer("--set", {"discriminator": {"norm": text}})])
        assert config.discriminator == PatchGANConfig(norm=norm)
    assert Options(discriminator=PatchGANConfig(norm="none")).discriminator == PatchGANConfig(norm="none")


def test_no_choice_is_batch_norm() -> None:
    for network in (PatchGANConfig(ndf=1).build(3), PixelGANConfig(ndf=1).build(3)):
        assert any(isinstance(module, BatchNorm) for module in network.modules())
    network = PatchGANConfig(ndf=1, norm="none").build(3)
    assert not any(isinstance(module, BatchNorm) for module in network.modules())


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (PatchGAN(5, layers=2, ndf=2), [(2, 16), (4, 8), (8, 7)]),
        (PixelGAN(5, ndf=2), [(2, 32), (4, 32)]),
    ],
    ids=["patchgan", "pixel"],
)
def test_features_are_what_the_stages_make(network: PatchGAN | PixelGAN, shapes: list[tuple[int, int]]) -> None:
    """Seen from outside by hooks; the last but the logits, and nothing of them is changed afterwards."""
    seen: list[Tensor] = []
    for layers in network.features:
        layers.register_forward_hook(lambda _, inputs, output: seen.append(output.clone()))
    network.eval()
    image, condition = torch.randn(2, 3, 32, 32), torch.randn(2, 2, 32, 32)
    logits, features = network.with_features(image, condition)
    assert [(f.shape[1], f.shape[2]) for f in features] == shapes
    for feature, wanted in zip(features, seen, strict=True):
        torch.testing.assert_close(feature, wanted, rtol=0, atol=0)
    torch.testing.assert_close(logits, network.head(features[-1]), rtol=0, atol=0)
    torch.testing.assert_close(logits, network(image, condition), rtol=0, atol=0)
