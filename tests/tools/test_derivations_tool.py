from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from i2i.data.derive import DERIVATIONS, Rain


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module


def test_the_picture_shows_every_derivation(tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derivations = tools("tools.derivations")
    monkeypatch.setattr(derivations, "PAIRS", 1)
    monkeypatch.setattr(derivations, "REPEATS", 1)
    target = tmp_path / "derivations.jpg"
    monkeypatch.setattr("sys.argv", ["derivations.py", "--picture", str(target)])
    derivations.main()
    picture = cv2.imread(str(target))
    assert picture is not None
    assert picture.shape[0] > len(derivations.ROWS) * derivations.CELL
    assert {derive.name for derive in derivations.ROWS.values()} == set(DERIVATIONS)


def test_statistics_of_rain_that_is_known(tools: Any) -> None:
    rain = tools("tools.rain")
    clean = np.full((240, 240, 3), 60, np.uint8)
    options = {"angle": (20, 20), "density": (4, 4), "brightness": (0.3, 0.3)}
    narrow, wide = (
        rain.statistics(Rain(width=(width, width), **options)(clean, np.random.default_rng(0)), clean)
        for width in (1.5, 3)
    )
    assert narrow["angle"] == pytest.approx(20, abs=1.5)
    assert narrow["correlation 16 px along"] > 5 * abs(narrow["correlation 4 px across"])
    assert wide["width, 50% are narrower"] > 1.3 * narrow["width, 50% are narrower"]
    assert wide["PSNR"] < narrow["PSNR"] < 40
