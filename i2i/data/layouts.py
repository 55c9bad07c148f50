"""Which files of a folder form a training example: how the folder is arranged, which images are A and which are B.

Works on names, and on the headers of a few files. What a user's folder may look like::

    side-by-side   [train/]x.jpg, left half A, right half B
    two-folders    [train/]input/x.png + [train/]target/x.png, or input/train/x.png + target/train/x.png
    unpaired       trainA/x.jpg + trainB/y.jpg
    photos         [train/]x.jpg, from which A is derived

or, of images that stand alone (see `singles`)::

    photos         [train/]x.jpg
    classes        [train/]cat/x.jpg + [train/]dog/y.jpg
    idx            train-images-idx3-ubyte.gz + train-labels-idx1-ubyte.gz
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from i2i.data.files import BrokenImage, read_info
from i2i.data.listing import SPLIT_AND_SIDE, BySplit, Found, in_splits, list_found, outer_split, unwrap
from i2i.data.listing import Split as Split
from i2i.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.data.geometry import Box

Layout = Literal["side-by-side", "two-folders", "photos", "unpaired", "classes", "idx"]

SAMPLE = 64  # files whose headers decide how a folder is arranged
TOLERANCE = 0.02  # by which sides may differ from the proportions expected of them
MAX_VAL = 200  # images held out of train at most

_A_WORDS = {"sketch", "input", "mask", "edge", "label", "condition", "source", "rain", "rainy", "lr", "low", "blurry"}
_B_WORDS = {"photo", "target", "output", "gt", "truth", "groundtruth", "real", "clean", "norain", "hr", "high", "sharp"}
KINDS: dict[Layout, str] = {
    "side-by-side": "side-by-side pairs",
    "two-folders": "pairs in two folders",
    "photos": "photos",
    "unpaired": "unpaired images",
    "classes": "images in class folders",
    "idx": "images in IDX files",
}


@dataclass(frozen=True, slots=True)
class Example:
    """The files of one example.

    Attributes:
        name: unique within its split: the path below the split's (or A's) folder, without suffix, with forward slashes.
        a: file of A. Of side-by-side pairs `a` equals `b`, and A is the left half; of photos it is None.
        b: file of B. An unpaired example holds one image: `a` or `b` is None. An image that stands alone is a `b`; one
            of many in a file (see `DataFolder.stacks`) is named by its number below that file.
        label: number of its class, where there are classes.
        box: the part of the file that is meant; None: all of it.
        more: further files of A, whose channels follow those of `a`.
    """

    name: str
    a: Path | None
    b: Path | None
    label: int | None = None
    box: Box | None = None
    more: tuple[Path, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files of A."""
        return (self.a, *self.more) if self.a else ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Its distinct files."""
        return tuple(dict.fromkeys((*self.inputs, *([self.b] if self.b else []))))


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that keeps a run from starting unless the user lets it be skipped."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class DataFolder:
    """What was found in a folder.

    Attributes:
        root: the folder, as the user typed it.
        layout: how it is arranged.
        splits: the examples of each split that there is, in natural order.
        folder_a: name of the folder that holds A, where there are two.
        folder_b: name of the folder that holds B, where there are two.
        more_a: names of further folders of A.
        val_origin: how ``val`` came about, where the folder has none of its own.
        notes: what the user should hear of, in one line each.
        problems: files without a partner or with a name that is taken; no example holds them.
        classes: names of the classes, in the order of their labels; empty where there are none.
        stacks: the images of files that hold many, uint8 ``[N, H, W, C]``.
    """

    root: Path
    layout: Layout
    splits: Mapping[Split, tuple[Example, ...]]
    folder_a: str | None = None
    folder_b: str | None = None
    val_origin: str | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    classes: tuple[str, ...] = ()
    stacks: Mapping[Path, Tensor] = field(default_factory=dict)
    more_a: tuple[str, ...] = ()

    def side(self, split: Split, side: Literal["a", "b"], part: int = 0) -> tuple[Path, ...]:
        """Return the files of A, those of its folder number `part`, or of B in a split."""
        examples = self.splits.get(split, ())
        if side == "b":
            return tuple(example.b for example in examples if example.b)
        return tuple(example.inputs[part] for example in examples if example.a)

    def describe(self) -> str:
        """Say in one line what was found, and each note in a line of its own."""
        telling = self.folder_a and (self.folder_a, self.folder_b) != ("A", "B")
        folders = f" (A: {' + '.join((str(self.folder_a), *self.more_a))}, B: {self.folder_b})" if telling else ""
        if self.classes:
            folders = f" ({len(self.classes)} classes: {shorten(', '.join(self.classes), 100, placeholder=' ...')})"
        counts = ", ".join(self._count(split) for split in self.splits)
        return "\n".join([f"{KINDS[self.layout]} in {self.root}{os.sep}{folders}: {counts}", *self.notes])

    def _count(self, split: Split) -> str:
        count = str(len(self.splits[split]))
        if self.layout == "unpaired":
            count = f"{len(self.side(split, 'a'))} + {len(self.side(split, 'b'))}"
        origin = f" ({self.val_origin})" if split == "val" and self.val_origin else ""
        return f"{split} {count}{origin}"


T = TypeVar("T")
Size = tuple[int, int]  # width, height


def two_heaps(a: DataFolder, b: DataFolder) -> DataFolder:
    """Return the photos of two folders as unpaired images of A and of B; a split needs both."""
    splits = {
        split: (
            *(Example(f"A/{example.name}", example.b, None) for example in a.splits[split]),
            *(Example(f"B/{example.name}", None, example.b) for example in b.splits[split]),
        )
        for split in get_args(Split)
        if split in a.splits and split in b.splits
    }
    notes = tuple(f"{side}: {note}" for side, folder in (("A", a), ("B", b)) for note in folder.notes)
    return DataFolder(
        a.root,
        "unpaired",
        splits,
        str(a.root),
        str(b.root),
        a.val_origin or b.val_origin,
        notes,
        a.problems + b.problems,
    )


def read_folder(
    root: Path,
    layout: Layout | None = None,
    folder_a: str | Sequence[str] | None = None,
    folder_b: str | None = None,
    val_share: float = 0.1,
    seed: int = 0,
    split: Split = "train",
) -> DataFolder:
    """Find the examples in a folder.

    Split folders may stand outside (``train/input``) or inside (``input/train``). Where there is no ``val``, a share of
    ``train`` becomes it, chosen by a hash of each name, so that it stays nearly the same when images are added.

    Args:
        root: the folder.
        layout: how it is arranged; None: recognised.
        folder_a: name of the subfolder that holds A, or of several whose channels are put together; None: known by its
            name.
        folder_b: name of the subfolder that holds B; None: known by its name.
        val_share: share of ``train`` that becomes ``val``.
        seed: chooses which images those are.
        split: what all images are where there are no split folders.

    Raises:
        UserError: there are no images, or no arrangement (or not the one asked for) can be found without guessing.
    """
    if layout in ("side-by-side", "photos") and (folder_a or folder_b):
        raise UserError(f"{root}: folder_a and folder_b have no meaning in layout '{layout}'; leave them out")
    more: Sequence[str] = ()
    if folder_a is not None and not isinstance(folder_a, str):
        folder_a, *more = folder_a
    if folder_b in more:
        raise UserError(
            f"{root}: data.folder_a and data.folder_b both name '{folder_b}'; A must not hold what it becomes"
        )
    found = unwrap(list_found(root), folder_a, folder_b, *more)
    if layout is None and any(SPLIT_AND_SIDE.fullmatch(image.parts[0]) for image in found):
        layout = "unpaired"
    by_split, notes = in_splits(found, split)
    layout, folders = _recognise(root, by_split, layout, folder_a, folder_b, more)
    problems: list[Problem] = []
    if folders is None:
        splits = {name: flat(images, layout) for name, images in by_split.items()}
    elif layout == "unpaired":
        splits = {name: _one_sided(images, folders) for name, images in by_split.items()}
    else:
        splits, problems = _paired(root, by_split, folders, notes, more)
    used = (*(folders or ()), *more)
    if folders and (outside := sum(not _is_inside(f, used) for images in by_split.values() for f in images)):
        notes.append(f"left out: {outside} images in neither {' nor '.join(used)}")
    ordered, val_origin = with_val(splits, val_share, seed, notes)
    a, b = folders or (None, None)
    told = tuple(dict.fromkeys(notes))
    return DataFolder(root, layout, ordered, a, b, val_origin, told, tuple(problems), more_a=tuple(more))


def with_val(
    splits: Mapping[Split, tuple[Example, ...]], share: float, seed: int, notes: list[str]
) -> tuple[dict[Split, tuple[Example, ...]], str | None]:
    """Return the splits in their order, with a ``val`` split off ``train`` where there is none, and how it came about.

    Args:
        splits: what the folder holds.
        share: share of ``train`` that becomes ``val``.
        seed: chooses which images those are.
        notes: is told if an image is trained on and judged.
    """
    whole, val_origin = dict(splits), None
    if whole.get("train") and "val" not in whole:
        whole["train"], whole["val"], val_origin = _split_off_val(whole["train"], share, seed)
        held = {example.name for example in whole["val"]}
        if any(example.name in held for example in whole["train"]):
            notes.append("val shows an image that is trained on, for there is no other")
    return {name: whole[name] for name in get_args(Split) if name in whole}, val_origin


def _recognise(
    root: Path,
    by_split: BySplit,
    layout: Layout | None,
    folder_a: str | None,
    folder_b: str | None,
    more_a: Sequence[str],
) -> tuple[Layout, tuple[str, str] | None]:
    """Return the layout, and the folders of A and B if it has two."""
    if layout in ("side-by-side", "photos"):
        return layout, None
    images = [image for name in get_args(Split) for image in by_split.get(name, ())]
    if more_a and layout == "unpaired":
        raise UserError(f"{root}: several folders of A belong to pairs, and these are unpaired; name one of them")
    named = ((folder_a, "folder_a"), (folder_b, "folder_b"), *((name, "folder_a") for name in more_a))
    for name, option in named:
        if name and not any(_is_inside(image, (name,)) for image in images):
            hint = did_you_mean(name, {image.parts[0] for image in images if len(image.parts) > 1})
            raise UserError(f"{root}: has no images in the folder '{name}' that data.{option} names{hint}")
    others = [image for image in images if not _is_inside(image, more_a)]
    if folders := _choose_folders(root, others, layout, folder_a, folder_b):
        return layout or "two-folders", folders
    if inner := next((image for image in images if outer_split(Found(image.path, image.parts[1:]))), None):
        example = inner.path.parents[len(inner.parts) - 2]
        raise UserError(
            f"{root}: seems to hold several data sets; name one of them, such as {example}, or say "
            "--set data.layout=photos if all its images shall be trained on"
        )
    return _by_proportions(images), None


def _choose_folders(
    root: Path, images: Sequence[Found], layout: Layout | None, folder_a: str | None, folder_b: str | None
) -> tuple[str, str] | None:
    """Return the folders of A and B; None if the images are not divided in two.

    Raises:
        UserError: they are, or have to be, and the names do not tell which folder is which.
    """
    names = list(dict.fromkeys(image.parts[0] for image in images if len(image.parts) > 1))
    a = [folder_a] if folder_a else [name for name in names if role_of(name) == "a" and name != folder_b]
    b = [folder_b] if folder_b else [name for name in names if role_of(name) == "b" and name != folder_a]
    others = [name for name in names if name not in a + b]
    if len(others) == 1 and len(a + b) == 1:  # one name that is decided decides the other
        a, b = a or others, b or others
    if len(a) == len(b) == 1 and a != b:
        return a[0], b[0]
    wanted = bool(layout or folder_a or folder_b)
    loose = any(len(image.parts) == 1 for image in images)
    if wanted and len(names) < 2:
        raise UserError(
            f"{root}: layout '{layout or 'two-folders'}' needs a folder of A and a folder of B, such as 'input' and "
            f"'target', and there is {f'only {names[0]!r}' if names else 'none'}"
        )
    if wanted or (a and b) or (loose and (a or b)) or (len(names) == 2 and not loose):
        shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
        raise UserError(
            f"{root}: which of its folders ({shown}) holds A, the input, and which B, the output? "
            "Say --set data.folder_a=NAME --set data.folder_b=NAME"
            + ("" if wanted else ", or --set data.layout=photos if all images are of one kind, classes if of two")
        )
    return None


def role_of(name: str) -> Literal["a", "b"] | None:
    """Say whether a folder is A's by its name (input, mask, imageA ...) or B's (target, photo, imageB ...), or neither.

    A letter that stands alone decides before any word: ``real_A`` is A.
    """
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    letters = {word for word in words if word in ("a", "b")}
    singular = {form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es"))}
    is_a = letters == {"a"} or (not letters and not singular.isdisjoint(_A_WORDS))
    is_b = letters == {"b"} or (not letters and not singular.isdisjoint(_B_WORDS))
    return None if is_a == is_b else "a" if is_a else "b"


def _by_proportions(images: Sequence[Found]) -> Layout:
    """Return side-by-side if nearly all of a sample are twice as wide as high, else photos."""
    sizes = [size for image in _sample(images) if (size := _size(image.path))]
    wide = sum(same_shape(size, (2, 1)) for size in sizes)
    return "side-by-side" if sizes and wide >= 0.9 * len(sizes) else "photos"


def _sample(items: Sequence[T]) -> list[T]:
    """Return at most `SAMPLE` items, evenly spread."""
    count = min(SAMPLE, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def _size(path: Path) -> Size | None:
    try:
        info = read_info(path)
    except BrokenImage:  # is named when the files are inspected
        return None
    return info.width, info.height


def flat(images: Sequence[Found], layout: Layout) -> tuple[Example, ...]:
    """Return an example for each image; where two differ by their suffixes alone, it stays in their names."""
    names = [image.name for image in images]
    taken = Counter(names)
    side_by_side = layout == "side-by-side"
    return tuple(
        Example(
            name if taken[name] == 1 else "/".join(image.parts),
            image.path if side_by_side else None,
            image.path,
        )
        for name, image in zip(names, images, strict=True)
    )


def _is_inside(image: Found, folders: Sequence[str]) -> bool:
    return any(_rest(image, folder) for folder in folders)


def _inside(images: Sequence[Found], folder: str) -> list[Found]:
    """Return the images in `folder`, their paths as seen from it."""
    return [Found(image.path, rest) for image in images if (rest := _rest(image, folder))]


def _rest(image: Found, folder: str) -> tuple[str, ...]:
    """Return the part of the image's path below `folder`, empty if it is elsewhere."""
    steps = tuple(folder.strip("/").split("/"))
    return image.parts[len(steps) :] if image.parts[: len(steps)] == steps else ()


