"""What `i2i.world` says, said with `torch.distributed`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from i2i import world
from i2i.errors import ProcessLost

T = TypeVar("T")
BUCKET = 1 << 24  # values that are sent at once: 64 MiB in fp32, so that their copy needs no more


@contextmanager
def _together() -> Iterator[None]:
    """Turn what torch says of a connection that broke, or never came about, into an error of ours."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ProcessLost(f"process {world.rank()} of {world.size()} cannot go on with the others: {reason}") from error


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        with _together():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return add(gradient)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        whole = tensor.new_empty(world.size() * len(tensor), *tensor.shape[1:])
        with _together():
            dist.all_gather(list(whole.chunk(world.size())), tensor.contiguous())
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return world.share(add(gradient))


def add(tensor: Tensor) -> Tensor:
    """Return the sum over processes."""
    total: Tensor = _Add.apply(tensor)
    return total


def gather(tensor: Tensor) -> Tensor:
    """Return the tensors of all processes as one."""
    whole: Tensor = _Gather.apply(tensor)
    return whole


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over processes, many in one message."""
    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        with _together():
            dist.all_reduce(flat)
        flat /= world.size()
        means = torch.split(flat, [tensor.numel() for tensor in bucket])
        for tensor, mean in zip(bucket, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Put tensors together up to some size; a larger one comes alone."""
    bucket: list[Tensor] = []
    filled = 0
    for tensor in tensors:
        if bucket and filled + tensor.numel() > BUCKET:
            yield bucket
            bucket, filled = [], 0
        bucket.append(tensor)
        filled += tensor.numel()
    if bucket:
        yield bucket


@torch.no_grad()
def broadcast(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by those of process 0."""
    for tensor in tensors:
        sent = tensor.contiguous()
        with _together():
            dist.broadcast(sent, src=0)
        tensor.copy_(sent)


def largest(numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the largest of each number."""
    most = torch.tensor(numbers)
    with _together():
        dist.all_reduce(most, op=dist.ReduceOp.MAX)
    return tuple(most.tolist())


def collect(value: T) -> list[T]:
    """Return everyone's value to everyone."""
    values: list[Any] = [None] * world.size()
    with _together():
        dist.all_gather_object(values, value)
    return values


def hand_out(value: T) -> T:
    """Return the value of process 0 to everyone."""
    values: list[Any] = [value if world.rank() == 0 else None]
    with _together():
        dist.broadcast_object_list(values, src=0)
    only: T = values[0]
    return only


def hand_in(value: T) -> list[T]:
    """Return everyone's value to process 0."""
    values: list[Any] | None = [None] * world.size() if world.rank() == 0 else None
    with _together():
        dist.gather_object(value, values, dst=0)
    return values or []
