"""Models tried on images whose targets are known: which images, and that the values are those of what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import i2i
from i2i.cli import main
from i2i.data import files
from i2i.engine.fit import Outcome

Capture = pytest.CaptureFixture[str]
SR = (
    "data.derive={name: downscale, factor: 2, enlarge: false}",
    "data.aspect=crop",
    "data.image_size=32",
    "method.generator={name: srresnet, blocks: 1, ngf: 4, norm: none}",
    "method.lambda_gan=0",
    "train.steps=2",
)


def values(name: str, *words: str) -> dict[str, list[float]]:
    assert main(["evaluate", name, *words, "--device", "cpu", "--json", "values.json", "--overwrite"]) == 0
    record = json.loads(Path("values.json").read_text())
    return {image["name"]: image["psnr"] for image in record["images"]}


def psnr(output: np.ndarray, target: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((output.astype(float) - target) ** 2).mean()))


def test_a_run_is_judged_on_its_own_held_out_images(
    tiny: Callable[..., Outcome], tmp_path: Path, capsys: Capture
) -> None:
    tiny("run", "train.steps=2")
    measured = values("run")
    out = capsys.readouterr().out
    assert "2 images of photos: val" in out
    assert "model: run/checkpoints/step_00000002" in out
    assert len(measured) == 2
    assert len(values("run", "--split", "train")) == 6
    assert main(["evaluate", "run", "--report", "page"]) == 0
    page = Path("page/report.html").read_text()
    assert all(caption in page for caption in ("input", "output", "target"))


def test_a_run_goes_by_its_name_below_runs(tiny: Callable[..., Outcome], capsys: Capture) -> None:
    tiny("runs/mine", "train.steps=1")
    assert len(values("mine")) == 2
    assert "model: runs/mine/checkpoints/step_00000001" in capsys.readouterr().out


def test_super_resolution_of_whole_photos_and_of_given_pairs(
    tiny: Callable[..., Outcome], photos: Callable[..., Path], tmp_path: Path
) -> None:
    tiny("run", *SR)
    model = i2i.load(tmp_path / "run", device="cpu")
    whole = photos(3, size=41, name="others")  # 41 does not divide by 2
    small = tmp_path / "pairs"
    for path in whole.iterdir():
        photo = files.read(path)[:40, :40]
        low = photo.reshape(20, 2, 20, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
        files.write(small / "input" / path.name, low)
        files.write(small / "target" / path.name, photo)
    assert len(values("run", "--data", "others")) == 3  # all of a folder that has no test images
    measured = values("run", "--data", "pairs")
    for path in sorted((small / "input").iterdir()):
        output = model.translate(files.read(path))
        assert output.shape == (40, 40, 3)
        assert measured[path.stem] == pytest.approx(psnr(output, files.read(small / "target" / path.name)), abs=1e-6)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "photos"], "photos: run is a model, whose targets are those of a data set; say --data photos"),
        (["rnu"], "rnu: there is no such folder, image or run"),
        (["run", "--split", "tset"], "--split tset: photos has no such images"),
        (["run", "--data", "nowhere/"], "--data nowhere/: there is no such folder"),
        (["photos", "photos", "--data", "photos"], "--data: is for a model, and photos is none"),
    ],
)
def test_mistakes(words: list[str], line: str, tiny: Callable[..., Outcome], capsys: Capture) -> None:
    tiny("run", "train.steps=1")
    capsys.readouterr()
    assert main(["evaluate", *words]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said
