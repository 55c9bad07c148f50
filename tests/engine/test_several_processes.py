"""Runs in several processes equal those in one, whatever happens to them on the way.

The file runs itself in each of several processes: ``python test_several_processes.py PRESET...`` trains them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from i2i import world
from i2i.cli import main
from i2i.data import Stream, open_data
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

MORE_PRESETS = {
    "infogan": (
        """
  name: infogan
  generator: {name: dcgan, ngf: 4}
  discriminator: {name: dcgan, ndf: 4}
  categories: [3]
  gan_loss: rahinge
  augment: [cutout]
  latent: 6
""",
        REST % (0.01, 16, "", 4),
    ),
    "began": (
        """
  name: began
  generator: {name: began, ngf: 4, repeats: 1}
  discriminator: {name: began, ndf: 4, repeats: 1}
  lambda_k: 0.1
  latent: 6
""",
        REST % (0.01, 16, "", 4),
    ),
    "unrolled": (
        """
  name: gan
  generator: {name: mlp, hidden: [8]}
  discriminator: {name: dcgan, ndf: 4, norm: batch}
  joint_batches: true
  pack: 2
  unroll: 2
  latent: 6
""",
        REST % (0.01, 16, "", 4),
    ),
    "dragan": (
        """
  name: pix2pix
  generator: {name: unet, depth: 6, ngf: 4, norm: instance}
  discriminator: {name: patchgan, layers: 1, ndf: 4}
  gan_loss: rsgan
  penalties: [dragan, r1, r2]
  lambda_penalty: 0.1
  lambda_l1: 10
""",
        REST % (0.001, 64, EDGES, 4),
    ),
}


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
        if what == "spoilt":
            real = real * float("nan")
        if what == "deleted":
            for photo in Path("photos").iterdir():
                photo.unlink()
    return gan_loss("lsgan").discriminator(real, fake)


loss = replace(gan_loss("lsgan"), name="fateful", discriminator=terms)
"""


def train(name: str, run: str) -> int:
    config, source = compose(f"{name}.yaml", "heaps" if name == "cyclegan" else "photos", [])
    return start(config, source, Console(quiet=True), Path(run)).exit_code


def resume() -> int:
    return go_on(Path("fateful"), [], Console(quiet=True)).exit_code


def typed(*words: str, fate: str = "none:0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "i2i", "train", *words], env={**os.environ, "FATE": fate}, capture_output=True, text=True
    )


@pytest.fixture
def place(tmp_path: Path, photos: Callable[..., Path]) -> Path:
    """Presets and images, in the working folder."""
    for name, (method, rest) in {**PRESETS, **MORE_PRESETS}.items():
        (tmp_path / f"{name}.yaml").write_text(f"method:{method}{rest}")
    fateful = (tmp_path / "pix2pix.yaml").read_text().replace("lambda_l1", "gan_loss: fateful:loss\n  lambda_l1")
    (tmp_path / "fateful.yaml").write_text(fateful.replace("steps: 4", "steps: 8"))
    (tmp_path / "fateful.py").write_text(FATEFUL)
    for name, count in (("photos", 8), ("heaps/trainA", 8), ("heaps/trainB", 9)):
        photos(count, size=72, name=name)
    return tmp_path


# One test, for to start a process takes seconds.
def test_runs_in_any_number_of_processes_are_those_of_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # in two processes, of which one is killed in its fourth step
    done = typed("fateful.yaml", "--data", "photos", "--run-dir", "fateful", "--devices", "2", fate="killed:4")
    seconds = time.time() - (place / "now").stat().st_mtime
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    said = "error: process 1 of 2 was ended by SIGKILL (out of memory?), and so all were ended; to go on: "
    assert done.stderr.startswith(said)
    assert done.stderr.strip().endswith("train --resume fateful --devices 2")
    assert seconds < 10

    # on from its last checkpoint in four, which train everything else before; Ctrl-C comes to the one that started them
    monkeypatch.setenv("FATE", "interrupted:2")
    assert launch(4, [sys.executable, __file__, *PRESETS, "fateful"]) == 130
    assert checkpoints(place / "fateful")[-1].name == "step_00000004"

    # to the end in one
    monkeypatch.setenv("FATE", "none:0")
    assert resume() == 0
    facts = json.loads((place / "fateful" / "run.json").read_text())
    assert (facts["status"], facts["last"], len(facts["sessions"])) == ("done", 8, 3)
    train("fateful", "fateful-1")
    assert_same_run(place / "fateful-1", place / "fateful")
    for name in PRESETS:
        train(name, f"{name}-1")
        assert_same_run(place / f"{name}-1", place / f"{name}-4")


