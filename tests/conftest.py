"""What tests share: small photos, and a run small enough to be made many times; all in pytest's temporary folders."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console

from i2i.config import parse_setting
from i2i.engine.config import RunConfig, compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import start

Image = npt.NDArray[np.uint8]

# processes that tests start find the same i2i
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
torch.set_num_threads(1)  # the tests run in several processes, and their networks are small


@pytest.fixture(autouse=True)
def own_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep prepared data and caches in the test's own folder, and the working folder too."""
    root = tmp_path / "i2i-data"
    monkeypatch.setenv("I2I_DATA", str(root))
    monkeypatch.chdir(tmp_path)
    return root


@pytest.fixture(autouse=True)
def own_modules(tmp_path: Path) -> Iterator[None]:
    """Forget the modules of the test's own folder: the next test may have others of the same names."""
    path = sys.path.copy()
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def blob_photo(index: int, size: int = 40) -> Image:
    """A coloured disc on a coloured ground: contours that an edge detector finds, RGB ``[size, size, 3]``."""
    rng = np.random.default_rng(index)
    ground, disc = rng.integers(0, 256, (2, 3))
    image = np.full((size, size, 3), ground, np.uint8)
    center = rng.integers(size // 3, 2 * size // 3, 2).tolist()
    cv2.circle(image, center, size // 4, [int(value) for value in 255 - disc], -1)
    return image


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that fills a folder with small photos."""

    def fill(count: int = 8, size: int = 40, name: str = "photos") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            cv2.imwrite(str(folder / f"p{index}.png"), blob_photo(index, size)[..., ::-1])
        return folder

    return fill


TINY = """
method:
  name: pix2pix
  generator: {name: unet, depth: 6, ngf: 4}
  discriminator: {name: patchgan, layers: 1, ndf: 4}
data: {derive: {name: edges}, image_size: 64, workers: 0, val_share: 0.25}
train: {steps: 4, device: cpu, precision: fp32, ema: 0.9, validate_every: 2, log_every: 1}
"""


@pytest.fixture
def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture
def tiny(tmp_path: Path, photos: Callable[..., Path], quiet: Console) -> Callable[..., Outcome]:
    """Return a function that trains a tiny pix2pix in a named folder, with settings as the command line takes them."""
    preset = tmp_path / "tiny.yaml"
    preset.write_text(TINY)
    folder = photos(8, size=72)

    def train(name: str, *settings: str, console: Console = quiet) -> Outcome:
        config, source = compose(str(preset), str(folder), [parse_setting(text) for text in settings])
        return start(config, source, console, tmp_path / name)

    return train


@pytest.fixture
def tiny_config(tmp_path: Path, photos: Callable[..., Path]) -> RunConfig:
    preset = tmp_path / "tiny.yaml"
    preset.write_text(TINY)
    return compose(str(preset), str(photos(8, size=72)), [])[0]
