from __future__ import annotations

import importlib
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from i2i.methods import METHODS


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("tools.scaling")


@pytest.fixture
def charts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("tools.charts")


def test_the_first_step_ends_a_start(
    scaling: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = scaling.draw(tmp_path / "drawn", [scaling.Drawings("", 3, scaling.Cats(size=64))])
    folder = scaling.fill(tmp_path / "five", 5, sorted(drawn.iterdir()))
    assert [path.stat().st_nlink for path in sorted(folder.iterdir())] == [3, 3, 2, 3, 3]  # their own names included
    monkeypatch.setenv("I2I_DATA", str(tmp_path / "cache"))
    monkeypatch.setitem(METHODS, "pix2pix", METHODS["pix2pix"])  # put back afterwards
    with pytest.raises(SystemExit) as end:
        scaling.stop_at_first_step(time.time() - 100, str(folder), str(tmp_path / "run"), "cpu")
    assert not end.value.code
    *_, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    assert 100 < found["seconds"] < 1000
    assert found["cpu_seconds"] > 0
    assert found["peak_megabytes"] > 100
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_step_is_timed_per_image(scaling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling.Bench, "seconds", lambda self: 0.5)
    assert scaling.images_per_second(torch.device("cpu"), 64, 4, rounds=2) == 8


def test_ticks_are_round_and_reach_around(charts: Any) -> None:
    assert charts.ticks(3, 70) == [2, 5, 10, 20, 50, 100]
    assert charts.ticks(0.1, 2) == [0.1, 0.2, 0.5, 1, 2]
    assert charts.ticks(1_000, 100_000) == [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000]
    assert charts.ticks(1, 5e6) == [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7]
    assert charts.ticks(5, 5) == [5]


def test_equal_ratios_are_equally_far_apart(charts: Any) -> None:
    line = charts.Line("a < b", [(1, 100), (10, 10), (100, 1)])
    image = ElementTree.fromstring(charts.chart([charts.Panel("t", "x", "y", [line])] * 2))
    assert image.attrib["width"] == str(2 * charts.WIDTH)
    space = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in image.iter(f"{space}text")].count("a < b") == 2
    drawn = next(image.iter(f"{space}polyline")).attrib["points"]
    points = [tuple(map(float, point.split(","))) for point in drawn.split()]
    (x1, y1), (x2, y2) = ((b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points))
    assert x1 == pytest.approx(x2, abs=0.11)
    assert y1 == pytest.approx(y2, abs=0.11)
    assert x1 > 100
    assert y1 > 50  # down the page
