"""By what a network is run: by torch, by onnxruntime, or recorded as a CUDA graph."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.inference.export.graph import first_line
from i2i.inference.export.onnx import OnnxNetwork, write_generator

Runtime = Literal["auto", "torch", "onnx", "plain"]
Forward = Callable[[Tensor], Tensor]

MOST_GRAPHS = 4
TOLERANCE = 2 / 255 / 4
"""How far outputs in [-1, 1] may differ for a network to pass for the same: a quarter of a step of 8 bits."""


def to_onnx(network: nn.Module, channels: int) -> OnnxNetwork:
    """Return a generator converted for onnxruntime, in memory; it takes seconds.

    Args:
        network: on the CPU, in the mode that it is to run in.
        channels: that it takes.

    Raises:
        UserError: the extra is not installed, or the network cannot be converted, or computes something else then.
    """
    with tempfile.TemporaryDirectory(prefix="i2i-") as folder:
        file = Path(folder, "network.onnx")
        write_generator(network, channels, file)
        converted = OnnxNetwork(file)
    for height, width in ((64, 80), (57, 70)):
        image = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            difference = (network(image) - converted(image)).abs().max()
        if not difference <= TOLERANCE:
            raise UserError(f"converted for onnxruntime the network's outputs differ by {difference:.2g} of [-1, 1]")
    return converted


def seconds(forward: Forward, images: Tensor) -> float:
    """Return how long a forward on the CPU takes."""
    began = time.perf_counter()
    forward(images)
    return time.perf_counter() - began


class Captured:
    """A network on a GPU whose forwards are recorded per shape as CUDA graphs and replayed.

    A replay launches all kernels at once, where Python would launch hundreds one by one. A shape is recorded when it
    comes for the third time, and the last few are kept, each with the memory of its forward. Where recording fails, as
    with networks whose way depends on values, the network runs as it is from then on. One thread at a time may call it.

    Args:
        network: on the GPU; it may draw no random numbers.
        say: takes a line for the user if recording fails.
    """

    def __init__(self, network: Forward, say: Callable[[str], None]) -> None:
        self._network, self._say = network, say
        self._graphs: OrderedDict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = OrderedDict()
        self._met: Counter[torch.Size] = Counter()
        self._works = True

    def __call__(self, images: Tensor) -> Tensor:
        """Return the network's output."""
        if images.shape not in self._graphs:
            self._met[images.shape] += 1
            if not self._works or self._met[images.shape] < 3:
                return self._network(images)
            try:
                self._record(images)
            except torch.OutOfMemoryError:
                self._graphs.clear()
                raise
            except Exception as error:  # a network of the user's own may raise anything
                self._works = False
                self._graphs.clear()
                self._say(f"note: no CUDA graph can be made of the network, so it runs without: {first_line(error)}")
                return self._network(images)
        self._graphs.move_to_end(images.shape)
        graph, taken, made = self._graphs[images.shape]
        taken.copy_(images)
        graph.replay()
        return made.clone()

    def _record(self, images: Tensor) -> None:
        while len(self._graphs) >= MOST_GRAPHS:
            self._graphs.popitem(last=False)
        taken = images.clone()  # keeps the layout
        apart = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        apart.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(apart):  # libraries set themselves up outside of the recording
            self._network(taken)
        torch.cuda.current_stream().wait_stream(apart)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            made = self._network(taken)
        self._graphs[images.shape] = graph, taken, made
