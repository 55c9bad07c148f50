"""A sheet of what the networks will see."""

from __future__ import annotations

import numpy as np
import torch

from i2i.data.images import ImageSet, to_model_range
from i2i.data.opened import Data
from i2i.data.sheet import Picture, contact_sheet, to_pixels
from i2i.data.singles import SingleImages

MOST_CLASSES = 12
LEGIBLE = 64  # pixels that a column needs for its caption


def preview_sheet(data: Data, rows: int) -> Picture:
    """Return a sheet of training images in two epochs (so that the augmentation shows) and of validation images.

    Images that have classes stand in one column for each class, as they are trained on.

    Args:
        data: opened data.
        rows: most examples of each split, or of each class.
    """
    train = data.splits["train"]
    if data.classes and isinstance(train, SingleImages):
        return contact_sheet(_by_class(train, data.classes[:MOST_CLASSES], rows))
    columns: dict[str, list[Picture]] = {}
    chosen = np.linspace(0, len(train) - 1, min(rows, len(train))).round().astype(int).tolist()
    for epoch in (0, 1):
        columns |= _columns(train, chosen, epoch, f"train, epoch {epoch + 1}")
    if "val" in data.splits:
        val = data.splits["val"]
        columns |= _columns(val, [index % len(val) for index in range(len(chosen))], 0, "val")
    return contact_sheet(columns, blocks=max(1, len(chosen) // 6))


def _columns(images: ImageSet, indices: list[int], epoch: int, title: str) -> dict[str, list[Picture]]:
    return {
        f"{title}: {caption}" if caption else title: _pictures(images, indices, epoch, domain)
        for domain, caption in images.captions.items()
    }


def _by_class(images: SingleImages, classes: tuple[str, ...], rows: int) -> dict[str, list[Picture]]:
    """Return images of each class that has any, those of a small class more than once."""
    members: dict[str, list[int]] = {name: [] for name in classes}
    for index, example in enumerate(images.examples):
        if example.label is not None and example.label < len(classes):
            members[classes[example.label]].append(index)
    rows = min(rows, max(map(len, members.values())))
    return {
        name: _pictures(images, [held[row % len(held)] for row in range(rows)], 0, "image")
        for name, held in members.items()
        if held
    }


def _pictures(images: ImageSet, indices: list[int], epoch: int, domain: str) -> list[Picture]:
    pictures = to_pixels(to_model_range(torch.stack([images[index, epoch][domain] for index in indices])))
    factor = -(-LEGIBLE // pictures[0].shape[1]) if domain == "image" else 1
    return [picture.repeat(factor, axis=0).repeat(factor, axis=1) for picture in pictures]
