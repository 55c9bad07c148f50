"""From options to data sets that are ready to train on: found, recognised, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from i2i.data.config import DataConfig, Resize
from i2i.data.images import ImageSet
from i2i.data.inspection import Inspection, Side, inspect
from i2i.data.layouts import DataFolder, Layout, Split, read_folder, two_heaps
from i2i.data.pairs import PairedImages
from i2i.data.sources import Progress, Source, find_source
from i2i.data.unpaired import UnpairedImages
from i2i.errors import UserError

Needs = Literal["pairs", "heaps"]

MASK_WORDS = ("mask", "label", "seg", "annotation")
MOST_NAMED = 5


@dataclass(frozen=True)
class Data:
    """The data of a run.

    Attributes:
        config: the options with nothing left None that the files decide.
        folder: the files, without those that were skipped.
        splits: the images of each split that has any.
    """

    config: DataConfig
    folder: DataFolder
    splits: dict[Split, ImageSet]

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of the networks' input and output, in the run's direction."""
        a = self.config.derive.channels if self.config.derive else self.config.channels_a
        b = self.config.channels_b
        assert a is not None
        assert b is not None
        return (b, a) if self.config.direction == "BtoA" else (a, b)

    @property
    def held_out(self) -> ImageSet:
        """The images that are judged during training: those of val, or where it is empty those of train, unchanged."""
        return self.splits.get("val") or self.splits["train"].as_held_out()

    @property
    def digest(self) -> str:
        """A fingerprint of the training images' names, by which a resume notices that they changed."""
        names = "\n".join(self.splits["train"].names)
        return hashlib.blake2b(names.encode(), digest_size=16).hexdigest()


def find_folder(config: DataConfig, source: Source, seed: int, needs: Needs = "pairs") -> DataFolder:
    """Return the files of a source, arranged as the options or the files themselves say.

    Args:
        config: options.
        source: what `--data` named.
        seed: the run's seed, which splits validation images off.
        needs: ``pairs``, or ``heaps`` of images that need not belong together.

    Raises:
        UserError: the folder cannot be read so.
    """

    def read(root: Path, layout: Layout | None) -> DataFolder:
        folders = (None, None) if config.source_b else (config.folder_a, config.folder_b)
        return read_folder(root, layout, *folders, val_share=config.val_share, seed=seed)

    if config.source_b is None:
        folder = read(source.folder(), config.layout)
        # two folders of pairs are two heaps as well, whether their names match or not
        return read(folder.root, "unpaired") if needs == "heaps" and folder.layout == "two-folders" else folder
    folder_a, folder_b = source.folder(), find_source(config.source_b, flag="--data-b").folder()
    if folder_a.resolve() == folder_b.resolve():
        raise UserError(f"--data-b {folder_b}: is the folder of A as well; give the one that holds B")
    return two_heaps(read(folder_a, "photos"), read(folder_b, "photos"))


def open_data(
    config: DataConfig,
    source: Source,
    seed: int,
    say: Callable[[str], None],
    checking: Progress | None = None,
    needs: Needs = "pairs",
) -> Data:
    """Find, recognise and check the images of a run, before its first step.

    Args:
        config: options; those left None are filled in from the files.
        source: what `--data` named.
        seed: the run's seed.
        say: takes lines for the user.
        checking: told how many files are checked.
        needs: what the method learns from.

    Raises:
        UserError: there are no pairs, or some are broken or unmatched and were not to be skipped.
    """
    if source.path is None:  # of a folder, the next line says it all
        say(f"data: {source.describe()}")
    folder = find_folder(config, source, seed, needs)
    say(f"data: {folder.describe()}")
    _refuse_misfits(config, folder, needs)
    inspection = inspect(folder, checking)
    for warning in inspection.warnings():
        say(f"data: note: {warning}")
    problems = inspection.problems()
    if problems and config.bad_files == "refuse":
        named = "; ".join(map(str, problems[:MOST_NAMED]))
        more = (
            f"; and {len(problems) - MOST_NAMED} more (see: i2i data inspect {source.given})"
            if len(problems) > MOST_NAMED
            else ""
        )
        raise UserError(f"{named}{more}. Mend them, or leave them out with --set data.bad_files=skip")
    if problems:
        say(f"data: skipped: {len(problems)} (see: i2i data inspect {source.given})")
    usable = inspection.usable()
    if not usable.splits.get("train"):
        raise UserError(f"{folder.root}: no image is left to train on (see: i2i data inspect {source.given})")
    config = _completed(config, usable, replace(inspection, folder=usable))
    if config.bits == 16:
        say("data: 16-bit images, whose depth is kept")
    splits = {split: _image_set(usable, split, config, seed) for split, examples in usable.splits.items() if examples}
    return Data(config, usable, splits)


