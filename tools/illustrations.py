"""Pictures of how training goes, and of what can go wrong, for the documentation.

    python tools/illustrations.py docs/assets --runs runs/illustrations

Trains what is not there yet, some minutes each on a CPU: the preset `demo`, a small pix2pix with transposed
convolutions, the same with resizing, and a conditional GAN. Writes progress.jpg, checkerboard.jpg, statistics.jpg and
coats.jpg.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from i2i.cli import main as i2i
from i2i.data import files
from i2i.inference import load

Picture = npt.NDArray[np.uint8]

SMALL = "--set method.generator.ngf={0} --set method.discriminator.ndf={0} --set train.validate_every={1}"
PAIRS = f"train pix2pix --data edges2cats --image-size 128 {SMALL.format(24, 100)}"
RUNS = {
    "demo": "train demo",
    "transposed": f"{PAIRS} --steps 700",
    "resize": f"{PAIRS} --steps 100 --set method.generator.upsample=resize",
    "coats": f"train cgan --data coats --image-size 32 --batch-size 32 --steps 1000 {SMALL.format(32, 250)} "
    "--set train.ema=0.99",
}
SHOWN = (2, 4)  # rows of a sheet
SIDE, GAP, TOP = 128, 4, 22  # of a sheet's images, between them, and above the first row


def trained(runs: Path, name: str) -> Path:
    """Return the run of that name, which is trained if it is not there."""
    if not (runs / name).exists() and i2i([*RUNS[name].split(), "--run-dir", str(runs / name)]):
        raise SystemExit(f"{name}: could not be trained")
    return runs / name


def cell(sheet: Picture, row: int, column: int) -> Picture:
    """Return one image of a validation sheet."""
    y, x = TOP + row * (SIDE + GAP), GAP + column * (SIDE + GAP)
    return sheet[y : y + SIDE, x : x + SIDE]


def tiled(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Lay images of one size out, with white between them."""
    padded = [
        np.hstack([np.pad(image, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for image in row]) for row in rows
    ]
    return np.vstack(padded)[:-GAP, :-GAP]


def sheet_of(run: Path, step: int) -> Picture:
    """Return the validation sheet of a run after that many steps, RGB [H, W, 3]."""
    return np.asarray(files.read(run / "samples" / f"step_{step:08d}.png"), np.uint8)


def progress(runs: Path) -> Picture:
    """Return drawings, what the demo makes of them after 250, 500 and 1000 steps, and the cats."""
    sheets = [sheet_of(trained(runs, "demo"), step) for step in (250, 500, 1000)]
    rows = [[cell(sheets[0], row, 0), *(cell(sheet, row, 1) for sheet in sheets)] for row in SHOWN]
    return tiled([[*row, cell(sheets[0], number, 2)] for number, row in zip(SHOWN, rows, strict=True)])


def checkerboard(runs: Path) -> Picture:
    """Return drawings and what both generators make of them after 100 steps."""
    sheets = [sheet_of(trained(runs, name), 100) for name in ("transposed", "resize")]
    return tiled([[cell(sheets[0], row, 0), *(cell(sheet, row, 1) for sheet in sheets)] for row in SHOWN])


def statistics(runs: Path) -> Picture:
    """Return drawings and what one generator makes of them with either statistics of batch norm."""
    run = trained(runs, "transposed")
    either = [load(run, statistics=kind) for kind in ("image", "running")]
    drawings = [np.ascontiguousarray(cell(sheet_of(run, 100), row, 0)) for row in SHOWN]
    return tiled([[drawing, *(model.translate(drawing) for model in either)] for drawing in drawings])


def coats(runs: Path) -> Picture:
    """Return cats of a conditional GAN, a row for each coat and a column for each noise, each pixel shown as four."""
    return np.repeat(np.repeat(sheet_of(trained(runs, "coats"), 1000), 2, axis=0), 2, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--runs", type=Path, default=Path("runs/illustrations"), help="where the runs are, or will be")
    arguments = parser.parse_args()
    for make in (progress, checkerboard, statistics, coats):
        picture = cv2.cvtColor(make(arguments.runs), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(arguments.folder / f"{make.__name__}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