def _one_sided(images: Sequence[Found], folders: tuple[str, str]) -> tuple[Example, ...]:
    """Return the unpaired examples, those of A first, named so that A's and B's cannot coincide."""
    a, b = (flat(_inside(images, folder), "photos") for folder in folders)
    return (
        *(Example(f"A/{example.name}", example.b, None) for example in a),
        *(Example(f"B/{example.name}", None, example.b) for example in b),
    )


def _paired(
    root: Path, by_split: BySplit, folders: tuple[str, str], notes: list[str], more_a: Sequence[str] = ()
) -> tuple[dict[Split, tuple[Example, ...]], list[Problem]]:
    """Match the images of two folders by name in each split, and add to `notes` what was not as expected.

    The images of `more_a` have the names of those in the first folder.
    """
    splits: dict[Split, tuple[Example, ...]] = {}
    problems: list[Problem] = []
    for split, images in by_split.items():
        a, b, *more = (_by_name(_inside(images, folder), problems) for folder in (*folders, *more_a))
        if not (a and b) and split != "train":
            notes.append(f"{split} is left out: it has images of {'A' if a else 'B'} alone")
            continue
        for folder, named in zip(more_a, more, strict=True):
            problems += _unmatched(root, a, named, (folders[0], folder), split, "")
        beside = {
            path: tuple(named[name] for named in more)
            for name, path in a.items()
            if all(name in named for named in more)
        }
        if a and b and a.keys().isdisjoint(b):
            a, b = _without_affixes(a, b, notes)
        problems += _unmatched(root, a, b, folders, split)
        splits[split] = tuple(
            Example(name, path, b[name], more=beside[path]) for name, path in a.items() if name in b and path in beside
        )
    return splits, problems


