"""What a run leaves behind, and how it ends when something goes wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from i2i.data import files
from i2i.engine.fit import Outcome
from i2i.errors import UserError
from i2i.inference.runs import checkpoints, read_header, read_tensors
from i2i.methods import Pix2Pix


def test_a_run_leaves_everything_behind(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=300)
    outcome = tiny("run", console=console)
    run = tmp_path / "run"
    assert (outcome.steps, outcome.exit_code) == (4, 0)

    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["channels_b"] == 3  # what was found out is recorded
    assert config["method"]["inference"] == {"statistics": "image", "dropout": "off"}
    facts = json.loads((run / "run.json").read_text())
    assert (facts["status"], facts["last"], facts["best"]["name"]) == ("done", 4, "val/l1")
    assert facts["error"] is None
    assert len(facts["sessions"]) == 1

    rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert {"loss/d", "loss/g", "loss/g_gan", "loss/g_l1", "d/accuracy_real", "lr/g", "grad_norm/d"} <= rows[0].keys()
    assert {"speed/images_per_second", "speed/data_wait"} <= rows[0].keys()
    validations = [row for row in rows if "val/l1" in row]
    assert [row["step"] for row in validations] == [2, 4]
    assert {"val/psnr", "val/ssim", "health/diversity"} <= validations[0].keys()

    board = EventAccumulator(str(run / "tensorboard"), {"images": 0, "tensors": 0, "scalars": 0}).Reload()
    tags = board.Tags()
    assert set(tags["scalars"]) == {key for row in rows for key in row} - {"step"}
    assert tags["images"] == ["validation"]
    assert {"config/text_summary", "health/text_summary"} <= set(tags["tensors"])
    by_step = {event.step: event.value for event in board.Scalars("loss/g")}
    assert by_step == pytest.approx({row["step"]: row["loss/g"] for row in rows if "loss/g" in row})

    sheet = files.read(run / "samples" / "step_00000004.png")
    assert sheet.shape == (22 + 2 * 68 + 4, 3 * 68 + 8, 3)  # two validation images: input, output, target
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "tensorboard --logdir" in printed
    assert "ETA" in printed


def test_weights_describe_themselves(tiny: Callable[..., Outcome]) -> None:
    outcome = tiny("run")
    header = read_header(outcome.checkpoint / "G_ema.safetensors")
    assert (header["format"], header["method"], header["role"], header["step"]) == (2, "pix2pix", "G", 4)
    assert header["network"]["measures"]["in_channels"] == 1
    assert header["network"]["config"]["depth"] == 6
    assert header["ema"] == 0.9
    raw, mean = (read_tensors(outcome.checkpoint / name) for name in ("G.safetensors", "G_ema.safetensors"))
    assert raw.keys() == mean.keys()
    assert any(not torch.equal(raw[key], mean[key]) for key in raw)


def test_the_learning_rate_falls_as_said(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny("run", "optim.schedule.hold=0.5", "optim.lr_d=0.001")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [row["lr/g"] for row in rows if "lr/g" in row] == pytest.approx([2e-4, 2e-4, 2e-4, 1e-4])
    assert [row["lr/d"] for row in rows if "lr/d" in row] == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4])


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (["train.keep=2"], [5, 6]),
        (["train.keep=1", "train.keep_every=2"], [2, 4, 6]),
    ],
)
def test_old_checkpoints_go_but_milestones_and_the_best_stay(
    tiny: Callable[..., Outcome], tmp_path: Path, settings: list[str], kept: list[int]
) -> None:
    outcome = tiny("run", "train.steps=6", "train.checkpoint_every=1", "train.validate_every=6", *settings)
    found = [int(path.name[5:]) for path in checkpoints(tmp_path / "run")]
    assert found == sorted({*kept, outcome.best["step"]})
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))


def spoil(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the target of one step not finite."""
    original = Pix2Pix.train_step

    def spoiled(self: Pix2Pix, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        if number == step:
            batch = {**batch, "b": batch["b"] * float("nan")}
        return original(self, batch, number)

    monkeypatch.setattr(Pix2Pix, "train_step", spoiled)


def test_a_loss_that_is_not_finite_stops_the_run_and_harms_nothing(
    tiny: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, step=4)
    settings = ["train.steps=40", "train.checkpoint_every=3", "train.log_every=10", "train.validate_every=40"]
    with pytest.raises(
        UserError, match=r"loss/.* not finite at step 4 \(images: p\d\).*step_00000003.*--resume .* --lr 0.0001"
    ):
        tiny("run", *settings)
    kept = checkpoints(tmp_path / "run")
    assert [path.name for path in kept] == ["step_00000003"]  # not the one after six steps
    for name in ("G", "D", "G_ema", "train"):
        assert all(torch.isfinite(tensor).all() for tensor in read_tensors(kept[0] / f"{name}.safetensors").values())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_ctrl_c_during_validation_is_saved(
    tiny: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = Pix2Pix.validate
    pressed: list[bool] = []

    def press_once(self: Pix2Pix, *arguments: Any) -> dict[str, torch.Tensor]:
        metrics = tmp_path / "run" / "metrics.jsonl"  # not there yet when an image is judged beforehand
        if not pressed and metrics.exists() and metrics.read_text().count("loss/d") == 2:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(Pix2Pix, "validate", press_once)
    outcome = tiny("run", "train.steps=6")
    assert (outcome.steps, outcome.exit_code, outcome.checkpoint.name) == (2, 130, "step_00000002")


def test_a_signal_to_the_whole_group_saves_too(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path]
) -> None:
    """As job schedulers send it: the loader's processes must not die before the run has saved."""
    tiny("unused", "train.steps=1")  # writes the preset
    command = [sys.executable, "-m", "i2i", "train", str(tmp_path / "tiny.yaml"), "--data", str(photos(8, size=72))]
    command += ["--workers", "2", "--steps", "100000", "--run-dir", str(tmp_path / "run"), "--set", "train.log_every=1"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and metrics.read_text().count("loss/d") > 2:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "to go on: " in printed
    assert checkpoints(tmp_path / "run")


def test_a_file_that_vanishes_is_named_and_the_state_saved(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("i2i.data.images.CACHE_BYTES", 0)
    original = Pix2Pix.train_step

    def deleting(self: Pix2Pix, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        if number == 3:
            for path in (tmp_path / "photos").glob("*.png"):
                path.unlink()
        return original(self, batch, number)

    monkeypatch.setattr(Pix2Pix, "train_step", deleting)
    for workers in (0, 1):
        photos(8, size=72)
        with pytest.raises(UserError, match=r"p\d\.png: there is no such file.*train --resume"):
            tiny(f"run{workers}", "train.steps=40", "train.validate_every=40", f"data.workers={workers}")
        assert checkpoints(tmp_path / f"run{workers}")


def test_a_network_that_cannot_be_judged_is_found_before_the_first_step(
    tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "my_nets.py").write_text(
        "from torch import nn\n"
        "def plain(i, o):\n    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.Tanh())\n"
    )
    with pytest.raises(UserError, match=r"knows no statistics of single images"):
        tiny("run", "method.generator=my_nets:plain")
    assert not (tmp_path / "run").exists()
    running = "method.inference={statistics: running}"
    assert tiny("fine", "method.generator=my_nets:plain", running, "method.discriminator.norm=none").steps == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("method.generator.depth=8", "depth 8 halves images of 64 pixels away; choose a depth of at most 6"),
        ("method.discriminator.layers=5", "needs images of at least 96 pixels, not 64"),
    ],
)
def test_images_too_small_for_a_network(tiny: Callable[..., Outcome], setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny("run", setting)


def test_the_deepest_network_that_is_allowed_trains(tiny: Callable[..., Outcome]) -> None:
    assert tiny("run", "method.generator.depth=7", "data.image_size=66", "train.steps=1").steps == 1


def test_sigterm_saves_as_well(tiny: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    original = Pix2Pix.train_step

    def terminated(self: Pix2Pix, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, number)

    monkeypatch.setattr(Pix2Pix, "train_step", terminated)
    outcome = tiny("run")
    assert (outcome.steps, outcome.exit_code, outcome.checkpoint.name) == (3, 143, "step_00000003")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_folder_in_use_is_not_touched(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny("run")
    with pytest.raises(UserError, match=r"is not empty; to go on with it: .*i2i train --resume"):
        tiny("run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not empty"):
        tiny("mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_plateau_must_watch_a_loss_that_exists(tiny: Callable[..., Outcome]) -> None:
    with pytest.raises(UserError, match=r"'val/l2' is no validation loss of pix2pix; did you mean 'val/l1'"):
        tiny("run", "optim.schedule=plateau", "optim.schedule.watch=val/l2")


def test_deterministic_kernels_are_asked_for_and_given_back(
    tiny: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    original = Pix2Pix.train_step

    def looking(self: Pix2Pix, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return original(self, batch, number)

    monkeypatch.setattr(Pix2Pix, "train_step", looking)
    tiny("yes", "train.deterministic=on", "train.steps=1")
    tiny("no", "train.steps=1")
    assert seen == [True, False]
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_seed_decides_everything(tiny: Callable[..., Outcome]) -> None:
    one, same, other = tiny("one"), tiny("same"), tiny("other", "seed=1")
    weights = [read_tensors(outcome.checkpoint / "G.safetensors") for outcome in (one, same, other)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert any(not torch.equal(weights[0][key], weights[2][key]) for key in weights[0])


def test_inputs_of_any_derivation_are_trained_on(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    steps = "data.derive.steps=[{name: downscale, factor: 2}, jpeg, mask]"
    assert tiny("run", "data.derive.name=chain", steps).steps == 4
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]["channels_a"] == 4
