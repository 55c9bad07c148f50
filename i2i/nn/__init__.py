"""Networks: generators, discriminators and what is done to them. Nothing here knows of data, losses or methods."""

from i2i.nn.autoencoder import BEGANAutoencoder, BEGANAutoencoderConfig, BEGANGenerator, BEGANGeneratorConfig
from i2i.nn.catalogue import (
    CRITICS,
    DISCRIMINATORS,
    GENERATORS,
    NOISE_GENERATORS,
    CriticConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    Imported,
    Kind,
    NoiseGeneratorConfig,
    build_autoencoder,
    build_critic,
    build_discriminator,
    build_generator,
    build_network,
    build_noise_generator,
    fitted_to_size,
    network_options,
    refuse_small_images,
)
from i2i.nn.conditioning import Conditioning, Critic
from i2i.nn.dcgan import DCGANCritic, DCGANCriticConfig, DCGANGenerator, DCGANGeneratorConfig, smallest_square
from i2i.nn.diffaugment import diff_augment
from i2i.nn.fast import hasten
from i2i.nn.frozen import frozen
from i2i.nn.heads import Output
from i2i.nn.init import PAPER_GAINS, Init, initialise
from i2i.nn.layers import Dropout
from i2i.nn.mlp import MLPCritic, MLPCriticConfig, MLPGenerator, MLPGeneratorConfig
from i2i.nn.norms import BatchNorm, GroupNorm, InstanceNorm, Norm, make_norm, refuse_norms_apart, uses_bias
from i2i.nn.patchgan import ChosenNorm, PatchGAN, PatchGANConfig, PixelGAN, PixelGANConfig
from i2i.nn.policy import (
    InferencePolicy,
    Statistics,
    apply_policy,
    forward_each,
    inference_mode,
    shared_statistics,
)
from i2i.nn.resnet import ResNet, ResNetConfig
from i2i.nn.spectral import spectrally_normalised
from i2i.nn.srresnet import SRResNet, SRResNetConfig
from i2i.nn.unet import UNet, UNetConfig
from i2i.nn.upsample import ResizeConv, ShuffleConv, Upsample, enlarged_like, upsampler

__all__ = [
    "CRITICS",
    "DISCRIMINATORS",
    "GENERATORS",
    "NOISE_GENERATORS",
    "PAPER_GAINS",
    "BEGANAutoencoder",
    "BEGANAutoencoderConfig",
    "BEGANGenerator",
    "BEGANGeneratorConfig",
    "BatchNorm",
    "ChosenNorm",
    "Conditioning",
    "Critic",
    "CriticConfig",
    "DCGANCritic",
    "DCGANCriticConfig",
    "DCGANGenerator",
    "DCGANGeneratorConfig",
    "DiscriminatorConfig",
    "Dropout",
    "GeneratorConfig",
    "GroupNorm",
    "Imported",
    "InferencePolicy",
    "Init",
    "InstanceNorm",
    "Kind",
    "MLPCritic",
    "MLPCriticConfig",
    "MLPGenerator",
    "MLPGeneratorConfig",
    "NoiseGeneratorConfig",
    "Norm",
    "Output",
    "PatchGAN",
    "PatchGANConfig",
    "PixelGAN",
    "PixelGANConfig",
    "ResNet",
    "ResNetConfig",
    "ResizeConv",
    "SRResNet",
    "SRResNetConfig",
    "ShuffleConv",
    "Statistics",
    "UNet",
    "UNetConfig",
    "Upsample",
    "apply_policy",
    "build_autoencoder",
    "build_critic",
    "build_discriminator",
    "build_generator",
    "build_network",
    "build_noise_generator",
    "diff_augment",
    "enlarged_like",
    "fitted_to_size",
    "forward_each",
    "frozen",
    "hasten",
    "inference_mode",
    "initialise",
    "make_norm",
    "network_options",
    "refuse_norms_apart",
    "refuse_small_images",
    "shared_statistics",
    "smallest_square",
    "spectrally_normalised",
    "upsampler",
    "uses_bias",
]
