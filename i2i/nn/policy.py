"""What batch norm and dropout do when a trained network is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeGuard

import torch
from torch import Tensor, nn

from i2i.config import Config
from i2i.errors import UserError
from i2i.nn.norms import BatchNorm, GroupNorm, InstanceNorm, SharedStatistics

Statistics = Literal["running", "image"]


class InferencePolicy(Config):
    """How a network behaves at inference; recorded with the weights, for results depend on it.

    Attributes:
        statistics: what batch norm divides by: its `running` statistics, or those of each `image` alone.
        dropout: `off`, or `sample` as in training: the only noise that pix2pix has (Isola et al. 2017, section 3.1).
    """

    statistics: Statistics = "running"
    dropout: Literal["off", "sample"] = "off"


@contextmanager
def inference_mode(network: nn.Module, policy: InferencePolicy) -> Iterator[None]:
    """Put `network` in eval mode under `policy` and without gradients; restore it afterwards, come what may.

    Sampled dropout draws from torch's global generators. The tensors computed within are ordinary ones: unlike those of
    `torch.inference_mode` they may enter a loss later.

    Raises:
        UserError: the statistics of each image are asked of a batch norm that is not `i2i.nn.BatchNorm`.
    """
    before = [(module, module.training) for module in network.modules()]
    norms = [(module, module.per_image) for module, _ in before if isinstance(module, BatchNorm)]
    try:
        apply_policy(network, policy)
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training
        for norm, per_image in norms:
            norm.per_image = per_image


def apply_policy(network: nn.Module, policy: InferencePolicy) -> None:
    """Put `network` in eval mode under `policy` for good.

    Raises:
        UserError: the statistics of each image are asked of a batch norm that is not `i2i.nn.BatchNorm`.
    """
    if policy.statistics == "image":
        _refuse_foreign_norms(network)
    network.eval()
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.per_image = policy.statistics == "image"
        elif isinstance(module, nn.modules.dropout._DropoutNd):
            module.training = policy.dropout == "sample"


def _refuse_foreign_norms(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, BatchNorm):
            raise UserError(
                f"statistics 'image': layer '{name}' is a {type(module).__name__}, which knows no statistics of single "
                "images; build the network with i2i.nn.BatchNorm, or choose statistics 'running'"
            )


@contextmanager
def shared_statistics(
    network: nn.Module, forward: Callable[[Tensor], object], batches: Iterable[Tensor]
) -> Iterator[None]:
    """Let all that goes through `network` within be normalised alike, as parts of one image.

    Layers that normalise by each image's own statistics (instance norm, group norm, batch norm under the policy
    `image`) would give an image that is cut into tiles other colours in every tile. Here they first see `batches`, each
    of them pieces of the image that are normalised together, and then keep to the mean and variance that these came to.
    Norms that are not of `i2i.nn` keep to their own ways.

    With tiles of 256 on photos of 500 to 1024 pixels, the output of a CycleGAN of 6 blocks differed from that of the
    whole image by 11 to 18 grey levels in the mean with each tile's own statistics, by 2 to 4 with those of 16 crops of
    64 per batch, and by less than 0.1 with the whole image's. A thumbnail in place of the crops (Chen et al. 2022,
    Thumbnail Instance Normalization) was off by 5 to 33, for what is shrunk has other statistics than what is not. In a
    U-Net of depth 7 the crops must be whole tiles, for smaller ones leave its inner layers little to see: 6 to 32
    where tiles by themselves differ by 11 to 34, and thumbnails by 33 to 70.

    Args:
        network: the network, in the mode it is to run in; one thread at a time may use it.
        forward: sends a batch through `network`.
        batches: ``[N, C, H, W]`` each: pieces that are as fair a sample of the image as can be. They are not asked for
            where no layer has statistics to share.
    """
    norms = [module for module in network.modules() if normalises_each_image(module)]
    try:
        for norm in norms:
            norm.shared = SharedStatistics()
        for batch in batches if norms else ():
            forward(batch)
        for norm in norms:
            if norm.shared is not None and norm.shared.count:
                norm.shared.observing = False
            else:
                norm.shared = None  # a layer that was passed by has nothing to share
        yield
    finally:
        for norm in norms:
            norm.shared = None


def normalises_each_image(module: nn.Module) -> TypeGuard[BatchNorm | InstanceNorm | GroupNorm]:
    """Say whether a layer of `i2i.nn` normalises by each image's own statistics, in the mode that it is in."""
    return isinstance(module, InstanceNorm | GroupNorm) or (isinstance(module, BatchNorm) and module.per_image)


def forward_each(network: nn.Module, *batches: Tensor) -> tuple[Tensor, ...]:
    """Return ``network(batch)`` for each of several batches, in one forward where the result is the same.

    It is not where images of a batch influence each other (batch norm in training) or draw random numbers (dropout),
    nor where their sizes differ.
    """
    sizes = {batch.shape[1:] for batch in batches}
    if len(sizes) > 1 or any(_couples_images(module) for module in network.modules()):
        return tuple(network(batch) for batch in batches)
    together: Tensor = network(torch.cat(batches))
    return torch.split(together, [len(batch) for batch in batches])


def _couples_images(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return module.training
    return isinstance(module, nn.modules.dropout._DropoutNd) and module.training and module.p > 0
