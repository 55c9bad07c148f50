from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from i2i.losses import GAN_LOSSES


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("tools.modes")


def test_mixtures_keep_the_papers_proportions(modes: Any) -> None:
    ring, grid = modes.MIXTURES["ring"], modes.MIXTURES["grid"]
    assert ring.centers.shape == (8, 2)
    assert grid.centers.shape == (25, 2)
    torch.testing.assert_close(ring.centers.norm(dim=1), torch.full((8,), ring.std * 2 / 0.02))
    assert torch.pdist(grid.centers).min().item() == pytest.approx(grid.std * 2 / 0.05)
    for mixture in (ring, grid):
        assert mixture.draw(1000).abs().max() < 1


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_mixture_itself_covers_all(modes: Any, name: str) -> None:
    mixture = modes.MIXTURES[name]
    torch.manual_seed(0)
    found = modes.measured(mixture.draw(modes.SAMPLES), mixture)
    assert found["covered"] == found["near"] == len(mixture.centers)
    assert found["good"] == pytest.approx(1 - torch.tensor(-4.5).exp().item(), abs=0.01)  # of 3 deviations in a plane


def test_collapse_and_blur_are_told_apart(modes: Any) -> None:
    ring = modes.MIXTURES["ring"]
    collapsed = ring.centers[:2].repeat(1250, 1)
    collapsed[:20] = ring.centers[5]  # a few strays cover nothing
    assert modes.measured(collapsed, ring) == {"covered": 2, "near": 2, "good": 1.0}
    torch.manual_seed(0)
    blurred = ring.centers.repeat(313, 1) + 0.2 * torch.randn(2504, 2)
    found = modes.measured(blurred, ring)
    assert found["covered"] == 0
    assert found["near"] == 8
    assert found["good"] < 0.02


def test_every_loss_has_a_row(modes: Any) -> None:
    assert {entry.config().gan_loss for entry in modes.ENTRIES} == set(GAN_LOSSES)
    assert len({entry.name for entry in modes.ENTRIES}) == len(modes.ENTRIES)


def test_every_row_can_be_trained(modes: Any) -> None:
    for entry in modes.ENTRIES:
        samples, seconds = modes.train(entry, modes.MIXTURES["ring"], seed=0, steps=2)
        assert samples.shape == (modes.SAMPLES, 2)
        assert samples.isfinite().all()
        assert seconds >= 0


def test_runs_are_repeatable(modes: Any) -> None:
    entry, mixture = modes.ENTRIES[0], modes.MIXTURES["ring"]
    first, second = (modes.train(entry, mixture, seed=3, steps=3)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, modes.train(entry, mixture, seed=4, steps=3)[0])


def test_writes_table_and_picture(
    modes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, picture = tmp_path / "modes.json", tmp_path / "modes.png"
    words = ["--only", "nonsaturating", "wgan-gp", "--steps", "2", "--seeds", "2"]
    monkeypatch.setattr("sys.argv", ["modes.py", *words, "--json", str(table), "--picture", str(picture)])
    modes.main()
    result = json.loads(table.read_text(encoding="utf-8"))
    named = [(row["mixture"], row["entry"], len(row["runs"])) for row in result["rows"]]
    assert named == [("ring", "nonsaturating", 2), ("ring", "wgan-gp", 2), ("grid", "nonsaturating", 1)]
    assert result["rows"][1]["settings"] == "d_steps 5, lambda_penalty 0.1, betas 0.5 and 0.9"
    assert {"command", "device", "torch", "common", "steps"} <= set(result)
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.shape == (198, 3 * 180, 3)
    assert "ring  wgan-gp" in capsys.readouterr().out
