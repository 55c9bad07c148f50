"""Convolutions as matrix products against the library's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i.nn import UNetConfig, build_generator
from i2i.nn.convolution import MOST_POSITIONS, Conv2d, ConvTranspose2d, set_products

LAYERS = {
    "conv, 4x4, stride 2": Conv2d(3, 5, 4, stride=2, padding=1, bias=False),
    "conv, 3x3": Conv2d(3, 5, 3, padding=1),
    "conv, 3x2, no padding": Conv2d(3, 5, (3, 2), stride=(1, 2)),
    "transposed, 4x4, stride 2": ConvTranspose2d(3, 5, 4, stride=2, padding=1, bias=False),
    "transposed, 3x3, output padding": ConvTranspose2d(3, 5, 3, stride=2, padding=1, output_padding=1),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_products_equal_the_convolution(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name].double()
    image = torch.randn(count, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(image)

    def derivatives() -> list[Tensor]:
        output = layer(image)
        parameters = list(layer.parameters())
        first = torch.autograd.grad(output.sin().sum(), [image, *parameters], create_graph=True)
        second = torch.autograd.grad((first[0] * direction).sum(), [image, parameters[0]])
        return [output, *first, *second]

    products = derivatives()
    called = []
    kind: Any = type(layer).__mro__[1]
    library = kind.forward

    def counted(*given: Any) -> Any:
        called.append(given)
        return library(*given)

    monkeypatch.setattr(kind, "forward", counted)
    set_products(layer, False)
    for made, wanted in zip(products, derivatives(), strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-12, atol=1e-12)
        assert made.shape == wanted.shape
    set_products(layer, True)
    derivatives()
    assert len(called) == 1  # the products did without it


def test_many_positions_are_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    library = nn.Conv2d.forward

    def noted(self: nn.Conv2d, image: Tensor) -> Tensor:
        sizes.append(image.shape)
        return library(self, image)

    monkeypatch.setattr(nn.Conv2d, "forward", noted)
    layer = Conv2d(1, 1, 1)
    side = int(MOST_POSITIONS**0.5)
    layer(torch.zeros(1, 1, side, side))
    assert sizes == []
    layer(torch.zeros(2, 1, side, side))
    layer(torch.zeros(1, 1, side + 1, side))
    assert sizes == [(2, 1, side, side), (1, 1, side + 1, side)]


def test_a_u_net_gains_nothing_but_time() -> None:
    torch.manual_seed(0)
    network = build_generator(UNetConfig(depth=5, ngf=8), 3, 3).eval()
    image = torch.rand(2, 3, 64, 48) * 2 - 1
    with torch.no_grad():
        made = network(image)
        set_products(network, False)
        torch.testing.assert_close(made, network(image), rtol=1e-5, atol=1e-6)
