"""The images of a folder, by the splits that its subfolders name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from i2i.data.files import SUFFIXES, list_images
from i2i.errors import UserError, did_you_mean

Split = Literal["train", "val", "test"]

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
SPLIT_AND_SIDE = re.compile(rf"({'|'.join(SPLITS)})[_-]?([ab])", re.IGNORECASE)  # trainA


@dataclass(frozen=True, slots=True)
class Found:
    """An image and its path below the folder of its split (or the root), in parts."""

    path: Path
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The path without suffix, with forward slashes."""
        return "/".join((*self.parts[:-1], os.path.splitext(self.parts[-1])[0]))


BySplit = dict[Split, list[Found]]


def list_found(root: Path) -> list[Found]:
    """List the images below `root`, or say what is there instead."""
    if root.is_file():
        raise UserError(f"{root}: is a file, not a folder of images; did you mean its folder, {root.parent}?")
    if not root.is_dir():
        nearby = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
        hint = did_you_mean(root.name, nearby)
        raise UserError(f"{root}: there is no such folder{hint if 'did you mean' in hint else ''}")
    found = [Found(path, path.parts[len(root.parts) :]) for path in list_images(root)]
    if not found:
        content = "holds no images" if any(root.iterdir()) else "is empty"
        kinds = ", ".join(sorted(SUFFIXES))
        raise UserError(f"{root}: {content}; it must hold images ({kinds}), in itself or in subfolders")
    return found


def unwrap(found: list[Found], *keep: str | None) -> list[Found]:
    """Take off a folder that holds all images, as unpacked archives have it, unless it is a split or one of `keep`."""
    kept = {name.split("/")[0] for name in keep if name}
    while len({image.parts[0] for image in found}) == 1 and len(found[0].parts) > 1:
        if outer_split(found[0]) or found[0].parts[0] in kept:
            break
        found = [Found(image.path, image.parts[1:]) for image in found]
    return found


def in_splits(found: list[Found], default: Split) -> tuple[BySplit, list[str]]:
    """Sort images into splits by the outer folder, or else by the second, and take that folder off their paths."""
    splits: BySplit = {}
    outside: list[Found] = []
    outer = [outer_split(image) for image in found]
    if any(outer):
        for image, place in zip(found, outer, strict=True):
            if place is None:
                outside.append(image)
            else:
                splits.setdefault(place[0], []).append(Found(image.path, place[1]))
    elif all(len(image.parts) > 2 and image.parts[1].lower() in SPLITS for image in found):
        for image in found:
            first, second, *rest = image.parts
            splits.setdefault(SPLITS[second.lower()], []).append(Found(image.path, (first, *rest)))
    else:
        splits[default] = found
    return splits, [f"left out: {len(outside)} images outside the split folders"] if outside else []


def outer_split(image: Found) -> tuple[Split, tuple[str, ...]] | None:
    """Return split and remaining path of ``train/x.jpg`` and ``trainA/x.jpg`` (which becomes ``A/x.jpg`` of train)."""
    if len(image.parts) < 2:
        return None
    folder, *rest = image.parts
    if sides := SPLIT_AND_SIDE.fullmatch(folder):
        return SPLITS[sides[1].lower()], (sides[2].upper(), *rest)
    return (SPLITS[folder.lower()], tuple(rest)) if folder.lower() in SPLITS else None
