"""What all sets of training images share: places, fitting to size, depth, memory of what was decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from i2i.data.geometry import Pixels, center_crop, resize, short_side_size

CACHE_BYTES = 2 << 30  # resized images kept in memory, by all processes of a machine together
Place = tuple[int, int]  # (index, epoch): every random draw of a sample comes from it and the seed


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

    def __init__(self, config: DataConfig, seed: int, *, train: bool, whole: bool = False) -> None:
        self.config = config
        self.whole = whole and config.aspect == "crop"
        self.seed = seed
        self.train = train
        self.deep = config.bits == 16
        self.size = config.resolved_load_size if train else config.image_size
        self.augment = Augmenter(config, self.domains) if train else None
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
    def identity(self) -> Sequence[str]:
        """What a resumed run must find again; names, unless more is known."""
        return self.names

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Names of the examples, for messages and to notice that the images changed."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, place: Place) -> dict[str, Tensor]: ...

    @abstractmethod
    def as_held_out(self) -> ImageSet:
        """Return the same examples as validation shows them."""

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


def to_model_range(images: Tensor) -> Tensor:
    """Return images, uint8 or floats in [0, 1], as fp32 in [-1, 1]."""
    if images.dtype == torch.uint8:
        return images.float().div_(127.5).sub_(1)
    return images.float().mul(2).sub_(1)


def to_floats(image: Pixels) -> npt.NDArray[np.float32]:
    """Return pixels, uint8 or uint16, as float32 in [0, 1]."""
    return image.astype(np.float32) / np.float32(65535 if image.dtype == np.uint16 else 255)


def to_bytes(image: Pixels) -> npt.NDArray[np.uint8]:
    """Return floats in [0, 1] as uint8."""
    return np.round(image * 255).astype(np.uint8)


def to_tensor(image: Pixels) -> Tensor:
    """Return pixels ``[H, W, C]`` as a tensor ``[C, H, W]``."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
