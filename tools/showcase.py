"""What runs that restore photos make of photos that may be shown: those of scikit-image in the public domain.

    python tools/showcase.py docs/assets/restored.jpg runs/superres runs/derain

One row per run and photo: what the photo was made, what the run makes of it, and the photo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data as photos

import i2i
from i2i.data.sheet import contact_sheet
from i2i.seeding import numpy_generator

Picture = npt.NDArray[np.uint8]
SIDE = 224
# NASA's astronaut is in the public domain, Chelsea the cat is CC0; the corner of the part that is shown
SHOWN = {"astronaut": (10, 110), "chelsea": (30, 100)}


def photo(name: str) -> Picture:
    """Return a square of a photo, uint8 RGB."""
    top, left = SHOWN[name]
    part: Picture = getattr(photos, name)()[top : top + SIDE, left : left + SIDE]
    return np.ascontiguousarray(part)


def row(run: Path, name: str) -> dict[str, Picture]:
    """Return what a run makes of a photo, by caption."""
    model = i2i.load(run)
    target = photo(name)
    derive = model.data.derive
    assert derive is not None, f"{run} does not learn from photos alone"
    degraded = derive.degraded(target, numpy_generator(0, "showcase", name))
    return {"input": degraded, "output": model.translate(degraded), "photo": target}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="where to write the sheet")
    parser.add_argument("runs", nargs="+", type=Path)
    arguments = parser.parse_args()
    rows = [row(run, name) for run in arguments.runs for name in SHOWN]
    sheet = contact_sheet({caption: [images[caption] for images in rows] for caption in rows[0]}, blocks=len(SHOWN))
    cv2.imwrite(str(arguments.picture), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
