"""Translating files and folders: reading, the network and writing overlap, and memory stays bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from i2i.data import files
from i2i.data.geometry import resize, short_side_size
from i2i.data.images import to_pixels
from i2i.data.layouts import DataFolder, Example, Split
from i2i.data.opened import find_folder
from i2i.data.pairs import PairedImages, read_pair
from i2i.data.sheet import contact_sheet
from i2i.data.sources import find_source
from i2i.errors import UserError, did_you_mean
from i2i.inference.translator import Translator, alpha_like, is_out_of_memory, resized
from i2i.machine import count_cores
from i2i.resources import resource_names
from i2i.seeding import numpy_generator

Picture = npt.NDArray[np.uint8]
Prepare = Literal["inputs", "photos", "pairs"]
THREADS = max(2, min(8, count_cores()))  # that read, and as many that write
MOST_WAITING = 64
BYTES_WAITING = 2**28
FEWEST_TO_TRY = 16
SHEET_ROWS = 24
SHEET_CELL = 256


@dataclass(frozen=True)
class Input:
    """One image on its way in.

    Attributes:
        pixels: what the network is shown, ``[H, W, C]``.
        size: (height, width) that the output is to have.
        alpha: transparency that the output is to have, ``[H, W, 1]`` of that size.
        target: what it should become, where that is known.
    """

    pixels: files.Pixels
    size: tuple[int, int]
    alpha: files.Pixels | None = None
    target: files.Pixels | None = None


Batch = list[tuple[int, Input]]
"""Inputs of one shape, by the indices of their jobs."""


@dataclass(frozen=True)
class Job:
    """One file to write: how its input is read, and where the output goes."""

    name: str
    output: Path
    read: Callable[[], Input]


@dataclass(frozen=True)
class Result:
    """What came of all jobs: the outputs written, the failures in words, the sheet's rows."""

    written: int
    failures: tuple[str, ...]
    sheet: Picture | None


def plan_files(
    source: Path, output: Path, suffix: str | None, reader: Callable[[Path], Input], overwrite: bool
) -> list[Job]:
    """Return a job for a file, or for every image below a folder, with subfolders and names kept.

    Args:
        source: an image or a folder.
        output: a folder; for one image also a file.
        suffix: of the outputs, such as ``.png``; None: as the inputs'.
        reader: reads an input.
        overwrite: whether files that exist may be replaced.

    Raises:
        UserError: there is no input, the output is within the input, or outputs exist or would fall together.
    """
    _refuse_useless_output(source, output)
    if source.is_file():
        single = output.suffix.lower() in files.SUFFIXES and not output.is_dir()
        target = output if single else output / _named(Path(source.name), suffix)
        if target.resolve() == source.resolve():
            raise UserError(f"{target}: is the input itself; give another output")
        outputs = {source: target}
    else:
        if not source.is_dir():
            raise UserError(f"{source}: there is no such file or folder")
        inside = output.resolve().is_relative_to(source.resolve())
        if inside:
            raise UserError(
                f"{output}: lies in the input folder, so its files would be taken for inputs; give another folder"
            )
        found = files.list_images(source)
        if not found:
            raise UserError(f"{source}: holds no images ({', '.join(sorted(files.SUFFIXES))})")
        outputs = {path: output / _named(path.relative_to(source), suffix) for path in found}
    unwritable = [target for target in outputs.values() if target.suffix.lower() not in files.WRITABLE]
    if unwritable:
        raise UserError(f"{unwritable[0]}: images are not written as '{unwritable[0].suffix}'; add --format png")
    jobs = [Job(str(path), target, lambda path=path: reader(path)) for path, target in outputs.items()]  # type: ignore[misc]
    refuse_clashes(jobs, overwrite)
    return jobs


