"""Two heaps of images that do not belong together, as CycleGAN sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from i2i.data import files
from i2i.data.config import DataConfig
from i2i.data.crops import Numbers, Shares
from i2i.data.geometry import Pixels
from i2i.data.images import Heap, ImageSet, Place, to_tensor
from i2i.seeding import Key


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

    _draws = 7  # crop and flip of A and of B, and which B

    def __init__(self, a: Sequence[Path], b: Sequence[Path], config: DataConfig, seed: int, *, train: bool) -> None:
        super().__init__(config, seed, train=train)
        self.a, self.b = a, b

    @property
    def names(self) -> list[str]:
        """Names of all files, those of A first."""
        return [f"{path.parent.name}/{path.stem}" for path in (*self.a, *self.b)]

    @property
    def heaps(self) -> tuple[Heap, ...]:
        """That of A and that of B."""
        name_a, name_b = self.sides
        channels_a, channels_b = self.domains["a"].channels, self.domains["b"].channels
        return (
            Heap((name_a,), (channels_a,), len(self.a), lambda number: (self._image(number, "a"),)),
            Heap((name_b,), (channels_b,), len(self.b), lambda number: (self._image(number, "b"),)),
        )

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def as_held_out(self) -> UnpairedImages:
        """Return the same images as validation shows them."""
        return UnpairedImages(self.a, self.b, self.config, self.seed, train=False)

    def __getitem__(self, place: Place) -> dict[str, Tensor]:
        index, epoch = place
        if self.train:
            (numbers_a, shares_a), (numbers_b, shares_b) = self.draw(np.array([place]))
            a = self._crop(self._image(int(numbers_a[0]), "a"), shares_a[0])
            b = self._crop(self._image(int(numbers_b[0]), "b"), shares_b[0])
        else:
            a, b = self._image(index % len(self.a), "a"), self._image(index % len(self.b), "b")
        if self.augment is not None:
            key: tuple[Key, ...] = (self.seed, "sample", epoch, index)
            a, b = self.augment.alone(a, "a", key), self.augment.alone(b, "b", key)
        name_a, name_b = self.sides
        return {name_a: to_tensor(a), name_b: to_tensor(b), "index": torch.tensor(index)}

    def draw(self, places: Numbers) -> list[tuple[Numbers, Shares]]:
        """Return for each heap which images training samples show ``[N]``, and which parts of them ``[N, 3]``.

        Args:
            places: of the samples, ``[N, 2]``.
        """
        shares = self._shares(places)
        partners = (shares[:, 6] * len(self.b)).astype(np.int64)
        return [(places[:, 0] % len(self.a), shares[:, :3]), (partners, shares[:, 3:6])]

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
