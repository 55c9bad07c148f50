"""A resumed run equals the uninterrupted one, bit for bit on the CPU."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console

from i2i.config import Layer, parse_setting
from i2i.engine.fit import Outcome
from i2i.engine.runs import go_on
from i2i.errors import UserError
from i2i.inference.runs import read_tensors


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let Ctrl-C be pressed while the step after `step` is under way."""
    import os
    import signal

    from i2i.methods import Pix2Pix

    original = Pix2Pix.train_step

    def pressed(self: Pix2Pix, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        if number == step:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch, number)

    monkeypatch.setattr(Pix2Pix, "train_step", pressed)


def steps_flag(steps: int) -> Layer:
    return Layer("--steps", {"train": {"steps": steps, "epochs": None}})


@pytest.mark.parametrize(
    "settings",
    [
        ["data.workers=2"],
        ["data.batch_size=3", "train.precision=bf16"],
        ["train.precision=fp16", "optim.schedule=plateau", "train.validate_every=1", "optim.schedule.patience=0"],
        ["optim.name=rmsprop", "optim.clip_norm=0.5", "method.generator.norm=instance"],
        ["optim={name: sgd, momentum: 0.9, lr: 0.001, lr_d: 0.002, schedule: cosine}"],
        ["method.lambda_gan=0", "method.lambda_ssim=1", "method.generator.output=lab"],
        ["method.lambda_features=10", "method.gan_loss=ralsgan"],
    ],
    ids=["workers", "bf16-batch", "fp16-plateau", "rmsprop", "sgd", "no-game", "features"],
)
def test_four_steps_equal_two_and_two(
    tiny: Callable[..., Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quiet: Console,
    settings: list[str],
) -> None:
    whole = tiny("whole", *settings)
    with monkeypatch.context() as patch:
        stop_after(patch, step=1)
        half = tiny("half", *settings)
    assert (half.steps, half.exit_code) == (2, 130)
    assert half.checkpoint.name == "step_00000002"
    rest = go_on(tmp_path / "half", [], quiet)
    assert (rest.steps, rest.exit_code) == (4, 0)
    files = sorted(path.name for path in whole.checkpoint.glob("*.safetensors"))
    players = [] if "method.lambda_gan=0" in settings else ["D.safetensors"]
    assert files == [*players, "G.safetensors", "G_ema.safetensors", "train.safetensors"]
    for name in files:
        one, other = read_tensors(whole.checkpoint / name), read_tensors(rest.checkpoint / name)
        assert one.keys() == other.keys()
        for key in one:
            assert torch.equal(one[key], other[key]), f"{name}: {key}"
    states = [json.loads((run.checkpoint / "train.json").read_text()) for run in (whole, rest)]
    for key in ("step", "schedule", "scalers", "best"):
        assert states[0][key] == states[1][key]
    metrics = [
        [{k: v for k, v in json.loads(line).items() if not k.startswith("speed/")} for line in path.open()]
        for path in (tmp_path / "whole" / "metrics.jsonl", tmp_path / "half" / "metrics.jsonl")
    ]
    assert metrics[0] == metrics[1]


def test_what_makes_it_another_run_is_refused(
    tiny: Callable[..., Outcome], tmp_path: Path, quiet: Console, photos: Callable[..., Path]
) -> None:
    tiny("run", "train.steps=2")
    run = tmp_path / "run"
    with pytest.raises(UserError, match=r"method\.lambda_l1, train\.ema cannot change"):
        go_on(run, [parse_setting("method.lambda_l1=1"), parse_setting("train.ema=null")], quiet)
    with pytest.raises(UserError, match=r"taken 2 of 2 steps already; to train it longer, give more: --steps 4"):
        go_on(run, [], quiet)
    assert json.loads((run / "run.json").read_text())["status"] == "done"  # what was refused changed nothing
    assert go_on(run, [steps_flag(3), parse_setting("data.workers=1")], quiet).steps == 3
    (photos(8, size=72) / "p8.png").write_bytes((photos(8, size=72) / "p0.png").read_bytes())
    with pytest.raises(UserError, match="training images have changed"):
        go_on(run, [steps_flag(5)], quiet)


def test_a_damaged_checkpoint_is_named(tiny: Callable[..., Outcome], quiet: Console) -> None:
    outcome = tiny("run", "train.steps=2")
    weights = outcome.checkpoint / "G.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"G\.safetensors: is missing or damaged"):
        go_on(outcome.checkpoint, [steps_flag(4)], quiet)


def test_what_may_change_is_said_and_recorded(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path]
) -> None:
    tiny("run", "train.steps=2")
    run, moved = tmp_path / "run", tmp_path / "elsewhere" / "photos"
    moved.parent.mkdir()
    photos(8, size=72).rename(moved)
    console = Console(file=io.StringIO(), width=300)
    flags = [steps_flag(3), parse_setting("optim.lr=1e-5"), parse_setting(f"data.source={moved}")]
    assert go_on(run, flags, console).steps == 3
    assert "from here on with another data.source, optim.lr, train.steps" in console.file.getvalue()  # type: ignore[attr-defined]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["optim"]["lr"], config["data"]["source"]) == (1e-5, str(moved))
    facts = json.loads((run / "run.json").read_text())
    assert (facts["status"], len(facts["sessions"])) == ("done", 2)


def test_validation_may_come_before_the_first_report(
    tiny: Callable[..., Outcome], tmp_path: Path, quiet: Console
) -> None:
    tiny("run", "train.steps=3", "train.log_every=1000", "train.validate_every=2")
    assert go_on(tmp_path / "run", [steps_flag(5)], quiet).steps == 5


def test_a_checkpoint_away_from_its_run_cannot_be_resumed(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = tiny("run", "train.steps=2")
    copy = tmp_path / "models" / outcome.checkpoint.name
    shutil.copytree(outcome.checkpoint, copy)
    with pytest.raises(UserError, match="--resume needs the whole run"):
        go_on(copy, [steps_flag(4)], Console(quiet=True))
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_an_earlier_checkpoint_starts_there_and_sets_later_ones_aside(
    tiny: Callable[..., Outcome], tmp_path: Path, quiet: Console
) -> None:
    tiny("run", "train.steps=4", "train.checkpoint_every=1", "train.keep=4")
    run = tmp_path / "run"
    outcome = go_on(run / "checkpoints" / "step_00000002", [parse_setting("train.keep=1")], quiet)
    assert outcome.steps == 4
    assert outcome.checkpoint.is_dir()
    aside = next((run / "checkpoints").glob("set-aside-*"))
    assert sorted(path.name for path in aside.iterdir()) == ["step_00000003", "step_00000004"]
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").open()]
    assert steps == [1, 2, 2, 3, 4, 4]  # validated at 2 and 4
