"""From options to data sets that are ready to train on: found, recognised, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from i2i.data import files
from i2i.data.boxes import with_boxes
from i2i.data.config import DataConfig, Part, Resize
from i2i.data.derive import MARKED, Derivation
from i2i.data.idx import find_idx_alone
from i2i.data.images import ImageSet
from i2i.data.inspection import Inspection, Side, inspect
from i2i.data.layouts import KINDS, DataFolder, Layout, Split, read_folder, two_heaps
from i2i.data.pairs import PairedImages, read_pair
from i2i.data.reports import Progress
from i2i.data.singles import SingleImages, read_singles
from i2i.data.sources import Source, find_source
from i2i.data.unpaired import UnpairedImages
from i2i.errors import UserError

Needs = Literal["pairs", "heaps", "images"]

MASK_WORDS = ("mask", "label", "seg", "annotation")
MOST_NAMED = 5
MASKS_READ = 16
ALONE: tuple[Layout, ...] = ("classes", "idx")  # layouts that hold no A and B


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
    def channels(self) -> tuple[int, ...]:
        """Channels of the networks' input and output, in the run's direction; of images that stand alone, theirs."""
        if self.config.channels is not None:
            return (self.config.channels,)
        a, b = self.config.channels_a, self.config.channels_b
        assert a is not None
        assert b is not None
        return (b, a) if self.config.direction == "BtoA" else (a, b)

    @property
    def scale(self) -> int:
        """How many times larger than their input the networks' output is: 1, unless a derivation shrinks photos."""
        return self.config.scale

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels; empty where there are none."""
        return self.folder.classes

    @property
    def held_out(self) -> ImageSet:
        """The images that are judged during training: those of val, or where it is empty those of train, unchanged."""
        return self.splits.get("val") or self.splits["train"].as_held_out()

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the training images' names and labels, by which a resume notices that they changed."""
        identity = "\n".join(self.splits["train"].identity)
        return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()


def usual_needs(config: DataConfig, source: Source) -> Needs:
    """Return what data is used for where no method is named, as far as options or names tell before it is read."""
    if config.layout in ALONE or (config.layout is None and source.path and find_idx_alone(source.path)):
        return "images"
    return "heaps" if config.layout == "unpaired" or config.source_b else "pairs"


def find_folder(config: DataConfig, source: Source, seed: int, needs: Needs = "pairs") -> DataFolder:
    """Return the files of a source, arranged as the options or the files themselves say.

    Args:
        config: options.
        source: what `--data` named.
        seed: the run's seed, which splits validation images off.
        needs: ``pairs``, ``heaps`` of images that need not belong together, or ``images`` of one kind.

    Raises:
        UserError: the folder cannot be read so.
    """

    def read(root: Path, layout: Layout | None) -> DataFolder:
        folders = (None, None) if config.source_b else (config.folder_a, config.folder_b)
        return read_folder(root, layout, *folders, val_share=config.val_share, seed=seed)

    if needs == "images" or config.layout in ALONE or (config.layout is None and find_idx_alone(source.folder())):
        return _find_singles(config, source, seed)
    if config.source_b is None:
        folder = read(source.folder(), config.layout)
        # two folders of pairs are two heaps as well, whether their names match or not
        return read(folder.root, "unpaired") if needs == "heaps" and folder.layout == "two-folders" else folder
    folder_a, folder_b = source.folder(), find_source(config.source_b, flag="--data-b").folder()
    if folder_a.resolve() == folder_b.resolve():
        raise UserError(f"--data-b {folder_b}: is the folder of A as well; give the one that holds B")
    return two_heaps(read(folder_a, "photos"), read(folder_b, "photos"))


def _find_singles(config: DataConfig, source: Source, seed: int) -> DataFolder:
    if config.source_b or config.folder_a or config.folder_b:
        option = "--data-b" if config.source_b else "data.folder_a" if config.folder_a else "data.folder_b"
        raise UserError(f"{option}: images of one kind have no A and B; leave it out, and name one folder by --data")
    folder = read_singles(source.folder(), config.layout, config.classes, config.val_share, seed)
    return with_boxes(folder, Path(config.boxes).expanduser()) if config.boxes else folder


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
        source.folder(say=say)
        say(f"data: {source.describe()}")
    folder = find_folder(config, source, seed, needs)
    say(f"data: {folder.describe()}")
    _refuse_misfits(config, folder, needs)
    if needs == "images" and config.derive is not None:
        say("data: note: data.derive makes pairs, and images stand alone here; the photos alone are used")
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
    for warning in _empty_classes(usable):
        say(f"data: note: {warning}")
    config = _completed(config, usable, replace(inspection, folder=usable), needs)
    if _takes_masks(config):
        _refuse_blank_masks(config, usable)
    if config.bits == 16:
        say("data: 16-bit images, whose depth is kept")
    splits = {split: _image_set(usable, split, config, seed) for split, examples in usable.splits.items() if examples}
    return Data(config, usable, splits)


