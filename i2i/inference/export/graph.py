"""Networks as graphs: traced once, for any number of images of any height and width."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from i2i.errors import UserError


def image_example(channels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return images [N, C, H, W] to trace with; no two of their sizes are equal, or they would be taken for one."""
    return torch.zeros(2, channels, 19, 23, dtype=dtype)


def trace(network: nn.Module, examples: Sequence[Tensor], dynamic: Sequence[Sequence[int]]) -> ExportedProgram:
    """Return the graph of what `network` computes; it holds the network's weights.

    Args:
        network: on the CPU, in the mode that it is to run in.
        examples: its inputs, of any values.
        dynamic: for each input, which of its dimensions may have any size.

    Raises:
        UserError: the network cannot be traced: it decides by values or sizes, or takes random numbers.
    """
    shapes = tuple(dict.fromkeys(dimensions, Dim.DYNAMIC) for dimensions in dynamic)
    try:
        with torch.no_grad(), quiet():
            return torch.export.export(network, tuple(examples), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # a network of the user's own may raise anything, and torch does
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"the network has no graph for all sizes: {reason}; a safetensors file needs none (--format safetensors)"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's own remarks about tracing, which are for its developers, off the console."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
