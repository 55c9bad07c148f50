"""Named data sets and folders: from what stands behind `--data` to a folder of files.

A recipe (``datasets/NAME.yaml``) gives a data set its name and says how it is read. Its files lie in the user's data
folder (`i2i.data.places`): drawn there at first use, or prepared there from the user's own photos.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from i2i.config import Config, Layer, read_yaml, resolve
from i2i.data import files
from i2i.data.idx import find_idx_alone, side_of
from i2i.data.places import data_root
from i2i.errors import UserError
from i2i.resources import find_yaml, resource_names
from i2i.seeding import numpy_generator

Progress = Callable[[int, int], None]

DRAWN_VERSION = 1  # part of the folder's name: raised when the drawings change
DRAWN_SIZE = 286
DRAWN_SEED = 2017
PREPARED = "prepared.yaml"


@dataclass(frozen=True)
class Drawings:
    """A folder of drawn cats: how many, in which coat if not in any, and how large if not `DRAWN_SIZE`."""

    folder: str
    count: int
    coat: str | None = None
    size: int | None = None


BUILTIN: dict[str, tuple[Drawings, ...]] = {
    "cats": (Drawings("train", 800), Drawings("val", 50), Drawings("test", 50)),
    "coats": tuple(
        Drawings(f"{split}/{coat.replace(' ', '-')}", count, coat, 64)
        for split, count in (("train", 250), ("val", 20), ("test", 30))
        for coat in ("black", "blue", "calico", "ginger tabby", "white")
    ),
    "two coats": tuple(
        Drawings(f"{split}{side}", count, coat)
        for split, count in (("train", 300), ("val", 20), ("test", 30))
        for side, coat in (("A", "ginger tabby"), ("B", "silver tabby"))
    ),
}


class Recipe(Config):
    """A named data set: what it is, and the `data` options that fit it.

    Attributes:
        title: its name in words.
        about: what it holds and where it comes from.
        builtin: the generator that draws it, where it needs no files.
        torchvision: the class of torchvision.datasets that downloads it, where it has to be.
        files: names of the files or folders that must then be there, packed by gzip or not.
        data: options laid under the user's own.
    """

    title: str
    about: str
    builtin: Literal["cats", "two coats", "coats"] | None = None
    torchvision: str | None = None
    files: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What `--data` named.

    Attributes:
        name: a short name for run folders and messages.
        given: the text that finds it again: a recipe's name or an absolute path.
        layers: options that come with it.
        recipe: the recipe, if it has one.
        prepared: the folder that `i2i data prepare` filled, if it has.
        path: the user's folder, if it is one.
    """

    name: str
    given: str
    layers: tuple[Layer, ...] = ()
    recipe: Recipe | None = None
    prepared: Path | None = None
    path: Path | None = None

    def folder(self, progress: Progress | None = None, say: Callable[[str], None] | None = None) -> Path:
        """Return the folder of the files; a built-in sample is drawn there the first time, another downloaded.

        Args:
            progress: told how many images are drawn.
            say: takes a line for the user before a download.

        Raises:
            UserError: the data set's files are not on this machine and cannot be brought there.
        """
        folder = self.path or self.prepared
        if folder is not None:
            return folder
        assert self.recipe is not None
        if self.recipe.torchvision is not None:
            return download(self.name, self.recipe, say)
        if self.recipe.builtin is None:
            raise UserError(
                f"{self.name}: its files are not here; give them with: i2i data prepare {self.name} --photos DIR"
            )
        folder = data_root() / self.name / f"drawn-v{DRAWN_VERSION}"
        return draw_cats(folder, BUILTIN[self.recipe.builtin], progress)

    def describe(self) -> str:
        """Say which files are used."""
        if self.path is not None:
            return f"{self.name}: {self.path}"
        if self.prepared is not None:
            return f"{self.name}: your own photos, prepared in {self.prepared}"
        if self.recipe is not None and self.recipe.torchvision is not None:
            folder = data_root() / self.name
            here = not _missing(folder, self.recipe.files)
            return f"{self.name}: files in {folder}" if here else f"{self.name}: not here yet; downloaded at first use"
        return f"{self.name}: drawn cats made by a seeded generator" + (
            f" (use your own photos with: i2i data prepare {self.name} --photos DIR)" if self.takes_photos else ""
        )

    @property
    def takes_photos(self) -> bool:
        """Whether photos of the user's own can take the place of its files."""
        recipe = self.recipe
        return recipe is not None and recipe.torchvision is None and recipe.data.get("layout") == "photos"


