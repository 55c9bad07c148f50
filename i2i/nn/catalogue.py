"""The networks that a configuration can name, and how they are built.

Of two families: generators and discriminators of methods that translate images, of any size; and generators of noise
and critics of the GAN cores, which are built for one size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field, Tag, TypeAdapter
from torch import nn

from i2i.config import Config, load_attribute, natural, tag_of
from i2i.errors import UserError
from i2i.nn.autoencoder import BEGANAutoencoderConfig, BEGANGeneratorConfig
from i2i.nn.dcgan import DCGANCriticConfig, DCGANGeneratorConfig
from i2i.nn.heads import body_channels, with_head
from i2i.nn.init import PAPER_GAINS, initialise
from i2i.nn.mlp import MLPCriticConfig, MLPGeneratorConfig
from i2i.nn.patchgan import PatchGANConfig, PixelGANConfig
from i2i.nn.resnet import ResNetConfig
from i2i.nn.spectral import spectrally_normalised
from i2i.nn.srresnet import SHUFFLES, SRResNetConfig
from i2i.nn.unet import UNetConfig


class Imported(Config):
    """A network of the user's own: `name` is `module:attribute`, called with its measures and the `options`.

    A generator is called with in_channels and out_channels, a discriminator with in_channels; a generator of noise with
    latent, channels, size and classes, a critic with channels, size, classes and outputs. It comes with initial weights
    of its own choice.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    def build(self, *measures: int) -> nn.Module:
        """Return the network.

        Raises:
            UserError: there is no such attribute, it does not take these arguments, or it makes no network.
        """
        factory = load_attribute(self.name)
        if not callable(factory):
            raise UserError(f"{self.name}: is a {type(factory).__name__}, which makes no network")
        options = natural(self.options)
        try:
            inspect.signature(factory).bind(*measures, **options)
        except TypeError as error:
            raise UserError(f"{self.name}: called with {measures} and {options}: {error}") from error
        network = factory(*measures, **options)
        if not isinstance(network, nn.Module):
            raise UserError(f"{self.name}: makes a {type(network).__name__}, not a torch.nn.Module")
        return network


_ImportedByName = Annotated[Imported, Tag("module:attribute")]

GeneratorConfig = Annotated[
    Annotated[UNetConfig, Tag("unet")]
    | Annotated[ResNetConfig, Tag("resnet")]
    | Annotated[SRResNetConfig, Tag("srresnet")]
    | _ImportedByName,
    pydantic.Discriminator(tag_of),
]
DiscriminatorConfig = Annotated[
    Annotated[PatchGANConfig, Tag("patchgan")] | Annotated[PixelGANConfig, Tag("pixel")] | _ImportedByName,
    pydantic.Discriminator(tag_of),
]
NoiseGeneratorConfig = Annotated[
    Annotated[MLPGeneratorConfig, Tag("mlp")]
    | Annotated[DCGANGeneratorConfig, Tag("dcgan")]
    | Annotated[BEGANGeneratorConfig, Tag("began")]
    | _ImportedByName,
    pydantic.Discriminator(tag_of),
]
CriticConfig = Annotated[
    Annotated[MLPCriticConfig, Tag("mlp")] | Annotated[DCGANCriticConfig, Tag("dcgan")] | _ImportedByName,
    pydantic.Discriminator(tag_of),
]

# The names that the unions above know, for those who list or look up: each configuration builds its network.
GENERATORS: dict[str, type[UNetConfig] | type[ResNetConfig] | type[SRResNetConfig]] = {
    "unet": UNetConfig,
    "resnet": ResNetConfig,
    "srresnet": SRResNetConfig,
}
DISCRIMINATORS: dict[str, type[PatchGANConfig] | type[PixelGANConfig]] = {
    "patchgan": PatchGANConfig,
    "pixel": PixelGANConfig,
}
NOISE_GENERATORS: dict[str, type[MLPGeneratorConfig] | type[DCGANGeneratorConfig] | type[BEGANGeneratorConfig]] = {
    "mlp": MLPGeneratorConfig,
    "dcgan": DCGANGeneratorConfig,
    "began": BEGANGeneratorConfig,
}
CRITICS: dict[str, type[MLPCriticConfig] | type[DCGANCriticConfig]] = {
    "mlp": MLPCriticConfig,
    "dcgan": DCGANCriticConfig,
}


def build_generator(config: GeneratorConfig, in_channels: int, out_channels: int) -> nn.Module:
    """Build a generator [N, in_channels, H, W] -> [N, out_channels, scale H, scale W] and draw its weights.

    They come from torch's global generator. What its output is (`i2i.nn.heads`) follows from the options.

    Raises:
        UserError: its output cannot be made of these channels.
    """
    if isinstance(config, Imported):
        return config.build(in_channels, out_channels)
    predicted = body_channels(config.output, in_channels, out_channels, config.scale or 1)
    body = config.build(in_channels, predicted, tanh=config.output != "residual")
    initialise(body, config.init)
    return with_head(config.output, body, out_channels)


def build_discriminator(config: DiscriminatorConfig, in_channels: int) -> nn.Module:
    """Build a discriminator [N, in_channels, H, W] -> logits and draw its weights from torch's global generator.

    Args:
        config: which one.
        in_channels: channels of image and condition together.
    """
    network = config.build(in_channels)
    if not isinstance(config, Imported):
        initialise(network, config.init)
        if config.spectral_norm:
            spectrally_normalised(network)
    return network


