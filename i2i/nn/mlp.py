"""The fully connected networks of the first GANs (Goodfellow et al. 2014, Mirza & Osindero 2014)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from i2i.config import Config
from i2i.nn.conditioning import Conditioning, Critic, append_labels
from i2i.nn.init import Init
from i2i.nn.layers import Dropout, stage
from i2i.nn.norms import BatchNorm1d

Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class MLPGeneratorConfig(Config):
    """Noise to image through fully connected layers (after Goodfellow et al. 2014)."""

    name: Literal["mlp"] = "mlp"
    hidden: Widths = (256, 512, 1024)
    activation: Literal["relu", "leaky_relu"] = "leaky_relu"
    norm: Literal["batch", "none"] = "batch"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    init: Init = "kaiming"  # keeps the scale through layers of rectifiers, however many and wide; N(0, 0.02) would not

    def build(self, latent: int, channels: int, size: int, classes: int = 0) -> MLPGenerator:
        """Return the network, its weights not yet drawn."""
        return MLPGenerator(
            latent,
            channels,
            size,
            classes,
            hidden=self.hidden,
            activation=self.activation,
            norm=self.norm,
            dropout=self.dropout,
        )


class MLPCriticConfig(Config):
    """One output per image through fully connected layers (after Goodfellow et al. 2014)."""

    name: Literal["mlp"] = "mlp"
    hidden: Widths = (512, 256)
    norm: Literal["layer", "none"] = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    spectral_norm: bool = False
    conditioning: Conditioning = "concat"
    init: Init = "kaiming"

    def build(self, channels: int, size: int, classes: int = 0, outputs: int = 1) -> MLPCritic:
        """Return the network, its weights not yet drawn nor spectrally normalised.

        Raises:
            UserError: `projection` with several outputs.
        """
        return MLPCritic(
            channels,
            size,
            classes,
            outputs,
            hidden=self.hidden,
            norm=self.norm,
            dropout=self.dropout,
            conditioning=self.conditioning,
        )


class MLPGenerator(nn.Module):
    """Hidden layers, each with batch norm and a rectifier, then a layer to all pixels and tanh.

    Goodfellow et al. 2014 (section 5) mix rectifiers and sigmoids; batch norm came later (Ioffe & Szegedy 2015). Labels
    go in behind the noise, one-hot (Mirza & Osindero 2014, figure 1).

    Args:
        latent: values of the noise.
        channels: channels of the image.
        size: its side in pixels, any.
        classes: number of classes; 0 for none.
        hidden: widths of the hidden layers.
        activation: theirs; `leaky_relu` has slope 0.2.
        norm: theirs.
        dropout: probability of dropping a value of theirs.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        size: int,
        classes: int = 0,
        *,
        hidden: tuple[int, ...] = (256, 512, 1024),
        activation: Literal["relu", "leaky_relu"] = "leaky_relu",
        norm: Literal["batch", "none"] = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.shape = (channels, size, size)
        self.layers = nn.Sequential(
            *(
                stage(
                    linear=nn.Linear(below, width, bias=norm == "none"),  # batch norm brings its own
                    norm=BatchNorm1d(width) if norm == "batch" else None,
                    activation=nn.ReLU(inplace=True) if activation == "relu" else nn.LeakyReLU(0.2, inplace=True),
                    dropout=Dropout(dropout) if dropout else None,
                )
                for below, width in pairwise([latent + classes, *hidden])
            )
        )
        self.head = stage(linear=nn.Linear(hidden[-1], channels * size * size), tanh=nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map noise `z` [N, latent] to images [N, C, size, size] in [-1, 1].

        Args:
            z: the noise.
            labels: classes, int64 [N]; where and only where there are any.

        Raises:
            ValueError: labels are missing, not expected, or not int64 [N].
        """
        image: Tensor = self.head(self.layers(append_labels(z, labels, self.classes)))
        return image.reshape(-1, *self.shape)


class MLPCritic(Critic):
    """Hidden layers with LeakyReLU 0.2 on the image as one vector, then a layer to the output.

    Goodfellow et al. 2014 (section 5) have maxout and dropout there. No batch norm is offered: it couples the images of
    a batch, and judges of whole images are what gradient penalties are for.

    Args:
        channels: channels of the images.
        size: their side in pixels, any.
        classes: number of classes; 0 for none.
        outputs: values per image.
        hidden: widths of the hidden layers.
        norm: theirs; `layer` is layer norm (Ba et al. 2016).
        dropout: probability of dropping a value of theirs.
        conditioning: how labels are taken in; see `Critic`.

    Raises:
        UserError: `projection` with several outputs.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int = 0,
        outputs: int = 1,
        *,
        hidden: tuple[int, ...] = (512, 256),
        norm: Literal["layer", "none"] = "none",
        dropout: float = 0.0,
        conditioning: Conditioning = "concat",
    ) -> None:
        inputs = channels * size * size + (classes if conditioning == "concat" else 0)
        trunk = nn.Sequential(
            *(
                stage(
                    linear=nn.Linear(below, width),
                    norm=nn.LayerNorm(width) if norm == "layer" else None,
                    activation=nn.LeakyReLU(0.2, inplace=True),
                    dropout=Dropout(dropout) if dropout else None,
                )
                for below, width in pairwise([inputs, *hidden])
            )
        )
        super().__init__(
            trunk,
            hidden[-1],
            channels=channels,
            size=size,
            classes=classes,
            conditioning=conditioning,
            outputs=outputs,
            flat=True,
        )
