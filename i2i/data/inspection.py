"""What is wrong or odd with a folder's images, found before the first step: each file is decoded once and noted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from i2i.data.files import TIFF_EXTRA, BrokenImage, Pixels, read, write_whole
from i2i.data.layouts import DataFolder, Example, Problem, Size, Split, same_shape
from i2i.data.places import cache_root
from i2i.machine import count_cores

INDEX_VERSION = 3
INDEXES = 100  # folders whose files are remembered
SAVE_SECONDS = 60.0  # between savings of what was found, so that a crash costs no more
BATCH = 16  # files per task of the pool
MOST_NAMED = 5  # files that a line names

Side = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a file of this length and time of change (nanoseconds).

    Attributes:
        bytes: length of the file.
        changed: when it was last written.
        width: width of the decoded, upright image.
        height: height of the decoded, upright image.
        channels: channels of the decoded image.
        depth: bits per value, 8 or 16.
        digest: fingerprint of the decoded pixels.
        constant: whether all pixels are the same.
        error: why the file gives no image; then the other attributes say nothing.
    """

    bytes: int
    changed: int
    width: int = 0
    height: int = 0
    channels: int = 0
    depth: int = 0
    digest: str = ""
    constant: bool = False
    error: str | None = None

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height


@dataclass(frozen=True)
class Inspection:
    """The findings, all of which follow from the folder's examples and the record of each of its files."""

    folder: DataFolder
    records: Mapping[Path, Record]

    @cached_property
    def broken(self) -> tuple[Problem, ...]:
        """Files that give no image."""
        return tuple(Problem(path, record.error) for path, record in self.records.items() if record.error)

    @property
    def unmatched(self) -> tuple[Problem, ...]:
        """Files without a partner, or with a name that is taken."""
        return self.folder.problems

    @cached_property
    def odd_width(self) -> tuple[Problem, ...]:
        """Side-by-side pairs that cannot be cut into halves."""
        if self.folder.layout != "side-by-side":
            return ()
        return tuple(
            Problem(path, f"is {record.width} pixels wide, which cannot be halved into A and B; make the width even")
            for path, record in self._good.items()
            if record.width % 2
        )

    @cached_property
    def odd_channels(self) -> tuple[Problem, ...]:
        """Files of A or of B that have more than 4 channels where most have another number, or the other way round."""
        found: dict[Path, Problem] = {}
        groups: list[tuple[Side, int]] = [("a", part) for part in range(1 + len(self.folder.more_a))]
        for side, part in (*groups, ("b", 0)):
            kinds = self.channels(side, part)
            if len(kinds) > 1 and max(kinds) > 4:
                (usual, count), *_ = kinds.most_common(1)
                reason = f"channels where {count} of {kinds.total()} images have {usual}; all must have equally many"
                for path in self._paths(side, part):
                    has = self._good[path].channels if path in self._good else usual
                    if has != usual and max(has, usual) > 4:
                        found[path] = Problem(path, f"has {has} {reason}")
        return tuple(found.values())

    @cached_property
    def unlike_parts(self) -> tuple[Problem, ...]:
        """Files of A that are not as large as the one whose channels they follow."""
        found = []
        for first, *more in (example.inputs for split in self.folder.splits.values() for example in split if example.a):
            for path in more:
                if first in self._good and path in self._good and self._good[path].size != self._good[first].size:
                    has, wanted = ("x".join(map(str, self._good[file].size)) for file in (path, first))
                    found.append(Problem(path, f"has {has} pixels, and {first}, whose channels it follows, {wanted}"))
        return tuple(found)

    @cached_property
    def odd_boxes(self) -> tuple[Problem, ...]:
        """Photos beside which a box of theirs lies."""
        where = "has a box (columns {0.left} to {0.right}, rows {0.top} to {0.bottom}) that lies beside it"
        return tuple(
            Problem(example.b, where.format(box))
            for examples in self.folder.splits.values()
            for example in examples
            if (box := example.box) and example.b in self._good
            if not box.is_on(self._good[example.b].height, self._good[example.b].width)
        )

    @cached_property
    def constant(self) -> tuple[Path, ...]:
        """Images all of whose pixels are the same."""
        return tuple(path for path, record in self._good.items() if record.constant)

    @cached_property
    def unlike_shapes(self) -> tuple[Example, ...]:
        """Pairs in two folders whose images differ in proportions."""
        return tuple(
            example
            for examples in self.folder.splits.values()
            for example in examples
            if (records := self._records_of(example)) and not same_shape(records[0].size, records[-1].size)
        )

    @cached_property
    def duplicates_between(self) -> tuple[tuple[Path, Path], ...]:
        """Files of the same pixels in two splits; plain images of one colour are not counted."""
        first: dict[str, tuple[Split, Path]] = {}
        found: dict[Path, Path] = {}
        for split, examples in self.folder.splits.items():
            for path in _files(examples):
                if (record := self._good.get(path)) and not record.constant:
                    origin, twin = first.setdefault(record.digest, (split, path))
                    if origin != split and twin != path:
                        found[path] = twin
        return tuple((twin, path) for path, twin in found.items())

    @cached_property
    def duplicates_within(self) -> dict[Split, int]:
        """How many examples of each split repeat an earlier one."""
        counts: dict[Split, int] = {}
        for split, examples in self.folder.splits.items():
            keys = [(tuple(r.digest for r in self._records_of(example)), example.box) for example in examples]
            counts[split] = sum(count - 1 for key, count in Counter(keys).items() if key[0])
        return counts

    @cached_property
    def class_counts(self) -> Counter[str]:
        """How many images of all splits each class has."""
        counts = Counter({name: 0 for name in self.folder.classes})
        for examples in self.folder.splits.values():
            counts.update(self.folder.classes[example.label] for example in examples if example.label is not None)
        return counts

    @cached_property
    def sizes(self) -> Counter[Size]:
        """How many files have which width and height."""
        return Counter(record.size for record in self._good.values())

    @cached_property
    def depths(self) -> Counter[int]:
        """How many files have how many bits."""
        return Counter(record.depth for record in self._good.values())

    @property
    def deepest(self) -> int:
        """Most bits per value of any file, 8 or 16."""
        return max(self.depths, default=8)

    def channels(self, side: Side, part: int = 0) -> Counter[int]:
        """Return how many files of A, those of its folder number `part`, or of B have how many channels."""
        return Counter(record.channels for path in self._paths(side, part) if (record := self._good.get(path)))

    def problems(self) -> list[Problem]:
        """Return what has to be mended, or left out, before training."""
        return [
            *self.broken,
            *self.unmatched,
            *self.odd_width,
            *self.odd_channels,
            *self.unlike_parts,
            *self.odd_boxes,
        ]

    def warnings(self) -> list[str]:
        """Return what is allowed and may yet be a mistake, in one line each."""
        lines = []
        if self.constant:
            lines.append(f"images of one colour: {_named(self.constant)}")
        if self.duplicates_between:
            twins = [f"{a} = {b}" for a, b in self.duplicates_between]
            lines.append(f"the same image in two splits, so that validation or test flatters: {_named(twins)}")
        for split, count in self.duplicates_within.items():
            if count:
                lines.append(f"{split} holds {count} examples that repeat others")
        if self.unlike_shapes:
            names = [example.name for example in self.unlike_shapes]
            lines.append(f"A and B differ in shape, each is resized on its own: {_named(names)}")
        for side in ("a", "b") if self.folder.layout == "two-folders" else ("b",):
            kinds = self.channels(side)
            if len(kinds) > 1:
                which = f" of {side.upper()}" if self.folder.layout == "two-folders" else ""
                lines.append(f"images{which} of {_counted(kinds)} channels are mixed")
        if len(self.depths) > 1:
            lines.append(f"images of {_counted(self.depths)} bits are mixed")
        return lines

    def usable(self) -> DataFolder:
        """Return the folder without the examples that have a problem."""
        bad = {problem.path for problem in self.problems()}
        splits = {
            split: tuple(example for example in examples if bad.isdisjoint(example.files))
            for split, examples in self.folder.splits.items()
        }
        return replace(self.folder, splits=splits, problems=())

    def lines(self) -> list[str]:
        """Say it all in plain words, the most frequent first and no more than a few files by name."""
        what = "images" if self.folder.stacks else "files"
        lines = [*self.folder.describe().splitlines(), f"{len(self.records)} {what} decoded, {len(self.broken)} broken"]
        if shares := self.class_counts:
            named = ", ".join(f"{name} {count}" for name, count in shares.most_common())
            lines.append(f"images of each class: {shorten(named, 200, placeholder=' ...')}")
        if self.sizes:
            widths, heights = zip(*self.sizes, strict=True)
            common = ", ".join(f"{w}x{h} ({count})" for (w, h), count in self.sizes.most_common(3))
            lines.append(f"width {min(widths)} to {max(widths)}, height {min(heights)} to {max(heights)}")
            lines.append(f"most common sizes: {common}; bits: {_counted(self.depths)}")
        problems = self.problems()
        lines += [f"problem: {problem}" for problem in problems[:MOST_NAMED]]
        if len(problems) > MOST_NAMED:
            lines.append(f"problem: ... and {len(problems) - MOST_NAMED} more")
        return lines + [f"note: {warning}" for warning in self.warnings()]

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON, with every file named."""
        folder = self.folder
        return {
            "root": str(folder.root),
            "layout": folder.layout,
            "folder_a": folder.folder_a,
            "more_a": list(folder.more_a),
            "folder_b": folder.folder_b,
            "classes": {name: self.class_counts[name] for name in folder.classes},
            "splits": {split: len(examples) for split, examples in folder.splits.items()},
            "val_origin": folder.val_origin,
            "notes": list(folder.notes),
            "files": len(self.records),
            "sizes": [{"width": w, "height": h, "count": count} for (w, h), count in self.sizes.most_common()],
            "channels": {"a": dict(self.channels("a")), "b": dict(self.channels("b"))},
            "bits": dict(self.depths),
            "broken": _as_dicts(self.broken),
            "unmatched": _as_dicts(self.unmatched),
            "odd_width": _as_dicts(self.odd_width),
            "odd_channels": _as_dicts(self.odd_channels),
            "unlike_parts": _as_dicts(self.unlike_parts),
            "odd_boxes": _as_dicts(self.odd_boxes),
            "constant": [str(path) for path in self.constant],
            "unlike_shapes": [example.name for example in self.unlike_shapes],
            "duplicates_between_splits": [[str(a), str(b)] for a, b in self.duplicates_between],
            "duplicates_within_splits": dict(self.duplicates_within),
        }

    @cached_property
    def _good(self) -> dict[Path, Record]:
        return {path: record for path, record in self.records.items() if not record.error}

    def _paths(self, side: Side, part: int = 0) -> list[Path]:
        """Return the distinct files of A, those of its folder number `part`, or of B."""
        return list(dict.fromkeys(path for split in self.folder.splits for path in self.folder.side(split, side, part)))

    def _records_of(self, example: Example) -> tuple[Record, ...]:
        """Return the records of an example's files, or nothing if one is broken."""
        paths = example.files
        return tuple(self._good[path] for path in paths) if all(path in self._good for path in paths) else ()


