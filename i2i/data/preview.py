"""A sheet of what the networks will see."""

from __future__ import annotations

import numpy as np
import torch

from i2i.data.images import ImageSet, to_model_range
from i2i.data.opened import Data
from i2i.data.sheet import Picture, contact_sheet, to_pixels


def preview_sheet(data: Data, rows: int) -> Picture:
    """Return a sheet of training pairs in two epochs (so that the augmentation shows) and of validation pairs.

    Args:
        data: opened data.
        rows: most examples of each split.
    """
    train = data.splits["train"]
    columns: dict[str, list[Picture]] = {}
    chosen = np.linspace(0, len(train) - 1, min(rows, len(train))).round().astype(int).tolist()
    for epoch in (0, 1):
        columns |= _columns(train, chosen, epoch, f"train, epoch {epoch + 1}")
    if "val" in data.splits:
        val = data.splits["val"]
        columns |= _columns(val, [index % len(val) for index in range(len(chosen))], 0, "val")
    return contact_sheet(columns, blocks=max(1, len(chosen) // 6))


def _columns(images: ImageSet, indices: list[int], epoch: int, title: str) -> dict[str, list[Picture]]:
    items = [images[index, epoch] for index in indices]
    return {
        f"{title}: {caption}": to_pixels(to_model_range(torch.stack([item[side] for item in items])))
        for side, caption in (("a", "input"), ("b", "target"))
    }
