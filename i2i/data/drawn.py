"""Built-in samples, which need no network: folders of images drawn by seeded generators, the same ones everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from i2i.data import files
from i2i.data.places import new_folder
from i2i.data.reports import Progress
from i2i.machine import count_cores
from i2i.seeding import numpy_generator

VERSION = 1  # part of a folder's name: raised when the drawings change
SEED = 2017

Painter = Callable[[np.random.Generator], Mapping[str, files.Pixels]]
"""Draws what a generator decides: images by the names of their files, in which ``{}`` stands for their number."""


@dataclass(frozen=True)
class Cats:
    """Drawn cats.

    Attributes:
        coat: what coat they wear; None: any.
        size: side of the pictures.
    """

    coat: str | None = None
    size: int = 286

    def __call__(self, rng: np.random.Generator) -> Mapping[str, files.Pixels]:
        """Draw one."""
        from i2i.data.cats import draw_cat

        return {"cat-{}.jpg": draw_cat(rng, self.size, self.coat)}


@dataclass(frozen=True)
class Roads:
    """Drawn photos of cracked roads and walls, masks of the cracks, and the same photos without them.

    Attributes:
        size: side of the pictures.
    """

    size: int = 256

    def __call__(self, rng: np.random.Generator) -> Mapping[str, files.Pixels]:
        """Draw one, thrice."""
        from i2i.data.cracks import draw_road

        road = draw_road(rng, self.size)
        return {"image/road-{}.jpg": road.image, "mask/road-{}.png": road.mask, "clean/road-{}.jpg": road.clean}


@dataclass(frozen=True)
class Drawings:
    """A folder of drawings: how many, and who draws them."""

    folder: str
    count: int
    painter: Painter


BUILTIN: dict[str, tuple[Drawings, ...]] = {
    "cats": tuple(Drawings(split, count, Cats()) for split, count in (("train", 800), ("val", 50), ("test", 50))),
    "coats": tuple(
        Drawings(f"{split}/{coat.replace(' ', '-')}", count, Cats(coat, 64))
        for split, count in (("train", 250), ("val", 20), ("test", 30))
        for coat in ("black", "blue", "calico", "ginger tabby", "white")
    ),
    "two coats": tuple(
        Drawings(f"{split}{side}", count, Cats(coat))
        for split, count in (("train", 300), ("val", 20), ("test", 30))
        for side, coat in (("A", "ginger tabby"), ("B", "silver tabby"))
    ),
    "cracks": tuple(Drawings(split, count, Roads()) for split, count in (("train", 300), ("val", 30), ("test", 30))),
}


def draw(folder: Path, parts: Sequence[Drawings], progress: Progress = lambda done, total: None) -> Path:
    """Fill `folder` with drawings, unless it is there already: always the same ones."""
    if folder.is_dir():
        return folder
    places = [(part, index) for part in parts for index in range(part.count)]
    with new_folder(folder) as new:

        def paint(place: tuple[Drawings, int]) -> None:
            part, index = place
            for name, image in part.painter(numpy_generator(SEED, part.folder, index)).items():
                files.write(new / part.folder / name.format(f"{index:04d}"), image)

        with ThreadPoolExecutor(count_cores()) as pool:
            for done, _ in enumerate(pool.map(paint, places), start=1):
                progress(done, len(places))
    return folder