def _refuse_useless_output(source: Path, output: Path) -> None:
    """Refuse what could not be written, before the first image is translated."""
    is_image = output.suffix.lower() in files.SUFFIXES
    if source.is_dir() and is_image and not output.is_dir():
        raise UserError(f"{output}: is the name of an image, and {source} is a folder; give a folder")
    if source.is_file() and output.suffix and not is_image and not output.is_dir():
        raise UserError(f"{output}: '{output.suffix}' is no image format; end it in .png, or give a folder that exists")
    standing = next(place for place in (output, *output.absolute().parents) if place.exists())
    if standing.is_file() and (source.is_dir() or standing != output):
        raise UserError(f"{standing}: is a file, so no folder of outputs can be made there; give another folder")
    if standing.is_dir() and not os.access(standing, os.W_OK):
        raise UserError(f"{standing}: may not be written to; give another folder")


def plan_examples(pairs: PairedImages, output: Path, overwrite: bool) -> list[Job]:
    """Return a job for every pair of a split, as prepared for training but whole, with its target.

    Raises:
        UserError: outputs exist already.
    """

    def read(index: int) -> Input:
        item = pairs[index, 0]
        a, b = (to_pixels(item[side]) for side in "ab")
        return Input(a, (b.shape[0], b.shape[1]), target=b)

    jobs = [
        Job(example.name, output / f"{example.name}.png", lambda index=index: read(index))  # type: ignore[misc]
        for index, example in enumerate(pairs.examples)
    ]
    refuse_clashes(jobs, overwrite)
    return jobs


def refuse_clashes(jobs: Sequence[Job], overwrite: bool) -> None:
    """Refuse before the first image what would lose a file.

    Raises:
        UserError: two inputs have one output, or an output exists and may not be replaced.
    """
    seen: dict[Path, str] = {}
    for job in jobs:
        if job.output in seen:
            raise UserError(
                f"{seen[job.output]} and {job.name} would both be written to {job.output}; add --format same, or "
                "rename one"
            )
        seen[job.output] = job.name
    existing = [job.output for job in jobs if job.output.exists()]
    if existing and not overwrite:
        raise UserError(
            f"{existing[0]}: exists already ({len(existing)} such); add --overwrite, or give another folder"
        )


def _named(path: Path, suffix: str | None) -> Path:
    return path if suffix is None else path.with_suffix(suffix)


def reader_of(
    translator: Translator,
    prepare: Prepare,
    size: int | None,
    keep_alpha: bool = True,
    mask_of: Callable[[Path], Path] | None = None,
) -> Callable[[Path], Input]:
    """Return the function that reads one input file.

    Args:
        translator: the model, which knows how its training images were prepared.
        prepare: ``inputs`` takes files as they are, ``photos`` derives inputs from them as in training, ``pairs`` takes
            the input's half of side-by-side pairs.
        size: short side to work at; None: the file's own.
        keep_alpha: carry the transparency of files over, where the model knows nothing of it.
        mask_of: where the mask of a file lies, for models that take one.
    """
    data = translator.data

    def without_alpha(pixels: files.Pixels) -> tuple[files.Pixels, files.Pixels | None]:
        if not translator.carries_alpha:
            return pixels, None
        pixels, alpha = files.split_alpha(pixels)
        return pixels, alpha if keep_alpha else None

    def read_given(path: Path) -> Input:
        pixels, target = files.read(path), None
        if prepare == "pairs":
            a, b = read_pair(Example(path.stem, path, path), data)
            pixels, target = (b, a) if data.direction == "BtoA" else (a, b)
        mask = files.read(mask_of(path)) if mask_of else None
        pixels, alpha = without_alpha(pixels)
        height, width = (translator.magnification * side for side in pixels.shape[:2])
        return Input(translator.prepared(pixels, mask, size)[0], (height, width), alpha, target)

    def read_photo(path: Path) -> Input:
        assert data.derive is not None
        photo, alpha = without_alpha(files.read(path))
        photo = files.to_channels(photo, data.channels_b or 3)
        full = photo.shape[0], photo.shape[1]
        factor = data.derive.magnification
        if size is not None:
            height, width = (max(factor, side - side % factor) for side in short_side_size(*full, size))
            photo = resized(photo, height, width)
        derived = data.derive(files.to_uint8(photo), numpy_generator(translator.seed, "derive", path.name))
        height, width = (side - side % factor for side in photo.shape[:2])  # it cut the rest off
        photo = photo[:height, :width]
        if size is None:
            full, alpha = (height, width), None if alpha is None else alpha[:height, :width]
        pixels, target = (photo, derived) if data.direction == "BtoA" else (derived, photo)
        return Input(pixels, full, alpha, target)

    return read_photo if prepare == "photos" else read_given


