"""The convolutional networks of DCGAN (Radford, Metz & Chintala 2016)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from i2i.config import Config
from i2i.errors import UserError
from i2i.nn.conditioning import Conditioning, Critic, append_labels
from i2i.nn.init import Init
from i2i.nn.layers import Dropout, stage
from i2i.nn.norms import Norm, make_norm, needs_bias
from i2i.nn.patchgan import ChosenNorm
from i2i.nn.upsample import Upsample, upsampler


class DCGANGeneratorConfig(Config):
    """Noise to image through doublings of a small square (Radford et al. 2016)."""

    name: Literal["dcgan"] = "dcgan"
    ngf: int = Field(default=64, ge=1)
    norm: Norm = "batch"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    upsample: Upsample = "transposed"
    init: Init = "normal"

    def build(self, latent: int, channels: int, size: int, classes: int = 0) -> DCGANGenerator:
        """Return the network, its weights not yet drawn.

        Raises:
            UserError: a square of 4 to 7 pixels cannot be doubled to that size.
        """
        return DCGANGenerator(
            latent,
            channels,
            size,
            classes,
            ngf=self.ngf,
            norm=self.norm,
            dropout=self.dropout,
            upsample=self.upsample,
        )


class DCGANCriticConfig(Config):
    """One output per image through strided convolutions (Radford et al. 2016).

    With norm None the method chooses: batch norm as in the paper, one that a gradient penalty allows, or none beside
    spectral normalisation.
    """

    name: Literal["dcgan"] = "dcgan"
    ndf: int = Field(default=64, ge=1)
    norm: ChosenNorm = None
    dropout: float = Field(default=0.0, ge=0, lt=1)
    spectral_norm: bool = False
    conditioning: Conditioning = "concat"
    init: Init = "normal"

    def build(self, channels: int, size: int, classes: int = 0, outputs: int = 1) -> DCGANCritic:
        """Return the network, its weights not yet drawn nor spectrally normalised; norm None builds batch norm.

        Raises:
            UserError: the size cannot be halved to a square of 4 to 7 pixels, or `projection` has several outputs.
        """
        return DCGANCritic(
            channels,
            size,
            classes,
            outputs,
            ndf=self.ndf,
            norm=self.norm or "batch",
            dropout=self.dropout,
            conditioning=self.conditioning,
        )


class DCGANGenerator(nn.Module):
    """A projection of the noise to a small square, doubled until it is the image (Radford et al. 2016, section 3).

    For 64 pixels: 4x4 of 8 ngf channels, then 4x4 transposed convolutions of stride 2 to 4 ngf, 2 ngf, ngf and the
    image. Norm and ReLU follow all but the last, where tanh does. The paper's figure 1 has ngf 128, its authors' Torch
    code 64. Labels go in behind the noise, one-hot.

    Args:
        latent: values of the noise.
        channels: channels of the image.
        size: its side in pixels: 4, 5, 6 or 7, doubled at least once.
        classes: number of classes; 0 for none.
        ngf: channels of the last hidden stage; they double towards the noise up to 8 ngf.
        norm: the normalisation.
        dropout: probability of dropping a value of a hidden stage; the paper has none.
        upsample: how a stage doubles its size.

    Raises:
        UserError: a square of 4 to 7 pixels cannot be doubled to `size`.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        size: int,
        classes: int = 0,
        *,
        ngf: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.0,
        upsample: Upsample = "transposed",
    ) -> None:
        super().__init__()
        base, doublings = smallest_square(size)
        widths = [ngf * min(2**level, 8) for level in reversed(range(doublings))]
        bias = needs_bias(norm)

        def rectified(conv: nn.Module | None, width: int) -> nn.Sequential:
            return stage(
                conv=conv,
                norm=make_norm(norm, width),
                activation=nn.ReLU(inplace=True),
                dropout=Dropout(dropout) if dropout else None,
            )

        self.classes = classes
        self.square = (widths[0], base, base)
        self.projection = nn.Linear(latent + classes, widths[0] * base * base, bias=bias)
        self.stages = nn.Sequential(
            rectified(None, widths[0]),
            *(
                rectified(upsampler(upsample, below, width, kernel_size=4, bias=bias), width)
                for below, width in pairwise(widths)
            ),
        )
        self.head = stage(conv=upsampler(upsample, ngf, channels, kernel_size=4, bias=True), tanh=nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map noise `z` [N, latent] to images [N, C, size, size] in [-1, 1].

        Args:
            z: the noise.
            labels: classes, int64 [N]; where and only where there are any.

        Raises:
            ValueError: labels are missing, not expected, or not int64 [N].
        """
        square = self.projection(append_labels(z, labels, self.classes)).unflatten(1, self.square)
        image: Tensor = self.head(self.stages(square))
        return image


class DCGANCritic(Critic):
    """Halvings down to a small square, all of which the head sees at once (Radford et al. 2016, section 3).

    For 64 pixels: 4x4 convolutions of stride 2 to ndf, 2 ndf, 4 ndf and 8 ndf channels with LeakyReLU 0.2 and norms on
    all but the first; then one output from the 4x4 that are left, which is a convolution of that size.

    Args:
        channels: channels of the images.
        size: their side in pixels: 4, 5, 6 or 7, doubled at least once.
        classes: number of classes; 0 for none.
        outputs: values per image.
        ndf: channels of the first convolution; they double per convolution up to 8 ndf.
        norm: the normalisation.
        dropout: probability of dropping a value behind each convolution; the paper has none.
        conditioning: how labels are taken in; see `Critic`.

    Raises:
        UserError: `size` cannot be halved to a square of 4 to 7 pixels, or `projection` has several outputs.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int = 0,
        outputs: int = 1,
        *,
        ndf: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.0,
        conditioning: Conditioning = "concat",
    ) -> None:
        base, halvings = smallest_square(size)
        inputs = channels + (classes if conditioning == "concat" else 0)
        widths = [inputs, *(ndf * min(2**level, 8) for level in range(halvings))]
        trunk = nn.Sequential(
            *(
                stage(
                    conv=nn.Conv2d(above, width, 4, stride=2, padding=1, bias=not level or needs_bias(norm)),
                    norm=make_norm(norm, width) if level else None,
                    activation=nn.LeakyReLU(0.2, inplace=True),
                    dropout=Dropout(dropout) if dropout else None,
                )
                for level, (above, width) in enumerate(pairwise(widths))
            ),
            nn.Flatten(),
        )
        super().__init__(
            trunk,
            widths[-1] * base * base,
            channels=channels,
            size=size,
            classes=classes,
            conditioning=conditioning,
            outputs=outputs,
        )


def smallest_square(size: int, bases: range = range(4, 8)) -> tuple[int, int]:
    """Return the side of the square that becomes `size` when it is doubled, and how often: (4, 4) for 64.

    Args:
        size: side of the image in pixels.
        bases: what the square may measure; (7, 2) for 28 is one of 4 to 7.

    Raises:
        UserError: no such square becomes `size`; the line names the nearest sizes that one does become.
    """
    sizes = {base << doublings: (base, doublings) for base in bases for doublings in range(1, size.bit_length() + 1)}
    if size in sizes:
        return sizes[size]
    below, above = [side for side in sizes if side < size], [side for side in sizes if side > size]
    nearest = " or ".join(str(side) for side in [*([max(below)] if below else []), min(above)])
    raise UserError(
        f"images of {size} pixels cannot be halved down to a square of {bases[0]} to {bases[-1]}; choose an "
        f"--image-size of {nearest}"
    )