def inspect(folder: DataFolder, progress: Callable[[int, int], None] | None = None) -> Inspection:
    """Decode every file of a folder that was not decoded before, and collect what was found.

    What was found is kept in the user's cache folder, by name, length and time of change of each file, of the last
    `INDEXES` folders. Where that cannot be written, the files are decoded anew each time.

    Args:
        folder: from `read_folder`.
        progress: told how many files of how many are done.
    """
    paths = _files([example for examples in folder.splits.values() for example in examples])
    if folder.stacks:  # nothing is to be decoded, and nothing to be remembered
        held = {path: folder.stacks[path.parent][int(path.name)].numpy() for path in paths}
        return Inspection(folder, {path: _describe(pixels) for path, pixels in held.items()})
    names = _names(paths, folder.root)
    digest = hashlib.blake2b(os.fsencode(folder.root.resolve()), digest_size=16).hexdigest()
    index = cache_root() / "index" / digest
    known = _load(index)
    records = {path: record for path in paths if (record := known.get(names[path])) and _is_current(path, record)}
    pending = [path for path in paths if path not in records]
    if pending:
        tell = progress or (lambda done, total: None)
        tell(len(records), len(paths))
        saved = time.monotonic()
        try:
            for found in _examine_all(pending):
                records.update(found)
                tell(len(records), len(paths))
                if time.monotonic() - saved > SAVE_SECONDS:
                    _save(index, {names[path]: record for path, record in records.items()})
                    saved = time.monotonic()
        finally:  # what was done before Ctrl-C need not be done again
            _save(index, {names[path]: record for path, record in records.items()})
    return Inspection(folder, {path: records[path] for path in paths})


