"""Runs in several processes equal those in one, whatever happens to them on the way.

The file runs itself in each of four processes: ``python test_several_processes.py FOLDER`` trains there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch
from rich.console import Console

from i2i import world
from i2i.config import Layer
from i2i.engine.config import compose
from i2i.engine.launch import launch
from i2i.engine.runs import go_on, start
from i2i.inference.runs import checkpoints, read_tensors

REST = """
optim: {name: sgd, lr: %g, schedule: constant}
data: {batch_size: 4, workers: 0, val_share: 0.25, image_size: %d%s}
train: {steps: %d, device: cpu, precision: fp32, ema: 0.9, validate_every: 4, log_every: 2, checkpoint_every: 2}
"""
EDGES = ", derive: {name: edges}"
# Batch norm, dropout, pools, relativistic losses, penalties with random numbers, several critic steps: what looks at
# more than one image, or draws. SGD, for Adam makes steps of full size out of gradients that are rounding alone; small
# steps for CycleGAN, whose four networks soon make much of a rounding.
PRESETS = {
    "pix2pix": (
        """
  name: pix2pix
  generator: {name: unet, depth: 6, ngf: 4}
  discriminator: {name: patchgan, layers: 1, ndf: 4}
  lambda_l1: 10
""",
        REST % (0.01, 64, EDGES, 4),
    ),
    "cyclegan": (
        """
  name: cyclegan
  generator: {name: resnet, blocks: 1, ngf: 4}
  discriminator: {name: patchgan, layers: 1, ndf: 4, norm: batch}
  gan_loss: ralsgan
  pool_size: 6
""",
        REST % (1e-4, 32, "", 4),
    ),
    "rasgan": (
        """
  name: gan
  generator: {name: dcgan, ngf: 4, dropout: 0.2}
  discriminator: {name: dcgan, ndf: 4, spectral_norm: true, norm: batch}
  gan_loss: rasgan
  labels: {real: 1.0}
  input_noise: {std: 0.1}
  augment: [color, translation]
  latent: 6
""",
        REST % (0.01, 16, "", 4),
    ),
    "wgan-gp": (
        """
  name: gan
  generator: {name: dcgan, ngf: 4}
  discriminator: {name: dcgan, ndf: 4, norm: none}
  gan_loss: wgan-gp
  d_steps: 2
  latent: 6
""",
        REST % (0.01, 16, "", 4),
    ),
}
HEAPS = {"cyclegan": "heaps"}


def assert_same_run(one: Path, other: Path) -> None:
    """The last checkpoints hold the same up to rounding, and the same was reported."""
    first, second = checkpoints(one)[-1], checkpoints(other)[-1]
    assert first.name == second.name
    files = sorted(path.name for path in first.glob("*.safetensors"))
    assert files == sorted(path.name for path in second.glob("*.safetensors"))
    for file in files:
        expected, found = read_tensors(first / file), read_tensors(second / file)
        assert expected.keys() == found.keys()
        for key, tensor in expected.items():
            scale = float(tensor.double().abs().max()) if tensor.numel() else 0.0
            off = float((found[key].double() - tensor.double()).abs().max()) if tensor.numel() else 0.0
            assert off <= 1e-4 * scale + 1e-6, f"{file}: {key} is off by {off}"
    expected_reports, reports = reported(one), reported(other)
    for place, row in expected_reports.items():
        for key, value in row.items():
            if not key.startswith("speed/"):
                assert reports[place][key] == pytest.approx(value, rel=1e-3, abs=1e-5), f"{place}: {key}"


def reported(run: Path) -> dict[tuple[int, bool], dict[str, float]]:
    """The lines of metrics.jsonl by step, those of training apart from those of validation."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    return {(row["step"], "loss/g" in row): row for row in rows}


FATEFUL = """
import os, signal, time
from dataclasses import replace
from pathlib import Path
from i2i import world
from i2i.losses import gan_loss

calls = 0


def terms(real, fake):  # called once in every step
    global calls
    calls += 1
    what, step = os.environ.get("FATE", "none:0").split(":")
    if world.rank() == 1 and calls == int(step):
        Path("now").touch()
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "interrupted":
            os.kill(os.getppid(), signal.SIGINT)  # Ctrl-C comes to the command that was typed
            time.sleep(1)
        if what == "failed":
            raise ArithmeticError("on purpose")
    return gan_loss("lsgan").discriminator(real, fake)


loss = replace(gan_loss("lsgan"), name="fateful", discriminator=terms)
"""


