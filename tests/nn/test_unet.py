from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from i2i.nn import Norm, UNet, UNetConfig


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def from_nested(weights: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Rename the keys of the authors' nested blocks: in a level lie its halving, its child (.3) and its doubling."""
    renamed = {}
    for key, value in weights.items():
        nesting, place, kind = re.fullmatch(r"model((?:\.model\.[13])*?)\.model\.(\d)\.(\w+)", key).groups()  # type: ignore[union-attr]
        level = nesting.count(".model.")
        outermost, innermost = level == 0, level == depth - 1
        if outermost:
            layer = {"0": "encoder.0.conv", "3": "head.conv"}[place]
        elif innermost:
            layer = {"1": f"encoder.{level}.conv", "3": "decoder.0.conv", "4": "decoder.0.norm"}[place]
        else:
            down, up = f"encoder.{level}", f"decoder.{depth - 1 - level}"
            layer = {"1": f"{down}.conv", "2": f"{down}.norm", "5": f"{up}.conv", "6": f"{up}.norm"}[place]
        renamed[f"{layer}.{kind}"] = value
    return renamed


def test_equals_the_authors_code(trained: Callable[[str], Any]) -> None:
    weights, x, y = trained("g_unet128_batch")
    network = UNet(3, 3, depth=7, ngf=4).eval()
    network.load_state_dict(from_nested(weights, depth=7))
    with torch.no_grad():
        torch.testing.assert_close(network(x), y, atol=1e-5, rtol=0)
        torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x), y, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("depth", "count"), [(8, 54_413_955), (7, 41_828_995)])
def test_parameter_counts(depth: int, count: int) -> None:
    with torch.device("meta"):
        network = UNet(3, 3, depth=depth)
    assert parameters(network) == count
    if depth == 8:
        assert len(network.state_dict()) == 82


@pytest.mark.parametrize("size", [(37, 50), (64, 33), (1, 1), (1, 40)])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_equals_its_recursive_definition(size: tuple[int, int], norm: Norm) -> None:
    """A level: make its input even, halve, go deeper, double, put input and result side by side, undo the padding."""
    network = UNet(2, 3, depth=5, ngf=2, norm=norm).eval()

    def level(x: Tensor, depth: int) -> Tensor:
        height, width = x.shape[-2:]
        even = pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        below = network.encoder[depth](even)
        if depth < 4:
            below = level(below, depth + 1)
        if depth == 0:
            return network.head(below)[..., :height, :width]  # type: ignore[no-any-return]
        return torch.cat([even, network.decoder[4 - depth](below)], 1)[..., :height, :width]

    image = torch.randn(2, 2, *size)
    torch.testing.assert_close(network(image), level(image, 0))


def test_pads_next_to_nothing() -> None:
    network, sizes = UNet(1, 1, depth=7, ngf=1), []
    for encode in network.encoder:
        encode.register_forward_hook(lambda _, inputs, output: sizes.append(output.shape[-1]))
    network(torch.zeros(1, 1, 300, 300))
    assert sizes == [150, 75, 38, 19, 10, 5, 3]


@pytest.mark.parametrize(("depth", "count"), [(2, 0), (5, 0), (6, 1), (7, 2), (8, 3), (9, 4)])
def test_dropout_stands_in_the_middle_and_leaves_the_keys_alone(depth: int, count: int) -> None:
    network, plain = UNet(1, 1, depth=depth, ngf=1), UNet(1, 1, depth=depth, ngf=1, dropout=0)
    dropping = [i for i, decode in enumerate(network.decoder) if hasattr(decode, "dropout")]
    assert dropping == list(range(1, 1 + count))
    assert not any(isinstance(module, nn.Dropout) for module in plain.modules())
    assert list(network.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
def test_trains_on_one_image_at_the_papers_size(norm: Norm) -> None:
    network = UNet(3, 3, depth=8, ngf=1, norm=norm)
    network(torch.randn(1, 3, 256, 256)).square().mean().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    innermost = network.get_parameter("encoder.7.conv.weight").grad
    assert innermost is not None
    assert innermost.any()


def test_depth_must_be_known() -> None:
    with pytest.raises(ValueError, match="must be set"):
        UNetConfig().build(3, 3)
    with pytest.raises(ValueError, match="at least 2"):
        UNet(3, 3, depth=1)