def choose_runtime(translator: Translator, jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    """Let the translator try on the first image that can be read what it is best run by, where there are many.

    Args:
        translator: the model.
        jobs: all that is going to be translated.
        say: takes lines for the user.
    """
    if len(jobs) < FEWEST_TO_TRY:
        return
    for job in jobs[:FEWEST_TO_TRY]:
        try:
            translator.choose_runtime(job.read().pixels, len(jobs), say)
            return
        except (UserError, MemoryError, RuntimeError):  # it will be named as failed
            continue


def translate_jobs(
    translator: Translator,
    jobs: Sequence[Job],
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    sheet: bool = False,
) -> Result:
    """Translate every job's image; those that fail are named, in the jobs' order, and the rest are done.

    Threads read ahead and write behind while the network computes, on batches of images of one size. However many jobs
    there are, at most a few batches are in memory, and of images of many sizes those that wait for their like:
    `MOST_WAITING` and `BYTES_WAITING`. If it is interrupted, what is being written is written whole.

    Args:
        translator: the model.
        jobs: what to read and write.
        batch_size: most images per forward; None: as many as are fast (`Translator.batch_size`).
        progress: told (done, all) as images are finished.
        sheet: whether to collect a contact sheet of some of the images.
    """
    wanted = (
        set(np.linspace(0, len(jobs) - 1, min(SHEET_ROWS, len(jobs))).round().astype(int).tolist()) if sheet else set()
    )
    rows: dict[int, dict[str, Picture]] = {}
    failures: dict[int, str] = {}
    written = 0
    writing: deque[tuple[int, Future[None]]] = deque()

    def settle(most: int) -> None:
        """Wait until at most `most` outputs are on their way to the disk."""
        nonlocal written
        while len(writing) > most:
            index, future = writing.popleft()
            try:
                future.result()
                written += 1
            except UserError as error:
                failures[index] = str(error)
            if progress:
                progress(written + len(failures), len(jobs))

    def write(batch: Batch, outputs: Sequence[files.Pixels | UserError]) -> None:
        for (index, entry), output in zip(batch, outputs, strict=True):
            if isinstance(output, UserError):
                failures[index] = f"{jobs[index].name}: {output}"
                continue
            if index in wanted:
                rows[index] = _row(entry, output)
            settle(most=THREADS + len(batch))
            writing.append((index, writers.submit(_write, jobs[index].output, output, entry)))

    with _threads("read") as readers, _threads("write") as writers:
        begun: tuple[Batch, Callable[[], list[files.Pixels | UserError]]] | None = None
        for batch in _batches(translator, jobs, batch_size, readers, failures):
            following = batch, _begun(translator, [entry.pixels for _, entry in batch])
            if begun:  # while a GPU is at the next one
                write(begun[0], begun[1]())
            begun = following
        if begun:
            write(begun[0], begun[1]())
        settle(0)
    if progress and jobs:
        progress(len(jobs), len(jobs))
    told = tuple(failures[index] for index in sorted(failures))
    return Result(written, told, _sheet([rows[index] for index in sorted(rows)]) if rows else None)


@contextmanager
def _threads(name: str) -> Iterator[ThreadPoolExecutor]:
    """Give threads that finish what they are at, and if something goes wrong no more than that."""
    pool = ThreadPoolExecutor(THREADS, name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(translator: Translator, images: Sequence[files.Pixels]) -> Callable[[], list[files.Pixels | UserError]]:
    """Begin to translate a batch of one depth and return what waits for it: for outputs, or reasons in their places.

    Where the batch fails, its images are translated one by one.
    """
    deep = translator.is_deep(images[0])
    try:
        wait = translator.begin(images, deep=deep)
    except (UserError, MemoryError, RuntimeError) as error:
        outputs = _one_by_one(translator, images, error)
        return lambda: outputs

    def finish() -> list[files.Pixels | UserError]:
        try:
            return list(wait())
        except (UserError, MemoryError, RuntimeError) as error:
            return _one_by_one(translator, images, error)

    return finish


def _one_by_one(
    translator: Translator, images: Sequence[files.Pixels], error: UserError | MemoryError | RuntimeError
) -> list[files.Pixels | UserError]:
    """Translate the images of a batch that failed; of one alone the reason is known."""
    if len(images) > 1 and (isinstance(error, UserError) or is_out_of_memory(error)):
        return [_begun(translator, [image])()[0] for image in images]
    if isinstance(error, UserError):
        return [error]
    if not is_out_of_memory(error):
        raise error
    height, width = images[0].shape[:2]
    mends: dict[int | str | None, str] = {None: "add --tile auto", "auto": "add --size 1024, or --device cpu"}
    mend = mends.get(translator.tile, "choose a smaller --tile")
    return [UserError(f"{width}x{height} needs more memory than there is; {mend}")]


def at_size(output: files.Pixels, size: tuple[int, int]) -> files.Pixels:
    """Return an output ``[h, w, C]`` at the (height, width) that it is to have, where the network worked at others."""
    if output.shape[:2] == size:
        return output
    scaled = cv2.resize(output, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(scaled, dtype=output.dtype).reshape(*size, output.shape[2])


def _write(path: Path, output: files.Pixels, entry: Input) -> None:
    output = at_size(output, entry.size)
    suffix = path.suffix.lower()
    if entry.alpha is not None and suffix in (".png", ".webp", ".tif", ".tiff"):
        output = files.with_alpha(output, alpha_like(output, entry.alpha))
    files.write(path, output if suffix in (".png", ".tif", ".tiff") else files.to_uint8(output))


def _batches(
    translator: Translator,
    jobs: Sequence[Job],
    batch_size: int | None,
    readers: ThreadPoolExecutor,
    failures: dict[int, str],
) -> Iterator[Batch]:
    """Read ahead and yield batches of inputs of one shape; name in `failures` what cannot be read."""
    waiting: dict[tuple[tuple[int, ...], str], Batch] = {}
    reading: deque[tuple[int, Future[Input]]] = deque()
    upcoming = iter(enumerate(jobs))
    while True:
        while len(reading) < 2 * THREADS and (following := next(upcoming, None)) is not None:
            reading.append((following[0], readers.submit(following[1].read)))
        if not reading:
            break
        index, future = reading.popleft()
        try:
            entry = future.result()
        except files.BrokenImage as error:  # names its file
            failures[index] = str(error)
            continue
        except UserError as error:
            failures[index] = f"{jobs[index].name}: {error}"
            continue
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            failures[index] = f"{jobs[index].name}: needs more memory than there is; try a smaller --size"
            continue
        key = entry.pixels.shape, entry.pixels.dtype.name
        group = waiting.setdefault(key, [])
        group.append((index, entry))
        if len(group) >= (batch_size or translator.batch_size(*entry.pixels.shape[:2])):
            yield waiting.pop(key)
        elif _are_many(waiting.values()):  # a batch that is not full beats memory that grows
            yield waiting.pop(max(waiting, key=lambda key: len(waiting[key])))
    yield from waiting.values()


def _are_many(groups: Collection[Batch]) -> bool:
    """Say whether the images that wait for others of their size take too much memory."""
    entries = [entry for group in groups for _, entry in group]
    return len(entries) > MOST_WAITING or sum(entry.pixels.nbytes for entry in entries) > BYTES_WAITING


def _row(entry: Input, output: files.Pixels) -> dict[str, Picture]:
    """Return one row of the sheet, small enough that many of them fit into memory."""
    images = {"input": entry.pixels, "output": output} | ({} if entry.target is None else {"target": entry.target})
    return {caption: _thumbnail(files.to_uint8(image)) for caption, image in images.items()}


def _thumbnail(image: Picture) -> Picture:
    longest = max(image.shape[:2])
    if longest <= SHEET_CELL:
        return image
    height, width = (max(1, round(side * SHEET_CELL / longest)) for side in image.shape[:2])
    return resize(image, height, width)


def _sheet(rows: Sequence[dict[str, Picture]]) -> Picture:
    return contact_sheet(
        {caption: [row[caption] for row in rows] for caption in rows[0]}, blocks=max(1, len(rows) // 8)
    )


def plan(
    translator: Translator,
    source: str,
    output: Path,
    *,
    prepare: Prepare = "inputs",
    size: int | None = None,
    suffix: str | None = "",
    keep_alpha: bool = True,
    masks: Path | None = None,
    overwrite: bool = False,
    say: Callable[[str], None],
) -> list[Job]:
    """Return the jobs for a file, a folder, or a data set's split such as ``edges2cats:val``.

    Args:
        translator: the model.
        source: what to translate.
        output: a folder; for one image also a file.
        prepare: how files become inputs, see `reader_of`.
        size: short side to work at; None: the files' own, or for photos the size of training.
        suffix: of the outputs; empty: ``.png``, or ``.tif`` for more channels than that holds; None: as the inputs'.
        keep_alpha: carry the transparency of files over, where the model knows nothing of it.
        masks: a mask, or a folder of masks of the inputs' names, for models that take one beside each image.
        overwrite: whether files that exist may be replaced.
        say: takes lines for the user.

    Raises:
        UserError: the source is not there, does not suit the model, or an output would be lost.
    """
    name, colon, split = source.partition(":")
    if colon and name in resource_names("datasets"):
        if prepare != "inputs" or size is not None or masks is not None:
            raise UserError(
                f"{source}: is prepared as in training; leave --from-photos, --from-pairs, --mask and --size out"
            )
        folder, which = _open_split(translator, name, split, say)
        if folder.layout != "unpaired":
            translator.refuse_unknown_code()
            pairs = PairedImages(folder.splits[which], translator.data, translator.data_seed, train=False, whole=True)
            return plan_examples(pairs, output, overwrite)
        read = reader_of(translator, "inputs", None, keep_alpha)
        paths = folder.side(which, "b" if translator.data.direction == "BtoA" else "a")
        jobs = [Job(str(path), output / f"{path.stem}.png", lambda path=path: read(path)) for path in paths]  # type: ignore[misc]
        refuse_clashes(jobs, overwrite)
        return jobs
    if translator.wants_several:
        raise UserError(
            f"{source}: this model takes several images put together, and files are single ones; give DATASET:SPLIT"
        )
    _refuse_preparation(translator, prepare)
    given = prepare == "inputs" and translator.wants_mask
    if given and masks is None:
        raise UserError(
            "this model takes a mask beside each image, white where it is marked: add --mask FILE or FOLDER"
        )
    if masks is not None and not given:
        why = "derives the masks as well" if translator.wants_mask else "takes no masks"
        raise UserError(f"--mask {masks}: the model {why}; leave it out")
    if prepare == "photos" and size is None and translator.data.aspect != "crop":
        size = translator.data.image_size
        say(f"photos: worked on at short side {size}, as in training, and enlarged back (change with --size)")
    if suffix == "":
        suffix = ".png" if translator.out_channels <= 4 else ".tif"
    place = Path(source).expanduser()
    mask_of = mask_finder(place, masks.expanduser()) if masks else None
    jobs = plan_files(place, output, suffix, reader_of(translator, prepare, size, keep_alpha, mask_of), overwrite)
    if mask_of:
        _refuse_lost_masks(jobs, mask_of)
    if translator.out_channels > 4:
        _refuse_few_channels(jobs, translator.out_channels)
    if prepare == "inputs":
        _hint(translator, Path(jobs[0].name), keep_alpha, say)
    return jobs


def _refuse_preparation(translator: Translator, prepare: Prepare) -> None:
    """Refuse to make inputs of files in a way in which the model's were not made."""
    data = translator.data
    if prepare == "photos":
        if data.derive is None or data.derive.takes == "pairs":
            raise UserError("--from-photos: this model was trained on given pairs, not on photos; leave the flag out")
        translator.refuse_unknown_code()
    if prepare == "pairs":
        if data.layout not in ("side-by-side", None):  # foreign files do not say
            raise UserError(
                f"--from-pairs: this model was trained on {data.layout}, not on side-by-side pairs; leave the flag out"
            )
        if data.derive is not None:
            raise UserError("--from-pairs: this model's inputs were derived from pairs; give their photos, and --mask")


def mask_finder(source: Path, masks: Path) -> Callable[[Path], Path]:
    """Return the function from an input's path to its mask's: the one there is, or that of the same name.

    Args:
        source: an image or a folder of images.
        masks: a mask, or a folder of masks; they lie as the inputs do and may have other suffixes.

    Returns:
        A function that raises UserError where an input has no mask.

    Raises:
        UserError: there are no masks, they lie among the inputs, or two have one name.
    """
    if not masks.exists():
        raise UserError(f"--mask {masks}: there is no such file or folder")
    if source.is_dir() and masks.resolve().is_relative_to(source.resolve()):
        raise UserError(f"--mask {masks}: lies in the input folder, so it would be taken for input; keep the two apart")
    if masks.is_file():
        return lambda path: masks
    found: dict[Path, Path] = {}
    for mask in files.list_images(masks):
        name = mask.relative_to(masks).with_suffix("")
        if name in found:
            raise UserError(f"--mask {masks}: {found[name]} and {mask} are both masks of '{name}'; keep one")
        found[name] = mask
    root = source if source.is_dir() else source.parent

    def mask_of(path: Path) -> Path:
        name = path.relative_to(root).with_suffix("")
        if name not in found:
            raise UserError(f"--mask {masks}: holds no mask for {path}; give it one of the name '{name}'")
        return found[name]

    return mask_of


def _refuse_lost_masks(jobs: Sequence[Job], mask_of: Callable[[Path], Path]) -> None:
    """Refuse inputs without a mask, and outputs that would take the place of a mask."""
    masks = {mask_of(Path(job.name)).resolve() for job in jobs}
    for job in jobs:
        if job.output.resolve() in masks:
            raise UserError(f"{job.output}: is a mask itself; give another output")


def _refuse_few_channels(jobs: Sequence[Job], channels: int) -> None:
    for job in jobs:
        if job.output.suffix.lower() not in (".tif", ".tiff"):
            raise UserError(
                f"{job.output}: the model's images have {channels} channels, which TIFF alone holds; add --format tif"
            )


def _hint(translator: Translator, first: Path, keep_alpha: bool, say: Callable[[str], None]) -> None:
    """Say what the first input looks like, if it looks unlike what the model was trained on."""
    try:
        info = files.read_info(first)
    except UserError:
        return  # it will be named as failed
    data = translator.data
    if data.layout == "side-by-side" and info.width == 2 * info.height:
        say("note: the inputs look like side-by-side pairs, as in training; to take the input's half: --from-pairs")
    derive = translator.derive
    if derive is None or derive.name != "edges":
        return
    if info.channels in (2, 4) and keep_alpha:
        say("note: the drawings are transparent, and so will be their pictures; on white instead: --alpha drop")
    elif info.channels >= 3 > translator.in_channels:
        say("note: the model takes edges; if these are photos: --from-photos")


def _open_split(translator: Translator, name: str, split: str, say: Callable[[str], None]) -> tuple[DataFolder, Split]:
    source = find_source(name)
    say(f"data: {source.describe()}")
    folder = find_folder(translator.data, source, translator.data_seed)
    found = next((known for known, examples in folder.splits.items() if known == split and examples), None)
    if found is None:
        raise UserError(f"{name}:{split}: there is no such split{did_you_mean(split, folder.splits)}")
    return folder, found
