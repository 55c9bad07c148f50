"""`i2i sample`: what a user types, and what is written or said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from i2i.cli import main
from i2i.config import parse_setting
from i2i.data import files
from i2i.engine.config import compose
from i2i.engine.runs import start
from i2i.inference import load_sampler

Capture = pytest.CaptureFixture[str]
Train = Callable[..., Path]

TINY = """
method: {name: gan, latent: 8, generator: {name: mlp, hidden: [16]}, discriminator: {name: mlp, hidden: [16]}}
data: {image_size: 8, workers: 0, val_share: 0.25, batch_size: 4}
train: {steps: 1, device: cpu, precision: fp32, validate_every: 1}
"""


@pytest.fixture
def trained(tmp_path: Path, photos: Callable[..., Path], quiet: Console) -> Train:
    """Return a function that trains a tiny GAN on class folders into ``run``."""

    def train(*settings: str) -> Path:
        preset = tmp_path / "gan.yaml"
        preset.write_text(TINY)
        for name in ("cat", "dog"):
            photos(3, 8, f"animals/{name}")
        config, source = compose(str(preset), str(tmp_path / "animals"), [parse_setting(text) for text in settings])
        start(config, source, quiet, tmp_path / "run")
        return tmp_path / "run"

    return train


def told(capsys: Capture, *words: str) -> str:
    capsys.readouterr()
    assert main(["sample", "run", *words, "--device", "cpu"]) == 0
    return capsys.readouterr().out


def refused(capsys: Capture, *words: str) -> str:
    """Return the one line of the error."""
    capsys.readouterr()
    before = sorted(Path().rglob("*"))
    assert main(["sample", "run", *words, "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sorted(Path().rglob("*")) == before
    return line


def test_without_classes(trained: Train, capsys: Capture) -> None:
    sampler = load_sampler(trained(), device="cpu")
    assert "grid: grid.png (8 x 8 images; seeds 0 to 63)" in told(capsys, "grid.png")
    grid = files.read(Path("grid.png"))
    assert grid.shape == (82, 82, 3)
    np.testing.assert_array_equal(grid[12:20, 22:30], sampler.sample([10])[0])

    said = told(capsys, "out", "--count", "3", "--seed", "7", "--grid", "out/grid.png")
    assert "sampled: 3 images to out" in said
    assert "grid: out/grid.png (2 x 2 images; seeds 7 to 9)" in said
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "grid.png",
        *(f"seed_0000{n}.png" for n in (7, 8, 9)),
    ]
    np.testing.assert_array_equal(files.read(Path("out/seed_00008.png")), sampler.sample([8])[0])

    assert "seeds 5, 1)" in told(capsys, "pair.png", "--seeds", "5, 1", "--truncation", "0.5")
    np.testing.assert_array_equal(files.read(Path("pair.png"))[2:10, 2:10], sampler.sample([5], truncation=0.5)[0])

    assert "exists already" in refused(capsys, "grid.png")
    assert "exists already (2 such)" in refused(capsys, "out", "--seeds", "1,7,9")
    told(capsys, "grid.png", "--overwrite", "--count", "1")
    assert files.read(Path("grid.png")).shape == (12, 12, 3)

    assert "the model has no classes; leave --classes out" in refused(capsys, "x.png", "--classes", "cat")


def test_with_classes(trained: Train, capsys: Capture) -> None:
    sampler = load_sampler(trained("method.conditional=true"), device="cpu")
    assert "(2 x 10 images; a row for each of cat, dog; seeds 0 to 9)" in told(capsys, "grid.png")
    grid = files.read(Path("grid.png"))
    assert grid.shape == (22, 102, 3)
    np.testing.assert_array_equal(grid[12:20, 22:30], sampler.sample([2], ["dog"])[0])
    told(capsys, "out", "--classes", "dog,0", "--seeds", "3")
    assert sorted(path.name for path in Path("out").iterdir()) == ["seed_00003_cat.png", "seed_00003_dog.png"]
    np.testing.assert_array_equal(files.read(Path("out/seed_00003_cat.png")), sampler.sample([3], [0])[0])

    assert "did you mean 'dog'" in refused(capsys, "x.png", "--classes", "cat,dgo")
    assert "names 'cat' twice" in refused(capsys, "x.png", "--classes", "cat,0")
    assert "add --classes with one of: cat, dog" in refused(capsys, "x.png", "--interpolate", "1,2")
    assert "shows one class" in refused(capsys, "x.png", "--traverse", "1", "--classes", "cat,dog")
    told(capsys, "walk.png", "--interpolate", "1,2", "--classes", "dog")
    np.testing.assert_array_equal(files.read(Path("walk.png"))[2:10, 92:100], sampler.sample([2], ["dog"])[0])


def test_strips(trained: Train, capsys: Capture) -> None:
    sampler = load_sampler(trained("method.name=infogan", "method.categories=[3]", "method.continuous=1"), device="cpu")
    for words, said, pictures in (
        (["--interpolate", "3,7", "--steps", "4"], "4 images from seed 3 to 7", sampler.interpolate(3, 7, 4)),
        (["--interpolate", "3,7", "--along", "linear"], "10 images", sampler.interpolate(3, 7, along="linear")),
        (["--traverse", "c0", "--seed", "2"], "3 images along c0 from seed 2", sampler.traverse("c0", 2)),
        (["--traverse", "c1"], "10 images along c1 from seed 0", sampler.traverse("c1")),
        (["--traverse", "5", "--steps", "2"], "2 images along 5", sampler.traverse("5", steps=2)),
        (["--arithmetic", "-3 +7 - 12"], "3 operands", sampler.arithmetic([(-1, 3), (1, 7), (-1, 12)])),
    ):
        out = told(capsys, "strip.png", *words, "--overwrite")
        assert f"strip: strip.png ({said}" in out
        assert ("gif: strip.gif" in out) is Path("strip.gif").exists() is ("--arithmetic" not in words)
        Path("strip.gif").unlink(missing_ok=True)
        strip = files.read(Path("strip.png"))
        assert strip.shape == (12, 2 + 10 * len(pictures), 3)
        for index, picture in enumerate(pictures):
            np.testing.assert_array_equal(strip[2:10, 2 + 10 * index : 10 + 10 * index], picture)

    assert "has the axes 0 to 61, and the codes c0, c1" in refused(capsys, "x.png", "--traverse", "c2")
    assert "give the name of an image" in refused(capsys, "walks", "--traverse", "c1")
    assert "strip.png: exists already" in refused(capsys, "strip.png", "--traverse", "c1")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--interpolate", "1,2", "--traverse", "3"], "--interpolate and --traverse are given together; keep one"),
        (["--interpolate", "1,2", "--count", "3"], "--count: does not go with --interpolate; leave it out"),
        (["--arithmetic", "1+2", "--seed", "3"], "--seed: does not go with --arithmetic; leave it out"),
        (["--arithmetic", "1+2", "--steps", "3"], "--steps: does not go with --arithmetic; leave it out"),
        (["--traverse", "1", "--grid", "g.png"], "--grid: does not go with --traverse; leave it out"),
        (["--traverse", "1", "--along", "linear"], "--along: does not go with --traverse; leave it out"),
        (["--steps", "3"], "--steps: belongs to --interpolate or --traverse; add that, or leave it out"),
        (["--along", "linear"], "--along: belongs to --interpolate; add that, or leave it out"),
        (["--seeds", "1,2", "--count", "3"], "--seeds and --count are given together; keep one"),
        (["--seeds", "1,2", "--seed", "3"], "--seeds and --seed are given together; keep one"),
        (["--seeds", "1,,2"], "--seeds 1,,2: '' is no seed"),
        (["--seeds", "1,-2"], "'-2' is no seed; seeds are whole numbers from 0"),
        (["--seeds", "1,2,1"], "names seed 1 twice"),
        (["--seeds", str(2**63)], "is no seed"),
        (["--interpolate", "1"], "--interpolate 1: takes two seeds, such as 3,7"),
        (["--interpolate", "1,2,3"], "takes two seeds"),
        (["--arithmetic", ""], "--arithmetic '': write seeds with + or - between them, such as '3 - 7 + 12'"),
        (["--arithmetic", "3 7"], "write seeds"),
        (["--arithmetic", "3 - - 7"], "write seeds"),
        (["--arithmetic", "3 * 7"], "write seeds"),
        (["--arithmetic", "3 -"], "write seeds"),
        (["--arithmetic", "3.5 + 1"], "write seeds"),
        (["--arithmetic", f"1 + {2**63}"], "is no seed"),
        (["--count", "0"], "--count"),
        (["--seed", "-1"], "--seed"),
        (["--steps", "1", "--interpolate", "1,2"], "--steps"),
        (["--along", "curved", "--interpolate", "1,2"], "--along"),
    ],
)
def test_what_is_typed_wrongly_is_said_before_a_model_is_looked_for(
    words: list[str], reason: str, capsys: Capture
) -> None:
    assert reason in refused(capsys, "x.png", *words)


def test_there_is_no_such_run(capsys: Capture) -> None:
    assert "run: does not exist" in refused(capsys, "x.png")


def test_noise_without_tails_is_not_truncated(trained: Train, capsys: Capture) -> None:
    trained("method.prior=uniform")
    assert "has no tails to cut; leave it out" in refused(capsys, "x.png", "--truncation", "1")


def test_translating_with_a_model_of_noise_names_this_command(trained: Train, capsys: Capture) -> None:
    trained()
    files.write(Path("in.png"), np.zeros((8, 8, 3), np.uint8))
    assert main(["translate", "in.png", "out.png", "--model", "run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "makes images of noise and translates none; type: i2i sample run" in line
