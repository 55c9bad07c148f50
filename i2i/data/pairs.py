"""Pairs of images as the networks see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from i2i.data import files
from i2i.data.augment import Domain
from i2i.data.config import DataConfig, Part
from i2i.data.derive import Derivation
from i2i.data.geometry import Pixels
from i2i.data.images import Heap, ImageSet, Place, to_bytes, to_floats, to_tensor
from i2i.data.layouts import Example
from i2i.seeding import Key, numpy_generator


class PairedImages(ImageSet):
    """Pairs: an item holds ``a`` and ``b``, which share crop and flip; A may be derived from B.

    Args:
        examples: the files.
        config: options, see `ImageSet`.
        seed: the run's seed.
        train: whether to augment.
        whole: not to cut out the middle of images that keep their own size, see `ImageSet`.
    """

    def __init__(
        self, examples: Sequence[Example], config: DataConfig, seed: int, *, train: bool, whole: bool = False
    ) -> None:
        super().__init__(config, seed, train=train, whole=whole)
        self.examples = examples

    @property
    def domains(self) -> dict[str, Domain]:
        """A and B, or ``a``, ``a2`` ... and ``b`` where A is put together of several folders' images."""
        domains = super().domains
        parts = {
            f"a{number}" if number > 1 else "a": Domain(part.channels, part.resize)
            for number, part in enumerate(self.config.parts_a, start=1)
        }
        return {**parts, "b": domains["b"]} if parts else domains

    @property
    def names(self) -> list[str]:
        """Names of the examples."""
        return [example.name for example in self.examples]

    @property
    def heaps(self) -> tuple[Heap, ...]:
        """One, of pairs."""
        channels = self.config.channels_a or 3, self.config.channels_b or 3
        return (Heap(self.sides, channels, len(self.examples), self._pair),)

    def __len__(self) -> int:
        return len(self.examples)

    def as_held_out(self) -> PairedImages:
        """Return the same pairs as validation shows them."""
        return PairedImages(self.examples, self.config, self.seed, train=False)

    def __getitem__(self, place: Place) -> dict[str, Tensor]:
        index, epoch = place
        key: tuple[Key, ...] = (self.seed, "sample", epoch if self.train else 0, index)
        a, b = self._pair(index)
        if self.train:
            shares, photo = self._shares(np.array([place]))[0], b
            b = self._crop(b, shares)
            a = b if a is photo else self._crop(a, shares)
        if self.augment is not None:
            a, b = self.augment.both(a, b, key)
        if self.config.derive is not None:
            a = self._derived(self.config.derive, a, b, numpy_generator(*key, "derive"))
        if self.augment is not None:
            a, b = self.augment.each(a, b, key)
        name_a, name_b = self.sides
        return {name_a: to_tensor(a), name_b: to_tensor(b), "index": torch.tensor(index)}

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
            fitted_a = fitted_b if a is b else self._fit_inputs(a, shaped_as=b)
            self._remember(index, (fitted_a, fitted_b))
            return fitted_a, fitted_b
        a, b = self._loaded[index]
        return a, b

    def _fit_inputs(self, a: Pixels, shaped_as: Pixels) -> Pixels:
        """Return A at load size; where it is put together of several folders' images, each resized in its own way."""
        parts = self.config.parts_a
        if not parts:
            return self._fit(a, self.config.resize_a, shaped_as)
        images = np.split(a, np.cumsum([part.channels for part in parts])[:-1], axis=2)
        fitted = [self._fit(image, part.resize, shaped_as) for image, part in zip(images, parts, strict=True)]
        return np.concatenate(fitted, axis=2)


def read_pair(example: Example, config: DataConfig) -> tuple[Pixels, Pixels]:
    """Read both images of a pair ``[H, W, C]``, uint8 or uint16, with the configured channels; of a photo, it twice.

    Given pairs from which A is derived hold a mask in its place, of one channel. Where A lies in several folders, its
    images' channels are put together.

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
    elif example.more:
        return _read_inputs(example.inputs, config.parts_a), files.to_channels(b, config.channels_b or 3)
    else:
        a = files.read(example.a)
    channels_a = 1 if config.derive else config.channels_a or 3
    return files.to_channels(a, channels_a), files.to_channels(b, config.channels_b or 3)


def _read_inputs(paths: Sequence[Path], parts: Sequence[Part]) -> Pixels:
    """Read images and put their channels together; if any has 16 bits, all get them."""
    images: list[Pixels] = []
    for path, part in zip(paths, parts, strict=True):
        image = files.to_channels(files.read(path), part.channels)
        if images and image.shape[:2] != images[0].shape[:2]:
            raise files.BrokenImage(path, f"is not as large as {paths[0]}, whose channels it follows")
        images.append(image)
    if any(image.dtype == np.uint16 for image in images):
        images = [image if image.dtype == np.uint16 else image.astype(np.uint16) * 257 for image in images]
    return np.concatenate(images, axis=2)
