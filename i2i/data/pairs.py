"""Pairs of images as the networks see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from i2i.data import files
from i2i.data.config import DataConfig
from i2i.data.derive import Derivation
from i2i.data.geometry import Pixels
from i2i.data.images import ImageSet, Place, to_bytes, to_floats, to_tensor
from i2i.data.layouts import Example
from i2i.seeding import Key, numpy_generator


class PairedImages(ImageSet):
    """Pairs: an item holds ``a`` and ``b``, which share crop and flip; A may be derived from B.

    Args:
        examples: the files.
        config: options, see `ImageSet`.
        seed: the run's seed.
        train: whether to augment.
    """

    def __init__(self, examples: Sequence[Example], config: DataConfig, seed: int, *, train: bool) -> None:
        super().__init__(config, seed, train=train)
        self.examples = examples

    @property
    def names(self) -> list[str]:
        """Names of the examples."""
        return [example.name for example in self.examples]

    def __len__(self) -> int:
        return len(self.examples)

    def as_held_out(self) -> PairedImages:
        """Return the same pairs as validation shows them."""
        return PairedImages(self.examples, self.config, self.seed, train=False)

    def __getitem__(self, place: Place) -> dict[str, Tensor]:
        index, epoch = place
        key: tuple[Key, ...] = (self.seed, "sample", epoch if self.train else 0, index)
        a, b = self._pair(index)
        if self.augment is not None:
            a, b = self.augment.both(a, b, key)
        if self.config.derive is not None:
            a = self._derived(self.config.derive, a, b, numpy_generator(*key, "derive"))
        if self.augment is not None:
            a, b = self.augment.each(a, b, key)
        if self.config.direction == "BtoA":
            a, b = b, a
        return {"a": to_tensor(a), "b": to_tensor(b), "index": torch.tensor(index)}

    def _derived(self, derive: Derivation, given: Pixels, photo: Pixels, rng: np.random.Generator) -> Pixels:
        """Return the input that is derived from a photo, and from what is given with it if pairs are."""
        eight_bits, as_given = (to_bytes, to_floats) if self.deep else (np.asarray, np.asarray)
        mask = eight_bits(given) if derive.takes == "pairs" else None
        return as_given(derive(eight_bits(photo), rng, mask))

    def _pair(self, index: int) -> tuple[Pixels, Pixels]:
        """Return both images at load size; of derived pairs, the photo twice."""
        if index not in self._loaded:
            a, b = read_pair(self.examples[index], self.config)
            fitted_b = self._fit(b, self.config.resize_b)
            fitted_a = fitted_b if a is b else self._fit(a, self.config.resize_a, shaped_as=b)
            self._remember(index, (fitted_a, fitted_b))
            return fitted_a, fitted_b
        a, b = self._loaded[index]
        return a, b


def read_pair(example: Example, config: DataConfig) -> tuple[Pixels, Pixels]:
    """Read both images of a pair ``[H, W, C]``, uint8 or uint16, with the configured channels; of a photo, it twice.

    Given pairs from which A is derived hold a mask in its place, of one channel.

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
    channels_a = 1 if config.derive else config.channels_a or 3
    return files.to_channels(a, channels_a), files.to_channels(b, config.channels_b or 3)
