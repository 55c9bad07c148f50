"""Named data sets and folders: from what stands behind `--data` to a folder of files.

A recipe (``datasets/NAME.yaml``, see `i2i.data.recipes`) gives a data set its name and says where its files come from
and how they are read. They lie in the user's data folder (`i2i.data.places`): drawn or downloaded there at first use,
or prepared there from the user's own photos.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from i2i.config import Layer, read_yaml, resolve
from i2i.data import drawn
from i2i.data.idx import find_idx_alone, side_of
from i2i.data.places import DOWNLOADED, data_root, new_folder
from i2i.data.recipes import Recipe
from i2i.data.reports import Say, Show, unheard, unseen
from i2i.errors import UserError
from i2i.resources import find_yaml, resource_names

PREPARED = "prepared.yaml"


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

    def folder(self, show: Show = unseen, say: Say = unheard) -> Path:
        """Return the folder of the files; a built-in sample is drawn there the first time, another downloaded.

        The user's own photos come before downloaded ones, and those before drawings.

        Args:
            show: shows how drawing or downloading goes on.
            say: takes lines for the user before and during a download.

        Raises:
            UserError: the data set's files are not on this machine and cannot be brought there.
        """
        if here := self.path or self.prepared or self.downloaded:
            return here
        assert self.recipe is not None
        if self.recipe.builtin is None:
            return self.download(show, say)
        with show("drawing") as progress:
            folder = data_root() / self.name / f"drawn-v{drawn.VERSION}"
            return drawn.draw(folder, drawn.BUILTIN[self.recipe.builtin], progress)

    def download(self, show: Show = unseen, say: Say = unheard) -> Path:
        """Return the folder of the downloaded files, which are fetched unless they are here.

        Raises:
            UserError: there are none to download, or they cannot be had.
        """
        from i2i.data.fetching import download  # what speaks HTTP takes its time to import

        recipe, folder = self.recipe, data_root() / self.name
        if recipe is None:
            raise UserError(f"{self.given}: is a folder; give the name of a data set (see: i2i data list)")
        if self.downloaded:
            return self.downloaded
        if not (recipe.archives or recipe.torchvision):
            raise UserError(f"{self.name}: is drawn on this machine at first use; there is nothing to download")
        if Path(self.name).is_dir():
            say(f"data: note: the folder {self.name} here is another one; for that, say --data ./{self.name}")
        what = f"{self.name}, {recipe.size} from {recipe.host}," if recipe.archives else self.name
        say(f"data: downloading {what} to {folder}")
        if recipe.terms:
            say(f"data: terms of {self.name}: {recipe.terms}")
        if recipe.torchvision:
            return _from_torchvision(self.name, recipe)
        for archive in recipe.archives:
            if archive.checksum is None:
                say(f"data: note: no checksum of {archive.name} is known, so that another file would not be noticed")
        return download(recipe.archives, folder, show, say)

    @property
    def downloaded(self) -> Path | None:
        """The folder of the downloaded files, if they are here."""
        folder = data_root() / self.name
        if self.recipe and self.recipe.torchvision:
            return None if _missing(folder, self.recipe.files) else folder
        return folder / DOWNLOADED if self.recipe and (folder / DOWNLOADED).is_dir() else None

    def describe(self) -> str:
        """Say which files are used."""
        if self.path is not None:
            return f"{self.name}: {self.path}"
        if self.prepared is not None:
            return f"{self.name}: your own photos, prepared in {self.prepared}"
        if self.downloaded is not None:
            return f"{self.name}: files in {self.downloaded}"
        assert self.recipe is not None
        if self.recipe.builtin is None:
            return f"{self.name}: not here yet, {f'{self.recipe.size} ' if self.recipe.archives else ''}to download"
        instead = []
        if self.recipe.archives:
            instead.append(f"download photos, {self.recipe.size}, with: i2i data download {self.name}")
        if self.takes_photos:
            instead.append(f"use your own with: i2i data prepare {self.name} --photos DIR")
        return f"{self.name}: drawn by a seeded generator" + (f" ({'; '.join(instead)})" if instead else "")

    @property
    def takes_photos(self) -> bool:
        """Whether photos of the user's own can take the place of its drawings."""
        recipe = self.recipe
        return recipe is not None and recipe.builtin is not None and recipe.data.get("layout") == "photos"


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


def _from_torchvision(name: str, recipe: Recipe) -> Path:
    """Let torchvision download a data set's files, and return the folder in which they then lie somewhere.

    Raises:
        UserError: they could not be downloaded, or are not what they should be.
    """
    from torchvision import datasets  # type: ignore[import-untyped]

    folder = data_root() / name
    by_hand = f"or put {', '.join(_missing(folder, recipe.files))} into {folder} by hand"
    try:
        with new_folder(folder / DOWNLOADED, replace=True) as new:
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
