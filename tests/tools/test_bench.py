from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.methods import Pix2PixConfig
from i2i.nn import PixelGANConfig, UNetConfig

SMALL = Pix2PixConfig(generator=UNetConfig(depth=2, ngf=2, norm="none"), discriminator=PixelGANConfig(ndf=2))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    module = importlib.import_module("tools.bench")
    monkeypatch.setattr(module, "CONFIGS", {"pix2pix": SMALL})
    return module


def test_steps_are_measured_against_the_plain_loop(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "peak_megabytes", lambda *_: 7.0)
    target = tmp_path / "bench.json"
    words = ["bench.py", "--batch", "1", "3", "--size", "32", "--rounds", "2", "--device", "cpu", "--json", str(target)]
    monkeypatch.setattr("sys.argv", words)
    bench.main()
    found = json.loads(target.read_text())
    assert [result["step"][-7:] for result in found["results"]] == ["batch 1", "batch 3"]
    for result in found["results"]:
        rows = {row["variant"]: row for row in result["rows"]}
        assert list(rows) == ["plain", "fp32", "bf16 alone", "auto"]
        assert rows["plain"]["speed_up"] == 1.0
        assert all(row["milliseconds"] > 0 and row["peak_megabytes"] == 7 for row in rows.values())


def test_the_work_of_a_step_by_hand(bench: Any) -> None:
    """The U-Net's and the discriminator's convolutions at 32 px, twice that for a backward through all of them."""
    unet = [(3 * 2, 16), (2 * 4, 8), (4 * 2, 8), (4 * 3, 16)]  # channels and the side of the smaller map; 16 taps each
    forward_g = sum(2 * 16 * channels * side**2 for channels, side in unet)
    backward_g = 2 * forward_g - 2 * 16 * unet[0][0] * unet[0][1] ** 2  # the input needs no gradient
    layers = [6 * 2, 2 * 4, 4 * 1]  # of D, 1x1 at all 32 by 32 places
    forward_d = sum(2 * 32**2 * channels for channels in layers)
    to_weights, to_input = forward_d, forward_d
    backward_d = to_weights + to_input - 2 * 32**2 * layers[0]
    step = forward_g + 2 * (forward_d + backward_d) + forward_d + to_input + backward_g
    made = bench.Bench(SMALL, bench.PLAIN, torch.device("cpu"), 32, 1)
    assert made.work() == step


def test_whole_trainings_report_themselves(
    bench: Any, photos: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    words = ["bench.py", "--data", str(photos(8)), "--size", "32", "--rounds", "1", "--steps", "4", "--device", "cpu"]
    small = ["method.generator.depth=2", "method.generator.ngf=2", "method.discriminator.layers=1", "data.workers=0"]
    settings = [word for text in ("data.derive.name=edges", "data.val_share=0.25", *small) for word in ("--set", text)]
    monkeypatch.setattr("sys.argv", [*words, *settings, "--variants", "plain", "auto"])
    bench.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["plain", "auto"]
    assert rows[0][2] == "1.0"
    assert all(float(row[1]) > 0 and 0 <= float(row[3]) < 1 for row in rows)
