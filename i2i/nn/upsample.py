"""Layers that enlarge what they see, and images enlarged without learning."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle

from i2i.nn.convolution import ConvTranspose2d

Upsample = Literal["transposed", "resize"]


class ResizeConv(nn.Conv2d):
    """Enlarge twice by nearest neighbour, then convolve 3x3: no checkerboard (Odena et al. 2016).

    A transposed convolution reaches some output pixels by more of its taps than others, and draws their pattern unless
    training happens to undo it; here every output pixel is reached alike. Borders are reflected, for zeros would draw a
    frame.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, padding_mode="reflect", bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map `input` [N, C_in, H, W] to [N, C_out, 2H, 2W]."""
        return super().forward(interpolate(input, scale_factor=2.0, mode="nearest"))


class ShuffleConv(nn.Conv2d):
    """Convolve 3x3 to `factor`^2 times the channels, and lay these out as pixels (Shi et al. 2016, section 2.2).

    Each of the `factor` by `factor` pixels that one becomes has weights of its own, which at first draw a checkerboard;
    see `equalise`.

    Args:
        in_channels: C_in.
        out_channels: C_out, channels of the enlarged maps.
        factor: how many times height and width grow.
    """

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__(in_channels, factor**2 * out_channels, 3, padding=1)
        self.factor = factor

    def forward(self, input: Tensor) -> Tensor:
        """Map `input` [N, C_in, H, W] to [N, C_out, factor H, factor W]."""
        return pixel_shuffle(super().forward(input), self.factor)

    @torch.no_grad()
    def equalise(self) -> None:
        """Give all pixels that one becomes the weights of the first (ICNR; Aitken et al. 2017).

        So training begins with an enlargement by nearest neighbour, which has no checkerboard.
        """
        count = self.factor**2
        self.weight.copy_(self.weight[::count].repeat_interleave(count, dim=0))


def enlarged_like(images: Tensor, reference: Tensor, mode: Literal["bicubic", "nearest"] = "bicubic") -> Tensor:
    """Return `images` [N, C, H, W] at the height and width of `reference`; those of that size as they are.

    Bicubic is that of Keys 1981 with a = -0.5, as Pillow and the tables of super-resolution have it, where torch's
    own has -0.75; it is computed in fp32 at least.
    """
    size = reference.shape[-2:]
    if images.shape[-2:] == size:
        return images
    if mode == "nearest":
        return interpolate(images, size, mode="nearest")
    wide = torch.promote_types(images.dtype, torch.float32)
    return interpolate(images.to(wide), size, mode="bicubic", antialias=True)


def upsampler(
    kind: Upsample, in_channels: int, out_channels: int, *, kernel_size: Literal[3, 4], bias: bool
) -> nn.Module:
    """Return a layer [N, C_in, H, W] -> [N, C_out, 2H, 2W].

    Args:
        kind: `transposed`: the papers' transposed convolution; `resize`: `ResizeConv`.
        in_channels: C_in.
        out_channels: C_out.
        kernel_size: of the transposed convolution: 4 in the U-Net, 3 in the ResNet.
        bias: whether the layer has one.
    """
    if kind == "resize":
        return ResizeConv(in_channels, out_channels, bias=bias)
    # 2H = 2(H - 1) - 2 padding + kernel_size + output_padding
    return ConvTranspose2d(
        in_channels, out_channels, kernel_size, stride=2, padding=1, output_padding=4 - kernel_size, bias=bias
    )
