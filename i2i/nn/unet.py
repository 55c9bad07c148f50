"""The U-Net generator of pix2pix (Isola et al. 2017)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.config import Config
from i2i.nn.convolution import Conv2d
from i2i.nn.heads import Output
from i2i.nn.init import Init
from i2i.nn.layers import Dropout, crop_like, pad_to, stage
from i2i.nn.norms import Norm, make_norm, uses_bias
from i2i.nn.upsample import Upsample, upsampler


class UNetConfig(Config):
    """U-Net with skip connections (Isola et al. 2017); unless `depth` is given, it follows the image size."""

    name: Literal["unet"] = "unet"
    depth: int | None = Field(default=None, ge=2)
    ngf: int = Field(default=64, ge=1)
    norm: Norm = "batch"
    dropout: float = Field(default=0.5, ge=0, lt=1)
    upsample: Upsample = "transposed"
    init: Init = "normal"
    output: Output = "image"

    @property
    def scale(self) -> int:
        """How many times larger than its input an output is."""
        return 1

    def build(self, in_channels: int, out_channels: int, *, tanh: bool = True) -> UNet:
        """Return the network, its weights not yet drawn.

        Raises:
            ValueError: `depth` is not set.
        """
        if self.depth is None:
            raise ValueError("the depth of the U-Net must be set: 8 for images of 256 pixels, 7 for 128")
        return UNet(
            in_channels,
            out_channels,
            depth=self.depth,
            ngf=self.ngf,
            norm=self.norm,
            dropout=self.dropout,
            upsample=self.upsample,
            tanh=tanh,
        )


class UNet(nn.Module):
    """Encoder and decoder with skip connections at every size (Isola et al. 2017, appendix 6.1.1).

    With Ck a 4x4 convolution of stride 2, norm and activation, and CDk the same with dropout, depth 8 reads

        encoder  C64-C128-C256-C512-C512-C512-C512-C512    LeakyReLU 0.2, no norm on the first and the last
        decoder  C512-CD512-CD512-CD512-C256-C128-C64      ReLU, then a convolution to the image and tanh

    A norm on the encoder's last, 1x1 at 256 pixels, would set it to zero at batch 1 (appendix 6.3). The paper drops out
    in the first three decoder stages; the authors' PyTorch code, followed here, in those after the first: at depth d in
    the d - 5 that keep 8 ngf channels.

    Images may have any size. A level of odd height or width is extended by one row or column on its way down, which
    its way up crops, so that sizes divisible by 2^depth see the paper's network and others next to no padding. Training
    with batch norm on a single image needs a side above 2^(depth - 1), for the innermost norm to see several pixels.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        depth: number of halvings, at least 2: 8 for 256 pixels, 7 for 128.
        ngf: channels of the first stage; they double per stage up to 8 ngf.
        norm: the normalisation.
        dropout: probability of dropping a value.
        upsample: how the decoder doubles its size.
        tanh: whether the output is bounded.

    Raises:
        ValueError: `depth` is below 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        depth: int,
        ngf: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.5,
        upsample: Upsample = "transposed",
        tanh: bool = True,
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"the depth of a U-Net is at least 2, not {depth}")
        bias = uses_bias(norm)
        widths = [ngf * min(2**level, 8) for level in range(depth)]
        last = depth - 1

        self.encoder = nn.ModuleList(
            stage(
                conv=Conv2d(above, width, 4, stride=2, padding=1, bias=bias),
                norm=make_norm(norm, width) if 0 < level < last else None,
                activation=nn.LeakyReLU(0.2, inplace=True) if level < last else None,  # the decoder's ReLU follows
            )
            for level, (above, width) in enumerate(pairwise([in_channels, *widths]))
        )
        # Every decoder stage but the first sees its skip and what comes from below, one behind the other.
        self.decoder = nn.ModuleList(
            stage(
                activation=nn.ReLU(inplace=True),
                conv=upsampler(upsample, width if level == last else 2 * width, above, kernel_size=4, bias=bias),
                norm=make_norm(norm, above),
                dropout=Dropout(dropout) if dropout and 4 <= level < last else None,
            )
            for level, (above, width) in reversed(list(enumerate(pairwise(widths), start=1)))
        )
        self.head = stage(
            activation=nn.ReLU(inplace=True),
            conv=upsampler(upsample, 2 * ngf, out_channels, kernel_size=4, bias=True),
            tanh=nn.Tanh() if tanh else None,
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map `image` [N, C_in, H, W] in [-1, 1] to [N, C_out, H, W] in [-1, 1] by tanh, for any H and W."""
        x = image
        skips = []
        for encode in self.encoder:
            skips.append(x)
            x = encode(_pad_to_even(x))
        for decode, skip in zip(self.decoder, reversed(skips[1:]), strict=True):
            x = torch.cat([skip, crop_like(decode(x), skip)], dim=1)
        return crop_like(self.head(x), image)


def _pad_to_even(x: Tensor) -> Tensor:
    height, width = ((side + 1) // 2 * 2 for side in x.shape[-2:])
    return pad_to(x, height, width, "replicate")
