"""From a folder to data that is ready to train on, or one line that says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from i2i.data import DataConfig, files, find_source, open_data
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
    with pytest.raises(UserError, match=r"say --set data\.derive=null"):
        opened(two_folders(tmp_path / "pairs"), derive={"name": "edges"})
    with pytest.raises(UserError, match="unpaired"):
        opened(two_folders(tmp_path / "zebras", a="trainA", b="trainB"))


SMALL = {"name": "downscale", "enlarge": False}


def test_derivations_say_what_they_make(photos: Callable[..., Path], tmp_path: Path) -> None:
    small = opened(photos(4), derive=SMALL, image_size=32)
    assert (small.scale, small.channels) == (4, (3, 3))
    sheet = preview_sheet(small, rows=2)
    assert sheet.shape[1] == 6 * (32 + 4) + 8  # small inputs are shown as large as their photos
    masked = opened(photos(4), derive={"name": "mask"}, image_size=32)
    assert (masked.scale, masked.channels, masked.config.channels_a) == (1, (4, 3), 4)
    healed = opened(two_folders(tmp_path / "damage"), derive={"name": "heal"}, image_size=16)
    assert (healed.channels, healed.config.resize_a, healed.config.aspect) == ((4, 3), "nearest", "keep")
    assert healed.splits["train"][0, 0]["a"].shape == (4, 16, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derive": {**SMALL, "factor": 3}}, r"image_size=32: does not divide by 3, .*--image-size 30 or 33"),
        ({"derive": SMALL, "direction": "BtoA"}, r"direction=BtoA: .* 4 times smaller"),
        ({"derive": {"name": "heal"}}, r"plain photos, and data\.derive\.name=heal takes pairs"),
        ({"derive": {"name": "os:getcwd"}}, "os:getcwd: called with a photo"),
        (
            {"derive": SMALL, "augment": [{"transform": "RandomCrop", "options": {"height": 30, "width": 32}}]},
            "data.augment: makes images of 32x30 pixels, which do not divide by 4",
        ),
        (
            {
                "derive": SMALL,
                "augment": [{"transform": "RandomCrop", "on": "a", "options": {"height": 9, "width": 9}}],
            },
            "RandomCrop, on a: does not take these images",
        ),
    ],
)
def test_derivations_that_do_not_suit_are_refused(
    photos: Callable[..., Path], options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        opened(photos(4), image_size=32, **options)
    assert "\n" not in str(refusal.value)


def test_masks_that_mark_nothing_are_refused(tmp_path: Path) -> None:
    root = two_folders(tmp_path / "damage")
    for path in (root / "mask").iterdir():
        cv2.imwrite(str(path), files.read(path)[..., 0] // 128)  # of 0 and 1
    with pytest.raises(UserError, match=r"the masks \(A\) mark nothing: none of 3 .* has a pixel of 128 or more"):
        opened(root, derive={"name": "heal"}, image_size=16)


def bands(root: Path, *channels: int, a: int = 6) -> Path:
    """Make two folders of 16-bit TIFFs: A has `a` channels, each image of B the next of `channels`."""
    rng = np.random.default_rng(0)
    for index, b in enumerate(channels):
        for folder, count in (("input", a), ("target", b)):
            files.write(root / folder / f"{index}.tif", rng.integers(0, 65536, (32, 32, count)).astype(np.uint16))
    return root


@pytest.mark.parametrize("names", [("input", "target"), ("trainA", "trainB")])
def test_images_of_many_channels_are_taken_as_they_are(tmp_path: Path, names: tuple[str, str]) -> None:
    root = bands(tmp_path / "bands", 6, 6, 6)
    for old, new in zip(("input", "target"), names, strict=True):
        (root / old).rename(root / new)
    config = DataConfig(image_size=32, load_size=40)
    data = open_data(config, find_source(str(root)), 0, print, needs="heaps" if names[0] == "trainA" else "pairs")
    assert (data.channels, data.config.bits) == ((6, 6), 16)
    assert (data.config.channels_a, data.config.channels_b) == (6, 6)
    item = data.splits["train"][0, 0]
    assert item["a"].shape == item["b"].shape == (6, 32, 32)
    held_out = data.held_out[0, 0]["b"].numpy().transpose(1, 2, 0)  # which needs no resizing
    stored = [files.read(path) / 65535 for path in (root / names[1]).iterdir()]
    assert sum(np.allclose(held_out, image, atol=1e-7) for image in stored) == 1
    assert preview_sheet(data, rows=1).shape[2] == 3


def test_all_channels_are_resized_cropped_and_turned_alike(tmp_path: Path) -> None:
    root, rng = tmp_path / "bands", np.random.default_rng(0)
    for folder, channels in (("input", 6), ("target", 13)):
        for index in range(3):
            first = rng.integers(2000, 3000, (40, 48, 1))  # far from the ends, where bicubic is clipped
            files.write(root / folder / f"{index}.tif", (first * np.arange(1, channels + 1)).astype(np.uint16))
    turned = {"transform": "D4", "on": "b", "options": {"p": 1.0}}
    data = opened(root, image_size=32, load_size=36, aspect="keep", augment=[turned])
    assert data.channels == (6, 13)
    for epoch in range(4):
        item = data.splits["train"][0, epoch]
        for side, channels in (("a", 6), ("b", 13)):
            image = item[side].numpy()
            assert image.shape == (channels, 32, 32)
            np.testing.assert_allclose(image, image[:1] * np.arange(1, channels + 1)[:, None, None], rtol=1e-5)
            assert image[0].std() > 0


def test_many_channels_of_unlike_number_are_refused_or_skipped(tmp_path: Path) -> None:
    root = bands(tmp_path / "bands", 13, 13, 13, 7, 13)
    with pytest.raises(UserError, match=r"3\.tif: has 7 channels where 4 of 5 .*--set data\.bad_files=skip"):
        opened(root)
    data = opened(root, bad_files="skip")
    assert data.channels == (6, 13)
    assert sum(map(len, data.splits.values())) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels_b": 3}, "channels_b=3: the images of B .* have 13 channels.*leave data.channels_b out"),
        ({"channels_a": 7}, "channels_a=7: the images of A .* have 6 channels"),
        ({"augment": [{"transform": "HueSaturationValue", "on": "a"}]}, "HueSaturationValue.*A of 6 channels"),
        ({"layout": "photos", "derive": {"name": "edges"}}, "takes photos of 1 or 3 channels.*have 6"),
    ],
)
def test_what_many_channels_do_not_allow(tmp_path: Path, options: dict[str, object], message: str) -> None:
    root = bands(tmp_path / "bands", *(3 * [6 if "derive" in options else 13]))
    with pytest.raises(UserError, match=message) as refusal:
        opened(root, **options)
    assert "\n" not in str(refusal.value)


def test_more_channels_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"channels_b=6: the images of B .* have 3 channels"):
        opened(two_folders(tmp_path / "damage"), channels_b=6)
    assert opened(two_folders(tmp_path / "damage"), channels_b=4).channels == (1, 4)


def test_preview_shows_training_and_validation(photos: Callable[..., Path]) -> None:
    sheet = preview_sheet(opened(photos(10), **EDGES), rows=3)
    assert sheet.ndim == 3
    assert sheet.shape[1] == 6 * (32 + 4) + 8  # six columns of 32 pixels, their gaps, and the margins
    assert sheet.shape[0] == 22 + 3 * (32 + 4) + 4
