"""SRResNet, the generator of SRGAN (Ledig et al. 2017): it works at the small size and enlarges at the end."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from i2i.config import Config
from i2i.nn.heads import Output
from i2i.nn.init import Init
from i2i.nn.layers import stage
from i2i.nn.norms import Norm, make_norm, needs_bias
from i2i.nn.upsample import ShuffleConv

# By how much the pixel shuffles enlarge, one behind the other.
SHUFFLES: dict[int, tuple[int, ...]] = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


class SRResNetConfig(Config):
    """Residual blocks at the small size, then pixel shuffles to the large one (Ledig et al. 2017).

    With `scale` None it is that of the data: how many times smaller the inputs are than the outputs. Norm `none` makes
    the blocks those of EDSR (Lim et al. 2017), but for their activation.
    """

    name: Literal["srresnet"] = "srresnet"
    scale: int | None = None
    blocks: int = Field(default=16, ge=0)
    ngf: int = Field(default=64, ge=1)
    norm: Norm = "batch"
    init: Init = "normal"
    output: Output = "image"

    @field_validator("scale")
    @classmethod
    def _can_be_shuffled(cls, scale: int | None) -> int | None:
        if scale is not None and scale not in SHUFFLES:
            raise ValueError(f"must be one of {', '.join(map(str, SHUFFLES))}, not {scale}")
        return scale

    def build(self, in_channels: int, out_channels: int, *, tanh: bool = True) -> SRResNet:
        """Return the network, its weights not yet drawn.

        Raises:
            ValueError: `scale` is not set.
        """
        if self.scale is None:
            raise ValueError("the scale of the SRResNet must be set: 4 for outputs 4 times larger than inputs")
        return SRResNet(
            in_channels,
            out_channels,
            scale=self.scale,
            blocks=self.blocks,
            ngf=self.ngf,
            norm=self.norm,
            tanh=tanh,
        )


class SRResNet(nn.Module):
    """Residual blocks with a skip around all of them, then pixel shuffles (Ledig et al. 2017, section 2.1.1, fig. 4).

    In the paper's notation, for a scale of 4, with PReLU after those marked *,

        k9n64s1*, B residual blocks (k3n64s1*, k3n64s1), k3n64s1, k3n256s1 and a shuffle* twice, k9n3s1

    with batch norm in the blocks and after the convolution behind them, where the first layer's output is added. The
    paper leaves three things open: PReLUs have one slope each, borders are zeros, and tanh bounds the output, which
    figure 4 does not show. Pixel shuffles begin as enlargements by nearest neighbour (`ShuffleConv.equalise`).

    Images may have any size.

    Args:
        in_channels: channels of the input image.
        out_channels: channels of the output image.
        scale: how many times height and width grow: 1, 2, 3, 4 or 8; by one shuffle of 3, or one of 2 per doubling.
        blocks: number of residual blocks.
        ngf: channels of all layers.
        norm: the normalisation; `none` as in EDSR (Lim et al. 2017, section 3.1).
        tanh: whether the output is bounded.

    Raises:
        ValueError: `scale` is another.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale: int,
        blocks: int = 16,
        ngf: int = 64,
        norm: Norm = "batch",
        tanh: bool = True,
    ) -> None:
        super().__init__()
        if scale not in SHUFFLES:
            raise ValueError(f"an SRResNet enlarges {', '.join(map(str, SHUFFLES))} times, not {scale}")
        self.first = stage(conv=_conv(in_channels, ngf, 9), activation=nn.PReLU())
        self.blocks = nn.Sequential(*(SRResidualBlock(ngf, norm=norm) for _ in range(blocks)))
        self.last = stage(conv=_conv(ngf, ngf, 3, needs_bias(norm)), norm=make_norm(norm, ngf))
        self.enlarge = nn.Sequential(
            *(stage(conv=ShuffleConv(ngf, ngf, factor), activation=nn.PReLU()) for factor in SHUFFLES[scale])
        )
        self.head = stage(conv=_conv(ngf, out_channels, 9), tanh=nn.Tanh() if tanh else None)

    def forward(self, image: Tensor) -> Tensor:
        """Map `image` [N, C_in, H, W] in [-1, 1] to [N, C_out, scale H, scale W] in [-1, 1] by tanh."""
        x = self.first(image)
        enlarged: Tensor = self.head(self.enlarge(x + self.last(self.blocks(x))))
        return enlarged


class SRResidualBlock(nn.Module):
    """x + f(x), where f is two 3x3 convolutions with norms and PReLU between them (Gross & Wilber 2016)."""

    def __init__(self, width: int, *, norm: Norm) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.residual = stage(
            conv1=_conv(width, width, 3, bias),
            norm1=make_norm(norm, width),
            activation=nn.PReLU(),
            conv2=_conv(width, width, 3, bias),
            norm2=make_norm(norm, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [N, width, H, W] to the same shape."""
        residual: Tensor = self.residual(x)
        return x + residual


def _conv(in_channels: int, out_channels: int, kernel_size: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