def _empty_classes(folder: DataFolder) -> list[str]:
    trained = {example.label for example in folder.splits["train"]}
    empty = [name for label, name in enumerate(folder.classes) if label not in trained]
    return [f"classes without an image to train on: {', '.join(empty)}"] if empty else []


def _image_set(folder: DataFolder, split: Split, config: DataConfig, seed: int) -> ImageSet:
    train = split == "train"
    if config.channels is not None:
        return SingleImages(folder.splits[split], config, seed, train=train, stacks=folder.stacks)
    if folder.layout == "unpaired":
        return UnpairedImages(folder.side(split, "a"), folder.side(split, "b"), config, seed, train=train)
    return PairedImages(folder.splits[split], config, seed, train=train)


def _refuse_misfits(config: DataConfig, folder: DataFolder, needs: Needs) -> None:
    if needs == "images":
        if config.layout in ("side-by-side", "two-folders"):
            raise UserError(
                f"{folder.root}: holds {config.layout} pairs, and this method learns from single images; say "
                "--set data.layout=photos if they are such, or name the folder of one kind"
            )
        _refuse_options(config, ("channels_a", "channels_b"), "are of A and B, and images stand alone here", "channels")
        return
    if needs == "heaps":
        if folder.layout != "unpaired":
            raise UserError(
                f"{folder.root}: holds {folder.layout}, not two heaps of images; put them into trainA/ and trainB/, "
                "or name two folders: --data A_DIR --data-b B_DIR"
            )
        if config.derive is not None:
            raise UserError("data.derive makes pairs from photos, and this method learns without pairs; leave it out")
    elif folder.layout == "unpaired":
        raise UserError(
            f"{folder.root}: holds unpaired images, and this method learns from pairs; put pairs into two folders of "
            "equal file names, or train cyclegan"
        )
    elif folder.layout in ALONE:
        instead = "; let pairs be made of them: --set data.layout=photos --set data.derive.name=edges"
        raise UserError(
            f"{folder.root}: holds {KINDS[folder.layout]}, and this method learns from pairs"
            f"{instead if folder.layout == 'classes' else ''}"
        )
    elif config.derive is not None and _takes_masks(config):
        if folder.layout == "photos":
            raise UserError(
                f"{folder.root}: holds plain photos, and data.derive.name={config.derive.name} takes pairs of a mask "
                "and its photo; put them into two folders, mask/ and image/"
            )
    elif folder.layout == "photos" and config.derive is None:
        raise UserError(
            f"{folder.root}: holds plain photos, not pairs; let pairs be made of them: --set data.derive.name=edges "
            "(others: i2i list derivations; or force another layout: --set data.layout=side-by-side)"
        )
    elif folder.layout != "photos" and config.derive is not None:
        raise UserError(
            f"{folder.root}: holds {folder.layout} pairs, but data.derive makes pairs from photos; say "
            "--set data.derive=null, or --set data.layout=photos"
        )
    if config.derive is not None:
        if folder.more_a:
            raise UserError(
                f"data.folder_a names several folders, and data.derive.name={config.derive.name} takes one; name that "
                "of the masks alone"
            )
        _refuse_underivable(config, config.derive)
    _refuse_options(config, ("channels",), "is of images that stand alone, and here are A and B", "channels_a")
    _refuse_options(config, ("boxes", "classes"), "is of images that stand alone, and here are A and B", None)


def _refuse_underivable(config: DataConfig, derive: Derivation) -> None:
    if rest := config.image_size % derive.magnification:
        near = (config.image_size - rest, config.image_size - rest + derive.magnification)
        raise UserError(
            f"data.image_size={config.image_size}: does not divide by {derive.magnification}, by which "
            f"data.derive.name={derive.name} shrinks photos; say --image-size {' or '.join(str(n) for n in near if n)}"
        )
    if config.direction == "BtoA" and derive.scale > 1:
        raise UserError(
            f"data.direction=BtoA: networks make images larger or leave their size, and data.derive.name={derive.name} "
            f"makes photos {derive.scale} times smaller; leave data.direction out, or let it enlarge them back"
        )