def _files(examples: Sequence[Example]) -> list[Path]:
    """Return the distinct files of examples."""
    return list(dict.fromkeys(path for example in examples for path in example.files))


def _names(paths: Sequence[Path], root: Path) -> dict[Path, str]:
    """Return what an index calls files: their paths below its folder, or of those elsewhere, such as B's, the whole."""
    below = str(root / "x")[:-1]
    return {path: text.removeprefix(below) for path in paths if (text := str(path))}


def _is_current(path: Path, record: Record) -> bool:
    return _stamp(path) == (record.bytes, record.changed)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # `read` says what is wrong
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _examine_all(paths: Sequence[Path]) -> Iterator[dict[Path, Record]]:
    """Decode files in threads (decoders and digests let go of Python's lock), a batch of results at a time."""
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    pool = ThreadPoolExecutor(count_cores())
    try:
        yield from pool.map(lambda batch: {path: _examine(path) for path in batch}, batches)
    finally:
        pool.shutdown(cancel_futures=True)


def _examine(path: Path) -> Record:
    size, changed = _stamp(path)
    try:
        pixels = read(path)
    except BrokenImage as error:
        return Record(size, changed, error=error.reason)
    return _describe(pixels, size, changed)


def _describe(pixels: Pixels, size: int = 0, changed: int = 0) -> Record:
    height, width, channels = pixels.shape
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(pixels.data)
    constant = all(bool((part == pixels[0, 0]).all()) for part in (pixels[0], pixels))  # mostly the first row tells
    return Record(size, changed, width, height, channels, pixels.itemsize * 8, digest.hexdigest(), constant)


