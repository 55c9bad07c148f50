"""The generators and discriminators that a configuration can name, and how they are built."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import pydantic
from pydantic import Field, Tag
from torch import nn

from i2i.config import Config, load_attribute, natural
from i2i.errors import UserError
from i2i.nn.init import initialise
from i2i.nn.patchgan import PatchGANConfig, PixelGANConfig
from i2i.nn.resnet import ResNetConfig
from i2i.nn.unet import UNetConfig


class Imported(Config):
    """A network of the user's own: `name` is `module:attribute`, called with the channels and the `options`.

    A generator is called with in_channels and out_channels, a discriminator with in_channels. It comes with initial
    weights of its own choice.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    def build(self, *channels: int) -> nn.Module:
        """Return the network.

        Raises:
            UserError: there is no such attribute, it does not take these arguments, or it makes no network.
        """
        factory = load_attribute(self.name)
        if not callable(factory):
            raise UserError(f"{self.name}: is a {type(factory).__name__}, which makes no network")
        options = natural(self.options)
        try:
            inspect.signature(factory).bind(*channels, **options)
        except TypeError as error:
            raise UserError(f"{self.name}: called with the channels {channels} and {options}: {error}") from error
        network = factory(*channels, **options)
        if not isinstance(network, nn.Module):
            raise UserError(f"{self.name}: makes a {type(network).__name__}, not a torch.nn.Module")
        return network


def _tag(value: Any) -> str | None:
    """Return which of a union's configurations `value` names."""
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
    if name is None:
        return None
    return "module:attribute" if ":" in str(name) else str(name)


_ImportedByName = Annotated[Imported, Tag("module:attribute")]

GeneratorConfig = Annotated[
    Annotated[UNetConfig, Tag("unet")] | Annotated[ResNetConfig, Tag("resnet")] | _ImportedByName,
    pydantic.Discriminator(_tag),
]
DiscriminatorConfig = Annotated[
    Annotated[PatchGANConfig, Tag("patchgan")] | Annotated[PixelGANConfig, Tag("pixel")] | _ImportedByName,
    pydantic.Discriminator(_tag),
]

# The names that the unions above know, for those who list or look up: each configuration builds its network.
GENERATORS: dict[str, type[UNetConfig] | type[ResNetConfig]] = {
    "unet": UNetConfig,
    "resnet": ResNetConfig,
}
DISCRIMINATORS: dict[str, type[PatchGANConfig] | type[PixelGANConfig]] = {
    "patchgan": PatchGANConfig,
    "pixel": PixelGANConfig,
}


def build_generator(config: GeneratorConfig, in_channels: int, out_channels: int) -> nn.Module:
    """Build a generator [N, in_channels, H, W] -> [N, out_channels, H, W] and draw its weights.

    They come from torch's global generator.
    """
    network = config.build(in_channels, out_channels)
    if not isinstance(config, Imported):
        initialise(network, config.init)
    return network


def build_discriminator(config: DiscriminatorConfig, in_channels: int) -> nn.Module:
    """Build a discriminator [N, in_channels, H, W] -> logits and draw its weights from torch's global generator.

    Args:
        config: which one.
        in_channels: channels of image and condition together.
    """
    network = config.build(in_channels)
    if not isinstance(config, Imported):
        initialise(network, config.init)
    return network


def fitted_to_size(config: GeneratorConfig, image_size: int) -> GeneratorConfig:
    """Return the options with everything left None chosen for images of that side.

    A U-Net halves until one pixel is left, at most the paper's 8 times.
    """
    if isinstance(config, UNetConfig) and config.depth is None:
        return config.model_copy(update={"depth": max(2, min(8, image_size.bit_length() - 1))})
    return config


def refuse_small_images(config: GeneratorConfig | DiscriminatorConfig, image_size: int, batch_size: int) -> None:
    """Refuse training on square images that a network cannot be trained on.

    Raises:
        UserError: the images are smaller than the U-Net's depth or the PatchGAN's layers ask for.
    """
    if isinstance(config, UNetConfig) and config.depth is not None:
        # batch norm needs two values a channel, and the innermost of those it sees are 2 x 2 where one pixel is left
        deepest = (image_size - 1).bit_length() if batch_size == 1 and config.norm == "batch" else config.depth
        if config.depth > deepest:
            raise UserError(
                f"method.generator.depth {config.depth} halves images of {image_size} pixels away; choose a depth of "
                f"at most {deepest}, or a larger --image-size"
            )
    if isinstance(config, PatchGANConfig) and image_size < (least := 3 * 2**config.layers):
        raise UserError(
            f"method.discriminator.layers {config.layers} needs images of at least {least} pixels, not {image_size}; "
            "choose fewer layers, or a larger --image-size"
        )
