"""The command line as a user types it: what works, and one line for each mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from i2i.cli import main
from i2i.data import drawn, files

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def preset(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        "method: {name: pix2pix, generator: {name: unet, depth: 3, ngf: 4}, discriminator: {layers: 1, ndf: 4}}\n"
        "data: {image_size: 32, workers: 0, val_share: 0.25}\n"
        "train: {device: cpu, steps: 3, validate_every: 3}\n"
    )
    return str(path)


def error_of(capsys: Capture, *arguments: str) -> str:
    """Run a command that must fail with one line and exit code 2, and return the line."""
    capsys.readouterr()
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


def test_train_resume_translate(preset: str, photos: Callable[..., Path], tmp_path: Path, capsys: Capture) -> None:
    edges = ["--set", "data.derive.name=edges"]
    assert main(["train", preset, "--data", str(photos()), *edges]) == 0
    out = capsys.readouterr().out
    runs = list((tmp_path / "runs").iterdir())
    assert len(runs) == 1
    assert runs[0].name.endswith("-tiny-photos")
    assert "i2i translate INPUT OUTPUT --model" in out
    assert "photos in" in out  # the layout is said aloud
    assert main(["train", "--resume", "--steps", "5"]) == 0
    assert "(the newest run)" in capsys.readouterr().out
    assert sorted(path.name for path in (runs[0] / "checkpoints").iterdir())[-1] == "step_00000005"
    assert main(["translate", str(photos()), "out", "--from-photos", "--sheet", "sheet.png"]) == 0
    printed = capsys.readouterr().out
    assert f"model: {Path('runs') / runs[0].name / 'checkpoints' / 'step_00000005'}" in printed
    assert "(the newest run)" in printed
    assert len(list((tmp_path / "out").glob("*.png"))) == 8
    assert files.read(tmp_path / "sheet.png").shape[2] == 3


def test_a_broken_image_is_named_and_the_rest_translated(
    preset: str, photos: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    folder = photos()
    assert main(["train", preset, "--data", str(folder), "--set", "data.derive=edges", "--steps", "1"]) == 0
    (folder / "p3.png").write_bytes(b"junk")
    assert main(["translate", str(folder), "out", "--from-photos"]) == 1
    captured = capsys.readouterr()
    assert "p3.png" in captured.err
    assert "translated: 7 images to out, 1 failed" in captured.out


def test_outputs_that_cannot_be_are_refused_before_the_work(
    preset: str, photos: Callable[..., Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos()
    assert main(["train", preset, "--data", str(folder), "--set", "data.derive=edges", "--run-dir", "runs/x"]) == 0
    (tmp_path / "afile").write_text("mine")
    for output, message in (
        ("afile", "is a file"),
        ("afile/deep/er", "is a file"),
        ("out.png", "is the name of an image"),
    ):
        assert message in error_of(capsys, "translate", str(folder), output)
    assert "'.txt' is no image format" in error_of(capsys, "translate", str(folder / "p0.png"), "out.txt")
    assert "must be the name of an image" in error_of(capsys, "translate", str(folder), "out", "--sheet", "photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["translate", "~/photos", "~/out", "--model", "x"]) == 0  # a bare name is a run's, ~ is home
    assert "if these are photos: --from-photos" in capsys.readouterr().out
    assert len(list((tmp_path / "out").iterdir())) == 8
    assert main(["translate", str(folder / "p0.png"), "huge", "--size", "400000"]) == 1
    assert "p0.png: needs more memory than there is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "pix2pux", "--data", "edges2cats"], "no preset 'pix2pux'; did you mean 'pix2pix'?"),
        (["train", "pix2pix", "--data", "edges2cat"], "no data set 'edges2cat'; did you mean 'edges2cats'?"),
        (["train", "pix2pix", "--data", "./nowhere"], "there is no such folder"),
        (["train", "pix2pix"], "add --data NAME"),
        (["train"], "name a preset"),
        (["train", "pix2pix", "--data", "PHOTOS"], "plain photos, not pairs"),
        (["train", "pix2pix", "--data", "PHOTOS", "--lr", "fast"], "Invalid value for '--lr'"),
        (["train", "pix2pix", "--data", "PHOTOS", "--learning-rate", "1"], "--learning-rate"),
        (["train", "pix2pix", "--data", "PHOTOS", "--direction", "BtoC"], "'BtoC' is not known"),
        (["train", "pix2pix", "--data", "PHOTOS", "--gan-loss", "lsgann"], "did you mean 'lsgan'?"),
        (["train", "pix2pix", "--data", "PHOTOS", "--device", "gpu"], "no device 'gpu' on this machine"),
        (["train", "pix2pix", "--data", "PHOTOS", "--epochs", "1", "--steps", "1"], "keep one"),
        (["train", "pix2pix", "--data", "PHOTOS", "--set", "optim.lrr=1"], "did you mean 'optim.lr'?"),
        (["train", "pix2pix", "--data", "PHOTOS", "--set", "optim.lr"], "must read key=value"),
        (["train", "pix2pix", "--set", "data.source=edges2cat"], "did you mean 'edges2cats'?"),
        (["train", "pix2pix", "--data", "PHOTOS", "--set", "data.derive=edges", "--image-size", "16"], "at least 24"),
        (["train", "pix2pix", "--data", "PHOTOS", "--gan-loss", "..:x"], "cannot be imported"),
        (["train", "--resume"], "no run with a checkpoint"),
        (["train", "--resume", "nowhere"], "does not exist"),
        (["train", "pix2pix", "--resume", "nowhere"], "leave the name and --run-dir out"),
        (["translate", "PHOTOS", "out"], "no run with a checkpoint"),
        (["translate", "PHOTOS", "out", "--model", "nowhere"], "does not exist"),
        (["translate", "PHOTOS"], "Missing argument 'OUTPUT'"),
        (["data", "inspect", "./nowhere"], "there is no such folder"),
        (["data", "prepare", "edges2dogs", "--photos", "PHOTOS"], "no data set 'edges2dogs'"),
        (["data", "prepare", "edges2cats", "--photos", "nowhere"], "nowhere"),
        (["data", "preview", "PHOTOS"], "plain photos, not pairs"),
        (["trian"], "trian"),
        (["data", "prepare", "edges2cats", "--photos", "."], "where the prepared photos go"),
        (["data", "preview", "PHOTOS", "sheet.txt"], "must be the name of an image"),
        (["train", "cyclegan", "--data", "PHOTOS", "--data-b", "./nowhere"], "--data-b "),
        (["train", "cyclegan", "--data", "PHOTOS", "--data-b", "PHOTOS"], "is the folder of A as well"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: list[str], message: str, photos: Callable[..., Path], capsys: Capture
) -> None:
    folder = str(photos())
    assert message in error_of(capsys, *(folder if word == "PHOTOS" else word for word in arguments))


def test_a_loss_of_ones_own_is_found_in_the_working_folder(
    preset: str, photos: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "my_losses.py").write_text(
        "from i2i.losses import GANLoss\n"
        "mine = GANLoss('mine', 'E r^2 + E f^2', 'E f^2', 'own',\n"
        "    lambda r, f: (r.square().mean(), f.square().mean()), lambda f, r: f.square().mean())\n"
    )
    edges = ["--data", str(photos()), "--set", "data.derive=edges", "--steps", "1"]
    assert main(["train", preset, *edges, "--gan-loss", "my_losses:mine"]) == 0
    message = error_of(capsys, "train", preset, *edges, "--gan-loss", "my_losses:main")
    assert "--gan-loss my_losses:main" in message
    assert "did you mean 'mine'?" in message


def test_inspect_in_words_and_json(photos: Callable[..., Path], capsys: Capture) -> None:
    folder = photos()
    assert main(["data", "inspect", str(folder)]) == 0
    assert "photos" in capsys.readouterr().out
    (folder / "broken.png").write_bytes(b"junk")
    assert main(["data", "inspect", str(folder), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert "broken.png" in json.dumps(report["broken"])


def test_prepare_preview_and_list(
    photos: Callable[..., Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        drawn.BUILTIN, "cats", tuple(drawn.Drawings(split, 3, drawn.Cats()) for split in ("train", "val", "test"))
    )
    assert main(["data", "preview", "edges2cats", "drawn.png", "--rows", "2"]) == 0
    assert "drawn by a seeded generator" in capsys.readouterr().out
    assert main(["data", "prepare", "edges2cats", "--photos", str(photos())]) == 0
    assert "edges2cats now uses your photos: train 7, val 1" in capsys.readouterr().out
    assert main(["data", "preview", "edges2cats", "photos.png", "--rows", "2", "--set", "data.image_size=64"]) == 0
    assert "your own photos" in capsys.readouterr().out
    assert not np.array_equal(files.read(tmp_path / "drawn.png"), files.read(tmp_path / "photos.png"))
    assert "exists already" in error_of(capsys, "data", "preview", "edges2cats", "photos.png")
    assert main(["data", "list"]) == 0
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    for word in ("pix2pix", "edges2cats", "unet", "patchgan", "nonsaturating", "edges"):
        assert word in listed


def test_side_by_side_pairs_both_ways(preset: str, tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (40, 80, 3)).astype(np.uint8))
    for direction in ("AtoB", "BtoA"):
        assert main(["train", preset, "--data", "./ab", "--direction", direction, "--run-dir", direction]) == 0
        assert main(["translate", "ab", f"out{direction}", "--model", direction, "--from-pairs"]) == 0
        assert files.read(tmp_path / f"out{direction}" / "0.png").shape == (40, 40, 3)
