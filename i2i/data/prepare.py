"""Preparing a data set from the user's own photos, ahead of training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from i2i.data import files
from i2i.data.config import DataConfig
from i2i.data.derive import Derivation
from i2i.data.geometry import resize, short_side_size
from i2i.data.inspection import Inspection, inspect
from i2i.data.layouts import DataFolder, Example, Split, read_folder
from i2i.data.places import new_folder
from i2i.data.reports import Progress
from i2i.data.sources import PREPARED
from i2i.errors import UserError
from i2i.machine import count_cores
from i2i.seeding import numpy_generator


@dataclass(frozen=True)
class Prepared:
    """What preparation made: where it is, how many images each split has, and what was left out."""

    folder: Path
    counts: dict[Split, int]
    left_out: tuple[str, ...]


def prepare_photos(
    photos: Path,
    target: Path,
    config: DataConfig,
    seed: int,
    *,
    size: int,
    ahead: bool,
    overwrite: bool,
    checking: Progress | None = None,
    writing: Progress | None = None,
) -> Prepared:
    """Fill `target` from a folder of photos: checked, upright, shrunk, split, with the derived inputs if asked for.

    Args:
        photos: the user's folder, which is only read.
        target: the folder to make.
        config: its `derive` makes inputs ahead; `val_share` splits off validation images where the folder has none.
        seed: of the split and of derivations.
        size: photos whose short side is longer are shrunk to it.
        ahead: write the derived inputs too, so that training only reads them.
        overwrite: whether a `target` that exists is replaced.

    Raises:
        UserError: the target exists, there are no photos, or inputs are asked for and none can be derived ahead.
    """
    derive = config.derive
    if ahead and derive is None:
        raise UserError("--ahead: the data set derives no inputs from photos; leave the flag out")
    if ahead and derive is not None:
        _refuse_ahead(derive)
    if target.resolve().is_relative_to(photos.resolve()) or photos.resolve().is_relative_to(target.resolve()):
        raise UserError(f"--photos {photos}: holds or lies in {target}, where the prepared photos go")
    if target.exists() and not overwrite:
        raise UserError(f"{target}: exists already; add --overwrite to make it anew from {photos}")
    folder = read_folder(photos, layout="photos", val_share=config.val_share, seed=seed)
    inspection: Inspection = inspect(folder, checking)
    usable: DataFolder = inspection.usable()
    jobs = [(split, index, example) for split, found in usable.splits.items() for index, example in enumerate(found)]
    if not jobs:
        raise UserError(f"{photos}: none of its {len(inspection.records)} images can be read")
    channels = config.channels_b or 3
    with new_folder(target, replace=overwrite) as new:

        def write(job: tuple[Split, int, Example]) -> None:
            split, index, example = job
            assert example.b is not None
            photo = files.to_uint8(files.to_channels(files.read(example.b), channels))
            height, width = photo.shape[:2]
            if min(height, width) > size:
                photo = resize(photo, *short_side_size(height, width, size))
            name = example.name
            if not ahead:
                files.write(new / split / f"{name}.jpg", photo)
                return
            assert derive is not None
            files.write(new / split / "target" / f"{name}.png", photo)
            files.write(
                new / split / "input" / f"{name}.png", derive(photo, numpy_generator(seed, "ahead", split, index))
            )

        with ThreadPoolExecutor(count_cores()) as pool:
            for done, _ in enumerate(pool.map(write, jobs), start=1):
                if writing:
                    writing(done, len(jobs))
        facts: dict[str, Any] = {}
        if derive is not None and ahead:
            inputs = derive.channels_of(channels)
            facts = {"layout": "two-folders", "derive": None, "aspect": "keep", "channels_a": inputs}
        (new / PREPARED).write_text(yaml.safe_dump({"data": facts}), encoding="utf-8")
    counts = {split: len(found) for split, found in usable.splits.items()}
    return Prepared(target, counts, tuple(map(str, inspection.problems())))


def _refuse_ahead(derive: Derivation) -> None:
    wrong = (
        "takes pairs, not photos"
        if derive.takes == "pairs"
        else "makes inputs that are smaller than their photos, which pairs of files would enlarge again"
        if derive.scale > 1
        else None
    )
    if wrong:
        raise UserError(f"--ahead: data.derive.name={derive.name} {wrong}; leave the flag out")
