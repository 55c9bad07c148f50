"""Images that stand alone, of one domain, with or without classes: what a generator learns to make out of noise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from i2i.data import files
from i2i.data.augment import Domain
from i2i.data.config import DataConfig
from i2i.data.geometry import Pixels, center_crop
from i2i.data.idx import find_idx, find_idx_alone, read_idx_folder
from i2i.data.images import Heap, ImageSet, Place, to_tensor
from i2i.data.layouts import DataFolder, Example, Layout, flat, with_val
from i2i.data.listing import BySplit, Found, in_splits, list_found, unwrap
from i2i.errors import UserError, did_you_mean
from i2i.seeding import Key

MOST_NAMED = 8


def read_singles(
    root: Path, layout: Layout | None, classes: Sequence[str], val_share: float = 0.1, seed: int = 0
) -> DataFolder:
    """Find the images in a folder: files of IDX, class folders, or photos.

    IDX files are taken where there are no other images, or where the layout asks for them. Subfolders that divide all
    images are classes. Those of splits and one that holds everything are looked into; two heaps (``trainA``,
    ``trainB``) are two classes.

    Args:
        root: the folder.
        layout: how it is arranged; None: recognised.
        classes: names of the class folders to take, in their order, or of the classes that IDX files number; empty:
            all folders in natural order, or the numbers.
        val_share: share of ``train`` that becomes ``val``.
        seed: chooses which images those are.

    Raises:
        UserError: there are no images, they are not in classes where they have to be, or IDX files are damaged.
    """
    if idx := find_idx(root) if layout == "idx" else find_idx_alone(root) if layout is None else []:
        return read_idx_folder(root, idx, classes, val_share, seed)
    if layout == "idx":
        raise UserError(f"{root}: holds no IDX files, such as train-images-idx3-ubyte.gz; leave data.layout out")
    splits, notes = in_splits(unwrap(list_found(root)), "train")
    wanted = layout in ("classes", "unpaired") or bool(classes)
    found = () if layout == "photos" else _class_folders(root, splits, wanted, notes)
    if classes:
        found = _chosen(root, classes, found, notes)
    if not found:
        examples = {split: flat(images, "photos") for split, images in splits.items()}
    else:
        labels = {name: label for label, name in enumerate(found)}
        within = {split: [i for i in images if _class_of(i) in labels] for split, images in splits.items()}
        examples = {
            split: tuple(
                Example(example.name, None, example.b, labels[_class_of(image)])
                for image, example in zip(images, flat(images, "classes"), strict=True)
            )
            for split, images in within.items()
        }
    ordered, val_origin = with_val(examples, val_share, seed, notes)
    kind: Layout = "classes" if found else "photos"
    return DataFolder(root, kind, ordered, val_origin=val_origin, notes=tuple(notes), classes=tuple(found))


def _class_folders(root: Path, splits: BySplit, wanted: bool, notes: list[str]) -> tuple[str, ...]:
    """Return the names of the folders that divide the images into classes; none if they do not.

    A folder within every split that holds everything is taken off first.
    """
    while len({image.parts[0] for images in splits.values() for image in images}) == 1:
        if any(len(image.parts) == 1 for images in splits.values() for image in images):
            break
        for split, images in splits.items():
            splits[split] = [Found(image.path, image.parts[1:]) for image in images]
    everything = [image for images in splits.values() for image in images]
    names = sorted({name for image in everything if (name := _class_of(image))}, key=files.natural_key)
    loose = sum(not _class_of(image) for image in everything)
    if wanted:
        if len(names) < 2:
            there = f"only the folder '{names[0]}'" if names else "no subfolder"
            raise UserError(f"{root}: classes need two or more folders of images, one for each, and there is {there}")
        if loose:
            notes.append(f"left out: {loose} images outside the class folders")
        return tuple(names)
    if len(names) < 2 or not loose:
        return tuple(names) if len(names) > 1 else ()
    notes.append(
        f"its folders are not taken for classes, for {loose} images lie outside them (--set data.layout=classes takes "
        "them so, and leaves those out)"
    )
    return ()


def _chosen(root: Path, classes: Sequence[str], found: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """Return the classes that the user names; the rest is left out."""
    for name in classes:
        if name not in found:
            raise UserError(f"{root}: has no class folder '{name}' that data.classes names{did_you_mean(name, found)}")
    if len(set(classes)) < max(len(classes), 2):
        raise UserError(f"data.classes={','.join(classes)}: name two or more classes, each of them once")
    if rest := [name for name in found if name not in classes]:
        shown = ", ".join(rest[:MOST_NAMED]) + (" ..." if len(rest) > MOST_NAMED else "")
        notes.append(f"left out: {len(rest)} classes ({shown})")
    return tuple(classes)


def _class_of(image: Found) -> str:
    return image.parts[0] if len(image.parts) > 1 else ""


class SingleImages(ImageSet):
    """Images by themselves: an item holds ``image`` and, where there are classes, ``label`` (int64).

    Where the size before the crop equals the crop, the square in the middle is what is trained on.

    Args:
        examples: the files.
        config: options, see `ImageSet`.
        seed: the run's seed.
        train: whether to augment.
        stacks: the images of files that hold many, uint8 ``[N, H, W, C]``.
    """

    captions: ClassVar[dict[str, str]] = {"image": ""}

    def __init__(
        self,
        examples: Sequence[Example],
        config: DataConfig,
        seed: int,
        *,
        train: bool,
        stacks: Mapping[Path, Tensor] | None = None,
    ) -> None:
        super().__init__(config, seed, train=train)
        self.examples, self.stacks = examples, stacks or {}

    @property
    def domains(self) -> dict[str, Domain]:
        """The one domain."""
        return {"image": Domain(self.config.channels or 3, "bicubic")}

    @property
    def names(self) -> list[str]:
        """Names of the examples."""
        return [example.name for example in self.examples]

    @property
    def identity(self) -> list[str]:
        """Names, labels and boxes, and for files of many images what they hold."""
        used = sorted({example.b.parent for example in self.examples if example.b} & self.stacks.keys())
        content = [hashlib.blake2b(self.stacks[path].numpy().data, digest_size=16).hexdigest() for path in used]
        return [*content, *(f"{example.name} {example.label} {example.box}" for example in self.examples)]

    @property
    def heaps(self) -> tuple[Heap, ...]:
        """One."""
        labels = tuple(example.label for example in self.examples if example.label is not None)
        channels = (self.domains["image"].channels,)
        return (Heap(("image",), channels, len(self.examples), lambda n: (self._image(n),), labels or None),)

    @property
    def equally_large(self) -> bool:
        """Whether all images have one size before the crop; where nothing is cropped off, they are squares."""
        return super().equally_large or self.size == self.config.image_size

    def __len__(self) -> int:
        return len(self.examples)

    def as_held_out(self) -> SingleImages:
        """Return the same images as validation shows them."""
        return SingleImages(self.examples, self.config, self.seed, train=False, stacks=self.stacks)

    def __getitem__(self, place: Place) -> dict[str, Tensor]:
        index, epoch = place
        image = self._image(index)
        if self.train:
            image = self._crop(image, self._shares(np.array([place]))[0])
        if self.augment is not None:
            key: tuple[Key, ...] = (self.seed, "sample", epoch, index)
            image = self.augment.alone(image, "image", key)
        item = {"image": to_tensor(image), "index": torch.tensor(index)}
        label = self.examples[index].label
        return item if label is None else {**item, "label": torch.tensor(label)}

    def _image(self, index: int) -> Pixels:
        """Return an image at load size."""
        if index in self._loaded:
            return self._loaded[index][0]
        example = self.examples[index]
        stored = read_single(example, self.stacks)
        image = self._fit(files.to_channels(stored, self.config.channels or 3), None)
        if self.size == self.config.image_size:
            image = center_crop(image, self.size)
        if self.stacks and np.may_share_memory(image, stored):  # what is in memory already needs no second place
            return image.copy()
        self._remember(index, (image.copy(),))
        return image


def read_single(example: Example, stacks: Mapping[Path, Tensor]) -> Pixels:
    """Read an image ``[H, W, C]``, uint8 or uint16, cut to the square around its box where it has one.

    Raises:
        BrokenImage: a file cannot be read, or the box lies outside it.
    """
    assert example.b is not None
    if (stack := stacks.get(example.b.parent)) is not None:
        pixels: Pixels = stack[int(example.b.name)].numpy()
        return pixels
    image = files.read(example.b)
    if example.box is None:
        return image
    if not example.box.is_on(*image.shape[:2]):
        raise files.BrokenImage(example.b, "lies outside its box")
    return example.box.squared(*image.shape[:2]).cut(image)