def _unmatched(
    root: Path,
    a: Mapping[str, Path],
    b: Mapping[str, Path],
    folders: tuple[str, str],
    split: Split,
    instead: str = ", or say --set data.layout=unpaired",
) -> list[Problem]:
    """Return the files of either folder whose name no file of the other has; if none has, refuse them."""
    if a.keys().isdisjoint(b):
        raise UserError(
            f"{root}: no image of '{folders[0]}' has the name of one of '{folders[1]}' ({split}); "
            f"give partners the same name{instead}"
        )
    return [
        Problem(path, f"has no partner of the same name in '{folder}'")
        for side, others, folder in ((a, b, folders[1]), (b, a, folders[0]))
        for name, path in side.items()
        if name not in others
    ]


def same_shape(a: Size, b: Size) -> bool:
    """Say whether two images have the same proportions, within `TOLERANCE`."""
    return abs(a[0] * b[1] - a[1] * b[0]) <= TOLERANCE * a[0] * b[1]


def _by_name(images: Sequence[Found], problems: list[Problem]) -> dict[str, Path]:
    """Return the files by name without suffix; the second of a name is a problem."""
    named: dict[str, Path] = {}
    for image in images:
        first = named.setdefault(image.name, image.path)
        if first is not image.path:
            problems.append(Problem(image.path, f"has the same name as {first.name}; remove or rename one of them"))
    return named


