"""The discriminators of pix2pix and CycleGAN, which judge patches (Isola et al. 2017, sections 3.2.2 and 6.1.2)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from typing_extensions import TypeAliasType

from i2i.config import NULLS, Config
from i2i.nn.init import Init
from i2i.nn.layers import stage
from i2i.nn.norms import Norm, make_norm, uses_bias


def _null_as_none(value: object) -> object:
    return None if isinstance(value, str) and value.lower() in NULLS - {"none"} else value


# A norm, or None, which leaves the choice to the method. An alias of its own because `Config` reads the text `none` as
# None in any field that it sees may be None, and here `none` is a norm: that of networks without any.
ChosenNorm = TypeAliasType("ChosenNorm", Annotated[Norm | None, BeforeValidator(_null_as_none)])


class PatchGANConfig(Config):
    """One logit per overlapping patch, 70x70 with 3 layers (Isola et al. 2017).

    With norm None the method chooses: batch norm as in the paper, one that a gradient penalty allows, or none beside
    spectral normalisation.
    """

    name: Literal["patchgan"] = "patchgan"
    layers: int = Field(default=3, ge=1)
    ndf: int = Field(default=64, ge=1)
    norm: ChosenNorm = None
    spectral_norm: bool = False
    init: Init = "normal"

    def build(self, in_channels: int) -> PatchGAN:
        """Return the network, its weights not yet drawn nor spectrally normalised; norm None builds batch norm."""
        return PatchGAN(in_channels, layers=self.layers, ndf=self.ndf, norm=self.norm or "batch")


class PixelGANConfig(Config):
    """One logit per pixel (the 1x1 PatchGAN of Isola et al. 2017).

    With norm None the method chooses: batch norm as in the paper, one that a gradient penalty allows, or none beside
    spectral normalisation.
    """

    name: Literal["pixel"] = "pixel"
    ndf: int = Field(default=64, ge=1)
    norm: ChosenNorm = None
    spectral_norm: bool = False
    init: Init = "normal"

    def build(self, in_channels: int) -> PixelGAN:
        """Return the network, its weights not yet drawn nor spectrally normalised; norm None builds batch norm."""
        return PixelGAN(in_channels, ndf=self.ndf, norm=self.norm or "batch")


class StagedDiscriminator(nn.Module):
    """Stages, one behind the other, and a convolution to the logits."""

    features: nn.Sequential
    head: nn.Conv2d

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map `image` [N, C, H, W] to logits [N, 1, H', W'].

        Args:
            image: the image to judge, in [-1, 1].
            condition: what it was made from, [N, C', H, W]; put in front of the image's channels.
        """
        return self.with_features(image, condition)[0]

    def with_features(self, image: Tensor, condition: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return the logits that `forward` does, and what each stage made on the way there, the first stage first."""
        x = image if condition is None else torch.cat([condition, image], dim=1)
        features = []
        for layers in self.features:
            x = layers(x)
            features.append(x)
        return self.head(x), features


class PatchGAN(StagedDiscriminator):
    """One logit per overlapping patch of 70x70 pixels, or as many as `layers` say.

    With n layers: n convolutions of stride 2 and two of stride 1, all 4x4 padded by 1, with LeakyReLU 0.2 between them
    and norms on all but the first and the last. For n = 3 that is the paper's C64-C128-C256-C512 and one to the logits.

    A patch has 9 * 2^n - 2 pixels a side: the two convolutions of stride 1 see 7 positions, spaced by 2^n, and each
    convolution of stride 2 below sees 2r + 2 positions for the r above it. So n = 1, 3, 5 give the paper's 16, 70, 286.

    Images of H by W pixels, at least 3 * 2^n each, get H / 2^n - 2 by W / 2^n - 2 logits.

    Args:
        in_channels: channels of image and condition together.
        layers: number n of halvings, at least 1.
        ndf: channels of the first convolution; they double per convolution up to 8 ndf.
        norm: the normalisation.

    Raises:
        ValueError: `layers` is below 1.
    """

    def __init__(self, in_channels: int, *, layers: int = 3, ndf: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a PatchGAN has at least 1 layer, not {layers}; for single pixels there is PixelGAN")
        self.num_layers = layers
        widths = [ndf * min(2**layer, 8) for layer in range(layers + 1)]
        bias = uses_bias(norm)
        self.features = nn.Sequential(
            stage(
                conv=nn.Conv2d(in_channels, ndf, 4, stride=2, padding=1),
                activation=nn.LeakyReLU(0.2, inplace=True),
            ),
            *(
                stage(
                    conv=nn.Conv2d(below, width, 4, stride=2 if layer < layers else 1, padding=1, bias=bias),
                    norm=make_norm(norm, width),
                    activation=nn.LeakyReLU(0.2, inplace=True),
                )
                for layer, (below, width) in enumerate(pairwise(widths), start=1)
            ),
        )
        self.head = nn.Conv2d(widths[-1], 1, 4, padding=1)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the patch that one logit judges."""
        return int(9 * 2**self.num_layers - 2)


class PixelGAN(StagedDiscriminator):
    """One logit per pixel, from that pixel alone: the 1x1 PatchGAN, C64-C128 and a convolution to the logits, all 1x1.

    Args:
        in_channels: channels of image and condition together.
        ndf: channels of the first convolution.
        norm: the normalisation, on the second convolution.
    """

    receptive_field = 1

    def __init__(self, in_channels: int, *, ndf: int = 64, norm: Norm = "batch") -> None:
        super().__init__()
        bias = uses_bias(norm)
        self.features = nn.Sequential(
            stage(conv=nn.Conv2d(in_channels, ndf, 1), activation=nn.LeakyReLU(0.2, inplace=True)),
            stage(
                conv=nn.Conv2d(ndf, 2 * ndf, 1, bias=bias),
                norm=make_norm(norm, 2 * ndf),
                activation=nn.LeakyReLU(0.2, inplace=True),
            ),
        )
        self.head = nn.Conv2d(2 * ndf, 1, 1, bias=bias)  # no norm follows; trained weights have it so
