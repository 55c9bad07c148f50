"""Where a training's batches come from: cut from images that the device keeps, or read by loader processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from rich.console import Console
from torch import Tensor

from i2i import world
from i2i.data import ImageSet, Kept, Stream, in_blocks, kept_bytes, to_model_range, training_loader
from i2i.data.files import BrokenImage
from i2i.data.reports import as_size
from i2i.engine.config import RunConfig
from i2i.engine.writers import progress
from i2i.errors import UserError
from i2i.inference.memory import free_bytes
from i2i.machine import count_cores
from i2i.optim import Precision

SHARE = 0.25  # of a device's free memory that images may take
MOST_WORKERS = 16
# A batch that comes from another process costs this one half a millisecond, however small it is, and a step of a small
# model takes a GPU no more than one or two; so the batches of several steps come at a time.
MOST_STEPS = 32
KEPT_BYTES = 16 << 20  # of a block before it becomes floats
SHARED_BYTES = 48 << 20  # of all blocks in shared memory, of which containers have 64 MB unless told otherwise
BLOCKS_OF_A_WORKER = 2  # that may lie there, as torch's DataLoader has it


class Feed:
    """Gives a training its batches on the device; they are the same wherever the images lie.

    Args:
        config: everything the run was told, completed from the data.
        images: the training set.
        precision: how and where is computed.
        console: where is shown how decoding goes on.

    Raises:
        UserError: the images are to be kept on the device and cannot be, or a file cannot be read any more.
    """

    def __init__(self, config: RunConfig, images: ImageSet, precision: Precision, console: Console) -> None:
        self.images, self.device, self.seed = images, precision.device, config.seed
        self.batch_size, self.batches_per_step = config.data.batch_size, config.method.batches_per_step
        self.per_step = config.images_per_step // world.size()  # of which this process takes its share
        self.memory_format = precision.memory_format(config.train.channels_last)
        self.workers = choose_workers(self.device) if config.data.workers is None else config.data.workers
        self.kept: Kept | None = None
        if keeps(images, self.device):
            with progress(console, "decoding") as decoding:
                try:
                    self.kept = Kept(images, self.device, decoding)
                except BrokenImage as error:
                    raise UserError(f"{error} (it could be read a moment ago); put it back") from error
        self._copies: torch.cuda.Stream | None = None
        if self.device.type == "cuda" and self.kept is None:
            self._copies = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def describe(self) -> str:
        """Say where the images lie."""
        if self.kept is not None:
            return f"{_count(self.images)} images kept on {self.device}, {as_size(kept_bytes(self.images))}"
        if self.workers == 0:
            return "read by the training process itself"
        return f"read by {self.workers} worker{'s' if self.workers > 1 else ''}"

    def batches(self, first: int, total: int) -> Iterator[dict[str, Tensor]]:
        """Yield the batches of the steps from `first` up to `total`, as `to_device` returns them.

        Raises:
            BrokenImage: a file that could be read before cannot be read any more.
        """
        steps = Stream(len(self.images), self.batch_size, self.seed, first, total, self.batches_per_step)
        places = in_blocks(steps, self._steps_at_once())
        pin = self.device.type == "cuda"
        made = map(self.kept.batch, places) if self.kept else training_loader(self.images, places, self.workers, pin)
        for block in map(self._on_device, made):
            for start in range(0, len(block["index"]), self.per_step):
                yield {name: values[start : start + self.per_step] for name, values in block.items()}

    def _steps_at_once(self) -> int:
        """Return the steps whose batches are made at a time; on a CPU, where nothing is won by it, one."""
        if self.device.type == "cpu":
            return 1
        config, channels = self.images.config, sum(sum(heap.channels) for heap in self.images.heaps)
        step_bytes = self.per_step * channels * config.image_size**2 * (4 if self.images.deep else 1)
        blocks = world.local_size() * max(1, self.workers) * BLOCKS_OF_A_WORKER  # of all processes, which share it
        block_bytes = KEPT_BYTES if self.kept else SHARED_BYTES // blocks
        return max(1, min(MOST_STEPS, block_bytes // step_bytes))

    def _on_device(self, block: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the block as `to_device` does; from a CPU's memory, beside the steps that a GPU still has to take."""
        if self._copies is None:
            return to_device(block, self.device, self.memory_format)
        with torch.cuda.stream(self._copies):
            moved = to_device(block, self.device, self.memory_format)
        steps = torch.cuda.current_stream(self.device)
        steps.wait_stream(self._copies)
        for values in moved.values():
            if values.is_cuda:
                values.record_stream(steps)  # its memory must not be given away before the steps have read it
        return moved


def to_device(
    batch: Mapping[str, Tensor], device: torch.device, memory_format: torch.memory_format
) -> dict[str, Tensor]:
    """Return the batch with images, fp32 in [-1, 1], and labels on the device, and its indices where they were.

    Args:
        batch: images ``[N, C, H, W]``, uint8 or floats in [0, 1], by name; ``index`` and maybe ``label``, ``[N]``.
        device: where to.
        memory_format: the layout that the images get.
    """

    def moved(tensor: Tensor) -> Tensor:  # only copies from pinned memory, which CUDA alone has, may overlap with steps
        return tensor.to(device, non_blocking=tensor.is_pinned())

    images = {
        name: to_model_range(moved(tensor), memory_format)
        for name, tensor in batch.items()
        if name not in ("index", "label")
    }
    labels = {"label": moved(batch["label"])} if "label" in batch else {}
    return {**images, **labels, "index": batch["index"]}


def keeps(images: ImageSet, device: torch.device) -> bool:
    """Say whether a device is to keep the training images: where told so, and ``auto`` on a GPU wherever it can.

    Raises:
        UserError: it is told to, and cannot.
    """
    keep = images.config.keep
    if keep == "off" or (keep == "auto" and device.type != "cuda"):
        return False
    obstacle = images.unkeepable or _too_large(images, device)
    if keep == "device" and obstacle:
        raise UserError(f"data.keep=device: {obstacle}; say --set data.keep=auto")
    return obstacle is None


def _too_large(images: ImageSet, device: torch.device) -> str | None:
    needed, free = kept_bytes(images), free_bytes(device)
    if free is None or needed <= free * SHARE:
        return None
    what = f"{_count(images)} images of {images.size}x{images.size} pixels take {as_size(needed)}"
    return f"{what}, more than a quarter of the {as_size(free)} that are free on {device}"


def _count(images: ImageSet) -> int:
    """Return how many images a set keeps, both images of a pair counted."""
    return sum(heap.count * len(heap.names) for heap in images.heaps)


def choose_workers(device: torch.device) -> int:
    """Return how many loader processes a device wants: a GPU must not wait, a CPU needs its cores for the networks."""
    cores = count_cores(world.local_size())
    return min(MOST_WORKERS, max(1, cores - 1)) if device.type == "cuda" else min(2, cores // 4)
