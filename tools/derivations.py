"""A picture of every derivation on drawn cats, and how long each takes.

    python tools/derivations.py --picture docs/assets/derivations.jpg

A row of the picture is a derivation: two pairs of the photo (B) and the input (A) that is made from it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from i2i.data.cats import draw_cat
from i2i.data.derive import (
    Blur,
    Chain,
    Derivation,
    Downscale,
    Edges,
    Gray,
    Heal,
    Image,
    Jpeg,
    Mask,
    Noise,
    Rain,
    Warp,
)
from i2i.data.sheet import contact_sheet
from i2i.seeding import numpy_generator

ROWS: dict[str, Derivation] = {
    "edges": Edges(),
    "downscale": Downscale(factor=8),
    "rain": Rain(),
    "rain, heavy": Rain(setting="heavy"),
    "mask": Mask(),
    "gray": Gray(),
    "blur": Blur(sigma=(2, 4)),
    "blur, motion": Blur(sigma=(0, 0), motion=(15, 25)),
    "noise": Noise(sigma=(30, 50)),
    "jpeg": Jpeg(quality=(5, 10)),
    "warp": Warp(elastic=(3, 5)),
    "heal": Heal(),
    "chain": Chain(steps=(Blur(), Downscale(factor=2), Noise(sigma=(10, 20)), Jpeg())),
}
SIZE = 256
CELL = 116
PAIRS = 2
LABEL = 92
REPEATS = 20


def cracked(photo: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Return a photo with dark cracks, and the mask of them ``[H, W, 1]``."""
    mask = np.zeros((*photo.shape[:2], 1), np.uint8)
    for _ in range(3):
        points = rng.uniform(0, SIZE, 2) + np.cumsum(rng.normal(rng.normal(0, 4, 2), 4, (40, 2)), axis=0)
        cv2.polylines(mask, [points.astype(np.int32)], False, 255, 2)
    return np.where(mask > 0, np.uint8(20), photo), mask


def pair(name: str, index: int) -> tuple[Image, Image]:
    """Return the photo and the input of a row's pair."""
    rng = numpy_generator("derivations", name, index)
    photo = draw_cat(rng, SIZE)
    derive = ROWS[name]
    photo, mask = cracked(photo, rng) if derive.takes == "pairs" else (photo, None)
    return photo, derive(photo, rng, mask)


def picture() -> Image:
    """Return all rows, each with its name, under captions."""
    columns: dict[str, list[Image]] = {"": [label(name) for name in ROWS]}
    for index in range(PAIRS):
        pairs = [pair(name, index) for name in ROWS]
        columns["photo (B)" + " " * index] = [small(photo) for photo, _ in pairs]
        columns["input (A)" + " " * index] = [small(image) for _, image in pairs]
    return contact_sheet(columns)[:, CELL - LABEL :]


def label(name: str) -> Image:
    """Return a cell with a name."""
    cell = np.full((CELL, CELL, 3), 255, np.uint8)
    for line, word in enumerate(name.split(", ")):
        place = (CELL - LABEL + 6, CELL // 2 + 16 * line)
        cv2.putText(cell, word, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return cell


def small(image: Image) -> Image:
    """Return an image ``[H, W, C]`` as a cell, without its mask."""
    return np.atleast_3d(np.asarray(cv2.resize(image[..., :3], (CELL, CELL), interpolation=cv2.INTER_AREA)))


def milliseconds(derive: Derivation) -> float:
    """Return the processor time of one input of SIZE pixels."""
    rng = numpy_generator("derivations", "time")
    photo, mask = cracked(draw_cat(rng, SIZE), rng)
    given = mask if derive.takes == "pairs" else None
    derive(photo, rng, given)
    began = time.process_time()
    for _ in range(REPEATS):
        derive(photo, rng, given)
    return (time.process_time() - began) / REPEATS * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, help="write a JPEG here")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.picture:
        quality = [cv2.IMWRITE_JPEG_QUALITY, 70]
        cv2.imwrite(str(arguments.picture), cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR), quality)
    for name, derive in ROWS.items():
        print(f"{name:14} {milliseconds(derive):5.1f} ms for {SIZE}x{SIZE} pixels")


if __name__ == "__main__":
    main()
