"""Normalisation layers of the generators and discriminators.

All of them accept maps of any size. A map of one pixel has no variance: normalised by its own statistics it becomes
zero, where torch's layers refuse it. Batch norm in training still refuses a single value per channel, which would spoil
the running variance.

Batch norm in training normalises by the images of all processes that train together (`i2i.world`).
"""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor, nn

from i2i import world
from i2i.errors import UserError

Norm = Literal["batch", "instance", "group", "none"]


class SharedStatistics:
    """One mean and variance per channel for all the parts that an image is cut into; see `shared_statistics`.

    At first it observes: a batch ``[N, C, ...]`` is taken for pieces of one image and normalised by the mean and the
    variance of all its values, which are pooled with those of the batches before (Chan et al. 1979). Once `observing`
    is false, everything is normalised by what they came to.

    Attributes:
        observing: whether it observes.
        count: values per channel that it has seen.
    """

    def __init__(self) -> None:
        self.observing = True
        self.count = 0
        self._mean = self._variance = torch.zeros(())

    def normalise(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """Normalise `x` [N, C, ...] with any number of further dimensions."""
        cudnn = torch.backends.cudnn.enabled
        if not self.observing:
            return torch.batch_norm(x, weight, bias, self._mean, self._variance, False, 0.0, eps, cudnn)
        # At momentum 1 the running statistics become those of the batch, in fp32 whatever x is.
        mean, variance = torch.zeros(2, x.shape[1], device=x.device)
        normalised = torch.batch_norm(x, weight, bias, mean, variance, True, 1.0, eps, cudnn)
        self._pool(x.numel() // x.shape[1], mean, variance)
        return normalised

    def _pool(self, count: int, mean: Tensor, variance: Tensor) -> None:
        """Add the mean and the unbiased variance of `count` values per channel."""
        biased = variance * ((count - 1) / count) if count > 1 else torch.zeros_like(variance)
        share = count / (self.count + count)
        shift = mean - self._mean
        self._mean = self._mean + share * shift
        self._variance = (1 - share) * self._variance + share * biased + share * (1 - share) * shift**2
        self.count += count


class _AcrossProcesses(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose batch, in training, is that of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input` [N, C, ...]."""
        if not self.training or world.size() == 1:
            return super().forward(input)
        wide = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        mean, variance = world.moments(wide, [0, *range(2, input.ndim)])
        self._remember(mean.detach(), variance.detach(), world.size() * input.numel() // input.shape[1])
        columns = (-1, *[1] * (input.ndim - 2))
        scale = (self.weight * torch.rsqrt(variance + self.eps)).view(columns)
        return ((wide - mean.view(columns)) * scale + self.bias.view(columns)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics take in those of `count` values per channel."""
        if count == 1:
            raise ValueError("batch norm in training needs more than one value per channel, of all processes together")
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


class BatchNorm1d(_AcrossProcesses, nn.BatchNorm1d):
    """Batch norm of vectors [N, C], with the state of `torch.nn.BatchNorm1d`."""


class BatchNorm(_AcrossProcesses, nn.BatchNorm2d):
    """Batch norm (Ioffe & Szegedy 2015) that can normalise each image by its own statistics at inference.

    The state is that of `torch.nn.BatchNorm2d`.

    Attributes:
        per_image: in eval mode, use each image's own mean and variance in place of the running ones: what pix2pix does
            (batch norm at batch 1; Isola et al. 2017, section 3.4), whatever the batch is here.
        shared: in place of each image's own statistics; set by `shared_statistics`.
    """

    per_image: bool = False
    shared: SharedStatistics | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input` [N, C, H, W]."""
        if self.per_image and not self.training:
            return _normalise_each_image(input, self.weight, self.bias, self.eps, self.shared)
        return super().forward(input)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm (Ulyanov et al. 2016) as CycleGAN has it: no affine weights, no running statistics.

    Attributes:
        shared: in place of each image's own statistics; set by `shared_statistics`.
    """

    shared: SharedStatistics | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input` [N, C, H, W]."""
        return _normalise_each_image(input, None, None, self.eps, self.shared)


class GroupNorm(nn.GroupNorm):
    """Group norm (Wu & He 2018).

    Attributes:
        shared: in place of each image's own statistics; set by `shared_statistics`.
    """

    shared: SharedStatistics | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `input` [N, C, H, W]."""
        if self.shared is not None:
            groups = input.reshape(len(input), self.num_groups, -1, *input.shape[2:])
            normalised = self.shared.normalise(groups, None, None, self.eps).flatten(1, 2)
            return normalised * self.weight[:, None, None] + self.bias[:, None, None]
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def refuse_norms_apart(network: nn.Module, name: str) -> None:
    """Refuse to train a network in several processes whose batch norm knows nothing of them.

    Raises:
        UserError: a batch norm is not of `i2i.nn`.
    """
    for layer, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, _AcrossProcesses):
            raise UserError(
                f"{name}: layer '{layer}' is a {type(module).__name__}, which would normalise the images of each "
                "process by themselves; build the network with i2i.nn.BatchNorm, or train in one process"
            )


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Return the layer that normalises maps of `channels` channels.

    Group norm takes 32 groups, as its paper does, or the largest number below that divides `channels`.
    """
    match norm:
        case "batch":
            return BatchNorm(channels)
        case "instance":
            return InstanceNorm(channels)
        case "group":
            return GroupNorm(max(n for n in range(1, 33) if channels % n == 0), channels)
        case "none":
            return nn.Identity()
        case _:
            assert_never(norm)


def uses_bias(norm: Norm) -> bool:
    """Say whether a convolution in front of the norm has a bias.

    Batch norm brings a bias of its own. That convolutions keep one before instance norm, which cancels it, and have
    none where there is no norm, are habits of the authors' PyTorch code that trained weights depend on. With group norm
    there is a bias: the mean is taken over several channels, so that one channel's bias is not cancelled.
    """
    return norm in ("instance", "group")


def needs_bias(norm: Norm) -> bool:
    """Say whether a convolution in front of the norm needs a bias: the others bring one or cancel it.

    For networks of our own; `uses_bias` is the rule of trained weights which other code has written.
    """
    return norm in ("group", "none")


def _normalise_each_image(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, shared: SharedStatistics | None
) -> Tensor:
    if shared is not None:
        return shared.normalise(x, weight, bias, eps)
    if not torch.compiler.is_compiling() and x.device.type == "cpu" and _is_channels_last(x):
        # Batch norm of one image is the same and keeps the layout, where torch's instance norm copies to and fro.
        images = [
            torch.batch_norm(image, weight, bias, None, None, True, 0.0, eps, False) for image in torch.split(x, 1)
        ]
        return images[0] if len(images) == 1 else torch.cat(images)
    # torch.nn.functional.instance_norm without its check of the size.
    return torch.instance_norm(x, weight, bias, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
