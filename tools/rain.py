"""How much rain that is made looks like rain that is given: statistics of both.

    python tools/rain.py PAIRS

PAIRS holds input/ and target/ with the rainy and the clean images of a set such as Rain100L, by the same names. The
clean ones are rained on by `i2i.data.derive.Rain`, and what was added is compared, in the direction of its streaks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from i2i.data import files
from i2i.data.derive import Image, Rain
from i2i.metrics import psnr, ssim
from i2i.seeding import numpy_generator

Layer = npt.NDArray[np.float32]

VISIBLE = 12  # light of a streak whose length and width are measured
DRAWS = 4


def angle_of(layer: Layer) -> float:
    """Return the angle of streaks in degrees from the vertical, from the direction of the strongest gradients."""
    dx, dy = (cv2.Scharr(layer, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    xx, yy, xy = float((dx * dx).mean()), float((dy * dy).mean()), float((dx * dy).mean())
    return float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)))


def upright(layer: Layer) -> Layer:
    """Return the layer turned so that its streaks stand upright, without the corners from beyond its borders."""
    height, width = layer.shape
    angle = angle_of(layer)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    turned = cv2.warpAffine(layer, turn, (width, height), flags=cv2.INTER_CUBIC)
    slope = abs(np.sin(np.radians(angle)))
    rows, columns = (int(np.ceil(side / 2 * slope)) + 2 for side in (width, height))
    return np.asarray(turned[rows : height - rows, columns : width - columns], dtype=np.float32)


def correlation(layer: Layer, down: int, right: int) -> float:
    """Return how alike a layer is to itself so far away, 1 for the same."""
    around = layer - layer.mean()
    here, there = around[: around.shape[0] - down, : around.shape[1] - right], around[down:, right:]
    return float((here * there).mean() / around.var())


def statistics(rainy: Image, clean: Image) -> dict[str, float]:
    """Return what is compared of one image, light in pixel values of 0 to 255 and lengths in pixels."""
    light = (rainy.astype(np.float32) - clean).max(axis=2)
    streaks = upright(light)
    _, _, found, _ = cv2.connectedComponentsWithStats((streaks > VISIBLE).astype(np.uint8), connectivity=8)
    found = found[1:][found[1:, cv2.CC_STAT_AREA] > 3]
    lengths = found[:, cv2.CC_STAT_HEIGHT]
    widths = found[:, cv2.CC_STAT_AREA] / lengths
    return {
        "PSNR": float(psnr(_tensor(rainy), _tensor(clean))),
        "SSIM": float(ssim(_tensor(rainy), _tensor(clean))),
        "angle": abs(angle_of(light)),
        "mean light": float(light.mean()),
        **{f"share of pixels above {least}": float((light > least).mean()) for least in (5, 20, 80)},
        **{f"correlation {far} px along": correlation(streaks, far, 0) for far in (4, 16, 48)},
        **{f"correlation {far} px across": correlation(streaks, 0, far) for far in (1, 2, 4)},
        "pieces on 10,000 px": len(found) / streaks.size * 1e4,
        **{f"length, {share}% are shorter": float(np.percentile(lengths, share)) for share in (50, 90)},
        **{f"width, {share}% are narrower": float(np.percentile(widths, share)) for share in (50, 90)},
    }


def compared(pairs: Path) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Return the statistics of the given rainy images, and of rain on the clean ones, drawn several times."""
    given, made = [], []
    for path in files.list_images(pairs / "input"):
        rainy, clean = (files.to_uint8(files.read(pairs / side / path.name)) for side in ("input", "target"))
        given.append(statistics(rainy, clean))
        for draw in range(DRAWS):
            made.append(statistics(Rain()(clean, numpy_generator("rain", path.name, draw)), clean))
    return given, made


def _tensor(image: Image) -> Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 127.5 - 1


def _summary(rows: Sequence[Mapping[str, float]], name: str) -> str:
    values = [row[name] for row in rows]
    return f"{np.mean(values):8.3f} +- {np.std(values):6.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="the folder of input/ and target/")
    given, made = compared(parser.parse_args().pairs)
    print(f"{'mean and deviation over the images':34} {'given':>18} {'made':>18}")
    for name in given[0]:
        print(f"{name:34} {_summary(given, name)} {_summary(made, name)}")


if __name__ == "__main__":
    main()