def _without_affixes(
    a: dict[str, Path], b: dict[str, Path], notes: list[str]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Rename images whose names differ by a word common to each side, such as ``7_mask`` and ``7``, if that helps."""
    most, best, words = 0, (a, b), ""
    for at_start, at_end in ((False, True), (True, False), (True, True)):
        cut_a, cut_b = (_common_affixes(side, at_start, at_end) for side in (a, b))
        new_a = {_cut(name, *cut_a): path for name, path in a.items()}
        new_b = {_cut(name, *cut_b): path for name, path in b.items()}
        if (matches := len(new_a.keys() & new_b)) > most:
            most, best = matches, (new_a, new_b)
            words = " and ".join(f"'{word}'" for word in (*cut_a, *cut_b) if word)
    if most:
        notes.append(f"partners are matched by their names without {words}")
    return best


def _common_affixes(names: Iterable[str], at_start: bool, at_end: bool) -> tuple[str, str]:
    files = [name.rpartition("/")[2] for name in names]
    prefix = _common_start(files) if at_start else ""
    suffix = _common_start([file[::-1] for file in files])[::-1] if at_end else ""
    return prefix, suffix


def _common_start(names: Sequence[str]) -> str:
    """Return the word that all names start with, up to a separator or to where letters meet digits; or nothing."""
    first, last = min(names), max(names)  # whatever these two share, all share
    common = first[: next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), None)]
    for end in range(len(common), 0, -1):
        meets_number = common[end - 1].isalpha() and all(name[end : end + 1].isdigit() for name in names)
        if common[end - 1] in "_-. " or meets_number:
            return common[:end] if any(map(str.isalpha, common[:end])) else ""
    return ""


def _cut(name: str, prefix: str, suffix: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.removeprefix(prefix).removesuffix(suffix)


def _split_off_val(
    train: Sequence[Example], share: float, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...], str]:
    """Return train without val, val, and how it came about; of unpaired images, each side gives its share."""
    held: set[str] = set()
    shown_twice: set[str] = set()
    for group in ([e for e in train if e.b is not None], [e for e in train if e.b is None]):
        names = [example.name for example in group]
        count = min(max(1, round(share * len(names))), MAX_VAL, len(names) - 1)
        if count > 0:
            held.update(heapq.nsmallest(count, names, key=lambda name: _rank(seed, name)))
        else:
            shown_twice.update(names)
    kept = tuple(example for example in train if example.name not in held)
    val = tuple(example for example in train if example.name in held or example.name in shown_twice)
    return kept, val, f"split off train, seed {seed}" if held else "the same image as train"


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(errors="surrogateescape"), digest_size=8).digest()