def _refuse_blank_masks(config: DataConfig, folder: DataFolder) -> None:
    """Refuse masks that mark nothing where white is what marks, such as those of values 0 and 1."""
    train = folder.splits["train"]
    some = train[:: -(-len(train) // MASKS_READ)]
    if all(files.to_uint8(read_pair(example, config)[0]).max() < MARKED for example in some):
        raise UserError(
            f"{folder.root}: the masks (A) mark nothing: none of {len(some)} that were read has a pixel of {MARKED} or "
            "more; let them be white where the photo is damaged"
        )


def _takes_masks(config: DataConfig) -> bool:
    return config.derive is not None and config.derive.takes == "pairs"


def _refuse_options(config: DataConfig, options: Sequence[str], reason: str, instead: str | None) -> None:
    for option in options:
        if getattr(config, option):
            hint = f"say data.{instead}" if instead else "leave it out"
            raise UserError(f"data.{option} {reason}; {hint}")


def _completed(config: DataConfig, folder: DataFolder, inspection: Inspection, needs: Needs) -> DataConfig:
    """Return the options with everything filled in that the files decide."""
    found = {"layout": folder.layout, "bits": config.bits or inspection.deepest}
    if needs == "images":
        return config.model_copy(
            update={
                **found,
                "classes": folder.classes,
                "boxes": config.boxes and str(Path(config.boxes).expanduser().resolve()),
                "derive": None,
                "aspect": config.aspect or "keep",
                "load_size": None if config.aspect == "crop" else config.load_size or config.image_size,
                "channels": _channels(config.channels, inspection, "b", "channels", "the images"),
            }
        )
    channels_b = _channels(config.channels_b, inspection, "b", "channels_b", "the images of B")
    parts = config.parts_a or _parts_of_a(config, folder, inspection)
    channels_a = (
        config.derive.channels_of(channels_b)
        if config.derive
        else sum(part.channels for part in parts)
        or _channels(config.channels_a, inspection, "a", "channels_a", "the images of A")
    )
    if parts and config.channels_a not in (None, channels_a):
        each = " + ".join(str(part.channels) for part in parts)
        raise UserError(
            f"data.channels_a={config.channels_a}: the folders of A give {each} channels; leave data.channels_a out"
        )
    return config.model_copy(
        update={
            **found,
            "folder_a": (folder.folder_a, *folder.more_a) if parts else folder.folder_a,
            "folder_b": folder.folder_b,
            "aspect": config.aspect or ("keep" if config.derive else "squash"),
            "channels_a": channels_a,
            "channels_b": channels_b,
            "parts_a": parts,
            "resize_a": (
                config.resize_a
                or _resize_of_all(parts)
                or ("nearest" if _takes_masks(config) else _resize_of(folder.folder_a))
            ),
            "resize_b": config.resize_b or _resize_of(folder.folder_b),
        }
    )


def _parts_of_a(config: DataConfig, folder: DataFolder, inspection: Inspection) -> tuple[Part, ...]:
    """Return what each folder of A gives, if there are several."""
    if not folder.more_a:
        return ()
    return tuple(
        Part(
            channels=_channels(None, inspection, "a", "channels_a", f"the images of {name}", number),
            resize=config.resize_a or _resize_of(name),
        )
        for number, name in enumerate((folder.folder_a, *folder.more_a))
    )


def _channels(wanted: int | None, inspection: Inspection, side: Side, option: str, whose: str, part: int = 0) -> int:
    """Return how many channels images have: as wanted, else 3 where any is in colour, 1, or all there are beyond 4.

    Of up to 4 channels, transparency is nothing to learn.
    """
    most = max(inspection.channels(side, part), default=0)
    if wanted and wanted != most and max(wanted, most) > 4:
        raise UserError(
            f"data.{option}={wanted}: {whose} in {inspection.folder.root} have {most} "
            f"channels, and more than 4 can only be taken as they are; leave data.{option} out"
        )
    return wanted or (most if most > 4 else 3 if most >= 3 else 1)


def _resize_of_all(parts: Sequence[Part]) -> Resize | None:
    """Return how several images that are put together are resized: without blending where that goes for each."""
    kinds = {part.resize for part in parts}
    return ("nearest" if kinds == {"nearest"} else "bicubic") if kinds else None


def _resize_of(folder: str | None) -> Resize:
    """Return how a domain is resized: masks and label maps must not be blended."""
    return "nearest" if folder and any(word in Path(folder).name.lower() for word in MASK_WORDS) else "bicubic"
