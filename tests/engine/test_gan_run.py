"""Runs of the GAN cores: resumed bit for bit, counted in images, opened again, and refused before they begin."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from i2i.cli import main
from i2i.config import parse_setting
from i2i.data import files
from i2i.engine.config import compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import go_on, start
from i2i.errors import UserError
from i2i.inference.runs import read_header, read_tensors
from i2i.inference.trained import open_model
from i2i.methods import METHODS

Capture = pytest.CaptureFixture[str]

TINY = {
    "gan": """
  conditional: true
  d_steps: 2
  generator: {name: dcgan, ngf: 4, dropout: 0.2}
  discriminator: {name: dcgan, ndf: 4, spectral_norm: true}
  input_noise: {std: 0.1, steps: 3}
  labels: {real: [0.7, 1.2]}
""",
    "infogan": """
  generator: {name: dcgan, ngf: 4}
  discriminator: {name: dcgan, ndf: 4}
  categories: [3]
  augment: [color, cutout]
""",
    "began": """
  generator: {name: began, ngf: 4, repeats: 1}
  discriminator: {name: began, ndf: 4, repeats: 1}
  lambda_k: 0.1
""",
}
REST = """
  latent: 6
data: {image_size: 16, batch_size: 3, workers: 0, val_share: 0.25}
train: {steps: 4, device: cpu, precision: fp32, ema: 0.9, validate_every: 2, log_every: 1}
"""
FILES = {"infogan": ["D", "G", "G_ema", "Q", "train"]}  # of the others: all but Q
CORES = pytest.mark.parametrize("core", list(TINY))


@pytest.fixture
def faces(photos: Callable[..., Path], tmp_path: Path) -> Path:
    """Class folders of six images each, of which nine remain for training."""
    for name in ("cat", "dog"):
        photos(6, size=20, name=f"faces/{name}")
    return tmp_path / "faces"


@pytest.fixture
def preset(tmp_path: Path) -> Callable[[str], str]:
    def write(core: str) -> str:
        path = tmp_path / f"{core}.yaml"
        path.write_text(f"method:\n  name: {core}{TINY[core]}{REST}")
        return str(path)

    return write


@pytest.fixture
def train(faces: Path, preset: Callable[[str], str], tmp_path: Path) -> Callable[..., Outcome]:
    """Return a function that trains a tiny GAN core in a named folder."""

    def run(core: str, name: str, *settings: str, console: Console | None = None) -> Outcome:
        config, source = compose(preset(core), str(faces), [parse_setting(text) for text in settings])
        return start(config, source, console or Console(quiet=True), tmp_path / name)

    return run


def metrics(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    return [{key: value for key, value in row.items() if not key.startswith("speed/")} for row in rows]


@CORES
def test_four_steps_equal_two_and_two(
    core: str, train: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(core, "whole")
    with monkeypatch.context() as patch:
        original = METHODS[core].train_step

        def pressed(self: Any, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
            if step == 1:
                os.kill(os.getpid(), signal.SIGINT)
            result: dict[str, torch.Tensor] = original(self, batch, step)
            return result

        patch.setattr(METHODS[core], "train_step", pressed)
        half = train(core, "half")
    assert (half.steps, half.exit_code) == (2, 130)
    rest = go_on(tmp_path / "half", [], Console(quiet=True))
    assert (rest.steps, rest.exit_code, rest.translates) == (4, 0, False)
    names = sorted(path.stem for path in whole.checkpoint.glob("*.safetensors"))
    assert names == FILES.get(core, ["D", "G", "G_ema", "train"])
    for name in names:
        one, other = (read_tensors(run.checkpoint / f"{name}.safetensors") for run in (whole, rest))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    states = [json.loads((run.checkpoint / "train.json").read_text()) for run in (whole, rest)]
    assert states[0]["best"] == states[1]["best"]
    assert states[0]["best"]["name"] == "val/swd"
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "half")
    if core == "began":
        k = read_tensors(whole.checkpoint / "train.safetensors")["method/k"]
        assert float(k) == pytest.approx(metrics(tmp_path / "whole")[-2].get("began/k", -1.0))
        assert k > 0


def test_a_step_takes_images_for_each_of_d_s_steps(
    train: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, taken = METHODS["gan"].train_step, []

    def counted(self: Any, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        taken.extend(batch["index"].tolist())
        assert batch["image"].shape == (6, 3, 16, 16)
        assert (batch["label"].dtype, len(batch["label"])) == (torch.int64, 6)
        result: dict[str, torch.Tensor] = original(self, batch, step)
        return result

    monkeypatch.setattr(METHODS["gan"], "train_step", counted)
    outcome = train("gan", "run", "train.steps=null", "train.epochs=2")
    assert outcome.steps == 3  # two epochs of nine images, six at a time
    assert sorted(taken) == sorted([*range(9)] * 2)
    rows = [row for row in metrics(tmp_path / "run") if "epoch" in row]
    assert [row["epoch"] for row in rows] == pytest.approx([6 / 9, 12 / 9, 2])
    assert {"loss/d", "loss/g", "d/distance", "d/accuracy_real", "lr/g", "lr/d", "grad_norm/d"} <= rows[0].keys()
    with pytest.raises(UserError, match="taken 3 of 3 steps already"):
        go_on(tmp_path / "run", [], Console(quiet=True))


@CORES
def test_what_was_trained_can_be_opened(core: str, train: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = train(core, "run", "train.steps=1")
    header = read_header(outcome.checkpoint / "G_ema.safetensors")
    latent = {"gan": 6, "infogan": 6 + 3 + 2, "began": 6}[core]
    classes = {"gan": 2}.get(core, 0)
    assert header["network"]["kind"] == "noise_generator"
    assert header["network"]["measures"] == {"latent": latent, "channels": 3, "size": 16, "classes": classes}
    assert (header["translates"], header["method"]) == (None, core)
    model = open_model(tmp_path / "run")
    assert sorted(model.networks) == ["D", "G", "G_ema"]  # Q is of no use alone
    assert model.networks["D"].kind == ("autoencoder" if core == "began" else "critic")
    generator = model.networks["G"].build()
    labels = (torch.tensor([0, 1]),) if classes else ()
    weights = read_tensors(outcome.checkpoint / "G.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in generator.state_dict().items())
    assert generator(torch.randn(2, latent), *labels).shape == (2, 3, 16, 16)
    averaged = model.networks["G_ema"].read()
    assert any(not torch.equal(averaged[name], value) for name, value in weights.items())
    with pytest.raises(UserError, match="translates none"):
        model.generator()
    sheet = files.read(tmp_path / "run" / "samples" / "step_00000001.png")
    rows = {"gan": 2, "infogan": 3 * 3, "began": 10}[core]
    assert sheet.shape == (22 + rows * 20 + 4, 10 * 20 + 8, 3)


def test_training_goes_on_from_another_run_s_networks(train: Callable[..., Outcome], tmp_path: Path) -> None:
    first = train("infogan", "first", "train.steps=1")
    console = Console(file=io.StringIO(), width=300)
    settings = [f"train.init_from={tmp_path / 'first'}", "train.steps=1", "optim.lr=1e-12", "train.ema=null"]
    second = train("infogan", "second", *settings, console=console)
    assert "init: G, D from" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "; Q begin anew" in console.file.getvalue()  # type: ignore[attr-defined]
    one, other = (read_tensors(run.checkpoint / "G.safetensors") for run in (first, second))
    torch.testing.assert_close(one["head.conv.weight"], other["head.conv.weight"])


def refused(capsys: Capture, *arguments: str) -> str:
    """Run a command that must fail with one line and exit code 2, and return the line."""
    capsys.readouterr()
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_labels_are_asked_of_data_without_classes(
    preset: Callable[[str], str], photos: Callable[..., Path], capsys: Capture
) -> None:
    data = str(photos(6, size=20, name="heap"))
    line = refused(capsys, "train", preset("gan"), "--data", data)
    assert line.startswith("error: method.conditional needs data with classes, a folder for each or files of labels")
    assert main(["train", preset("gan"), "--data", data, "--set", "method.conditional=false", "--steps", "1"]) == 0
    assert "i2i sample" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("core", "arguments", "told"),
    [
        ("gan", ["--gan-loss", "began"], "--gan-loss began: .*is a method of its own and no GAN loss"),
        ("began", ["--gan-loss", "wgan"], "there is no option 'method.gan_loss'"),
        ("gan", ["--gan-loss", "wgan-gp"], "'wgan-gp' knows no labels"),
        ("infogan", ["--gan-loss", "r3gan", "--set", "method.discriminator.norm=batch"], "norm=batch ties the images"),
        ("infogan", ["--set", "method.pack=2"], "infogan knows no method.pack"),
        ("gan", ["--set", "method.pack=3"], "puts images side by side whose labels differ"),
        ("gan", ["--set", "method={pack: 2, conditional: false}"], "method.pack=2 does not divide a batch of 3"),
        ("gan", ["--image-size", "18"], "images of 18 pixels cannot be halved .* choose an --image-size of 16 or 20"),
        ("began", ["--image-size", "18"], "images of 18 pixels cannot be halved .* choose an --image-size of 16 or 20"),
        ("infogan", ["--set", "method.categories=[]", "--set", "method.continuous=0"], "infogan needs codes"),
    ],
)
def test_mistakes_are_refused_before_the_run(
    core: str, arguments: list[str], told: str, preset: Callable[[str], str], faces: Path, capsys: Capture
) -> None:
    assert re.search(told, refused(capsys, "train", preset(core), "--data", str(faces), *arguments))
    assert not Path("runs").exists()
