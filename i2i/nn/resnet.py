"""The residual generator of CycleGAN (Zhu et al. 2017), which is that of Johnson et al. 2016."""

from __future__ import annotations

from typing import Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.config import Config
from i2i.nn.heads import Output
from i2i.nn.init import Init
from i2i.nn.layers import Dropout, crop_like, pad_to, stage
from i2i.nn.norms import Norm, make_norm, uses_bias
from i2i.nn.upsample import Upsample, upsampler


class ResNetConfig(Config):
    """Residual blocks between two halvings and two doublings (Johnson et al. 2016, Zhu et al. 2017)."""

    name: Literal["resnet"] = "resnet"
    blocks: int = Field(default=9, ge=0)
    ngf: int = Field(default=64, ge=1)
    norm: Norm = "instance"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    upsample: Upsample = "transposed"
    init: Init = "normal"
    output: Output = "image"

    @property
    def scale(self) -> int:
        """How many times larger than its input an output is."""
        return 1

    def build(self, in_channels: int, out_channels: int, *, tanh: bool = True) -> ResNet:
        """Return the network, its weights not yet drawn."""
        return ResNet(
            in_channels,
            out_channels,
            blocks=self.blocks,
            ngf=self.ngf,
            norm=self.norm,
            dropout=self.dropout,
            upsample=self.upsample,
            tanh=tanh,
        )


class ResNet(nn.Module):
    """Two halvings, residual blocks at a quarter of the size, two doublings (Zhu et al. 2017, appendix 7.2).

    In the paper's notation, 9 blocks read

        c7s1-64, d128, d256, R256 (9 times), u128, u64, c7s1-3

    with norm and ReLU after each but the last, tanh there, and reflected borders in c7s1 and R.

    Images may have any size: they are reflected at the bottom and the right (replicated where too small for that) to a
    multiple of 4, at least 8, and the result is cropped back. Multiples of 4 from 8 on see the paper's network.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        blocks: number of residual blocks: 9 for 256 pixels, 6 for 128.
        ngf: channels of the first stage.
        norm: the normalisation.
        dropout: probability of dropping a value between the two convolutions of a block; the paper has none.
        upsample: how the decoder doubles its size.
        tanh: whether the output is bounded.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        blocks: int = 9,
        ngf: int = 64,
        norm: Norm = "instance",
        dropout: float = 0.0,
        upsample: Upsample = "transposed",
        tanh: bool = True,
    ) -> None:
        super().__init__()
        bias = uses_bias(norm)

        def normed(conv: nn.Module, width: int) -> nn.Sequential:
            return stage(conv=conv, norm=make_norm(norm, width), activation=nn.ReLU(inplace=True))

        def down(width: int) -> nn.Sequential:
            return normed(nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=bias), width)

        def up(width: int) -> nn.Sequential:
            return normed(upsampler(upsample, 2 * width, width, kernel_size=3, bias=bias), width)

        self.encoder = nn.Sequential(
            normed(_reflecting_conv(in_channels, ngf, 7, bias), ngf), down(2 * ngf), down(4 * ngf)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * ngf, norm=norm, dropout=dropout) for _ in range(blocks)))
        self.decoder = nn.Sequential(up(2 * ngf), up(ngf))
        self.head = stage(conv=_reflecting_conv(ngf, out_channels, 7, bias=True), tanh=nn.Tanh() if tanh else None)

    def forward(self, image: Tensor) -> Tensor:
        """Map `image` [N, C_in, H, W] in [-1, 1] to [N, C_out, H, W] in [-1, 1] by tanh, for any H and W."""
        # At 8 pixels the blocks see 2, the fewest that a border of one can be reflected from.
        height, width = (cast(int, torch.sym_max(8, (side + 3) // 4 * 4)) for side in image.shape[-2:])
        x = self.encoder(pad_to(image, height, width, "reflect"))
        x = self.decoder(self.blocks(x))
        return crop_like(self.head(x), image)


class ResidualBlock(nn.Module):
    """x + f(x), where f is two 3x3 convolutions, and no ReLU follows the sum (Johnson et al. 2016)."""

    def __init__(self, width: int, *, norm: Norm, dropout: float) -> None:
        super().__init__()
        bias = uses_bias(norm)
        self.residual = stage(
            conv1=_reflecting_conv(width, width, 3, bias),
            norm1=make_norm(norm, width),
            activation=nn.ReLU(inplace=True),
            dropout=Dropout(dropout) if dropout else None,
            conv2=_reflecting_conv(width, width, 3, bias),
            norm2=make_norm(norm, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [N, width, H, W] to the same shape; H and W are at least 2."""
        residual: Tensor = self.residual(x)
        return x + residual


def _reflecting_conv(in_channels: int, out_channels: int, kernel_size: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, padding=kernel_size // 2, padding_mode="reflect", bias=bias
    )