@pytest.mark.slow
def test_more_methods_in_two_processes(place: Path) -> None:
    assert launch(2, [sys.executable, __file__, *MORE_PRESETS]) == 0
    for name in MORE_PRESETS:
        train(name, f"{name}-1")
        assert_same_run(place / f"{name}-1", place / f"{name}-2")


REFUSED = {
    "a batch that does not divide": (["--batch-size", "3"], "choose --batch-size 4 for a new run"),
    "more processes than GPUs": (["--device", "auto"], "add --device cpu"),
    "one device for all": (["--device", "cuda:1"], "is one device"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_line(place: Path, case: str) -> None:
    flags, reason = REFUSED[case]
    done = typed("pix2pix.yaml", "--data", "photos", "--run-dir", "refused", "--devices", "2", *flags)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr
    assert not (place / "refused").exists()


@pytest.mark.slow
def test_an_interrupted_command_saves_and_says_how_to_go_on(place: Path) -> None:
    done = typed("fateful.yaml", "--data", "photos", "--run-dir", "run", "--devices", "2", fate="interrupted:3")
    assert (done.returncode, done.stderr) == (130, "")
    assert done.stdout.count("processes: 2, each with 2 of a batch of 4") == 1
    assert done.stdout.count("stopped after step 3; to go on:") == 1
    assert done.stdout.strip().endswith("train --resume run --devices 2")
    assert checkpoints(place / "run")[-1].name == "step_00000003"


@pytest.mark.slow
def test_an_error_in_one_process_is_shown_once(place: Path) -> None:
    done = typed("fateful.yaml", "--data", "photos", "--run-dir", "run", "--devices", "2", fate="failed:3")
    assert done.returncode == 1
    assert done.stderr.count("ArithmeticError: on purpose") == 1
    assert "process 1 of 2: Traceback" in done.stderr
    assert done.stderr.strip().endswith("train --resume run --devices 2")


@pytest.mark.slow
def test_the_images_are_named_that_one_process_could_not_learn_from(place: Path) -> None:
    done = typed("fateful.yaml", "--data", "photos", "--run-dir", "run", "--devices", "2", fate="spoilt:3")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    config, source = compose("fateful.yaml", "photos", [])
    names = open_data(config.data, source, config.seed, lambda line: None).splits["train"].names
    seen = [names[index] for index, _ in Stream(len(names), 4, config.seed, 2, 3).places(2)][2:]
    assert f"loss/d was not finite at step 2 (images: {', '.join(seen)})" in done.stderr
    assert "--devices 2 --lr 0.005" in done.stderr


@pytest.mark.slow
def test_a_file_that_goes_missing_stops_all_and_saves(place: Path) -> None:
    done = typed("fateful.yaml", "--data", "photos", "--run-dir", "run", "--devices", "2", fate="deleted:3")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "put it back, then:" in done.stderr
    assert checkpoints(place / "run")[-1].name in ("step_00000003", "step_00000004")


@pytest.mark.slow
def test_torchrun_starts_processes_as_well(place: Path) -> None:
    words = ["fateful.yaml", "--data", "photos", "--run-dir", "fateful"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "i2i"]
    done = subprocess.run([*launcher, "train", *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("checkpoint: ")) == (0, 1)
    train("fateful", "fateful-1")
    assert_same_run(place / "fateful-1", place / "fateful")


def test_devices_are_counted_from_one_and_torchrun_needs_none(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert main(["train", "pix2pix", "--devices", "0"]) == 2
    assert "'--devices'" in capsys.readouterr().err
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "pix2pix", "--devices", "2"]) == 2
    assert "leave --devices out" in capsys.readouterr().err


if __name__ == "__main__":
    torch.set_num_threads(1)
    with world.joined():
        codes = [resume() if name == "fateful" else train(name, f"{name}-{world.size()}") for name in sys.argv[1:]]
    sys.exit(codes[-1])
