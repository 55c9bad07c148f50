"""`i2i data` on images of one kind; on pairs it is tested with the rest of the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from i2i.cli import main
from i2i.data import drawn, files
from i2i.data.drawn import Cats, Drawings

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Forty images of 8 x 8 and their labels, not packed."""
    root = tmp_path / "digits"
    root.mkdir()
    for what, shape in (("images-idx3", (40, 8, 8)), ("labels-idx1", (40,))):
        header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
        values = np.random.default_rng(0).integers(0, 256, shape) if what[0] == "i" else np.arange(40) % 4
        (root / f"train-{what}-ubyte").write_bytes(header + values.astype(np.uint8).tobytes())
    return root


def test_idx_files_are_inspected_and_previewed(digits: Path, capsys: Capture) -> None:
    assert main(["data", "inspect", str(digits)]) == 0
    shown = capsys.readouterr().out
    assert "(4 classes: 0, 1, 2, 3): train 36, val 4 (split off train, seed 0)" in shown
    assert "40 images decoded, 0 broken" in shown
    assert "images of each class: 0 10, 1 10, 2 10, 3 10" in shown
    assert main(["data", "inspect", str(digits), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["layout"], told["classes"]) == ("idx", {"0": 10, "1": 10, "2": 10, "3": 10})
    assert main(["data", "preview", str(digits), "sheet.png", "--rows", "3"]) == 0
    assert files.read(Path("sheet.png")).shape == (22 + 3 * 68 + 4, 4 * 68 + 8, 3)
    capsys.readouterr()
    assert main(["data", "preview", str(digits), "x.png", "--preset", "pix2pix"]) == 2
    assert "and this method learns from pairs" in capsys.readouterr().err


def test_class_folders(photos: Callable[..., Path], capsys: Capture) -> None:
    for name in ("cat", "dog"):
        photos(4, name=f"pets/{name}")
    assert main(["data", "inspect", "./pets"]) == 2
    assert "classes if of two" in capsys.readouterr().err
    classes = ["--set", "data.layout=classes"]
    assert main(["data", "inspect", "./pets", *classes]) == 0
    assert "images of each class: cat 4, dog 4" in capsys.readouterr().out
    assert main(["data", "preview", "./pets", *classes, "--set", "data.image_size=32"]) == 0


def test_a_sample_with_classes_needs_no_preset(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    few = tuple(
        Drawings(f"{split}/{coat}", 2, Cats(coat, 32)) for split in ("train", "val") for coat in ("black", "white")
    )
    monkeypatch.setitem(drawn.BUILTIN, "coats", few)
    assert main(["data", "preview", "coats"]) == 0
    assert "(2 classes: black, white): train 4, val 4" in capsys.readouterr().out
    assert main(["data", "list"]) == 0
    assert "coats" in capsys.readouterr().out


def test_download(
    photos: Callable[..., Path], own_data_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    folder = photos(1, name=str(own_data_root / "facades" / "downloaded"))
    assert main(["data", "download", "facades"]) == 0
    assert capsys.readouterr().out == f"facades: in {folder}\n"
    assert main(["data", "download", "cracks"]) == 2
    assert "is drawn on this machine at first use; there is nothing to download" in capsys.readouterr().err
    assert main(["data", "download", "facade"]) == 2
    assert "did you mean 'facades'?" in capsys.readouterr().err
    assert main(["data", "download", "./i2i-data"]) == 2
    assert "is a folder; give the name of a data set" in capsys.readouterr().err
    assert main(["data", "list"]) == 0
    assert "not here yet, 116.9 MB to download" in capsys.readouterr().out
