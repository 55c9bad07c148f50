from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from i2i.data.sheet import contact_sheet


@pytest.fixture
def illustrations(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("tools.illustrations")


def test_images_are_found_on_a_sheet(illustrations: Any) -> None:
    side = illustrations.SIDE
    columns = {
        name: [np.full((side, side, 3), 40 * row + place, np.uint8) for row in range(3)]
        for place, name in enumerate(("input", "output", "target"))
    }
    sheet = contact_sheet(columns)
    for place, images in enumerate(columns.values()):
        for row, image in enumerate(images):
            np.testing.assert_array_equal(illustrations.cell(sheet, row, place), image)


def test_tiles_stand_apart(illustrations: Any) -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    tiled = illustrations.tiled([[black, black], [black, black]])
    gap = illustrations.GAP
    assert tiled.shape == (8 + gap, 8 + gap, 3)
    assert (tiled == 0).all(axis=2).sum() == 4 * 16
