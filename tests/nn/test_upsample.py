from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch.nn.functional import conv2d, pad

from i2i.nn import Upsample, upsampler


@pytest.mark.parametrize("kind", ["transposed", "resize"])
@pytest.mark.parametrize("kernel_size", [3, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_doubles_any_size(kind: Upsample, kernel_size: Literal[3, 4], bias: bool) -> None:
    layer = upsampler(kind, 3, 5, kernel_size=kernel_size, bias=bias)
    for height, width in [(1, 1), (1, 4), (5, 3)]:
        assert layer(torch.randn(2, 3, height, width)).shape == (2, 5, 2 * height, 2 * width)
    assert set(layer.state_dict()) == ({"weight", "bias"} if bias else {"weight"})


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_checkerboard(kernel_size: Literal[3, 4]) -> None:
    """A constant input stays constant by resizing; a transposed convolution draws its pattern over it."""
    constant = torch.ones(1, 4, 6, 6)
    smooth = upsampler("resize", 4, 3, kernel_size=kernel_size, bias=True)(constant)
    pattern = upsampler("transposed", 4, 3, kernel_size=kernel_size, bias=True)(constant)[..., 2:-2, 2:-2]
    assert smooth.var((2, 3)).max() < 1e-12
    assert pattern.var((2, 3)).max() > 1e-4


def test_resizing_repeats_pixels_then_convolves() -> None:
    layer = upsampler("resize", 2, 3, kernel_size=4, bias=False)
    x = torch.randn(1, 2, 4, 5)
    enlarged = pad(x.repeat_interleave(2, 2).repeat_interleave(2, 3), (1, 1, 1, 1), mode="reflect")
    torch.testing.assert_close(layer(x), conv2d(enlarged, layer.state_dict()["weight"]))
