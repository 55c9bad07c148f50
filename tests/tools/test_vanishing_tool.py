from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import cv2
import pytest


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("tools.vanishing")


def test_writes_norms_and_picture(vanishing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, picture = tmp_path / "vanishing.json", tmp_path / "vanishing.png"
    words = ["--steps", "20", "--every", "10", "--images", "8"]
    monkeypatch.setattr("sys.argv", ["vanishing.py", *words, "--json", str(table), "--picture", str(picture)])
    vanishing.main()
    rows = json.loads(table.read_text(encoding="utf-8"))["rows"]
    assert [row["step"] for row in rows] == [0, 10, 20]
    assert rows[-1]["d_accuracy"] == 1
    assert rows[-1]["minimax"] < 0.3 * rows[0]["minimax"]
    assert rows[-1]["nonsaturating"] > rows[0]["nonsaturating"]
    assert cv2.imread(str(picture)) is not None
