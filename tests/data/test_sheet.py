"""Where the images of a contact sheet stand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.data.sheet import CAPTION, GAP, contact_sheet, to_pixels


def flat(value: int, size: int = 20) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((size, size, 3), value, np.uint8)


@pytest.mark.parametrize("blocks", [1, 2])
def test_every_image_stands_in_its_row_and_column(blocks: int) -> None:
    columns = {"input": [flat(10 + n) for n in range(4)], "output": [flat(60 + n) for n in range(4)]}
    sheet = contact_sheet(columns, blocks)
    rows, cell = 4 // blocks, 20 + GAP
    assert sheet.shape == (CAPTION + rows * cell + GAP, blocks * (2 * cell + 2 * GAP), 3)
    for n in range(4):
        block, row = divmod(n, rows)
        y, x = CAPTION + row * cell + 10, block * (2 * cell + 2 * GAP) + GAP + 10
        assert sheet[y, x].tolist() == [10 + n] * 3
        assert sheet[y, x + cell].tolist() == [60 + n] * 3
    assert (sheet[:CAPTION] < 128).any()  # the captions


def test_images_of_other_shapes_and_channels_are_fitted() -> None:
    grey_wide = np.full((10, 40, 1), 77, np.uint8)
    sheet = contact_sheet({"a": [flat(0)], "b": [grey_wide]})
    cell = sheet[CAPTION : CAPTION + 20, 2 * GAP + 20 : 2 * GAP + 40]
    assert (cell[8:12, 1:-1] == 77).all()  # 20 wide and 5 high, in the middle
    assert (cell[:6] == 255).all()
    bands = np.arange(13, dtype=np.uint8) * 10 + np.zeros((20, 20, 1), np.uint8)
    assert contact_sheet({"a": [bands]})[CAPTION + 10, GAP + 10].tolist() == [0, 10, 20]


def test_small_inputs_show_their_pixels_at_the_size_of_their_targets() -> None:
    small = np.zeros((5, 5, 3), np.uint8)
    small[2, 3] = 200
    sheet = contact_sheet({"input": [small], "target": [flat(0)]})
    cell = sheet[CAPTION : CAPTION + 20, GAP : GAP + 20]
    assert set(np.unique(cell)) == {0, 200}
    assert np.argwhere(cell[..., 0] == 200).tolist() == [
        [row, column] for row in range(8, 12) for column in range(12, 16)
    ]


def test_pixels_by_hand() -> None:
    image = torch.tensor([-1.0, 0.0, 1.0, 3.0]).reshape(1, 1, 2, 2)
    assert to_pixels(image)[0][..., 0].tolist() == [[0, 128], [255, 255]]
    assert to_pixels(torch.zeros(2, 5, 4, 4))[1].shape == (4, 4, 3)
