"""How sharp super-resolution is, and how like photos: what PSNR does not see, without weights of other networks.

    python tools/sharpness.py PHOTOS RUN [RUN ...]

For bicubic enlargement and for every run: the deviation of the Laplacian of the outputs as a share of that of the
photos, mean over images, 1 where they are as sharp as photos; and the sliced Wasserstein distance of their patches to
those of the photos, in the corners of 160 pixels, lower where textures and colours are more like theirs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

import i2i
from i2i.data import files, to_model_range
from i2i.data.geometry import resize
from i2i.data.images import to_tensor
from i2i.inference import Translator
from i2i.metrics import sliced_wasserstein

Picture = npt.NDArray[np.uint8]
CORNER = 160


def edges(image: Picture) -> float:
    """Return the standard deviation of an image's Laplacian."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).std())


def corners(images: Sequence[Picture]) -> torch.Tensor:
    return to_model_range(torch.stack([to_tensor(image[:CORNER, :CORNER]) for image in images]))


def line(name: str, enlarge: Callable[[Picture], Picture], photos: Sequence[Picture], factor: int) -> str:
    outputs = [enlarge(resize(photo, photo.shape[0] // factor, photo.shape[1] // factor)) for photo in photos]
    sharpness = np.mean([edges(output) / edges(photo) for output, photo in zip(outputs, photos, strict=True)])
    distance = float(sliced_wasserstein(corners(outputs), corners(photos)))
    return f"{name:40} sharpness {sharpness:.2f}  distance {distance:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of photos of 160 pixels or more")
    parser.add_argument("runs", nargs="+", type=Path, help="of superres-x2 or -x4, of one factor")
    arguments = parser.parse_args()
    models: dict[str, Translator] = {str(run): i2i.load(run) for run in arguments.runs}
    (factor,) = {model.magnification for model in models.values()}
    photos = [files.to_uint8(files.to_channels(files.read(path), 3)) for path in files.list_images(arguments.photos)]
    whole = [photo[: len(photo) // factor * factor, : photo.shape[1] // factor * factor] for photo in photos]
    print(line("bicubic", lambda image: resize(image, factor * len(image), factor * image.shape[1]), whole, factor))
    for name, model in models.items():
        print(line(name, model.translate, whole, factor))


if __name__ == "__main__":
    main()
