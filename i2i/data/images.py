"""What all sets of training images share: places, fitting to size, depth, memory of what was decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from i2i import world
from i2i.data import files
from i2i.data.augment import Augmenter, Domain
from i2i.data.config import DataConfig, Resize
from i2i.data.crops import Numbers, Shares, crop, epoch_shares
from i2i.data.geometry import Pixels, center_crop, resize, short_side_size

CACHE_BYTES = 2 << 30  # resized images kept in memory, by all processes of a machine together
Place = tuple[int, int]  # (index, epoch): every random draw of a sample comes from it and the seed


@dataclass(frozen=True)
class Heap:
    """Images that are drawn from together.

    Attributes:
        names: what an item calls the images that one draw gives; they share crop and flip.
        channels: of each of them.
        count: how many can be drawn.
        read: returns those of a number at load size, ``[H, W, C]``.
        labels: the class of each number, where there are classes.
    """

    names: tuple[str, ...]
    channels: tuple[int, ...]
    count: int
    read: Callable[[int], tuple[Pixels, ...]]
    labels: tuple[int, ...] | None = None


class ImageSet(Dataset[dict[str, Tensor]], ABC):
    """The examples of one split; ``self[index, epoch]`` is the same whoever asks, in whichever order.

    An item holds images by domain, ``[C, H, W]``, uint8 (or float32 in [0, 1] where the files have 16 bits), already in
    the run's direction, and ``index``. Both have one size, unless a derivation makes the input smaller.

    Args:
        config: options, with none of those that are found out from the files left None.
        seed: the run's seed.
        train: random crop, flip and augmentation; otherwise the whole (squashed) or the middle of the image.
        whole: where images keep their own size and are not trained on, all of each, but for what does not divide by the
            factor that they are shrunk by; otherwise the middle of them, so that they can be batched.

    Attributes:
        captions: what the images of an item are for, by their names in it.

    Raises:
        UserError: an augmentation does not exist or does not take its options.
    """

    captions: ClassVar[dict[str, str]] = {"a": "input", "b": "target"}
    _draws: ClassVar[int] = 3  # random numbers by which a sample is cut out

    def __init__(self, config: DataConfig, seed: int, *, train: bool, whole: bool = False) -> None:
        self.config = config
        self.whole = whole and config.aspect == "crop"
        self.seed = seed
        self.train = train
        self.deep = config.bits == 16
        self.size = config.resolved_load_size if train else config.image_size
        self.augment = Augmenter(config, self.domains) if train and config.augment else None
        self._loaded: dict[int, tuple[Pixels, ...]] = {}
        self._bytes = 0

    @property
    def domains(self) -> dict[str, Domain]:
        """The kinds of images that an item holds, by their names in it."""
        return {
            "a": Domain(self.config.channels_a or 3, self.config.resize_a or "bicubic"),
            "b": Domain(self.config.channels_b or 3, self.config.resize_b or "bicubic"),
        }

    @property
    def sides(self) -> tuple[str, str]:
        """What an item calls the images of A and of B: the direction swaps them."""
        return ("b", "a") if self.config.direction == "BtoA" else ("a", "b")

    @property
    def identity(self) -> Sequence[str]:
        """What a resumed run must find again; names, unless more is known."""
        return self.names

    @property
    def unkeepable(self) -> str | None:
        """Why batches cannot be cut from images that are kept at load size, if they cannot."""
        if self.config.augment:
            return "data.augment changes each sample anew"
        if self.config.derive is not None:
            return "A is derived from each crop of B"
        if not self.equally_large:
            return f"with data.aspect={self.config.aspect} images differ in size"
        return None

    @property
    def equally_large(self) -> bool:
        """Whether all images have one size before the crop: squares with a side of ``self.size``."""
        return self.config.aspect not in ("keep", "crop")

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Names of the examples, for messages and to notice that the images changed."""

    @property
    @abstractmethod
    def heaps(self) -> tuple[Heap, ...]:
        """What items are put together of."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, place: Place) -> dict[str, Tensor]: ...

    @abstractmethod
    def as_held_out(self) -> ImageSet:
        """Return the same examples as validation shows them."""

    def draw(self, places: Numbers) -> list[tuple[Numbers, Shares]]:
        """Return for each heap which images training samples show ``[N]``, and which parts of them ``[N, 3]``.

        Args:
            places: of the samples, ``[N, 2]``.
        """
        return [(places[:, 0], self._shares(places))]

    def _shares(self, places: Numbers) -> Shares:
        """Return the uniform draws of training samples, ``[N, self._draws]``."""
        shares = np.empty((len(places), self._draws))
        for epoch in np.unique(places[:, 1]).tolist():
            chosen = places[:, 1] == epoch
            shares[chosen] = epoch_shares(self.seed, epoch, len(self), self._draws)[places[chosen, 0]]
        return shares

    def _crop(self, image: Pixels, shares: Shares) -> Pixels:
        return crop(image, shares, self.config.image_size, flip=self.config.flip)

    def remember_nothing(self) -> None:
        """Let go of the images that were decoded, and from here on remember none: they are kept elsewhere."""
        self._loaded.clear()
        self._bytes = CACHE_BYTES

    def _remember(self, key: int, images: tuple[Pixels, ...]) -> None:
        """Keep decoded images while there is room; those that train and their loaders share it."""
        worker = get_worker_info()
        holders = world.local_size() * (worker.num_workers if worker else 1)
        size = sum(image.nbytes for image in images)
        if self._bytes + size <= CACHE_BYTES // holders:
            self._loaded[key] = images
            self._bytes += size

    def _fit(self, image: Pixels, how: Resize | None, shaped_as: Pixels | None = None) -> Pixels:
        """Return an image at load size, uint8, or float32 in [0, 1] where the files have 16 bits.

        Aspect and own size are those of `shaped_as`, so that both images of a pair get one geometry.
        """
        image = to_floats(image) if self.deep else files.to_uint8(image)
        model = image if shaped_as is None else shaped_as
        height, width = model.shape[:2]
        match self.config.aspect:
            case "keep":
                height, width = short_side_size(height, width, self.size)
            case "crop":
                if min(height, width) < self.config.image_size:
                    height, width = short_side_size(height, width, self.config.image_size)
            case _:
                height = width = self.size
        image = resize(image, height, width, how or "bicubic")
        if self.whole:
            multiple = self.config.derive.magnification if self.config.derive else 1
            return image[: height - height % multiple, : width - width % multiple]
        return image if self.train else center_crop(image, self.size)


def to_model_range(images: Tensor, memory_format: torch.memory_format = torch.preserve_format) -> Tensor:
    """Return images, uint8 or floats in [0, 1], as new fp32 ones in [-1, 1]."""
    floats = images.to(torch.float32, copy=True, memory_format=memory_format)
    return floats.div_(127.5).sub_(1) if images.dtype == torch.uint8 else floats.mul_(2).sub_(1)


def to_floats(image: Pixels) -> npt.NDArray[np.float32]:
    """Return pixels, uint8 or uint16, as float32 in [0, 1]."""
    return image.astype(np.float32) / np.float32(65535 if image.dtype == np.uint16 else 255)


def to_bytes(image: Pixels) -> npt.NDArray[np.uint8]:
    """Return floats in [0, 1] as uint8."""
    return np.round(image * 255).astype(np.uint8)


def to_tensor(image: Pixels) -> Tensor:
    """Return pixels ``[H, W, C]`` as a tensor ``[C, H, W]``."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def to_pixels(image: Tensor) -> files.Pixels:
    """Return an item's image ``[C, H, W]``, uint8 or floats in [0, 1], as pixels ``[H, W, C]`` of its depth."""
    pixels = image.permute(1, 2, 0).numpy()
    return pixels if pixels.dtype == np.uint8 else np.round(pixels * 65535).astype(np.uint16)
