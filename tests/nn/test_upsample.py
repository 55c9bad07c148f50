from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import conv2d, pad

from i2i.nn import Init, ShuffleConv, Upsample, enlarged_like, initialise, upsampler


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


@pytest.mark.parametrize("factor", [2, 3])
def test_shuffled_channels_become_pixels_row_by_row(factor: int) -> None:
    """Channel c r^2 + r i + j is the pixel in row i and column j of channel c (Shi et al. 2016, eq. 4)."""
    layer = ShuffleConv(1, 2, factor)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, :, 1, 1] = torch.arange(2.0 * factor**2)[:, None]  # times the channel's number
        layer.bias.zero_()  # type: ignore[union-attr]
        image = torch.tensor([[1.0, 10.0], [100.0, 1000.0]]).reshape(1, 1, 2, 2)
        result = layer(image)
    assert result.shape == (1, 2, 2 * factor, 2 * factor)
    for channel in range(2):
        pattern = torch.arange(factor**2).reshape(factor, factor) + channel * factor**2
        torch.testing.assert_close(result[0, channel], torch.kron(image[0, 0], pattern.float()))


@pytest.mark.parametrize("scheme", ["normal", "orthogonal"])
def test_pixel_shuffles_begin_as_nearest_neighbour(scheme: Init) -> None:
    """ICNR (Aitken et al. 2017): what an ordinary convolution with the same weights makes, each pixel repeated."""
    layer = ShuffleConv(3, 4, 3)
    initialise(layer, scheme)
    image = torch.randn(2, 3, 5, 6)
    small = conv2d(image, layer.weight[::9], padding=1)
    assert small.std() > 0
    torch.testing.assert_close(layer(image), small.repeat_interleave(3, 2).repeat_interleave(3, 3))
    if scheme == "normal":
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_images_are_enlarged_as_pillow_does() -> None:
    image = torch.rand(1, 1, 5, 7) * 2 - 1
    wanted = np.array(Image.fromarray(image[0, 0].numpy()).resize((21, 15), Image.Resampling.BICUBIC))
    large = torch.empty(1, 3, 15, 21)
    torch.testing.assert_close(enlarged_like(image, large), torch.from_numpy(wanted)[None, None], atol=1e-6, rtol=0)
    assert enlarged_like(image.bfloat16(), large).dtype == torch.float32
    assert enlarged_like(image, image) is image
    nearest = enlarged_like(image, large, "nearest")
    torch.testing.assert_close(nearest, image.repeat_interleave(3, 2).repeat_interleave(3, 3), rtol=0, atol=0)
