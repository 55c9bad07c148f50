"""Images of one kind: class folders and photos, the square in the middle, labels in the folders' order."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from i2i.data import DataConfig, Stream, files, find_source, open_data, training_loader
from i2i.data.opened import Data
from i2i.data.preview import preview_sheet
from i2i.data.singles import read_singles
from i2i.errors import UserError


def make(root: Path, *names: str, height: int = 16, width: int = 16) -> Path:
    """Write images whose red tells their place in `names`, green the column and blue the row."""
    for index, name in enumerate(names):
        rows, columns = np.mgrid[:height, :width]
        image = np.stack([np.full_like(rows, index), columns, rows], axis=2).astype(np.uint8)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), image[..., ::-1])
    return root


def opened(root: Path, **options: object) -> Data:
    return told(root, **options)[0]


def told(root: Path, **options: object) -> tuple[Data, list[str]]:
    lines: list[str] = []
    config = DataConfig.model_validate({"image_size": 16, "flip": False, **options})
    return open_data(config, find_source(str(root)), 0, lines.append, needs="images"), lines


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(UserError) as error:
        opened(root, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("nesting", ["{name}", "all/{name}", "train/{name}", "train/Images/{name}"])
def test_subfolders_are_classes_in_natural_order(tmp_path: Path, nesting: str) -> None:
    names = [f"breed{breed}/deep/{index}.png" for breed in (10, 2, 1) for index in range(4)]
    data = opened(make(tmp_path / "dogs", *(nesting.format(name=name) for name in names)))
    assert (data.classes, data.channels) == (("breed1", "breed2", "breed10"), (3,))
    assert (data.config.layout, data.config.classes) == ("classes", data.classes)
    labels = {}
    for images in data.splits.values():
        for index in range(len(images)):
            item = images[index, 0]
            labels[int(item["image"][0, 0, 0])] = int(item["label"])
    assert labels == {place: {10: 2, 2: 1, 1: 0}[breed] for place, breed in enumerate([10] * 4 + [2] * 4 + [1] * 4)}


def test_splits_share_their_classes(tmp_path: Path) -> None:
    data, lines = told(make(tmp_path, "train/b/1.png", "train/a/1.png", "test/c/1.png", "val/b/1.png"))
    assert data.classes == ("a", "b", "c")
    assert [int(data.splits[split][0, 0]["label"]) for split in ("train", "val", "test")] == [0, 1, 2]
    assert "(3 classes: a, b, c): train 2, val 1, test 1" in lines[0]
    assert lines[1:] == ["data: note: classes without an image to train on: c"]
    twisted = opened(make(tmp_path / "inner", "b/train/1.png", "a/train/1.png", "a/test/2.png"))
    assert (twisted.classes, len(twisted.splits["test"])) == (("a", "b"), 1)


@pytest.mark.parametrize(
    ("names", "options", "classes"),
    [
        (["1.png", "sub/2.png", "sub/3.png"], {}, ()),
        (["1.png", "a/2.png", "b/3.png"], {}, ()),
        (["only/1.png", "only/2.png"], {}, ()),
        (["a/1.png", "b/2.png"], {"layout": "photos"}, ()),
        (["1.png", "a/2.png", "b/3.png"], {"layout": "classes"}, ("a", "b")),
        (["a/1.png", "b/2.png", "c/3.png"], {"classes": ["c", "a"]}, ("c", "a")),
        (["trainA/1.png", "trainB/2.png", "testA/3.png"], {}, ("A", "B")),
        (["trainA/1.png", "trainB/2.png"], {"layout": "unpaired"}, ("A", "B")),
        (["input/1.png", "target/1.png"], {}, ("input", "target")),
        (["a/1.png", "b/1.png"], {"derive": {"name": "edges"}}, ("a", "b")),
    ],
)
def test_what_a_folder_is_taken_for(
    tmp_path: Path, names: list[str], options: dict[str, object], classes: tuple[str, ...]
) -> None:
    data, lines = told(make(tmp_path, *names), **options)
    assert data.classes == classes
    assert ("label" in data.splits["train"][0, 0]) == bool(classes)
    again = open_data(data.config, find_source(str(tmp_path)), 0, print, needs="images")  # as a resumed run does
    assert (again.config, again.digest) == (data.config, data.digest)
    counted = sum(len(images) for images in data.splits.values())
    assert counted == len(names) or any("left out: 1" in line or "no other" in line for line in lines)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (
            ["only/1.png"],
            {"layout": "classes"},
            "two or more folders of images, one for each, and there is no subfolder",
        ),
        (["only/1.png", "2.png"], {"layout": "classes"}, "there is only the folder 'only'"),
        (["a/1.png", "b/2.png"], {"classes": ["a", "bb"]}, "no class folder 'bb'"),
        (["a/1.png", "b/2.png"], {"classes": ["a"]}, "name two or more classes"),
        (["a/1.png", "b/2.png"], {"classes": ["a", "a"]}, "each of them once"),
        (["a/1.png"], {"layout": "two-folders"}, "holds two-folders pairs, and this method learns from single images"),
        (["a/1.png"], {"layout": "idx"}, "holds no IDX files"),
        (["a/1.png"], {"channels_b": 1}, "say data.channels"),
        (["a/1.png"], {"folder_a": "a"}, "data.folder_a: images of one kind have no A and B"),
        (["a/1.png"], {"channels": 6}, "data.channels=6: the images in .* have 3 channels"),
        (["a/1.png"], {"augment": [{"transform": "Blur", "on": "a"}]}, "there is no A"),
        (["a/1.png"], {"augment": [{"transform": "RandomFog"}], "channels": 1}, "RandomFog: does not take these"),
        (["test/1.png"], {}, "no image is left to train on"),
        (["a/1.txt"], {}, "holds no images"),
    ],
)
def test_what_is_refused(tmp_path: Path, names: list[str], options: dict[str, object], message: str) -> None:
    if names[0].endswith(".txt"):
        (tmp_path / "notes.txt").touch()
    else:
        make(tmp_path, *names)
    assert re.search(message, refusal(tmp_path, **options))


def test_single_images_options_say_nothing_to_pairs(photos: Callable[..., Path]) -> None:
    for option, value in (("channels", 1), ("classes", ["a", "b"]), ("boxes", "here")):
        config = DataConfig.model_validate({"derive": {"name": "edges"}, option: value})
        with pytest.raises(UserError, match=f"data.{option} is of images that stand alone"):
            open_data(config, find_source(str(photos(2))), 0, print)


def test_the_square_in_the_middle_is_shown_unless_there_is_room_to_crop(tmp_path: Path) -> None:
    root = make(tmp_path, *[f"{index}.png" for index in range(4)], height=16, width=40)
    train = opened(root).splits["train"]
    for epoch in range(4):
        image = train[0, epoch]["image"]
        assert image[1, 0].tolist() == list(range(12, 28))
        assert image[2, :, 0].tolist() == list(range(16))
    roomy = opened(root, image_size=8, load_size=16)
    corners = {tuple(roomy.splits["train"][0, epoch]["image"][1:, 0, 0].tolist()) for epoch in range(30)}
    assert len(corners) > 10
    assert roomy.splits["val"][0, 0]["image"].shape == (3, 8, 8)
    flipped = opened(root, flip=True).splits["train"]
    firsts = {int(flipped[0, epoch]["image"][1, 0, 0]) for epoch in range(20)}
    assert firsts == {12, 27}


def test_channels_and_depth(tmp_path: Path) -> None:
    grey = tmp_path / "grey"
    for index in range(3):
        files.write(grey / f"{index}.png", np.full((16, 16, 1), 90 + index, np.uint8))
    data = opened(grey, flip=True)
    assert (data.channels, data.splits["train"][0, 0]["image"].shape) == ((1,), (1, 16, 16))
    assert opened(grey, channels=3).splits["train"][0, 0]["image"].shape == (3, 16, 16)
    deep = tmp_path / "deep"
    for index in range(3):
        files.write(deep / f"{index}.png", np.full((16, 16, 3), 30000 + index, np.uint16))
    image = opened(deep).splits["train"][0, 0]["image"]
    assert (image.dtype, float(image.max()) * 65535 >= 30000) == (torch.float32, True)


def test_workers_and_memory_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path, *[f"{name}/{index}.png" for name in "ab" for index in range(5)], width=24)
    noise = [{"transform": "GaussNoise", "options": {"p": 1.0}}]
    streams = []
    for workers, memory in ((0, 1 << 20), (2, 1 << 20), (0, 0)):
        monkeypatch.setattr("i2i.data.images.CACHE_BYTES", memory)
        train = opened(root, augment=noise, load_size=18, flip=True).splits["train"]
        streams.append(list(training_loader(train, Stream(len(train), 3, 0, 0, 7), workers, pin=False)))
    for batches in zip(*streams, strict=True):
        assert set(batches[0]) == {"image", "label", "index"}
        for key in batches[0]:
            assert torch.equal(batches[0][key], batches[1][key])
            assert torch.equal(batches[0][key], batches[2][key])


def test_the_digest_notices_an_image_in_another_class(tmp_path: Path) -> None:
    root = make(tmp_path, *[f"{name}/{index}{name}.png" for name in "abc" for index in range(4)])
    digests = {opened(root).digest, opened(root, classes=["b", "a", "c"]).digest, opened(root, layout="photos").digest}
    assert len(digests) == 3


def test_broken_files_are_named_or_skipped(tmp_path: Path) -> None:
    root = make(tmp_path, *[f"{name}/{index}.png" for name in "ab" for index in range(4)])
    (root / "b" / "2.png").write_bytes(b"junk")
    assert "b/2.png: is no image" in refusal(root)
    data = opened(root, bad_files="skip")
    assert sum(len(images) for images in data.splits.values()) == 7


def test_a_preview_has_a_column_for_each_class(tmp_path: Path) -> None:
    root = make(tmp_path, *[f"{name}/{index}.png" for name in "ab" for index in range(4)])
    sheet = preview_sheet(opened(root), rows=2)
    assert sheet.shape == (22 + 2 * (64 + 4) + 4, 2 * (64 + 4) + 8, 3)  # 16 pixels, shown four times as large
    plain = preview_sheet(opened(root, layout="photos"), rows=2)
    assert plain.shape[1] == 3 * (64 + 4) + 8  # two epochs and val


def test_folders_are_read_without_options(tmp_path: Path) -> None:
    folder = read_singles(make(tmp_path, "a/1.png", "b/1.png", "b/2.png"), None, ())
    assert [(e.name, e.label) for split in folder.splits.values() for e in split] in (
        [("a/1", 0), ("b/1", 1), ("b/2", 1)],
        [("a/1", 0), ("b/2", 1), ("b/1", 1)],
        [("b/1", 1), ("b/2", 1), ("a/1", 0)],
    )
