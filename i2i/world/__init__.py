"""The processes that train one model together: how many there are, and what each has to know of the others.

Every process holds the same weights and sees its own, equal share of each batch. What a step computes is what one
process would compute of the whole batch:

- the gradients of all are averaged (`i2i.optim.Stepper`), which is exact for every loss that is a mean over images;
- what looks at the whole batch asks here: `mean` and `moments` (batch norm, relativistic losses), `gathered` (image
  pools);
- all generators are seeded alike, every draw is one for the whole batch, and each process takes its share (`drawn`).

All of these let gradients through, of any order. A gradient that reaches a value of another process is that of the sum
of all processes' losses, so that averaged gradients are those of their mean.

With one process everything here is an identity that costs nothing, and `torch.distributed` is never called. The same
holds within `alone`, where a process does something by itself, such as judging its share of the validation images.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from i2i.errors import ProcessLost, UserError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
Batch = TypeVar("Batch", bound="Tensor | Sequence[Any]")

# For one process to check or to fetch the data while the others wait. Nobody waits so long for a process that died: its
# connections close, and whoever started the processes ends them.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train together, and among those of its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


_place = Place()
_store: Any = None  # what all processes can reach as soon as they have joined


def planned() -> Place:
    """Return the place that this process was started for, by ``torchrun`` or by ``i2i train --devices``.

    Raises:
        UserError: it is one of several, and its environment does not say which.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return Place()
    names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_size": "LOCAL_WORLD_SIZE"}
    given = {field: os.environ.get(name, "") for field, name in names.items()}
    if wrong := [names[field] for field, text in given.items() if not text.isdecimal()]:
        raise UserError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}, but these are missing or no numbers: {', '.join(wrong)}; start "
            "processes by torchrun, which sets them all, or unset WORLD_SIZE where this one is to train alone"
        )
    return Place(**{field: int(text) for field, text in given.items()})


def rank() -> int:
    """Return this process's number, from 0."""
    return _place.rank


def size() -> int:
    """Return how many processes share a batch."""
    return _place.size


def local_rank() -> int:
    """Return this process's number among those of its machine."""
    return _place.local_rank


def local_size() -> int:
    """Return how many of the processes are on this machine."""
    return _place.local_size


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that this one was started with, if there are any; all leave together.

    Within, tensors on a GPU go over NCCL, everything else over gloo.
    """
    global _place, _store
    place = planned()
    if place.size == 1:
        yield
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    _store = next(iter(rendezvous("env://", place.rank, place.size, timeout=PATIENCE)))[0]
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, store=_store, rank=place.rank, world_size=place.size, timeout=PATIENCE)
    _place = place
    try:
        yield
        wait()  # nobody leaves whom others still have something to ask
        gc.collect()  # what holds on to the group must go before it
        dist.destroy_process_group()  # not after an error: the others are in the midst of something
    finally:
        _place = Place()


@contextmanager
def alone() -> Iterator[None]:
    """Let this process be the only one within, as far as draws, means and norms go."""
    global _place
    place = _place
    _place = Place(local_rank=place.local_rank, local_size=place.local_size)
    try:
        yield
    finally:
        _place = place


def speaks() -> bool:
    """Say whether this process is to tell the user what went wrong: the first of them all that asks is."""
    try:
        if _store is None:
            return planned().rank == 0
        first: bool = _store.add("told", 1) == 1
    except RuntimeError:  # process 0, which keeps the store, has ended
        return False
    except UserError:  # nobody knows who is the first
        return True
    return first


# --- tensors on any device, within a step ---


def share(batch: Batch) -> Batch:
    """Return this process's part of a batch of all processes, cut along the first dimension."""
    if _place.size == 1:
        return batch
    each = len(batch) // _place.size
    return batch[_place.rank * each : (_place.rank + 1) * each]  # type: ignore[return-value]


def drawn(draw: Callable[[tuple[int, ...]], Tensor], count: int, *shape: int) -> Tensor:
    """Return random numbers [count, *shape], this process's part of what is drawn for the whole batch.

    Args:
        draw: shape to random numbers, such as ``torch.randn``, from a generator that is in the same state everywhere.
        count: images that this process sees.
        shape: numbers for each.
    """
    return share(draw((count * _place.size, *shape)))


def gathered(tensor: Tensor) -> Tensor:
    """Return the tensors [N, ...] of all processes as one, [N * processes, ...], in their order."""
    if _place.size == 1:
        return tensor
    from i2i.world.collectives import gather

    return gather(tensor)


def mean(tensor: Tensor) -> Tensor:
    """Return the mean over processes of tensors of one shape."""
    if _place.size == 1:
        return tensor
    from i2i.world.collectives import add

    return add(tensor) / _place.size


def moments(tensor: Tensor, dims: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return mean and variance (that of all values, not an estimate) over `dims` and over all processes.

    As precise as on one process: the variance is the mean variance plus that of the means (Chan et al. 1979).
    """
    import torch

    variance, mean = torch.var_mean(tensor, list(dims), correction=0)
    if _place.size == 1:
        return mean, variance
    means, variances = gathered(torch.stack([mean, variance])[None]).unbind(1)
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)


def average_(tensors: Sequence[Tensor]) -> None:
    """Replace each of these tensors, of one type and device, by its mean over all processes; without gradients."""
    if _place.size > 1:
        from i2i.world.collectives import average

        average(tensors)


def broadcast_(tensors: Sequence[Tensor]) -> None:
    """Replace each of these tensors by that of process 0."""
    if _place.size > 1:
        from i2i.world.collectives import broadcast

        broadcast(tensors)


# --- what the processes have to agree on, between steps; through the CPU ---


def wait() -> None:
    """Wait until all processes are here."""
    agreed(0)


def agreed(*numbers: int) -> tuple[int, ...]:
    """Return the largest that any process gives, for each of some integers."""
    if _place.size == 1:
        return numbers
    from i2i.world.collectives import largest

    return largest(numbers)


def everyones(value: T) -> list[T]:
    """Return what each process gives, in their order, on all of them."""
    if _place.size == 1:
        return [value]
    from i2i.world.collectives import collect

    return collect(value)


def first_ones(value: T) -> T:
    """Return what process 0 gives; on the others `value` does not matter."""
    if _place.size == 1:
        return value
    from i2i.world.collectives import hand_out

    return hand_out(value)


def for_first(value: T) -> list[T]:
    """Return what each process gives, in their order, on process 0; on the others nothing."""
    if _place.size == 1:
        return [value]
    from i2i.world.collectives import hand_in

    return hand_in(value)


@contextmanager
def leader_first() -> Iterator[None]:
    """Let one process of each machine go through the block before the others of that machine do.

    What it makes there, such as a download, the others find.
    """
    if _place.local_rank:
        wait()
    yield
    if not _place.local_rank:
        wait()


__all__ = [
    "PATIENCE",
    "Place",
    "ProcessLost",
    "agreed",
    "alone",
    "average_",
    "broadcast_",
    "drawn",
    "everyones",
    "first_ones",
    "for_first",
    "gathered",
    "joined",
    "leader_first",
    "local_rank",
    "local_size",
    "mean",
    "moments",
    "planned",
    "rank",
    "share",
    "size",
    "speaks",
    "wait",
]