_values = attrgetter(*(field.name for field in fields(Record)))


def _load(index: Path) -> dict[str, Record]:
    """Return what an index holds; nothing if it is missing, damaged or of another version."""
    try:
        content = index.read_bytes()
        os.utime(index)  # the last used are kept
    except OSError:
        return {}
    body = content.partition(b"\n")[2]
    if content != _sealed(body):
        return {}
    return {name: Record(*values) for name, values in json.loads(body).items()}


def _save(index: Path, records: Mapping[str, Record]) -> None:
    # What fails for want of a library alone is tried again once it is installed.
    kept = {name: _values(record) for name, record in records.items() if TIFF_EXTRA not in (record.error or "")}
    with contextlib.suppress(OSError):  # a read-only home folder only costs time
        write_whole(index, _sealed(json.dumps(kept, separators=(",", ":")).encode()))
        indexes = [path for path in index.parent.iterdir() if not path.name.startswith(".")]
        for oldest in sorted(indexes, key=lambda path: path.stat().st_mtime)[:-INDEXES]:
            oldest.unlink()


def _sealed(body: bytes) -> bytes:
    """Return the content of an index: a line that only this body fits, and the body."""
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    return f"version {INDEX_VERSION}, {digest}\n".encode() + body


def _named(items: Sequence[object]) -> str:
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return ", ".join(map(str, items[:MOST_NAMED])) + more


def _counted(counts: Counter[int]) -> str:
    return ", ".join(f"{value} ({count})" for value, count in counts.most_common())


def _as_dicts(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": str(problem.path), "reason": problem.reason} for problem in problems]
