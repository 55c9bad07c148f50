"""From a folder to data that is ready to train on, or one line that says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from i2i.data import DataConfig, find_source, open_data
from i2i.data.opened import Data
from i2i.data.preview import preview_sheet
from i2i.errors import UserError

EDGES = {"derive": {"name": "edges"}, "image_size": 32}


def opened(folder: Path, **options: object) -> Data:
    lines: list[str] = []
    return open_data(DataConfig.model_validate(options), find_source(str(folder)), 0, lines.append)


def two_folders(root: Path, count: int = 4, a: str = "mask", b: str = "image") -> Path:
    rng = np.random.default_rng(0)
    for index in range(count):
        for folder, channels in ((a, 1), (b, 3)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            image = rng.integers(0, 256, (20, 24, channels)).astype(np.uint8)
            cv2.imwrite(str(root / folder / f"{index}.png"), image)
    return root


def test_photos_and_edges(photos: Callable[..., Path]) -> None:
    data = opened(photos(10), **EDGES)
    assert {split: len(pairs) for split, pairs in data.splits.items()} == {"train": 9, "val": 1}
    assert (data.config.aspect, data.config.layout, data.channels) == ("keep", "photos", (1, 3))
    assert opened(photos(10), direction="BtoA", **EDGES).channels == (3, 1)


def test_masks_are_told_by_their_folder(tmp_path: Path) -> None:
    data = opened(two_folders(tmp_path / "damage"))
    assert (data.config.folder_a, data.config.folder_b) == ("mask", "image")
    assert (data.config.resize_a, data.config.resize_b, data.config.aspect) == ("nearest", "bicubic", "squash")
    assert data.channels == (1, 3)


def test_grey_photos_among_coloured_ones_are_all_taken_as_colour(photos: Callable[..., Path]) -> None:
    folder = photos(3)
    cv2.imwrite(str(folder / "a-grey.png"), np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8))
    data = opened(folder, **EDGES)
    assert data.channels == (1, 3)
    assert all(data.splits["train"][index, 0]["b"].shape == (3, 32, 32) for index in range(3))


def test_the_digest_notices_a_renamed_image(photos: Callable[..., Path]) -> None:
    folder = photos(4)
    before = opened(folder, **EDGES).digest
    assert opened(folder, **EDGES).digest == before
    (folder / "p0.png").rename(folder / "q0.png")
    assert opened(folder, **EDGES).digest != before


def test_broken_images_are_refused_or_skipped(photos: Callable[..., Path]) -> None:
    folder = photos(6)
    (folder / "p3.png").write_bytes((folder / "p3.png").read_bytes()[:60])
    with pytest.raises(UserError, match=r"p3\.png.*--set data\.bad_files=skip"):
        opened(folder, **EDGES)
    data = opened(folder, bad_files="skip", **EDGES)
    assert sum(map(len, data.splits.values())) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "plain photos, not pairs.*--set data.derive.name=edges"),
        ({"layout": "two-folders"}, "two"),
    ],
)
def test_photos_that_are_no_pairs(photos: Callable[..., Path], options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        opened(photos(4), **options)


def test_pairs_need_no_derivation_and_unpaired_images_no_pix2pix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"drop data\.derive"):
        opened(two_folders(tmp_path / "pairs"), derive={"name": "edges"})
    with pytest.raises(UserError, match="unpaired"):
        opened(two_folders(tmp_path / "zebras", a="trainA", b="trainB"))


def test_preview_shows_training_and_validation(photos: Callable[..., Path]) -> None:
    sheet = preview_sheet(opened(photos(10), **EDGES), rows=3)
    assert sheet.ndim == 3
    assert sheet.shape[1] == 6 * (32 + 4) + 8  # six columns of 32 pixels, their gaps, and the margins
    assert sheet.shape[0] == 22 + 3 * (32 + 4) + 4