def _image_set(folder: DataFolder, split: Split, config: DataConfig, seed: int) -> ImageSet:
    train = split == "train"
    if folder.layout == "unpaired":
        return UnpairedImages(folder.side(split, "a"), folder.side(split, "b"), config, seed, train=train)
    return PairedImages(folder.splits[split], config, seed, train=train)


def _refuse_misfits(config: DataConfig, folder: DataFolder, needs: Needs) -> None:
    if needs == "heaps":
        if folder.layout != "unpaired":
            raise UserError(
                f"{folder.root}: holds {folder.layout}, not two heaps of images; put them into trainA/ and trainB/, "
                "or name two folders: --data A_DIR --data-b B_DIR"
            )
        if config.derive is not None:
            raise UserError("data.derive makes pairs from photos, and this method learns without pairs; drop it")
        return
    if folder.layout == "unpaired":
        raise UserError(
            f"{folder.root}: holds unpaired images, and this method learns from pairs; put pairs into two folders of "
            "equal file names, or train cyclegan"
        )
    if folder.layout == "photos" and config.derive is None:
        raise UserError(
            f"{folder.root}: holds plain photos, not pairs; let pairs be made of them: --set data.derive.name=edges "
            "(or force another layout: --set data.layout=side-by-side)"
        )
    if folder.layout != "photos" and config.derive is not None:
        raise UserError(
            f"{folder.root}: holds {folder.layout} pairs, but data.derive makes pairs from photos; drop "
            "data.derive, or say --set data.layout=photos"
        )


def _completed(config: DataConfig, folder: DataFolder, inspection: Inspection) -> DataConfig:
    """Return the options with everything filled in that the files decide."""
    derived = folder.layout == "photos"
    channels_b = _channels(config, inspection, "b")
    channels_a = config.channels_a or channels_b if derived else _channels(config, inspection, "a")
    if derived and config.derive and channels_b > 4:
        raise UserError(
            f"{folder.root}: data.derive.name={config.derive.name} takes photos of 1 or 3 channels, and these have "
            f"{channels_b}; give pairs of images instead"
        )
    return config.model_copy(
        update={
            "layout": folder.layout,
            "folder_a": folder.folder_a,
            "folder_b": folder.folder_b,
            "aspect": config.aspect or ("keep" if derived else "squash"),
            "channels_a": channels_a,
            "channels_b": channels_b,
            "bits": config.bits or inspection.deepest,
            "resize_a": config.resize_a or _resize_of(folder.folder_a),
            "resize_b": config.resize_b or _resize_of(folder.folder_b),
        }
    )


def _channels(config: DataConfig, inspection: Inspection, side: Side) -> int:
    """Return how many channels A or B has: as wanted, else 3 where any is in colour, 1, or all there are beyond 4.

    Of up to 4 channels, transparency is nothing to learn.
    """
    wanted = config.channels_a if side == "a" else config.channels_b
    most = max(inspection.channels(side), default=0)
    if wanted and wanted != most and max(wanted, most) > 4:
        raise UserError(
            f"data.channels_{side}={wanted}: the images of {side.upper()} in {inspection.folder.root} have {most} "
            f"channels, and more than 4 can only be taken as they are; leave data.channels_{side} out"
        )
    return wanted or (most if most > 4 else 3 if most >= 3 else 1)


def _resize_of(folder: str | None) -> Resize:
    """Return how a domain is resized: masks and label maps must not be blended."""
    return "nearest" if folder and any(word in Path(folder).name.lower() for word in MASK_WORDS) else "bicubic"
