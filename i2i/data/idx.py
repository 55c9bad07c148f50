"""IDX files, in which MNIST and its likes come: many images in one file, their labels in another.

Names are those of MNIST, with any word before them: ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``,
``t10k-images.idx3-ubyte``, ``emnist-letters-test-images-idx3-ubyte``.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from i2i.data.files import MAX_BYTES, list_images
from i2i.data.layouts import DataFolder, Example, Split, with_val
from i2i.data.listing import SPLITS
from i2i.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Bytes = npt.NDArray[np.uint8]

DEPTH = 3  # subfolders that are looked through: torchvision puts the files into NAME/MNIST/raw
MOST_PACKED = 1032  # bytes that one byte of deflate can stand for at most
_NAME = re.compile(r"(.*?)(images|labels)[-_.]idx\d[-_.]ubyte(\.gz)?", re.IGNORECASE)
_TYPES = {0x08: "bytes", 0x09: "signed bytes", 0x0B: "16-bit integers", 0x0C: "32-bit integers"}
_TYPES |= {0x0D: "floats", 0x0E: "doubles"}
_HINT = "get it anew, or unpack it again"


@dataclass(frozen=True)
class IdxFile:
    """A file by what its name says.

    Attributes:
        path: the file.
        group: its folder and the words before the split, which the files of one data set share.
        split: the split; ``t10k`` is test, and a name without one train.
        what: what it holds.
    """

    path: Path
    group: tuple[Path, str]
    split: Split
    what: Literal["images", "labels"]


def find_idx(root: Path) -> list[IdxFile]:
    """Return the IDX files in a folder and its nearest subfolders; of a file that is there packed too, the unpacked."""
    found: dict[tuple[object, ...], IdxFile] = {}
    for path in sorted(_named(root, DEPTH)):  # x comes before x.gz
        match = _NAME.fullmatch(path.name)
        assert match is not None
        *words, last = re.split(r"[-_.]+", match[1].strip("-_.").lower())
        split: Split | None = {**SPLITS, "t10k": "test"}.get(last)
        prefix = "-".join(words if split else [*words, last])
        what: Literal["images", "labels"] = "images" if match[2].lower() == "images" else "labels"
        file = IdxFile(path, (path.parent, prefix), split or "train", what)
        found.setdefault((file.group, file.split, file.what), file)
    return list(found.values())


def find_idx_alone(root: Path) -> list[IdxFile]:
    """Return the IDX files of a folder that holds no images otherwise, and so is meant by nothing else."""
    found = find_idx(root)
    return found if found and not list_images(root) else []


def _named(folder: Path, depth: int) -> Iterable[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if depth and entry.is_dir():
                yield from _named(folder / entry.name, depth - 1)
            elif _NAME.fullmatch(entry.name) and entry.is_file():
                yield folder / entry.name


def side_of(files: Sequence[IdxFile]) -> int | None:
    """Return the shorter side of the images in the first file of any, as far as its header can be read."""
    with suppress(UserError, StopIteration):
        path = next(file.path for file in files if file.what == "images")
        with _opened(path) as stream:
            _, height, width, _ = _image_shape(path, _read_shape(path, stream))
            return min(height, width)
    return None


def read_idx_folder(
    root: Path, files: Sequence[IdxFile], names: Sequence[str], val_share: float, seed: int
) -> DataFolder:
    """Read all images and labels of a folder.

    Where there is one file of images alone, it is trained on, whatever split its name says.

    Args:
        root: the folder.
        files: its IDX files.
        names: of the classes, in the order of their numbers; empty: the numbers themselves.
        val_share: share of ``train`` that becomes ``val``.
        seed: chooses which images those are.

    Raises:
        UserError: a file is damaged, images and labels do not belong together, or there are several data sets.
    """
    images = {file.split: file.path for file in files if file.what == "images"}
    groups = {file.group: file.path for file in files}
    if len(groups) > 1:
        named = ", ".join(path.name for path in list(groups.values())[:4])
        raise UserError(f"{root}: holds IDX files of several data sets ({named}); put each into a folder of its own")
    if not images:
        raise UserError(f"{files[0].path}: holds labels, and there are no images beside it (...-images-idx3-ubyte)")
    labels = {file.split: file.path for file in files if file.what == "labels" and file.split in images}
    notes = []
    if len(images) == 1 and "train" not in images:
        (split,) = images
        notes.append(f"{images[split].name} is all there is, so it is trained on")
        images, labels = {"train": images[split]}, ({"train": labels[split]} if labels else {})
    stacks = {split: _read_images(path) for split, path in images.items()}
    numbers = {split: _read_labels(path, len(stacks[split]), images[split]) for split, path in labels.items()}
    if missing := [images[split] for split in images if labels and split not in labels]:
        raise UserError(
            f"{missing[0]}: has no file of labels beside it, while other images have; add "
            f"{re.sub('idx[0-9]', 'idx1', missing[0].name.replace('images', 'labels'))}, or move the images away"
        )
    if len({stack.shape[1:] for stack in stacks.values()}) > 1:
        sizes = ", ".join(f"{images[split].name} {list(stack.shape[1:])}" for split, stack in stacks.items())
        raise UserError(f"{root}: images of different sizes in its files ({sizes})")
    classes, label_of = _classes(root, numbers, names, notes)
    splits = {
        split: tuple(
            Example(f"{index:05d}", None, path / f"{index:05d}", label_of[int(numbers[split][index])])
            if classes
            else Example(f"{index:05d}", None, path / f"{index:05d}")
            for index in range(len(stacks[split]))
        )
        for split, path in images.items()
    }
    ordered, val_origin = with_val(splits, val_share, seed, notes)
    return DataFolder(
        root,
        "idx",
        ordered,
        val_origin=val_origin,
        notes=tuple(notes),
        classes=classes,
        stacks={path: stacks[split] for split, path in images.items()},
    )


def _classes(
    root: Path, numbers: Mapping[Split, Bytes], names: Sequence[str], notes: list[str]
) -> tuple[tuple[str, ...], dict[int, int]]:
    """Return the names of the classes and the label of each number that stands for one."""
    present = sorted({int(number) for stack in numbers.values() for number in np.unique(stack)})
    if not present:
        if names:
            raise UserError(f"{root}: data.classes names {len(names)} classes, and there are no labels")
        return (), {}
    if names and len(names) != len(present):
        raise UserError(
            f"{root}: data.classes names {len(names)} classes, and its labels tell {len(present)} apart "
            f"({present[0]} to {present[-1]}); name as many, or leave data.classes out"
        )
    if len(present) == 1:
        notes.append(f"all labels are {present[0]}, so there are no classes")
        return (), {}
    return tuple(names) or tuple(map(str, present)), {number: label for label, number in enumerate(present)}


def _read_images(path: Path) -> Tensor:
    """Return the images of a file, ``[N, H, W, C]``; a tensor, for loader processes share its memory."""
    import torch

    array = read_idx(path)
    return torch.from_numpy(array.reshape(_image_shape(path, array.shape)))


def _read_labels(path: Path, count: int, images: Path) -> Bytes:
    array = read_idx(path)
    if array.ndim != 1:
        raise UserError(f"{path}: holds an array of {array.ndim} dimensions, and labels have 1")
    if len(array) != count:
        raise UserError(
            f"{path}: holds {len(array)} labels, and {images.name} {count} images; take both from the same place"
        )
    return array


def _image_shape(path: Path, shape: Sequence[int]) -> tuple[int, int, int, int]:
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise UserError(
            f"{path}: holds an array of {' x '.join(map(str, shape))}, and images are N x height x width, or N x "
            "height x width x 3"
        )
    number, height, width, channels = (*shape, 1)[:4]
    return number, height, width, channels


def read_idx(path: Path) -> Bytes:
    """Return the array of an IDX file of bytes, packed by gzip or not.

    Never more is unpacked than the header says, and nothing if the file cannot hold as much.

    Raises:
        UserError: the file is missing, no IDX file, of another type, cut off, damaged or longer than its header says.
    """
    with _opened(path) as stream:
        shape = _read_shape(path, stream)
        said = " x ".join(map(str, shape))
        most = path.stat().st_size * (MOST_PACKED if isinstance(stream, gzip.GzipFile) else 1)
        if math.prod(shape) > most:
            raise UserError(f"{path}: is cut off: its header promises {said} values; {_HINT}")
        values = np.empty(math.prod(shape), np.uint8)
        try:
            filled = _fill(values, stream)
            longer = filled == len(values) and stream.read(1)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: is damaged or cut off ({error}); {_HINT}") from error
    if filled < len(values):
        raise UserError(f"{path}: is cut off: its header promises {said} values; {_HINT}")
    if longer:
        raise UserError(f"{path}: is longer than the {said} values of its header; {_HINT}")
    return values.reshape(shape)


def _fill(values: Bytes, stream: BinaryIO | gzip.GzipFile) -> int:
    """Read until all values are there or the file ends, and return how many are."""
    view, filled = memoryview(values), 0  # type: ignore[arg-type]
    while filled < len(values) and (count := stream.readinto(view[filled:])):  # type: ignore[union-attr]
        filled += count
    return filled


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    """Open a file, by gzip if its first bytes say so, whatever its name."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return gzip.open(path) if packed else path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _read_shape(path: Path, stream: BinaryIO | gzip.GzipFile) -> tuple[int, ...]:
    """Read the header: two zeros, the type of the values, the number of dimensions, each in 4 bytes."""
    try:
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= 4:
            raise UserError(f"{path}: is no IDX file (it starts with {start.hex(' ') or 'nothing'}); {_HINT}")
        sizes = stream.read(4 * start[3])
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: is damaged or cut off ({error}); {_HINT}") from error
    if start[2] != 0x08:
        raise UserError(f"{path}: holds {_TYPES[start[2]]}; images and labels are bytes (IDX type 8)")
    shape = tuple(int.from_bytes(sizes[place : place + 4], "big") for place in range(0, len(sizes), 4))
    if len(sizes) < 4 * start[3]:
        raise UserError(f"{path}: is cut off within its header; {_HINT}")
    if not math.prod(shape):
        raise UserError(f"{path}: is empty: its header says {' x '.join(map(str, shape))}")
    if math.prod(shape) > MAX_BYTES:
        said = " x ".join(map(str, shape))
        raise UserError(f"{path}: claims {said} values, which is more than {MAX_BYTES >> 30} GiB")
    return shape
