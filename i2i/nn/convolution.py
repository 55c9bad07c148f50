"""Convolutions over few positions as matrix products, which a CPU computes several times faster.

Deep in a U-Net 512 channels meet 512 others at 16 taps and at a handful of positions: four million weights, each used a
few times. The library's convolution is made for the opposite, few weights that pass over many positions, and spends
most of a training step of pix2pix there. Written as products of matrices (Chellapilla et al. 2006), which is the same
sum in another order, these layers take a fifth of the time.

Padding is with zeros, by numbers; there are neither groups nor dilation.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, unfold

MOST_POSITIONS = 256  # of a batch; above, the library's convolution is as fast or faster (measured on U-Nets of 256 px)


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`, over few positions on a CPU as a product of matrices.

    Attributes:
        products: False leaves all to the library.
    """

    products: bool = True

    def forward(self, input: Tensor) -> Tensor:
        """Map `input` [N, C_in, H, W] to [N, C_out, H', W']."""
        kernel, stride, padding = self.kernel_size, self.stride, cast(tuple[int, int], self.padding)
        height, width = ((input.shape[2 + i] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
        if not _as_product(self, input, height * width):
            return super().forward(input)
        patches = unfold(input, kernel, padding=padding, stride=stride)  # [N, C_in k k, H' W']
        output = (self.weight.flatten(1) @ patches).view(len(input), -1, height, width)
        return output if self.bias is None else output + self.bias.to(output.dtype)[:, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d`, over few positions on a CPU as a product of matrices.

    Attributes:
        products: False leaves all to the library.
    """

    products: bool = True

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map `input` [N, C_in, H, W] to [N, C_out, H', W']."""
        kernel, stride, padding = self.kernel_size, self.stride, cast(tuple[int, int], self.padding)
        if output_size is not None or not _as_product(self, input, input.shape[2] * input.shape[3]):
            return super().forward(input, output_size)
        height, width = (
            (input.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + kernel[i] + self.output_padding[i] for i in (0, 1)
        )
        patches = self.weight.flatten(1).T @ input.flatten(2)  # [N, C_out k k, H W]
        output = fold(patches, (height, width), kernel, padding=padding, stride=stride)
        return output if self.bias is None else output + self.bias.to(output.dtype)[:, None, None]


def set_products(network: nn.Module, products: bool) -> None:
    """Say whether a network's convolutions over few positions are to be matrix products."""
    for module in network.modules():
        if isinstance(module, Conv2d | ConvTranspose2d):
            module.products = products


def _as_product(layer: Conv2d | ConvTranspose2d, input: Tensor, positions: int) -> bool:
    """Say whether to multiply matrices: where compiled or exported, a network must not depend on the size at hand."""
    on_cpu = input.device.type == "cpu" and not torch.compiler.is_compiling()
    return layer.products and on_cpu and len(input) * positions <= MOST_POSITIONS
