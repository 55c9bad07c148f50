"""Training that begins with trained weights, and foreign networks kept as a run."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

import i2i
from i2i.cli import main
from i2i.config import parse_setting
from i2i.engine.config import RunConfig, compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import go_on, start
from i2i.errors import UserError
from i2i.inference import open_model
from i2i.inference.runs import read_header, read_tensors
from i2i.nn import ResNetConfig, UNetConfig

FIXTURES = Path(__file__).parents[1] / "fixtures" / "junyanz"
Capture = pytest.CaptureFixture[str]
CYCLEGAN = """
method: {name: cyclegan, discriminator: {name: patchgan, layers: 1, ndf: 4}}
data: {image_size: 32, workers: 0, val_share: 0.25}
train: {steps: 1, device: cpu, precision: fp32}
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of a CycleGAN of the CycleGAN-and-pix2pix code, without its discriminators."""
    folder = tmp_path / "horse2zebra"
    folder.mkdir()
    for name in ("G_A", "G_B"):
        shutil.copy(FIXTURES / "g_resnet6_instance.pth", folder / f"latest_net_{name}.pth")
    return folder


@pytest.fixture
def heaps(photos: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[RunConfig, Any]]:
    (tmp_path / "cycle.yaml").write_text(CYCLEGAN)
    for side in ("trainA", "trainB"):
        photos(4, name=f"heaps/{side}")

    def composed(*settings: str) -> tuple[RunConfig, Any]:
        return compose(str(tmp_path / "cycle.yaml"), str(tmp_path / "heaps"), list(map(parse_setting, settings)))

    return composed


def test_a_run_is_trained_further(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    """Networks, direction and channels come with the weights; a step of no size leaves them as they were."""
    first = tiny("first", "method.generator.norm=group", "data.direction=BtoA")
    console = Console(file=io.StringIO())
    second = tiny("second", f"train.init_from={tmp_path / 'first'}", "optim.lr=1e-45", "train.steps=1", console=console)
    for name in ("G", "D"):
        before, after = (read_tensors(run.checkpoint / f"{name}.safetensors") for run in (first, second))
        for key in before:
            if key.endswith(("weight", "bias")):  # running statistics move with every step
                assert torch.equal(after[key], before[key])
    averaged = read_tensors(second.checkpoint / "G_ema.safetensors")
    torch.testing.assert_close(averaged, read_tensors(first.checkpoint / "G.safetensors"))
    header = read_header(second.checkpoint / "G.safetensors")
    assert (header["network"]["config"]["norm"], header["translates"]) == ("group", "BtoA")
    assert header["config"]["train"]["init_from"] == str(first.checkpoint.resolve())
    printed = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert f"init: G, D from {first.checkpoint.resolve()}" in printed


def test_foreign_networks_are_trained_further(
    foreign: Path, heaps: Callable[..., tuple[RunConfig, Any]], tmp_path: Path
) -> None:
    config, source = heaps(f"train.init_from={foreign}", "optim.lr=1e-45")
    assert config.method.generator == ResNetConfig(blocks=6, ngf=8)
    assert (config.data.channels_a, config.data.channels_b) == (3, 3)
    console = Console(file=io.StringIO())
    outcome = start(config, source, console, tmp_path / "run")
    expected = dict(open_model(foreign).networks["G_AB"].build().state_dict())
    torch.testing.assert_close(read_tensors(outcome.checkpoint / "G_AB.safetensors"), expected, atol=0, rtol=0)
    assert "D_A, D_B begin anew" in " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def test_imported_networks_are_a_run(
    foreign: Path, heaps: Callable[..., tuple[RunConfig, Any]], tmp_path: Path, capsys: Capture, quiet: Console
) -> None:
    assert main(["import", str(foreign), "kept", "--statistics", "image"]) == 0
    printed = capsys.readouterr().out
    assert "train cyclegan --data DATA --init-from kept" in printed
    model = open_model("kept")
    assert not model.foreign
    assert (model.method, sorted(model.networks), model.policy.statistics) == ("cyclegan", ["G_AB", "G_BA"], "image")
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    for direction in ("AtoB", "BtoA"):
        way: Any = direction
        ours, theirs = (i2i.load(path, direction=way, device="cpu") for path in ("kept", foreign))
        assert torch.equal(ours.translate(images), theirs.translate(images))
    assert f"imported from {foreign / 'latest_net_G_A.pth'}" in i2i.load("kept", direction="AtoB").describe()
    assert yaml.safe_load((tmp_path / "kept" / "config.yaml").read_text())["method"]["generator"]["ngf"] == 8
    assert heaps("train.init_from=kept")[0].method.generator == ResNetConfig(blocks=6, ngf=8)
    with pytest.raises(UserError, match=r"networks alone, not the state of a training; .* --init-from kept"):
        go_on(Path("kept"), [], quiet)
    assert main(["import", str(foreign), "kept"]) == 2
    assert "kept: is not empty" in capsys.readouterr().err
    assert main(["import", "kept", "again"]) == 2
    assert "i2i's own format already" in capsys.readouterr().err


def test_a_lone_file_is_imported_in_the_direction_that_was_named(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "g_unet128_batch.pth", tmp_path / "facades.pth")
    assert main(["import", "facades.pth", "kept", "--direction", "BtoA"]) == 0
    model = open_model("kept")
    assert (model.method, list(model.networks), model.data.direction) == ("pix2pix", ["G"], "BtoA")
    assert model.networks["G"].config == UNetConfig(depth=7, ngf=4)
    assert i2i.load("kept").data.direction == "BtoA"


def test_what_does_not_fit_is_found_before_the_first_step(
    foreign: Path,
    heaps: Callable[..., tuple[RunConfig, Any]],
    tiny: Callable[..., Outcome],
    tmp_path: Path,
    quiet: Console,
) -> None:
    with pytest.raises(
        UserError, match=r"holds G_AB, G_BA, and the generators of pix2pix are G; .* i2i train cyclegan"
    ):
        tiny("run", f"train.init_from={foreign}")
    shutil.copy(FIXTURES / "g_resnet6_instance.pth", tmp_path / "horse2zebra.pth")
    with pytest.raises(UserError, match=r"are G_AB, G_BA; name the file latest_net_G_A.pth if it turns A into B"):
        heaps("train.init_from=horse2zebra.pth")
    with pytest.raises(UserError, match="nowhere: does not exist"):
        heaps("train.init_from=nowhere")
    with pytest.raises(UserError, match=r"its G_AB has ngf 8, and method.generator.ngf is 4; leave that option out"):
        heaps(f"train.init_from={foreign}", "method.generator.ngf=4")
    with pytest.raises(UserError, match=r"its G_AB has name resnet, and method.generator.name is unet"):
        heaps(f"train.init_from={foreign}", "method.generator=unet")
    with pytest.raises(UserError, match=r"its G_AB wants data.channels_b=3, not 1"):
        heaps(f"train.init_from={foreign}", "data.channels_b=1")
    config, _ = heaps(f"train.init_from={foreign}", "method.generator.dropout=0.5")  # makes no difference
    assert config.method.generator == ResNetConfig(blocks=6, ngf=8, dropout=0.5)
    tiny("first")
    with pytest.raises(UserError, match=r"train.init_from cannot change in the middle of a run"):
        go_on(tmp_path / "first", [parse_setting(f"train.init_from={foreign}")], quiet)


def test_a_discriminator_that_does_not_fit_begins_anew(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    """As where the loss brings a penalty, which its batch norm would forbid."""
    first = tiny("first")
    with pytest.raises(UserError, match=r"norm=batch ties the images"):
        tiny("second", f"train.init_from={tmp_path / 'first'}", "method.gan_loss=wgan-gp")
    console = Console(file=io.StringIO())
    settings = (
        f"train.init_from={tmp_path / 'first'}",
        "method.gan_loss=wgan-gp",
        "method.discriminator.norm=instance",
    )
    second = tiny("third", *settings, "optim.lr=1e-45", "train.steps=1", console=console)
    before, after = (read_tensors(run.checkpoint / "G.safetensors") for run in (first, second))
    assert torch.equal(after["head.conv.weight"], before["head.conv.weight"])
    assert "; D begin anew" in " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def test_the_game_begins_after_a_phase_without_it(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    """As SRGAN is trained: first by a distance alone, then against a discriminator that begins anew."""
    console = Console(file=io.StringIO())
    first = tiny("first", "method.lambda_gan=0", "method.generator.output=lab", console=console)
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "val/g_gan" not in said
    assert "D 0." not in said
    second = tiny("second", f"train.init_from={tmp_path / 'first'}", "optim.lr=1e-45", "train.steps=1", console=console)
    assert "; D begin anew" in " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    before, after = (read_tensors(run.checkpoint / "G.safetensors") for run in (first, second))
    assert torch.equal(after["body.head.conv.weight"], before["body.head.conv.weight"])
    assert (second.checkpoint / "D.safetensors").exists()
    with pytest.raises(UserError, match=r"its G has output lab, and method.generator.output is image"):
        tiny("third", f"train.init_from={tmp_path / 'first'}", "method.generator.output=image")


def test_a_checkpoint_is_resumed_from_within_its_folder(
    tiny: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: Console
) -> None:
    tiny("run")
    monkeypatch.chdir(tmp_path / "run" / "checkpoints")
    outcome = go_on(Path("step_00000004"), [parse_setting("train.steps=5")], quiet)
    assert outcome.steps == 5
