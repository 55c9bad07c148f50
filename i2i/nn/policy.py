"""What batch norm and dropout do when a trained network is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.config import Config
from i2i.errors import UserError
from i2i.nn.norms import BatchNorm


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
