"""The stream of batches: every sample's place in it follows from the step, so any step can be returned to."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from i2i import world
from i2i.data.files import BrokenImage
from i2i.data.images import ImageSet, Place
from i2i.seeding import numpy_generator


class Stream(Sampler[list[Place]]):
    """Each step's samples as (index, epoch): the shuffled epochs laid end to end and cut into batches of equal size.

    No image is dropped and no batch is short; a batch may hold the end of one epoch and the start of the next. Where
    several processes train together, each yields its share of every batch.

    Args:
        count: number of examples.
        batch_size: samples per batch.
        seed: the run's seed.
        start: the first step to yield.
        stop: the step to end before.
        batches: how many batches a step takes.
    """

    def __init__(self, count: int, batch_size: int, seed: int, start: int, stop: int, batches: int = 1) -> None:
        self.count, self.batch_size, self.batches, self.seed = count, batch_size, batches, seed
        self.start, self.stop = start, stop
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Place]]:
        return map(self.places, range(self.start, self.stop))

    def places(self, step: int) -> list[Place]:
        """Return the samples of a step."""
        batches = range(step * self.batches, (step + 1) * self.batches)
        return [place for number in batches for place in world.share(self._batch(number))]

    def _batch(self, number: int) -> list[Place]:
        """Return the samples of a batch."""
        first, last = number * self.batch_size, (number + 1) * self.batch_size
        places: list[Place] = []
        while first < last:
            epoch, offset = divmod(first, self.count)
            indices = self._order(epoch)[offset : offset + last - first].tolist()
            places += [(index, epoch) for index in indices]
            first += len(indices)
        return places

    def _shuffle(self, epoch: int) -> npt.NDArray[np.int64]:
        return numpy_generator(self.seed, "order", epoch).permutation(self.count)


def _start_worker(_: int) -> None:
    # A signal to the whole group is the main process's to answer, which ends the others when it has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    gc.freeze()  # else the collector would write to, and so copy, every page of what is shared with the main process
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def in_blocks(steps: Iterable[list[Place]], count: int) -> Iterator[list[Place]]:
    """Yield the places of `count` steps at a time, one after the other, and in the end of what is left."""
    remaining = iter(steps)
    while block := list(islice(remaining, count)):
        yield [place for step in block for place in step]


def training_loader(
    dataset: ImageSet, places: Iterable[list[Place]], workers: int, pin: bool
) -> Iterator[dict[str, Tensor]]:
    """Yield a batch for each list of places, ``[N, C, H, W]`` as the dataset hands them out.

    Args:
        dataset: the images.
        places: such as a `Stream`, as it is or `in_blocks`.
        workers: loader processes; 0: none but this one.
        pin: whether batches lie in pinned memory, from which a GPU copies by itself.

    Raises:
        BrokenImage: a file that could be read before the run began cannot be read any more.
    """
    loader = DataLoader(
        _Guarded(dataset),
        batch_sampler=places,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        collate_fn=_collate,
    )
    for batch in loader:
        if isinstance(batch, BrokenImage):
            raise batch
        yield batch


class _Guarded(Dataset[dict[str, Tensor] | BrokenImage]):
    """Hands out errors as values: raised in a loader process they would arrive as a traceback in one string."""

    def __init__(self, dataset: ImageSet) -> None:
        self.dataset = dataset

    def __getitem__(self, place: Place) -> dict[str, Tensor] | BrokenImage:
        try:
            return self.dataset[place]
        except BrokenImage as error:
            return error


def _collate(items: list[dict[str, Tensor] | BrokenImage]) -> dict[str, Tensor] | BrokenImage:
    broken = next((item for item in items if isinstance(item, BrokenImage)), None)
    return broken or default_collate(items)


def batches_in_order(
    dataset: ImageSet, batch_size: int, limit: int, start: int = 0, every: int = 1
) -> Iterator[dict[str, Tensor]]:
    """Yield the first `limit` examples in their order, as validation wants them; of their batches every so-manyth."""
    indices = range(min(limit, len(dataset)))
    for first in range(start * batch_size, len(indices), every * batch_size):
        yield default_collate([dataset[index, 0] for index in indices[first : first + batch_size]])
