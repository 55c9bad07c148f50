"""Contact sheets: rows of images under captions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

Picture = npt.NDArray[np.uint8]

GAP = 4
CAPTION = 22
PAPER, INK = 255, 40
VEIL, THICKNESS = (220, 30, 30), 0.6


def to_pixels(images: Tensor) -> list[Picture]:
    """Return images ``[N, C, H, W]`` in [-1, 1] as uint8 RGB ``[H, W, 3]``.

    Of 2 or 4 channels the last is a mask, and lies over the others as a red veil; of more the first 3 are shown.
    """
    bytes_ = images.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte().cpu().numpy()
    return [_veiled(image.transpose(1, 2, 0)) for image in bytes_]


def _veiled(image: Picture) -> Picture:
    if image.shape[2] not in (2, 4):
        return _as_rgb(image)
    below = _as_rgb(image[..., :-1]).astype(np.float32)
    veiled = below + (np.asarray(VEIL, np.float32) - below) * (image[..., -1:] * np.float32(THICKNESS / 255))
    return veiled.round().astype(np.uint8)


def _as_rgb(image: Picture) -> Picture:
    image = image[..., :3]
    return np.repeat(image[..., :1], 3, axis=2) if image.shape[2] < 3 else np.ascontiguousarray(image)


def contact_sheet(columns: Mapping[str, Sequence[Picture]], blocks: int = 1) -> Picture:
    """Lay images out with one row per example and one captioned column per kind.

    Args:
        columns: by caption, equally many images ``[H, W, C]``, uint8; all are fitted to the largest of the first row.
        blocks: how many rows stand beside each other, so that a sheet of many examples is not a tower.

    Returns:
        The sheet, uint8 RGB ``[H, W, 3]``.
    """
    captions = list(columns)
    rows = list(zip(*columns.values(), strict=True))
    height, width = max((image.shape[:2] for image in rows[0]), key=math.prod)
    cell_h, cell_w = height + GAP, width + GAP
    block_w = cell_w * len(captions) + 2 * GAP
    per_block = -(-len(rows) // blocks)
    sheet = np.full((CAPTION + per_block * cell_h + GAP, block_w * blocks, 3), PAPER, np.uint8)
    for block in range(min(blocks, len(rows))):
        for column, caption in enumerate(captions):
            x = block * block_w + GAP + column * cell_w
            scale = min(0.45, 0.45 * (width - 2) / max(1, cv2.getTextSize(caption, 0, 0.45, 1)[0][0]))
            cv2.putText(sheet, caption, (x + 1, CAPTION - 7), 0, scale, (INK, INK, INK), 1, cv2.LINE_AA)
    for index, row in enumerate(rows):
        block, line = divmod(index, per_block)
        for column, image in enumerate(row):
            x, y = block * block_w + GAP + column * cell_w, CAPTION + line * cell_h
            sheet[y : y + height, x : x + width] = _fit(_as_rgb(image), height, width)
    return sheet


def _fit(image: Picture, height: int, width: int) -> Picture:
    """Scale into the box, centred on paper."""
    if image.shape[:2] == (height, width):
        return image
    scale = min(height / image.shape[0], width / image.shape[1])
    h, w = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    box = np.full((height, width, 3), PAPER, np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST  # small inputs show their pixels
    box[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=how)
    return box
