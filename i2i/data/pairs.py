"""Pairs of images as the networks see them: read, resized, cropped, augmented, derived."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from i2i.data import files
from i2i.data.config import DataConfig
from i2i.data.geometry import Pixels, center_crop, resize, short_side_size
from i2i.data.layouts import Example
from i2i.errors import UserError, did_you_mean
from i2i.seeding import Key, sequence

CACHE_BYTES = 2 << 30  # resized images kept in memory, by all loader processes together
Place = tuple[int, int]  # (index, epoch): every random draw of a sample comes from it and the seed


class PairedImages(Dataset[dict[str, Tensor]]):
    """The pairs of one split; ``self[index, epoch]`` is the same whoever asks, in whichever order.

    An item holds ``a`` and ``b``, ``[C, H, W]``, uint8 (or float32 in [0, 1] where the files have 16 bits), already in
    the run's direction, and ``index``.

    Args:
        examples: the files.
        config: options, with none of those that are found out from the files left None.
        seed: the run's seed.
        train: random crop, flip and augmentation; otherwise the whole (squashed) or middle (kept aspect) of the image.

    Raises:
        UserError: an augmentation does not exist or does not take its options.
    """

    def __init__(self, examples: Sequence[Example], config: DataConfig, seed: int, *, train: bool) -> None:
        self.examples = examples
        self.config = config
        self.seed = seed
        self.train = train
        self.deep = config.bits == 16
        self.size = config.resolved_load_size if train else config.image_size
        self.augment = Augmenter(config) if train else None
        self._loaded: dict[int, tuple[Pixels, Pixels]] = {}
        channels = (0 if config.derive else config.channels_a or 3) + (config.channels_b or 3)
        self._room = CACHE_BYTES // (self.size * self.size * channels * (4 if self.deep else 1))

    def __len__(self) -> int:
        return len(self.examples)

    def name(self, index: int) -> str:
        """Return the name of an example, for messages."""
        return self.examples[index].name

    def __getitem__(self, place: Place) -> dict[str, Tensor]:
        index, epoch = place
        key: tuple[Key, ...] = (self.seed, "sample", epoch, index)
        a, b = self._pair(index)
        if self.augment is not None:
            a, b = self.augment.both(a, b, key)
        if self.config.derive is not None:
            a = self.config.derive(_to_bytes(b) if self.deep else b, np.random.default_rng(sequence(*key, "derive")))
            a = _to_floats(a) if self.deep else a
        if self.augment is not None:
            a, b = self.augment.each(a, b, key)
        if self.config.direction == "BtoA":
            a, b = b, a
        return {"a": _to_tensor(a), "b": _to_tensor(b), "index": torch.tensor(index)}

    def _pair(self, index: int) -> tuple[Pixels, Pixels]:
        """Return both images at load size; of derived pairs, the photo twice."""
        if index in self._loaded:
            return self._loaded[index]
        pair = self._fit(*read_pair(self.examples[index], self.config))
        worker = get_worker_info()
        if len(self._loaded) < self._room // (worker.num_workers if worker else 1):
            self._loaded[index] = pair
        return pair

    def _fit(self, a: Pixels, b: Pixels) -> tuple[Pixels, Pixels]:
        if self.deep:
            a, b = _to_floats(a), _to_floats(b)
        else:
            a, b = files.to_uint8(a), files.to_uint8(b)
        if self.config.aspect == "keep":
            height, width = short_side_size(b.shape[0], b.shape[1], self.size)
        else:
            height = width = self.size
        derived = a is b
        b = resize(b, height, width, self.config.resize_b or "bicubic")
        a = b if derived else resize(a, height, width, self.config.resize_a or "bicubic")
        if self.train or self.config.aspect != "keep":
            return a, b
        return center_crop(a, self.size), center_crop(b, self.size)


def read_pair(example: Example, config: DataConfig) -> tuple[Pixels, Pixels]:
    """Read both images of a pair ``[H, W, C]``, uint8 or uint16, with the configured channels; of a photo, it twice.

    Raises:
        BrokenImage: a file cannot be read.
    """
    assert example.b is not None
    b = files.read(example.b)
    if example.a is None:
        photo = files.to_channels(b, config.channels_b or 3)
        return photo, photo
    if example.a == example.b:
        half = b.shape[1] // 2
        a, b = b[:, :half], b[:, half : 2 * half]
    else:
        a = files.read(example.a)
    return files.to_channels(a, config.channels_a or 3), files.to_channels(b, config.channels_b or 3)


def to_model_range(images: Tensor) -> Tensor:
    """Return images, uint8 or floats in [0, 1], as fp32 in [-1, 1]."""
    if images.dtype == torch.uint8:
        return images.float().div_(127.5).sub_(1)
    return images.float().mul(2).sub_(1)


def _to_floats(image: Pixels) -> npt.NDArray[np.float32]:
    return image.astype(np.float32) / np.float32(65535 if image.dtype == np.uint16 else 255)


def _to_bytes(image: Pixels) -> npt.NDArray[np.uint8]:
    return np.round(image * 255).astype(np.uint8)


def _to_tensor(image: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class Augmenter:
    """Crop, flip and the configured transforms, drawn from a key alone, the same geometry for both images."""

    def __init__(self, config: DataConfig) -> None:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would look for news on the network when imported
        import albumentations as A

        # A label map must not be blended at its borders by rotations and the like.
        maps = {"a": config.resize_a, "b": config.resize_b}
        kinds = {side: "mask" if how == "nearest" else "image" for side, how in maps.items()}
        geometry: list[Any] = [A.RandomCrop(config.image_size, config.image_size)]
        if config.flip:
            geometry.append(A.HorizontalFlip(p=0.5))
        extra: dict[str, list[Any]] = {"both": [], "a": [], "b": []}
        for entry in config.augment:
            transform = getattr(A, entry.transform, None)
            if not (isinstance(transform, type) and issubclass(transform, A.BasicTransform)):
                names = [name for name, item in vars(A).items() if isinstance(item, type)]
                hint = did_you_mean(entry.transform, names)
                raise UserError(
                    f"data.augment: albumentations has no transform '{entry.transform}'"
                    f"{hint if 'did you mean' in hint else ''}"
                )
            try:
                extra[entry.on].append(transform(**entry.options))
            except (TypeError, ValueError) as error:
                raise UserError(f"data.augment: {entry.transform}: {' '.join(str(error).split())}") from error
        self._both = A.Compose(geometry + extra["both"], additional_targets=kinds)
        self._each = {
            side: A.Compose(transforms) for side, transforms in extra.items() if side != "both" and transforms
        }

    def both(self, a: Pixels, b: Pixels, key: tuple[Key, ...]) -> tuple[Pixels, Pixels]:
        """Crop, flip and change both images in the same way; `a` may be `b` itself."""
        if a is b:
            photo = _draw(self._both, (*key, "both"), image=b)["image"]
            return photo, photo
        drawn = _draw(self._both, (*key, "both"), image=b, a=a, b=b)  # it wants an `image`, whatever else it is given
        return drawn["a"], drawn["b"]

    def each(self, a: Pixels, b: Pixels, key: tuple[Key, ...]) -> tuple[Pixels, Pixels]:
        """Change each image by the transforms that are for it alone."""
        if "a" in self._each:
            a = _draw(self._each["a"], (*key, "a"), image=a)["image"]
        if "b" in self._each:
            b = _draw(self._each["b"], (*key, "b"), image=b)["image"]
        return a, b


def _draw(transform: Any, key: tuple[Key, ...], **images: Pixels) -> dict[str, Pixels]:
    """Run an albumentations transform whose every random draw comes from `key`."""
    seeds = sequence(*key)
    transform.set_random_state(np.random.default_rng(seeds), random.Random(int(seeds.generate_state(1)[0])))
    result: dict[str, Pixels] = transform(**images)
    return result
