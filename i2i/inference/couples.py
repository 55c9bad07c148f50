"""Outputs and targets in two folders: which belong together, and what they measure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol as Protocol_

from i2i.data import files
from i2i.data.listing import Found, list_found, unwrap
from i2i.errors import UserError
from i2i.inference.evaluation import Evaluation, Protocol, Result
from i2i.metrics import metrics_named

READERS = 2
AHEAD = 8  # images that are read before they are asked for
LISTED = 10  # images without a partner that are named; the others are counted


@dataclass(frozen=True, slots=True)
class Couple:
    """An output and its target; one of them is None where it stands alone."""

    name: str
    output: Path | None
    target: Path | None

    def read(self) -> tuple[files.Pixels | None, files.Pixels | None]:
        """Decode what there is.

        Raises:
            BrokenImage: a file cannot be read.
        """
        output, target = (files.read(path) if path else None for path in (self.output, self.target))
        return output, target

    def pictures(self) -> dict[str, files.Pixels]:
        """Decode what there is, by caption."""
        return {
            caption: image
            for caption, image in zip(("output", "target"), self.read(), strict=True)
            if image is not None
        }


class Comparable(Protocol_):
    """An output and its target, wherever they come from."""

    @property
    def name(self) -> str:
        """Of the image."""
        ...

    def read(self) -> tuple[files.Pixels | None, files.Pixels | None]:
        """Return output and target."""
        ...

    def pictures(self) -> dict[str, files.Pixels]:
        """Return them, and what else there is to see, by caption."""
        ...


@dataclass(frozen=True)
class Measured:
    """The result for all images that could be read, and the others in words."""

    result: Result
    failures: tuple[str, ...]


def find_couples(
    outputs: Path, targets: Path | None, metrics: Sequence[str], protocol: Protocol, say: Callable[[str], None]
) -> list[Couple]:
    """Return the images to measure: matched by name where a metric compares pairs, else as two sets.

    Args:
        outputs: a folder, or an image.
        targets: a folder, or an image; None: there are none.
        metrics: names of what is measured.
        protocol: how.
        say: takes lines for the user.

    Raises:
        UserError: a folder is missing or empty, names do not match, or a size differs from the target's.
    """
    named = metrics_named(metrics)
    if targets is None and (lacking := [metric.name for metric in named if metric.kind != "logits"]):
        raise UserError(f"TARGETS is missing, which {', '.join(lacking)} needs: i2i evaluate {outputs} TARGETS")
    pairs = targets is not None and any(metric.of_pairs for metric in named)
    couples = match(outputs, targets) if pairs and targets else two_sets(outputs, targets)
    if pairs:
        for folder, paths in zip((outputs, targets), unmatched(couples), strict=True):
            for path in paths[:LISTED]:
                say(f"without a partner: {path}")
            if len(paths) > LISTED:
                say(f"without a partner: {len(paths) - LISTED} more in {folder}")
        refuse_unequal(couples, protocol)
    return couples


def match(outputs: Path, targets: Path) -> list[Couple]:
    """Return the images of two folders by their names without suffix, subfolders included; or those of two files.

    Those without a partner are returned too.

    Raises:
        UserError: a folder is missing or empty, has two images of one name, or no name is in both.
    """
    if outputs.is_file() and targets.is_file():
        return [Couple(outputs.stem, outputs, targets)]
    if outputs.is_dir() and targets.is_dir() and outputs.samefile(targets):
        raise UserError(f"{targets}: is the folder of the outputs itself; give that of the targets")
    a, b = (_by_name(unwrap(list_found(folder))) for folder in (outputs, targets))
    if a.keys().isdisjoint(b):
        raise UserError(
            f"no image of {outputs} has the name of one of {targets} ({next(iter(a))}, {next(iter(b))}); give partners "
            "the same name, suffixes aside"
        )
    names = sorted(a.keys() | b.keys(), key=files.natural_key)
    return [Couple(name, a.get(name), b.get(name)) for name in names]


def two_sets(outputs: Path, targets: Path | None) -> list[Couple]:
    """Return the images of two folders, or of one, without a care for names.

    Raises:
        UserError: a folder is missing or empty.
    """
    couples = [Couple(str(found.path), found.path, None) for found in list_found(outputs)]
    return couples + [Couple(str(found.path), None, found.path) for found in (list_found(targets) if targets else ())]


def _by_name(images: Sequence[Found]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for image in images:
        if (first := named.setdefault(image.name, image.path)) is not image.path:
            raise UserError(f"{image.path}: has the same name as {first.name}; remove or rename one of them")
    return named


def unmatched(couples: Sequence[Couple]) -> tuple[list[Path], list[Path]]:
    """Return the outputs that have no target, and the targets that have no output."""
    return (
        [couple.output for couple in couples if couple.output and not couple.target],
        [couple.target for couple in couples if couple.target and not couple.output],
    )


def without_partner(couples: Sequence[Couple], metrics: Sequence[str]) -> list[str]:
    """Return the files without a partner, where a metric compares pairs."""
    if not any(metric.of_pairs for metric in metrics_named(metrics)):
        return []
    return [str(path) for paths in unmatched(couples) for path in paths]


def refuse_unequal(couples: Sequence[Couple], protocol: Protocol) -> None:
    """Refuse outputs of other sizes than their targets', by their headers; files that cannot be read fail later.

    Raises:
        UserError: a size differs.
    """
    differing: list[str] = []
    for couple in couples:
        if couple.output and couple.target:
            try:
                size, wanted = _size(couple.output, protocol.modcrop), _size(couple.target, protocol.modcrop)
            except files.BrokenImage:
                continue
            if size != wanted:
                differing.append(f"{couple.output}: is {size}, and its target {couple.target} {wanted}")
    if differing:
        raise UserError(
            f"{differing[0]} ({len(differing)} such); write outputs at their targets' size, or where these are to be "
            "cut to a multiple of a scale: --modcrop SCALE"
        )


def _size(path: Path, multiple: int) -> str:
    info = files.read_info(path)
    return f"{info.width - info.width % multiple}x{info.height - info.height % multiple}"


def measure(
    evaluation: Evaluation,
    couples: Sequence[Comparable],
    progress: Callable[[int, int], None] | None = None,
    failed: Sequence[str] = (),
) -> Measured:
    """Measure every couple; those that cannot be read are named, and the rest are measured.

    Args:
        evaluation: takes the images.
        couples: their files.
        progress: told (done, all).
        failed: what has failed before, in words.

    Raises:
        UserError: an image does not suit a metric.
    """
    failures = [*failed]
    for done, (couple, images) in enumerate(_read_ahead(couples), start=1):
        if isinstance(images, UserError):
            failures.append(str(images))
        else:
            evaluation.add(couple.name, *images)
        if progress:
            progress(done, len(couples))
    return Measured(evaluation.result(), tuple(failures))


Images = tuple[files.Pixels | None, files.Pixels | None]


def _read_ahead(couples: Sequence[Comparable]) -> Iterator[tuple[Comparable, Images | UserError]]:
    """Read in threads and yield in order; what cannot be read comes as its error."""
    with ThreadPoolExecutor(READERS, "read") as readers:
        reading: deque[tuple[Comparable, Future[Images]]] = deque()
        upcoming = iter(couples)
        while True:
            while len(reading) < AHEAD and (following := next(upcoming, None)) is not None:
                reading.append((following, readers.submit(following.read)))
            if not reading:
                return
            couple, future = reading.popleft()
            try:
                yield couple, future.result()
            except UserError as error:
                yield couple, error


def write_record(path: Path, about: Mapping[str, Any], measured: Measured) -> None:
    """Write all that was measured as JSON.

    Args:
        path: the file.
        about: what was measured.
        measured: the values.

    Raises:
        OSError: the file cannot be written.
    """
    record = {**about, **measured.result.record(), "failed": [*measured.failures]}
    files.write_whole(path, (json.dumps(record, indent=1) + "\n").encode())
