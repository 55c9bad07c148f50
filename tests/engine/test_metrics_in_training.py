"""Metrics of the validation images, and the best checkpoint by any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import i2i
from i2i.data.opened import find_folder
from i2i.data.pairs import PairedImages
from i2i.data.sources import find_source
from i2i.engine.fit import Outcome
from i2i.errors import UserError


def validations(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "metric/psnr" in row]


def test_the_best_is_the_best_by_the_metric_that_was_named(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    settings = ("train.metrics=[psnr,l1]", "train.best=metric/psnr", "train.steps=6", "train.keep=1")
    outcome = tiny("run", *settings)
    rows = validations(tmp_path / "run")
    assert [row["step"] for row in rows] == [2, 4, 6]
    best = max(rows, key=lambda row: row["metric/psnr"])
    assert outcome.best == {"step": best["step"], "name": "metric/psnr", "value": best["metric/psnr"]}
    assert outcome.last == rows[-1]["metric/psnr"]
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {f"step_{best['step']:08d}", "step_00000006"}
    worst_l1 = {row["step"]: row["metric/l1"] for row in rows}
    assert all(2 * worst_l1[row["step"]] == pytest.approx(row["val/l1"], abs=0.02) for row in rows)  # of 0..1, of -1..1


def test_the_values_are_those_of_the_images_that_translation_makes(
    tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = tiny("run", "train.metrics=psnr", "train.ema=null", "data.bad_files=skip")
    model = i2i.load(outcome.checkpoint, device="cpu")
    folder = find_folder(model.data, find_source(model.data.source), model.data_seed)
    values = []
    for item in (PairedImages(folder.splits["val"], model.data, model.data_seed, train=False)[i, 0] for i in range(2)):
        output = model.translate_pixels([item["a"].permute(1, 2, 0).numpy()])[0].astype(float)
        error = ((output - item["b"].permute(1, 2, 0).numpy()) ** 2).mean()
        values.append(10 * np.log10(255**2 / error))
    assert len(folder.splits["val"]) == 2
    assert validations(tmp_path / "run")[-1]["metric/psnr"] == pytest.approx(np.mean(values), abs=0.02)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (["train.metrics=psnrr"], "there is no metric 'psnrr'; did you mean 'psnr'"),
        (["train.best=val/pnsr"], "'val/pnsr' is not among what is measured .* did you mean 'val/psnr'"),
        (["train.metrics=lpips"], r"alexnet-owt-7be5be79\.pth: is missing, and LPIPS takes it"),
    ],
)
def test_mistakes_are_found_before_the_first_step(
    settings: list[str], line: str, tiny: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=line):
        tiny("run", *settings)
    assert not list((tmp_path / "run").glob("checkpoints/*"))
