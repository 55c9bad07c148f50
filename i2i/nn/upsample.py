"""Layers that double the height and the width."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import interpolate

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
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size, stride=2, padding=1, output_padding=4 - kernel_size, bias=bias
    )
