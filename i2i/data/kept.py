"""Training images kept at load size on the device, where whole batches are cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from i2i import world
from i2i.data.crops import windows
from i2i.data.images import ImageSet, Place
from i2i.data.reports import Progress
from i2i.machine import count_cores

AT_ONCE = 64  # images that are decoded before they are moved to the device together


def kept_bytes(images: ImageSet) -> int:
    """Return how many bytes `Kept` takes on the device."""
    per_pixel = sum(heap.count * sum(heap.channels) for heap in images.heaps) * (4 if images.deep else 1)
    return per_pixel * images.size**2


class Kept:
    """All images of a training set, decoded once; batches are equal to those of `i2i.data.loader.training_loader`.

    Args:
        images: the training set, of which nothing makes it `unkeepable`.
        device: where the images lie; 8 bits as uint8, 16 as float32.
        progress: told how many images of how many are decoded.

    Raises:
        BrokenImage: a file cannot be read.
    """

    def __init__(self, images: ImageSet, device: torch.device, progress: Progress) -> None:
        assert images.train
        assert images.unkeepable is None
        images.remember_nothing()
        self.images, self.device, self._heaps = images, device, images.heaps
        self._pixels = _decoded(images, device, progress)  # by their names in an item, [count, size, size, C]
        self._labels = [
            None if heap.labels is None else torch.tensor(heap.labels, device=device) for heap in self._heaps
        ]
        self._side = torch.arange(images.config.image_size, device=device)

    def batch(self, samples: Sequence[Place]) -> dict[str, Tensor]:
        """Return the samples: images ``[N, C, S, S]``, labels ``[N]``, and on the CPU their ``index`` ``[N]``."""
        places = np.array(samples)
        size, side, flip = self.images.size, len(self._side), self.images.config.flip
        table = []  # [heaps, 4, N], which goes to the device in one copy
        for numbers, shares in self.images.draw(places):
            top, left, mirrored = windows(shares, size, size, side, flip=flip).T
            table.append([numbers, top, left + mirrored * (side - 1), 1 - 2 * mirrored])  # columns may run backwards
        host = torch.from_numpy(np.array(table))
        if self.device.type == "cuda":
            host = host.pin_memory()
        drawn = host.to(self.device, non_blocking=True)
        batch: dict[str, Tensor] = {}
        for heap, labels, (number, top, first, step) in zip(self._heaps, self._labels, drawn, strict=True):
            rows = top[:, None] + self._side
            columns = first[:, None] + step[:, None] * self._side
            where = number[:, None, None], rows[:, :, None], columns[:, None, :]
            batch |= {name: self._pixels[name][where].permute(0, 3, 1, 2) for name in heap.names}
            if labels is not None:
                batch["label"] = labels[number]
        return {**batch, "index": torch.tensor(places[:, 0])}


def _decoded(images: ImageSet, device: torch.device, progress: Progress) -> dict[str, Tensor]:
    """Decode all images in threads (decoders let go of Python's lock), and move them to the device."""
    done, total = 0, sum(heap.count for heap in images.heaps)
    dtype = torch.float32 if images.deep else torch.uint8
    pixels: dict[str, Tensor] = {}
    with ThreadPoolExecutor(count_cores(world.local_size())) as pool:
        for heap in images.heaps:
            for name, channels in zip(heap.names, heap.channels, strict=True):
                pixels[name] = torch.empty(heap.count, images.size, images.size, channels, dtype=dtype, device=device)
            for first in range(0, heap.count, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, heap.count))
                read = list(pool.map(heap.read, numbers))
                for name, some in zip(heap.names, zip(*read, strict=True), strict=True):
                    pixels[name][first : numbers.stop] = torch.from_numpy(np.stack(some))
                done += len(numbers)
                progress(done, total)
    return pixels
