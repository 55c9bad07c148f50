"""Bounding boxes of photos, from annotations in the XML of Pascal VOC."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from i2i.data.geometry import Box
from i2i.data.layouts import DataFolder, Example, Problem, Split
from i2i.errors import UserError

MAX_BYTES = 1 << 20  # of an annotation, of which real ones have a few hundred
SIDES = ("xmin", "ymin", "xmax", "ymax")

Annotation = tuple[Path, tuple[str, ...]]  # the file, and its folders as seen from the outermost


class BadAnnotation(ValueError):
    """An annotation that gives no boxes; the text says why."""


def with_boxes(folder: DataFolder, annotations: Path) -> DataFolder:
    """Return a folder with an example for each box of its photos, those of one photo in one split.

    The annotation of ``dog/x.jpg`` is ``x.xml`` or ``x`` below `annotations`, in folders that end like the photo's, or
    in none. Photos without one are problems.

    Raises:
        UserError: there is no such folder, or it has no annotation of any photo.
    """
    if not annotations.is_dir():
        raise UserError(f"data.boxes {annotations}: there is no such folder")
    if folder.stacks:
        raise UserError(f"data.boxes: {folder.root} holds IDX files, which have no boxes; leave data.boxes out")
    known: dict[str, list[Annotation]] = {}
    for path in annotations.rglob("*"):
        if not path.name.startswith(".") and path.is_file():
            inside = path.parts[len(annotations.parts) : -1]
            known.setdefault(path.name.removesuffix(".xml"), []).append((path, inside))
    if not any(example.b and example.b.stem in known for examples in folder.splits.values() for example in examples):
        raise UserError(
            f"data.boxes {annotations}: holds no annotation of a photo in {folder.root}; photo x.jpg needs x.xml (or x)"
        )
    problems = list(folder.problems)
    splits: dict[Split, tuple[Example, ...]] = {
        split: tuple(cut for example in examples for cut in _cut(example, known, problems))
        for split, examples in folder.splits.items()
    }
    return replace(folder, splits=splits, problems=tuple(problems))


def _cut(example: Example, known: dict[str, list[Annotation]], problems: list[Problem]) -> Iterator[Example]:
    """Yield an example for each box, or add to `problems` why there is none."""
    photo = example.b
    assert photo is not None
    folders = tuple(example.name.split("/")[:-1])
    fitting = [(path, inside) for path, inside in known.get(photo.stem, ()) if _ends_alike(inside, folders)]
    fitting.sort(key=lambda annotation: (min(len(annotation[1]), len(folders)), annotation[0]))
    if not fitting:
        problems.append(Problem(photo, "has no annotation with its bounding box"))
        return
    path = fitting[-1][0]
    try:
        boxes = read_boxes(path)
    except BadAnnotation as error:
        problems.append(Problem(photo, f"its annotation {path} {error}"))
        return
    for number, box in enumerate(boxes, start=1):
        yield replace(example, name=f"{example.name}#{number}" if len(boxes) > 1 else example.name, box=box)


def _ends_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return one[len(one) - shared :] == other[len(other) - shared :]


def read_boxes(path: Path) -> list[Box]:
    """Return the boxes of an annotation, whose corners count from 1 and belong to the box.

    Raises:
        BadAnnotation: the file cannot be read, is no XML, declares entities, or holds no box.
    """
    root = _parse(path)
    boxes = []
    for element in root.iterfind("object/bndbox"):
        try:
            left, top, right, bottom = (float(element.findtext(side, "")) for side in SIDES)
        except ValueError as error:
            raise BadAnnotation(f"has a bndbox without {', '.join(SIDES)} as numbers") from error
        if not (all(map(math.isfinite, (left, top, right, bottom))) and left <= right and top <= bottom):
            raise BadAnnotation(f"has a box of no size ({left:g}, {top:g} to {right:g}, {bottom:g})")
        boxes.append(Box(round(left) - 1, round(top) - 1, round(right), round(bottom)))
    if not boxes:
        raise BadAnnotation("holds no box (object/bndbox)")
    return boxes


def _parse(path: Path) -> Element:
    """Parse XML that declares nothing: entities could grow without end or name other files."""

    def refuse(*_: object) -> None:
        raise BadAnnotation("has a DOCTYPE, which annotations do not need; remove it")

    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise BadAnnotation(f"is larger than {MAX_BYTES >> 20} MiB")
        parser.Parse(content, True)
        return builder.close()
    except OSError as error:
        raise BadAnnotation(f"cannot be read ({error.strerror})") from error
    except (expat.ExpatError, LookupError) as error:
        raise BadAnnotation(f"is no valid XML ({error})") from error
