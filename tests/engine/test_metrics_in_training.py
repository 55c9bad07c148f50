"""Metrics of the validation images, and the best checkpoint by any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from torch import Tensor

import i2i
from i2i.config import parse_setting
from i2i.data.opened import find_folder
from i2i.data.pairs import PairedImages
from i2i.data.sources import find_source
from i2i.engine import validation
from i2i.engine.fit import Outcome
from i2i.engine.runs import go_on
from i2i.errors import UserError
from i2i.inference import evaluation
from i2i.inference.evaluation import Networks
from i2i.metrics import sets
from i2i.metrics.features import Seen


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
        (["method.generator.output=fill"], "output=fill takes an image of 3 channels and a mask"),
        (["train.metrics=lpips"], r"alexnet-owt-7be5be79\.pth: is missing, and LPIPS takes it"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    settings: list[str], line: str, tiny: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=line):
        tiny("run", *settings)
    assert not (tmp_path / "run").exists()


def test_a_resumption_that_is_refused_leaves_the_run_as_it_was(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = tiny("run", "train.steps=2")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    flags = ["train.steps=4", "train.metrics=ssim", "train.best=metric/sim"]
    with pytest.raises(UserError, match="did you mean 'metric/ssim'"):
        go_on(outcome.checkpoint, [parse_setting(text) for text in flags], Console(quiet=True))
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_metric_of_sets_that_takes_many_images_may_choose_the_best(
    tiny: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Means:
        label, has_logits = "means", True

        def __call__(self, images: Tensor) -> Seen:
            return Seen(images.mean(dim=(2, 3)), images.mean(dim=(2, 3)))

    monkeypatch.setattr(validation, "load_networks", lambda metrics, device: Networks(extractor=Means()))
    monkeypatch.setattr(evaluation, "inception_score", partial(sets.inception_score, splits=2))  # takes 4 images
    outcome = tiny("run", "data.val_share=0.5", "train.metrics=[is]", "train.best=metric/is", "train.steps=1")
    assert outcome.best["name"] == "metric/is"