def find_source(given: str, *, recipe_alone: bool = False, flag: str = "--data") -> Source:
    """Return the data set or folder that `given` names; a bare word is a data set first.

    Args:
        given: a data set's name or a folder's path.
        recipe_alone: leave out what was prepared of it before.
        flag: what the user typed it behind, for the error's words.

    Raises:
        UserError: there is neither.
    """
    if not given:
        raise UserError("no data was named; add --data NAME (see: i2i data list) or --data PATH")
    path = Path(given).expanduser()
    bare = path.name == given and "\\" not in given
    if bare and given in resource_names("datasets"):
        layer = read_yaml(find_yaml(given, "datasets", "data set"))
        recipe = resolve(Recipe, [layer])
        layers = [Layer(layer.origin, {"data": recipe.data})]
        prepared = data_root() / given / "photos"
        if recipe_alone or not (prepared / PREPARED).is_file():
            return Source(given, given, tuple(layers), recipe)
        return Source(given, given, (*layers, read_yaml(prepared / PREPARED)), recipe, prepared)
    if not path.is_dir():
        if bare:  # the error of an unknown name offers the nearest one
            find_yaml(given, "datasets", "data set")
        what = "is a file; give the folder that holds it" if path.is_file() else "there is no such folder"
        raise UserError(f"{flag} {given}: {what}")
    absolute = path.resolve()
    layers = [read_yaml(absolute / PREPARED)] if (absolute / PREPARED).is_file() else []
    if (idx := find_idx_alone(absolute)) and (side := side_of(idx)):
        # A mirrored digit is another sign, and enlarged ones show nothing more.
        layers.append(Layer(str(absolute), {"data": {"image_size": side, "flip": False}}))
    return Source(absolute.name, str(absolute), tuple(layers), path=absolute)


@contextmanager
def new_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder` when the block ends, and vanishes if it fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # temporary folders are their maker's alone
        if replace and folder.is_dir():
            shutil.rmtree(folder)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            shutil.rmtree(temporary)  # another process has made it meanwhile
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def draw_cats(folder: Path, parts: Sequence[Drawings], progress: Progress | None = None) -> Path:
    """Fill `folder` with drawn cats, unless it is there already: always the same ones."""
    if folder.is_dir():
        return folder
    from i2i.data.cats import draw_cat

    places = [(part, index) for part in parts for index in range(part.count)]
    with new_folder(folder) as new:

        def draw(place: tuple[Drawings, int]) -> None:
            part, index = place
            image = draw_cat(numpy_generator(DRAWN_SEED, part.folder, index), part.size or DRAWN_SIZE, part.coat)
            files.write(new / part.folder / f"cat-{index:04d}.jpg", image)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(draw, places), start=1):
                if progress:
                    progress(done, len(places))
    return folder


def download(name: str, recipe: Recipe, say: Callable[[str], None] | None = None) -> Path:
    """Return a data set's folder, into which torchvision downloads its files unless they lie there already.

    Raises:
        UserError: they could not be downloaded, or are not what they should be.
    """
    folder = data_root() / name
    missing = _missing(folder, recipe.files)
    if not missing:
        return folder
    if say:
        say(f"data: downloading {name} to {folder}")
    from torchvision import datasets  # type: ignore[import-untyped]

    by_hand = f"or put {', '.join(missing)} into {folder} by hand"
    try:
        with new_folder(folder / "downloaded", replace=True) as new:
            getattr(datasets, str(recipe.torchvision))(root=str(new), download=True)
    except Exception as error:  # of the network, of a library it takes, of a mirror that has changed: all kinds
        reason = shorten(" ".join(str(error).split()), 160) or type(error).__name__
        raise UserError(f"{name}: could not be downloaded ({reason}); try again with a network, {by_hand}") from error
    if lacking := _missing(folder, recipe.files):
        raise UserError(f"{name}: what was downloaded lacks {', '.join(lacking)}; {by_hand.removeprefix('or ')}")
    return folder


def _missing(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the names, of files or folders, that are nowhere below a folder, packed by gzip or not."""
    missing = list(names)
    for _, folders, entries in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        there = {entry.removesuffix(".gz") for entry in (*folders, *entries)}
        missing = [name for name in missing if name.removesuffix(".gz") not in there]
        if not missing:  # before the folder of many images is gone through
            break
    return missing
