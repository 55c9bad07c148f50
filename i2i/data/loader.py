"""The stream of batches: every sample's place in it follows from the step, so any step can be returned to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import lru_cache

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
        for step in range(self.start, self.stop):
            batches = range(step * self.batches, (step + 1) * self.batches)
            yield [place for number in batches for place in world.share(self._batch(number))]

    def _batch(self, number: int) -> list[Place]:
        positions = range(number * self.batch_size, (number + 1) * self.batch_size)
        return [(int(self._order(p // self.count)[p % self.count]), p // self.count) for p in positions]

    def _shuffle(self, epoch: int) -> npt.NDArray[np.int64]:
        return numpy_generator(self.seed, "order", epoch).permutation(self.count)


def _start_worker(_: int) -> None:
    # A signal to the whole group is the main process's to answer, which ends the others when it has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def training_loader(
    dataset: ImageSet, batch_size: int, seed: int, start: int, stop: int, workers: int, pin: bool, batches: int = 1
) -> Iterator[dict[str, Tensor]]:
    """Yield what `Stream` says of the steps from `start` up to `stop`, ``[N, C, H, W]`` as the dataset hands it out.

    Raises:
        BrokenImage: a file that could be read before the run began cannot be read any more.
    """
    loader = DataLoader(
        _Guarded(dataset),
        batch_sampler=Stream(len(dataset), batch_size, seed, start, stop, batches),
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
