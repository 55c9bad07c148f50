from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from i2i.nn import ResNet


def from_sequence(weights: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """Rename the keys of the authors' one long sequence."""
    layers = {"1": "encoder.0.conv", "4": "encoder.1.conv", "7": "encoder.2.conv"}
    for block in range(blocks):
        layers[f"{10 + block}.conv_block.1"] = f"blocks.{block}.residual.conv1"
        layers[f"{10 + block}.conv_block.5"] = f"blocks.{block}.residual.conv2"
    layers |= {
        f"{10 + blocks}": "decoder.0.conv",
        f"{13 + blocks}": "decoder.1.conv",
        f"{17 + blocks}": "head.conv",
    }
    renamed = {}
    for key, value in weights.items():
        layer, _, kind = key.removeprefix("model.").rpartition(".")
        renamed[f"{layers[layer]}.{kind}"] = value
    return renamed


def test_equals_the_authors_code(trained: Callable[[str], Any]) -> None:
    weights, x, y = trained("g_resnet6_instance")
    network = ResNet(3, 3, blocks=6, ngf=8).eval()
    network.load_state_dict(from_sequence(weights, blocks=6))
    with torch.no_grad():
        torch.testing.assert_close(network(x), y, atol=1e-5, rtol=0)
        torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x), y, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("blocks", "count"), [(9, 11_378_179), (6, 7_837_699)])
def test_parameter_counts(blocks: int, count: int) -> None:
    with torch.device("meta"):
        network = ResNet(3, 3, blocks=blocks)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    if blocks == 9:
        assert len(network.state_dict()) == 48


@pytest.mark.parametrize(
    ("size", "padded", "mode"),
    [((13, 18), (16, 20), "reflect"), ((5, 9), (8, 12), "reflect"), ((4, 16), (8, 16), "replicate")],
)
def test_other_sizes_are_padded_and_cropped(size: tuple[int, int], padded: tuple[int, int], mode: str) -> None:
    network = ResNet(3, 2, blocks=1, ngf=4).eval()
    image = torch.randn(2, 3, *size)
    whole = network(pad(image, (0, padded[1] - size[1], 0, padded[0] - size[0]), mode=mode))
    assert whole.shape[-2:] == padded
    torch.testing.assert_close(network(image), whole[..., : size[0], : size[1]])


def test_dropout_stands_between_the_convolutions_and_leaves_the_keys_alone() -> None:
    dropping, plain = ResNet(3, 3, blocks=2, ngf=2, dropout=0.5), ResNet(3, 3, blocks=2, ngf=2)
    names = [name for name, _ in dropping.get_submodule("blocks.0.residual").named_children()]
    assert names == ["conv1", "norm1", "activation", "dropout", "conv2", "norm2"]
    assert list(dropping.state_dict()) == list(plain.state_dict())