def build_noise_generator(
    config: NoiseGeneratorConfig, latent: int, channels: int, size: int, classes: int = 0
) -> nn.Module:
    """Build a generator (z [N, latent], labels [N] or None) -> [N, channels, size, size] in [-1, 1].

    Its weights are drawn from torch's global generator, at the scale of the scheme's own paper (`PAPER_GAINS`).

    Args:
        config: which one.
        latent: values of the noise.
        channels: channels of the image.
        size: its side in pixels.
        classes: number of classes, with labels in 0 to classes - 1; 0 for none, and no labels.

    Raises:
        UserError: it makes no images of that size; the line says which are near.
    """
    network = config.build(latent, channels, size, classes)
    if not isinstance(config, Imported):
        initialise(network, config.init, PAPER_GAINS[config.init])
    return network


def build_critic(config: CriticConfig, channels: int, size: int, classes: int = 0, outputs: int = 1) -> nn.Module:
    """Build a critic (images [N, channels, size, size], labels [N] or None) -> [N], or [N, outputs] if several.

    Its weights are drawn from torch's global generator, at the scale of the scheme's own paper (`PAPER_GAINS`). Those
    of the catalogue are an `i2i.nn.Critic`, whose features can be shared.

    Args:
        config: which one.
        channels: channels of the images; of all that are judged together, if they are packed (Lin et al. 2018).
        size: their side in pixels.
        classes: number of classes, with labels in 0 to classes - 1; 0 for none, and no labels.
        outputs: values per image.

    Raises:
        UserError: it judges no images of that size, or `projection` has several outputs.
    """
    network = config.build(channels, size, classes, outputs)
    if not isinstance(config, Imported):
        initialise(network, config.init, PAPER_GAINS[config.init])
        if config.spectral_norm:
            spectrally_normalised(network)
    return network


def build_autoencoder(config: BEGANAutoencoderConfig, channels: int, size: int, hidden: int) -> nn.Module:
    """Build BEGAN's discriminator [N, channels, size, size] -> the same shape and draw its weights likewise.

    Args:
        config: its options.
        channels: channels of the images.
        size: their side in pixels.
        hidden: values of the hidden state; the paper has as many as of the noise.

    Raises:
        UserError: it takes no images of that size; the line says which are near.
    """
    network = config.build(channels, size, hidden)
    initialise(network, config.init, PAPER_GAINS[config.init])
    return network


Kind = Literal["generator", "discriminator", "noise_generator", "critic", "autoencoder"]
_KINDS: dict[Kind, tuple[Any, Callable[..., nn.Module]]] = {
    "generator": (GeneratorConfig, build_generator),
    "discriminator": (DiscriminatorConfig, build_discriminator),
    "noise_generator": (NoiseGeneratorConfig, build_noise_generator),
    "critic": (CriticConfig, build_critic),
    "autoencoder": (BEGANAutoencoderConfig, build_autoencoder),
}


def network_options(kind: Kind, options: Mapping[str, Any]) -> Any:
    """Return the options of a network of that kind from what was saved of them.

    Raises:
        pydantic.ValidationError: they are not such options.
    """
    return TypeAdapter(_KINDS[kind][0]).validate_python(options)


def build_network(kind: Kind, config: Any, measures: Mapping[str, int]) -> nn.Module:
    """Build a network of that kind and draw its weights.

    Args:
        kind: which of the functions above.
        config: its options.
        measures: the function's other arguments, such as ``in_channels``.
    """
    return _KINDS[kind][1](config, **measures)


def fitted_to_size(config: GeneratorConfig, image_size: int, scale: int = 1) -> GeneratorConfig:
    """Return the options with everything left None chosen for outputs of that side.

    A U-Net halves until one pixel is left, at most the paper's 8 times. An SRResNet enlarges as much as is asked.

    Args:
        config: the options.
        image_size: side of the output in pixels.
        scale: how many times smaller the input is.

    Raises:
        UserError: the generator enlarges by another factor.
    """
    _refuse_other_scale(config, scale)
    if isinstance(config, UNetConfig) and config.depth is None:
        return config.model_copy(update={"depth": max(2, min(8, image_size.bit_length() - 1))})
    if isinstance(config, SRResNetConfig) and config.scale is None:
        return config.model_copy(update={"scale": scale})
    return config


def _refuse_other_scale(config: GeneratorConfig, scale: int) -> None:
    if isinstance(config, SRResNetConfig):
        if config.scale is None and scale not in SHUFFLES:
            possible = ", ".join(map(str, SHUFFLES))
            raise UserError(
                f"srresnet enlarges {possible} times, and inputs are {scale} times smaller than outputs in this data; "
                "set another data.derive.factor"
            )
        if config.scale not in (None, scale):
            smaller = f"{scale} times smaller than" if scale > 1 else "as large as"
            raise UserError(
                f"method.generator.scale={config.scale}: inputs are {smaller} outputs in this data; set "
                f"method.generator.scale={scale}"
            )
    elif scale != 1 and not isinstance(config, Imported):  # whose own code may enlarge
        raise UserError(
            f"data.derive.enlarge=false makes inputs {scale} times smaller, and {config.name} does not enlarge; set "
            "data.derive.enlarge=true, or method.generator=srresnet"
        )


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
