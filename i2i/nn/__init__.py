"""Networks: generators, discriminators and what is done to them. Nothing here knows of data, losses or methods."""

from i2i.nn.catalogue import (
    DISCRIMINATORS,
    GENERATORS,
    DiscriminatorConfig,
    GeneratorConfig,
    Imported,
    build_discriminator,
    build_generator,
    fitted_to_size,
    refuse_small_images,
)
from i2i.nn.frozen import frozen
from i2i.nn.init import Init, initialise
from i2i.nn.norms import BatchNorm, GroupNorm, InstanceNorm, Norm, make_norm, uses_bias
from i2i.nn.patchgan import PatchGAN, PatchGANConfig, PixelGAN, PixelGANConfig
from i2i.nn.policy import InferencePolicy, Statistics, apply_policy, forward_each, inference_mode
from i2i.nn.resnet import ResNet, ResNetConfig
from i2i.nn.unet import UNet, UNetConfig
from i2i.nn.upsample import ResizeConv, Upsample, upsampler

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "BatchNorm",
    "DiscriminatorConfig",
    "GeneratorConfig",
    "GroupNorm",
    "Imported",
    "InferencePolicy",
    "Init",
    "InstanceNorm",
    "Norm",
    "PatchGAN",
    "PatchGANConfig",
    "PixelGAN",
    "PixelGANConfig",
    "ResNet",
    "ResNetConfig",
    "ResizeConv",
    "Statistics",
    "UNet",
    "UNetConfig",
    "Upsample",
    "apply_policy",
    "build_discriminator",
    "build_generator",
    "fitted_to_size",
    "forward_each",
    "frozen",
    "inference_mode",
    "initialise",
    "make_norm",
    "refuse_small_images",
    "upsampler",
    "uses_bias",
]
