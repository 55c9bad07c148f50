"""A CycleGAN from folders to translations in both directions, and its resume with the pools."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import i2i
from i2i.cli import main
from i2i.config import parse_setting
from i2i.data import files
from i2i.engine.config import compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import go_on, start
from i2i.errors import UserError
from i2i.inference.runs import read_header, read_tensors
from i2i.methods import CycleGAN

TINY_CYCLE = """
method:
  name: cyclegan
  generator: {name: resnet, blocks: 1, ngf: 4}
  discriminator: {name: patchgan, layers: 1, ndf: 4, norm: instance}
  pool_size: 2
data: {image_size: 32, workers: 0, val_share: 0.25}
train: {steps: 8, device: cpu, precision: fp32, ema: 0.9, validate_every: 4, log_every: 1}
"""


@pytest.fixture
def cycle(tmp_path: Path, photos: Callable[..., Path]) -> Callable[..., Outcome]:
    """Return a function that trains a tiny CycleGAN in a named folder."""
    preset = tmp_path / "cycle.yaml"
    preset.write_text(TINY_CYCLE)
    photos(4, name="heaps/trainA")
    photos(6, name="heaps/trainB")

    def train(name: str, *settings: str) -> Outcome:
        config, source = compose(str(preset), str(tmp_path / "heaps"), [parse_setting(text) for text in settings])
        return start(config, source, Console(file=io.StringIO()), tmp_path / name)

    return train


def test_eight_steps_equal_four_and_four_with_the_pools(
    cycle: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cycle("whole")
    with monkeypatch.context() as patch:
        original = CycleGAN.train_step

        def failing(self: CycleGAN, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
            if step == 5:  # the machine goes down; the checkpoint of step 4 is left
                raise RuntimeError("power cut")
            return original(self, batch, step)

        patch.setattr(CycleGAN, "train_step", failing)
        with pytest.raises(RuntimeError, match="power cut"):
            cycle("half", "train.checkpoint_every=4")
    rest = go_on(tmp_path / "half", [], Console(quiet=True))
    names = sorted(path.name for path in whole.checkpoint.glob("*.safetensors"))
    assert names == sorted(
        f"{name}.safetensors" for name in ("D_A", "D_B", "G_AB", "G_AB_ema", "G_BA", "G_BA_ema", "train")
    )
    assert "method/pool_a/images" in read_tensors(whole.checkpoint / "train.safetensors")
    for name in names:
        one, other = read_tensors(whole.checkpoint / name), read_tensors(rest.checkpoint / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name


def test_a_run_goes_on_in_another_precision(cycle: Callable[..., Outcome], tmp_path: Path) -> None:
    cycle("run", "train.precision=bf16", "train.steps=2")
    settings = [parse_setting(text) for text in ("train.precision=fp32", "train.steps=4")]
    assert go_on(tmp_path / "run", settings, Console(quiet=True)).steps == 4


def test_both_directions_of_one_run(cycle: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = cycle("run", "train.steps=1")
    assert read_header(outcome.checkpoint / "G_BA_ema.safetensors")["translates"] == "BtoA"
    forth, back = (i2i.load(tmp_path / "run", direction=way, device="cpu") for way in ("AtoB", "BtoA"))
    image = files.read(tmp_path / "heaps" / "trainA" / "p0.png")
    assert isinstance(image, np.ndarray)
    assert not np.array_equal(forth.translate(image), back.translate(image))
    np.testing.assert_array_equal(i2i.load(tmp_path / "run", device="cpu").translate(image), forth.translate(image))
    arguments = ["translate", str(tmp_path / "heaps" / "trainB"), "out", "--model", str(tmp_path / "run")]
    assert main([*arguments, "--direction", "BtoA"]) == 0
    written = files.read(tmp_path / "out" / "p0.png")
    np.testing.assert_array_equal(written, back.translate(files.read(tmp_path / "heaps" / "trainB" / "p0.png")))
    sheet = files.read(tmp_path / "run" / "samples" / "step_00000001.png")
    assert sheet.shape[1] == 8 * (32 + 4) + 8  # both directions: image, translation, back, identity


def test_pix2pix_and_cyclegan_want_other_data(
    cycle: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path]
) -> None:
    cycle("run", "train.steps=1")
    pairs_of_heaps = compose("pix2pix", str(tmp_path / "heaps"), [])
    heaps_of_photos = compose(str(tmp_path / "cycle.yaml"), str(photos(4)), [])
    with pytest.raises(UserError, match="learns from pairs"):
        start(*pairs_of_heaps, Console(quiet=True), tmp_path / "wrong")
    with pytest.raises(UserError, match="not two heaps of images"):
        start(*heaps_of_photos, Console(quiet=True), tmp_path / "wrong")
