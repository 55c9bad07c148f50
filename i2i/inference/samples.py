"""Images of noise on the disk: single files, grids of them, and strips that are GIFs too."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from i2i.data import files
from i2i.errors import UserError
from i2i.inference.sampler import BATCH, Pictures, Sampler

GAP, PAPER = 2, 255
MAX_SIDE = 16_000  # WebP ends at 16,383 pixels
MAX_PIXELS = 64_000_000
STRIP_COLUMNS = 20
WRITERS = 4
CHUNK = 4 * BATCH


class Grid:
    """A picture that holds equally large images in rows and columns, on white.

    Args:
        rows: of images.
        columns: of images.
        shape: [H, W, C] of an image; of more than 3 channels the first 3 are shown, of 2 the first.

    Raises:
        UserError: it would be too large.
    """

    def __init__(self, rows: int, columns: int, shape: tuple[int, int, int]) -> None:
        height, width, channels = shape
        self.columns, self.channels = columns, 3 if channels >= 3 else 1
        self.cell = height + GAP, width + GAP
        sides = rows * self.cell[0] + GAP, columns * self.cell[1] + GAP
        if max(sides) > MAX_SIDE or math.prod(sides) > MAX_PIXELS:
            raise UserError(
                f"a grid of {rows} x {columns} images of {height}x{width} would have {sides[0]:,} x {sides[1]:,} "
                "pixels, more than a picture should hold; ask for fewer images, or write single files into a folder"
            )
        self.picture = np.full((*sides, self.channels), PAPER, np.uint8)

    def put(self, index: int, image: npt.NDArray[np.uint8]) -> None:
        """Set the image ``[H, W, C]`` of that number, row by row."""
        row, column = divmod(index, self.columns)
        top, left = GAP + row * self.cell[0], GAP + column * self.cell[1]
        self.picture[top : top + image.shape[0], left : left + image.shape[1]] = image[..., : self.channels]


@dataclass(frozen=True)
class Plan:
    """What is to be made and where it goes.

    Attributes:
        seeds: of the images.
        labels: the classes in which each of them is made; empty: without.
        folder: for single files.
        grid: name of the grid's file.
    """

    seeds: Sequence[int]
    labels: tuple[int, ...]
    folder: Path | None
    grid: Path | None

    @property
    def count(self) -> int:
        """How many images."""
        return len(self.seeds) * max(1, len(self.labels))

    @property
    def rows(self) -> int:
        """Rows of the grid: a class each, or about as many as columns."""
        return len(self.labels) or -(-len(self.seeds) // self.columns)

    @property
    def columns(self) -> int:
        """Columns of the grid."""
        return len(self.seeds) if self.labels else math.ceil(math.sqrt(len(self.seeds)))

    def images(self) -> Iterator[tuple[int, int | None]]:
        """Yield seed and label of each image, class by class."""
        yield from ((seed, label) for label in self.labels or (None,) for seed in self.seeds)


def plan_samples(
    sampler: Sampler, output: Path, seeds: Sequence[int], labels: Sequence[int], grid: Path | None, overwrite: bool
) -> Plan:
    """Say what will be written, and refuse what cannot be, before an image is made.

    Args:
        sampler: the model.
        output: a grid's file, by its suffix, or else a folder for single files.
        seeds: of the images.
        labels: the classes in which each is made; empty for models without.
        grid: file of a grid beside single files.
        overwrite: whether files that exist may be replaced.

    Raises:
        UserError: outputs exist or cannot be written, or the grid would be too large.
    """
    if _is_image_name(output):
        if grid is not None:
            raise UserError(
                f"--grid {grid}: {output} is a grid already; leave it out, or give a folder for single files"
            )
        plan = Plan(seeds, tuple(labels), None, output)
    else:
        plan = Plan(seeds, tuple(labels), output, grid)
    if plan.grid is not None:
        if plan.grid.suffix.lower() not in files.WRITABLE or plan.grid.is_dir():
            raise UserError(f"{plan.grid}: a grid's name must be that of an image, such as grid.png")
        Grid(plan.rows, plan.columns, sampler.shape)
        _refuse_file(plan.grid, overwrite)
    if plan.folder is not None:
        _refuse_folder(plan.folder)
        names = _file_namer(sampler)
        there = set(os.listdir(plan.folder)) if plan.folder.is_dir() else set()
        clashing = [name for image in plan.images() if (name := names(*image)) in there] if there else []
        if plan.grid and plan.grid.resolve().parent == plan.folder.resolve() and plan.grid.stem.startswith("seed_"):
            raise UserError(f"--grid {plan.grid}: is named as single files are; choose another name, such as grid.png")
        if clashing and not overwrite:
            raise UserError(
                f"{plan.folder / clashing[0]}: exists already ({len(clashing)} such); add --overwrite, or give another "
                "folder"
            )
    return plan


def write_samples(
    sampler: Sampler, plan: Plan, truncation: float | None = None, progress: Callable[[int, int], None] | None = None
) -> None:
    """Make the images and write them as they come; beside the grid, a few batches at most are in memory.

    Args:
        sampler: the model.
        plan: what is to be made.
        truncation: see `Sampler.sample`.
        progress: told (done, all) as images are finished.

    Raises:
        UserError: a file cannot be written.
    """
    grid = Grid(plan.rows, plan.columns, sampler.shape) if plan.grid else None
    names = _file_namer(sampler)
    done = 0
    with ThreadPoolExecutor(WRITERS, "write") as writers:
        writing: Iterator[None] = iter(())
        images = plan.images()
        while chunk := list(islice(images, CHUNK)):
            labels = [label for _, label in chunk if label is not None]
            pictures = sampler.sample([seed for seed, _ in chunk], labels or None, truncation)
            for _ in writing:  # the chunk before this one is written while this one is made
                pass
            if grid:
                for index, picture in enumerate(pictures, done):
                    grid.put(index, picture)
            if plan.folder:
                paths = [plan.folder / names(*image) for image in chunk]
                writing = writers.map(files.write, paths, pictures)
            done += len(chunk)
            if progress:
                progress(done, plan.count)
        for _ in writing:
            pass
    if grid and plan.grid:
        files.write(plan.grid, grid.picture)


def plan_strip(output: Path, overwrite: bool, animated: bool) -> tuple[Path, Path | None]:
    """Return where a strip goes and the GIF beside it, and refuse what cannot be written.

    Args:
        output: the name of an image; ``.gif`` stands for a GIF with a PNG beside it.
        overwrite: whether files that exist may be replaced.
        animated: whether there is a GIF.

    Raises:
        UserError: the name is no image's, or files exist or cannot be written.
    """
    suffix = output.suffix.lower()
    strip = output.with_suffix(".png") if suffix == ".gif" and animated else output
    if strip.suffix.lower() not in files.WRITABLE or output.is_dir():
        raise UserError(
            f"{output}: give the name of an image, such as {output / 'strip.png' if output.is_dir() else 'strip.png'}"
        )
    gif = output.with_suffix(".gif") if animated else None
    for path in (strip, gif):
        if path is not None:
            _refuse_file(path, overwrite)
    return strip, gif


def write_strip(pictures: Pictures, strip: Path, gif: Path | None = None, *, there_and_back: bool = True) -> None:
    """Write images beside each other, in rows of 20 if there are many, and as a GIF that starts over at its end.

    Args:
        pictures: ``[N, H, W, C]``.
        strip: the strip's file.
        gif: the GIF's file.
        there_and_back: let the GIF return the way it came, so that nothing jumps; otherwise each image stays longer.

    Raises:
        UserError: there are too many images for a picture, or a file cannot be written.
    """
    height, width, channels = pictures.shape[1:]
    columns = min(len(pictures), STRIP_COLUMNS, max(1, MAX_SIDE // (width + GAP) - 1))
    grid = Grid(-(-len(pictures) // columns), columns, (height, width, channels))
    for index, picture in enumerate(pictures):
        grid.put(index, picture)
    files.write(strip, grid.picture)
    if gif is not None:
        shown = pictures[..., 0] if grid.channels == 1 else pictures[..., :3]
        shown = np.concatenate([shown, shown[-2:0:-1]]) if there_and_back else shown
        first, *rest = [Image.fromarray(np.ascontiguousarray(image)) for image in shown]
        encoded = io.BytesIO()
        first.save(encoded, "GIF", save_all=True, append_images=rest, loop=0, duration=100 if there_and_back else 400)
        try:
            files.write_whole(gif, encoded.getvalue())
        except OSError as error:
            raise UserError(f"{gif}: cannot be written ({error.strerror})") from error


def _file_namer(sampler: Sampler) -> Callable[[int, int | None], str]:
    """Return what names the file of a seed and a label."""
    suffix = ".png" if sampler.shape[2] <= 4 else ".tif"
    words = [re.sub(r"[^\w.-]+", "-", name) for name in sampler.classes]
    if len({word.casefold() for word in words}) < len(words):  # would fall together
        words = [str(number) for number in range(len(words))]
    return lambda seed, label: f"seed_{seed:05d}{'' if label is None else f'_{words[label]}'}{suffix}"


def _is_image_name(output: Path) -> bool:
    if output.is_dir() or not output.suffix:
        return False
    if output.suffix.lower() not in files.WRITABLE and not output.exists():
        raise UserError(
            f"{output}: '{output.suffix}' is no format to write; end it in .png, or give a folder that exists"
        )
    return output.suffix.lower() in files.WRITABLE


def _refuse_file(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a file's name")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already; add --overwrite, or give another name")
    _refuse_folder(path.absolute().parent)


def _refuse_folder(folder: Path) -> None:
    standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not standing.is_dir():
        raise UserError(f"{standing}: is a file, so no folder can be made there; give another folder")
    if not os.access(standing, os.W_OK):
        raise UserError(f"{standing}: may not be written to; give another folder")
