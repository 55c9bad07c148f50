"""The networks of BEGAN, whose discriminator is an autoencoder (Berthelot, Schumm & Metz 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from i2i.config import Config
from i2i.nn.conditioning import append_labels
from i2i.nn.dcgan import smallest_square

# No norm mends the scale here: N(0, 0.02) would leave nothing of an image after so many layers. `xavier` shrinks it
# little, for ELU is near the identity; `kaiming`, made for rectifiers, enlarges it from layer to layer.
InitWithoutNorm = Literal["xavier", "kaiming", "orthogonal"]
SQUARES = range(5, 9)  # the paper's 8, and what 28, 48 and 80 pixels need


class BEGANGeneratorConfig(Config):
    """Noise to image by the decoder of BEGAN's discriminator (Berthelot et al. 2017)."""

    name: Literal["began"] = "began"
    ngf: int = Field(default=64, ge=1)
    repeats: int = Field(default=2, ge=1)
    skips: bool = False
    init: InitWithoutNorm = "xavier"

    def build(self, latent: int, channels: int, size: int, classes: int = 0) -> BEGANGenerator:
        """Return the network, its weights not yet drawn.

        Raises:
            UserError: a square of 5 to 8 pixels cannot be doubled to that size.
        """
        return BEGANGenerator(latent, channels, size, classes, ngf=self.ngf, repeats=self.repeats, skips=self.skips)


class BEGANAutoencoderConfig(Config):
    """An autoencoder, whose error judges the image (Berthelot et al. 2017)."""

    name: Literal["began"] = "began"
    ndf: int = Field(default=64, ge=1)
    repeats: int = Field(default=2, ge=1)
    skips: bool = False
    init: InitWithoutNorm = "xavier"

    def build(self, channels: int, size: int, hidden: int) -> BEGANAutoencoder:
        """Return the network, its weights not yet drawn.

        Args:
            channels: channels of the images.
            size: their side in pixels.
            hidden: values of the hidden state; the paper has as many as of the noise.

        Raises:
            UserError: the size cannot be halved to a square of 5 to 8 pixels.
        """
        return BEGANAutoencoder(channels, size, hidden, ndf=self.ndf, repeats=self.repeats, skips=self.skips)


class BEGANAutoencoder(nn.Module):
    """Encoder and decoder: D(x) has the shape of x (Berthelot et al. 2017, section 3.5 and figure 1).

    The output is not squashed: an image's values of -1 and 1 are reached where tanh would never arrive.

    Args:
        channels: channels of the images.
        size: their side in pixels: 5, 6, 7 or the paper's 8, doubled at least once.
        hidden: values of the hidden state.
        ndf: the paper's n.
        repeats: 3x3 convolutions at each size.
        skips: show every size of the decoder its first tensor again; the paper's refinement for sharper images.

    Raises:
        UserError: `size` cannot be halved to a square of 5 to 8 pixels.
    """

    def __init__(
        self, channels: int, size: int, hidden: int, *, ndf: int = 64, repeats: int = 2, skips: bool = False
    ) -> None:
        super().__init__()
        self.encoder = BEGANEncoder(channels, size, hidden, width=ndf, repeats=repeats)
        self.decoder = BEGANDecoder(hidden, channels, size, width=ndf, repeats=repeats, skips=skips)

    def forward(self, images: Tensor) -> Tensor:
        """Map `images` [N, C, size, size] in [-1, 1] to what is left of them, of the same shape, in no fixed range."""
        reconstructed: Tensor = self.decoder(self.encoder(images))
        return reconstructed


class BEGANGenerator(nn.Module):
    """The decoder of BEGAN with weights of its own, and tanh behind it (Berthelot et al. 2017, section 3.5).

    The paper is silent about tanh; it keeps images in their range from the first step on. Labels, of which the paper
    knows none, go in behind the noise, one-hot.

    Args:
        latent: values of the noise.
        channels: channels of the image.
        size: its side in pixels: 5, 6, 7 or the paper's 8, doubled at least once.
        classes: number of classes; 0 for none.
        ngf: the paper's n.
        repeats: 3x3 convolutions at each size.
        skips: show every size the first tensor again.

    Raises:
        UserError: a square of 5 to 8 pixels cannot be doubled to `size`.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        size: int,
        classes: int = 0,
        *,
        ngf: int = 64,
        repeats: int = 2,
        skips: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.decoder = BEGANDecoder(latent + classes, channels, size, width=ngf, repeats=repeats, skips=skips)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map noise `z` [N, latent], in the paper uniform in [-1, 1], to images [N, C, size, size] in [-1, 1].

        Args:
            z: the noise.
            labels: classes, int64 [N]; where and only where there are any.

        Raises:
            ValueError: labels are missing, not expected, or not int64 [N].
        """
        image: Tensor = self.decoder(append_labels(z, labels, self.classes))
        return image.tanh()


class BEGANEncoder(nn.Module):
    """3x3 convolutions with ELU, `repeats` at each size, whose channels grow by `width` with each halving.

    A convolution of stride 2 halves. What is left goes through a linear layer without activation.
    """

    def __init__(self, channels: int, size: int, hidden: int, *, width: int, repeats: int) -> None:
        super().__init__()
        base, halvings = smallest_square(size, SQUARES)
        layers = [_convolution(channels, width)]
        for level in range(1, halvings + 2):
            layers += [_convolution(level * width, level * width) for _ in range(repeats)]
            if level <= halvings:
                layers.append(_convolution(level * width, (level + 1) * width, stride=2))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear((halvings + 1) * width * base * base, hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Map `images` [N, C, size, size] to hidden states [N, hidden]."""
        hidden: Tensor = self.head(self.layers(images))
        return hidden


class BEGANDecoder(nn.Module):
    """A linear layer to a small square of `width` channels, then `repeats` 3x3 convolutions with ELU at each size.

    Sizes double by nearest neighbour. With `skips`, the first square is enlarged likewise and shown to each size.
    """

    def __init__(self, hidden: int, channels: int, size: int, *, width: int, repeats: int, skips: bool) -> None:
        super().__init__()
        base, doublings = smallest_square(size, SQUARES)
        self.skips = skips
        self.square = (width, base, base)
        self.projection = nn.Linear(hidden, width * base * base)
        self.levels = nn.ModuleList(
            nn.Sequential(
                _convolution(2 * width if skips and level else width, width),
                *(_convolution(width, width) for _ in range(repeats - 1)),
            )
            for level in range(doublings + 1)
        )
        self.head = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden states [N, hidden] to images [N, C, size, size], in no fixed range."""
        first = x = self.projection(hidden).unflatten(1, self.square)
        for level, convolve in enumerate(self.levels):
            if level:
                x = interpolate(x, scale_factor=2.0, mode="nearest")
                if self.skips:
                    x = torch.cat([x, interpolate(first, scale_factor=2.0**level, mode="nearest")], dim=1)
            x = convolve(x)
        image: Tensor = self.head(x)
        return image


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1), nn.ELU(inplace=True))