def train(name: str, run: str) -> None:
    config, source = compose(f"{name}.yaml", "heaps" if name == "cyclegan" else "photos", [])
    start(config, source, Console(quiet=True), Path(run))


def resume(steps: int) -> None:
    go_on(Path("fateful"), [Layer("--steps", {"train": {"steps": steps, "epochs": None}})], Console(quiet=True))


def typed(*words: str, fate: str = "none:0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "i2i", "train", *words], env={**os.environ, "FATE": fate}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Presets and images, in the working folder."""
    from tests.conftest import blob_photo

    folder = tmp_path_factory.mktemp("several")
    for name, (method, rest) in PRESETS.items():
        (folder / f"{name}.yaml").write_text(f"method:{method}{rest}")
    (folder / "fateful.py").write_text(FATEFUL)
    for name, count in (("photos", 8), ("heaps/trainA", 8), ("heaps/trainB", 9)):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            cv2.imwrite(str(folder / name / f"p{index}.png"), blob_photo(index, 72))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_DATA", str(folder / "i2i-data"))
        patch.chdir(folder)
        yield folder


@pytest.fixture(autouse=True)
def in_place(place: Path, own_data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@pytest.fixture(scope="module")
def killed(place: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """What a command said whose second process was killed in step 4, and how long it took to end."""
    preset = (place / "pix2pix.yaml").read_text()
    preset = preset.replace("lambda_l1", "gan_loss: fateful:loss\n  lambda_l1").replace("steps: 4", "steps: 8")
    (place / "fateful.yaml").write_text(preset)
    words = ["fateful.yaml", "--data", "photos", "--run-dir", "fateful", "--devices", "2"]
    done = typed(*words, fate="killed:4")
    return done, time.time() - (place / "now").stat().st_mtime


@pytest.fixture(scope="module")
def interrupted(killed: object) -> subprocess.CompletedProcess[str]:
    """What the command said that went on with that run, and was interrupted in its second step."""
    return typed("--resume", "fateful", "--devices", "2", fate="interrupted:2")


@pytest.fixture(scope="module")
def four(place: Path, interrupted: object) -> None:
    """All presets trained in four processes; the other run goes on in one, then in four."""
    resume(6)
    assert launch(4, [sys.executable, __file__]) == 0


@pytest.mark.parametrize("name", PRESETS)
def test_four_processes_train_as_one_does(four: None, place: Path, name: str) -> None:
    train(name, f"{name}-1")
    assert_same_run(place / f"{name}-1", place / f"{name}-4")


def test_a_killed_process_ends_the_others(killed: tuple[subprocess.CompletedProcess[str], float], place: Path) -> None:
    done, seconds = killed
    assert done.returncode == 1
    line = done.stderr.strip()
    assert line.startswith("error: process 1 of 2 was ended by SIGKILL (out of memory?), and so were the others; to go")
    assert line.endswith("train --resume fateful --devices 2")
    assert "\n" not in line
    assert seconds < 10


def test_an_interrupted_command_saves_and_says_how_to_go_on(
    interrupted: subprocess.CompletedProcess[str], place: Path
) -> None:
    assert (interrupted.returncode, interrupted.stderr) == (130, "")
    said = interrupted.stdout
    assert said.count("stopped after step 4; to go on:") == 1
    assert said.strip().endswith(f"train --resume {place / 'fateful'} --devices 2")
    assert "processes: 2, each with 2 of a batch of 4" in said


def test_a_run_goes_on_in_any_number_of_processes(four: None, place: Path) -> None:
    train("fateful", "fateful-1")
    facts = json.loads((place / "fateful" / "run.json").read_text())
    assert (facts["status"], facts["last"], len(facts["sessions"])) == ("done", 8, 4)
    assert_same_run(place / "fateful-1", place / "fateful")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with world.joined():
        for preset in PRESETS:
            train(preset, f"{preset}-4")
        resume(8)
