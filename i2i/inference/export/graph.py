"""Networks as graphs: what goes in and comes out, and how they are traced for any number of images of any size."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from i2i.data import to_model_range
from i2i.errors import UserError
from i2i.nn import Kind

Pixels = Literal["float", "uint8"]
# No two sizes of an example are equal, or the tracer would take them for one; nor is any map within the network of one
# pixel, which the tracer would take for always so: a U-Net of 9 levels halves these to 3 and 3.
BATCH, HEIGHT, WIDTH = 2, 1031, 1039


@dataclass(frozen=True)
class Input:
    """What a graph takes.

    Attributes:
        example: such a tensor, of any values.
        axes: names of those of its dimensions that may have any size.
    """

    example: Tensor
    axes: Mapping[int, str]


def inputs_of(kind: Kind, measures: Mapping[str, int], pixels: Pixels = "float") -> dict[str, Input]:
    """Return what the graph of a network takes, by name.

    ``input`` are images, [N, C, H, W] in [-1, 1] or as uint8 [N, H, W, C]; a generator of noise takes ``noise``,
    [N, width], and where it has classes ``labels``, int64 [N].

    Args:
        kind: what the network is for.
        measures: ``in_channels``, or ``latent`` and ``classes`` of a generator of noise.
        pixels: how images are exchanged.
    """
    if kind == "noise_generator":
        noise = {"noise": Input(torch.zeros(BATCH, measures["latent"]), {0: "batch"})}
        labels = {"labels": Input(torch.zeros(BATCH, dtype=torch.int64), {0: "batch"})}
        return noise | (labels if measures["classes"] else {})
    channels = measures["in_channels"]
    if pixels == "uint8":
        example = torch.zeros(BATCH, HEIGHT, WIDTH, channels, dtype=torch.uint8)
        return {"input": Input(example, {0: "batch", 1: "height", 2: "width"})}
    return {"input": Input(torch.zeros(BATCH, channels, HEIGHT, WIDTH), {0: "batch", 2: "height", 3: "width"})}


class Exchanged(nn.Module):
    """A network that takes and returns what is exchanged with an exported file.

    Args:
        network: in the mode that it is to run in.
        pixels: images [N, C, H, W] in [-1, 1], or uint8 [N, H, W, C].
        half: compute in fp16 within; floats that go in and come out are fp32 all the same.
    """

    def __init__(self, network: nn.Module, *, pixels: Pixels, half: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half() if half else network
        self.pixels, self.half_within = pixels, half

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images, or noise and labels, to images."""
        if x.dtype == torch.uint8:
            x = to_model_range(x.permute(0, 3, 1, 2))
        if self.half_within:
            x = x.half()
        images: Tensor = (self.network(x) if labels is None else self.network(x, labels)).float()
        return to_pixels(images) if self.pixels == "uint8" else images


class InModelRange(nn.Module):
    """A graph of uint8 pixels in place of the network that was written to it, which knows [-1, 1] alone.

    Args:
        graph: returns uint8 [N, H, W, C].
        takes_images: whether it takes them, too; a generator of noise does not.
    """

    def __init__(self, graph: nn.Module, *, takes_images: bool) -> None:
        super().__init__()
        self.graph = graph
        self.takes_images = takes_images

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images [N, C, H, W] in [-1, 1], which are rounded to 8 bits, or noise and labels, to images."""
        x = to_pixels(x) if self.takes_images else x
        pixels: Tensor = self.graph(x) if labels is None else self.graph(x, labels)
        return to_model_range(pixels.permute(0, 3, 1, 2))


def to_pixels(images: Tensor) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] as uint8 [N, H, W, C]."""
    return images.clamp(-1, 1).add(1).div(2).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def trace(network: nn.Module, inputs: Mapping[str, Input]) -> ExportedProgram:
    """Return the graph of what `network` computes; it holds the network's weights.

    Where the network decides by sizes, the graph has the way of the example alone: compare them.

    Args:
        network: on the CPU, in the mode that it is to run in.
        inputs: what it takes.

    Raises:
        UserError: the network cannot be traced: it decides by values, or insists on sizes.
    """
    examples = tuple(given.example for given in inputs.values())
    shapes = tuple(dict.fromkeys(given.axes, Dim.DYNAMIC) for given in inputs.values())
    try:
        with torch.no_grad(), quiet():
            program = torch.export.export(network, examples, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # a network of the user's own may raise anything, and torch does
        raise UserError(
            f"the network has no graph for all sizes: {first_line(error)}; a safetensors file needs none "
            "(--format safetensors)"
        ) from error
    # Guards ask that sizes lead to the memory layouts of the example, which no result depends on.
    program._guards_code = []
    program.example_inputs = None  # large, and nobody asks for them
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # of the machine at hand, with its paths
    return program


def first_line(error: BaseException) -> str:
    """Return an error's first line, or else what it is."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's remarks about tracing, which are for its developers, off the console."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
