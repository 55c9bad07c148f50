"""Two heaps of images that do not belong together, as CycleGAN sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from i2i.data import files
from i2i.data.config import DataConfig
from i2i.data.geometry import Pixels
from i2i.data.images import ImageSet, Place, to_tensor
from i2i.seeding import Key, numpy_generator


class UnpairedImages(ImageSet):
    """An item holds an image of A and one of B, each with its own crop and flip.

    An epoch is as long as the larger heap. A is gone through in order of the index; to each, B is drawn at random, anew
    in every epoch, so that no two images become a pair. In validation, where nothing varies, index meets index.

    Args:
        a: files of A.
        b: files of B.
        config: options, see `ImageSet`.
        seed: the run's seed.
        train: whether to augment, and to draw B at random.
    """

    def __init__(self, a: Sequence[Path], b: Sequence[Path], config: DataConfig, seed: int, *, train: bool) -> None:
        super().__init__(config, seed, train=train)
        self.a, self.b = a, b

    @property
    def names(self) -> list[str]:
        """Names of all files, those of A first."""
        return [f"{path.parent.name}/{path.stem}" for path in (*self.a, *self.b)]

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def as_held_out(self) -> UnpairedImages:
        """Return the same images as validation shows them."""
        return UnpairedImages(self.a, self.b, self.config, self.seed, train=False)

    def __getitem__(self, place: Place) -> dict[str, Tensor]:
        index, epoch = place
        key: tuple[Key, ...] = (self.seed, "sample", epoch, index)
        index_b = index % len(self.b)
        if self.train:
            index_b = int(numpy_generator(*key, "partner").integers(len(self.b)))
        a = self._image(index % len(self.a), "a")
        b = self._image(index_b, "b")
        if self.augment is not None:
            a = self.augment.alone(a, "a", key)
            b = self.augment.alone(b, "b", key)
        if self.config.direction == "BtoA":
            a, b = b, a
        return {"a": to_tensor(a), "b": to_tensor(b), "index": torch.tensor(index)}

    def _image(self, index: int, side: str) -> Pixels:
        """Return one image at load size."""
        paths, channels, how = (
            (self.a, self.config.channels_a, self.config.resize_a)
            if side == "a"
            else (self.b, self.config.channels_b, self.config.resize_b)
        )
        slot = index if side == "a" else len(self.a) + index
        if slot not in self._loaded:
            image = self._fit(files.to_channels(files.read(paths[index]), channels or 3), how)
            self._remember(slot, (image,))
            return image
        return self._loaded[slot][0]
