"""Convolutions of a trained network that compute the same in less time; for inference alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from i2i.nn.convolution import Conv2d, ConvTranspose2d

Way = tuple[Callable[[Tensor, Tensor, Tensor | None], Tensor], Callable[[Tensor], Tensor]]

# Winograd's F(4x4, 3x3) as given by Lavin & Gray 2016 (Fast Algorithms for Convolutional Neural Networks, section 4.3):
# of a tile of 6x6 pixels come 4x4 outputs by 36 multiplications per pair of channels instead of 144.
_TILE, _STEP = 6, 4
_INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_KERNEL = (
    torch.tensor([[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64) / 24
)
_OUTPUT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
# Both sides of a transform at once, for tiles whose rows stand one behind the other.
_TO_TILES, _FROM_TILES = torch.kron(_INPUT, _INPUT), torch.kron(_OUTPUT, _OUTPUT)

FEWEST_CHANNELS = 128
"""With fewer, the transforms cost more than the multiplications that they save."""

STRIP = 2**20
"""Values of a map that are transformed at a time: more would leave the processor's cache."""

MOST_OUTPUTS, SMALLEST_KERNEL = 4, 5
"""Of convolutions to an image, whose few outputs leave most of a processor's lanes idle; see `by_rows`."""


def hasten(network: nn.Module, dtype: torch.dtype) -> None:
    """Let the convolutions of a network in evaluation mode compute fast; outputs differ by rounding alone.

    Weights are cast once to the `dtype` that `torch.autocast` would cast them to in each forward. Reflected borders
    are made in that dtype, where autocast makes them in fp32 on a CPU. In fp32 on a CPU, 3x3 convolutions of many
    channels go by Winograd's algorithm, and large kernels to an image row by row. Layers of other classes than torch's
    own and those of `i2i.nn.convolution` stay as they are.

    Args:
        network: is changed in place; its state keeps its names, with values in `dtype`.
        dtype: in which the network is going to run.
    """
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) in (nn.Conv2d, nn.ConvTranspose2d, Conv2d, ConvTranspose2d):
                child.to(dtype)
            if type(child) in (Conv2d, ConvTranspose2d):
                child.to(memory_format=torch.contiguous_format)  # as the matrices that they are multiplied as
            if type(child) is nn.Conv2d and (child.padding_mode != "zeros" or _faster_way(child)):
                setattr(parent, name, FastConv2d(child))


def _faster_way(conv: nn.Conv2d) -> Way | None:
    """Return the function that computes a convolution faster than torch, and the one that prepares its kernels."""
    if conv.weight.dtype != torch.float32 or conv.weight.device.type != "cpu" or conv.groups != 1:
        return None
    if (conv.stride, conv.dilation) != ((1, 1), (1, 1)):
        return None
    if conv.kernel_size == (3, 3) and min(conv.in_channels, conv.out_channels) >= FEWEST_CHANNELS:
        return winograd, winograd_kernels
    if conv.kernel_size[0] >= SMALLEST_KERNEL and conv.out_channels <= MOST_OUTPUTS:
        return by_rows, kernels_by_rows
    return None


class FastConv2d(nn.Conv2d):
    """A trained convolution in the dtype of its weights, in a faster way where there is one.

    Args:
        conv: the convolution, whose weights are shared.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            cast(tuple[int, int], conv.kernel_size),
            cast(tuple[int, int], conv.stride),
            cast(tuple[int, int], conv.padding),
            cast(tuple[int, int], conv.dilation),
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            device="meta",
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.train(conv.training)
        self.kernels: Tensor | None
        self._way = _faster_way(conv)
        # Not part of the state: they follow from the weights.
        self.register_buffer("kernels", self._way and self._way[1](conv.weight.detach()), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve `input` [N, C, H, W]."""
        kind = input.device.type
        with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
            x = input.to(self.weight.dtype)
            # Exported graphs are to have the convolution itself; the meta device has no values to compute with.
            if self._way is None or x.device.type != "cpu" or torch.compiler.is_compiling():
                return cast(Tensor, self._conv_forward(x, self.weight, self.bias))
            assert self.kernels is not None
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            convolve, _ = self._way
            return convolve(pad(x, self._reversed_padding_repeated_twice, mode=mode), self.kernels, self.bias)


def winograd_kernels(weight: Tensor) -> Tensor:
    """Return kernels [O, C, 3, 3] as `winograd` takes them: [36, C, O]."""
    tiles = torch.einsum("ai,ocij,bj->abco", _KERNEL, weight.double(), _KERNEL)
    return tiles.flatten(0, 1).to(weight.dtype).contiguous()


def winograd(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Return the 3x3 convolution of `x` by F(4x4, 3x3) (Lavin & Gray 2016), in channels_last.

    Args:
        x: [N, C, H + 2, W + 2], with its border.
        kernels: transformed kernels [36, C, O].
        bias: [O], or None.

    Returns:
        [N, O, H, W].
    """
    count, channels, height, width = x.shape[0], x.shape[1], x.shape[2] - 2, x.shape[3] - 2
    out_channels = kernels.shape[2]
    rows, columns = -(-height // _STEP), -(-width // _STEP)  # of tiles, the last of which may hang over
    x = pad(x, (0, columns * _STEP - width, 0, rows * _STEP - height)).permute(0, 2, 3, 1).contiguous()
    output = x.new_empty(count, rows, _STEP, columns, _STEP, out_channels)
    several = max(1, STRIP // (columns * _STEP * _STEP * channels))
    for image, made in zip(x, output, strict=True):
        down, right, _ = image.stride()
        for first in range(0, rows, several):
            strip = made[first : first + several]
            tiles = image[first * _STEP :].as_strided(
                (_TILE, _TILE, len(strip), columns, channels), (down, right, _STEP * down, _STEP * right, 1)
            )
            products = torch.bmm((_TO_TILES @ tiles.reshape(_TILE**2, -1)).view(_TILE**2, -1, channels), kernels)
            parts = (_FROM_TILES @ products.flatten(1)).view(_STEP, _STEP, len(strip), columns, out_channels)
            strip.copy_((parts if bias is None else parts.add_(bias)).permute(2, 0, 3, 1, 4))
    return output.view(count, rows * _STEP, columns * _STEP, out_channels).permute(0, 3, 1, 2)[..., :height, :width]


def kernels_by_rows(weight: Tensor) -> Tensor:
    """Return kernels [O, C, K, L] as `by_rows` takes them: [K, O, C, 1, L]."""
    return weight.permute(2, 0, 1, 3)[:, :, :, None].contiguous()


def by_rows(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution of `x` with every row of the kernel by itself, summed up.

    Three outputs would use three of a vector's sixteen lanes; as outputs of one convolution the rows fill them.

    Args:
        x: [N, C, H + K - 1, W + L - 1], with its border.
        kernels: [K, O, C, 1, L].
        bias: [O], or None.

    Returns:
        [N, O, H, W].
    """
    rows, height = len(kernels), x.shape[2] - len(kernels) + 1
    products = torch.unflatten(conv2d(x, kernels.flatten(0, 1)), 1, kernels.shape[:2])
    output = products[:, 0, :, :height].clone()
    for row in range(1, rows):
        output += products[:, row, :, row : row + height]
    return output if bias is None else output.add_(bias[:, None, None])
