"""Two heaps: other crops for each, other partners in every epoch, the same on return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from i2i.data import DataConfig, UnpairedImages, find_source, open_data
from i2i.data.files import list_images
from i2i.data.opened import Data
from i2i.errors import UserError

SIZES = {"image_size": 32, "load_size": 40, "aspect": "squash"}


def heap(root: Path, name: str, count: int, value: int) -> Path:
    """Images whose red channel tells heap and number, and whose green rises to the right (it tells crop and flip)."""
    folder = root / name
    folder.mkdir(parents=True)
    for index in range(count):
        image = np.zeros((40, 40, 3), np.uint8)
        image[..., 0], image[..., 1] = value + index, np.arange(40)
        cv2.imwrite(str(folder / f"{index}.png"), image[..., ::-1])
    return folder


def images(tmp_path: Path, count_a: int = 3, count_b: int = 5, *, train: bool = True) -> UnpairedImages:
    a, b = heap(tmp_path, "a", count_a, 10), heap(tmp_path, "b", count_b, 100)
    return UnpairedImages(list_images(a), list_images(b), DataConfig.model_validate(SIZES), 7, train=train)


def number(image: torch.Tensor) -> int:
    return int(image[0].float().median()) % 10


def test_an_epoch_is_as_long_as_the_larger_heap_and_shows_every_a(tmp_path: Path) -> None:
    data = images(tmp_path)
    assert len(data) == 5
    assert [number(data[index, 0]["a"]) for index in range(5)] == [0, 1, 2, 0, 1]


def test_partners_are_drawn_at_random_and_anew(tmp_path: Path) -> None:
    data = images(tmp_path)
    partners = [[number(data[index, epoch]["b"]) for index in range(5)] for epoch in range(40)]
    assert {value for row in partners for value in row} == {0, 1, 2, 3, 4}
    assert len({tuple(row) for row in partners}) > 30
    again = UnpairedImages(data.a, data.b, data.config, 7, train=True)
    for index, epoch in ((4, 3), (0, 0), (2, 9)):
        for side in "ab":
            assert torch.equal(again[index, epoch][side], data[index, epoch][side])


def test_crop_and_flip_are_each_images_own(tmp_path: Path) -> None:
    data = images(tmp_path)
    flips = []
    for epoch in range(60):
        item = data[0, epoch]
        flips.append([int(item[side][1, 0, 0]) > int(item[side][1, 0, -1]) for side in "ab"])
    agree = np.mean([one == other for one, other in flips])
    assert 0.25 < agree < 0.75


def test_validation_is_fixed_and_the_direction_swaps(tmp_path: Path) -> None:
    data = images(tmp_path, train=False)
    assert torch.equal(data[1, 0]["b"], data[1, 5]["b"])
    config = data.config.model_copy(update={"direction": "BtoA"})
    back = UnpairedImages(data.a, data.b, config, 7, train=False)
    assert torch.equal(back[1, 0]["a"], data[1, 0]["b"])


def opened(source: str, **options: object) -> Data:
    config = DataConfig.model_validate({"image_size": 32, **options})
    return open_data(config, find_source(source), 0, lambda line: None, needs="heaps")


def test_folders_that_are_two_heaps(tmp_path: Path, photos: Callable[..., Path]) -> None:
    root = tmp_path / "zebras"
    for side, count in (("A", 6), ("B", 4)):
        heap(root, f"train{side}", count, 50)
    data = opened(str(root))
    assert (len(data.splits["train"]), data.config.aspect, data.channels) == (5, "squash", (3, 3))
    pairs = tmp_path / "pairs"  # two folders of other names serve as well
    heap(pairs, "input", 4, 10)
    heap(pairs, "target", 6, 60)
    assert isinstance(opened(str(pairs)).splits["train"], UnpairedImages)
    apart = opened(str(heap(tmp_path, "one", 5, 10)), source_b=str(heap(tmp_path, "other", 8, 60)))
    train = apart.splits["train"]
    assert isinstance(train, UnpairedImages)
    assert {path.parent.name for path in train.a} == {"one"}
    assert {path.parent.name for path in train.b} == {"other"}
    with pytest.raises(UserError, match=r"not two heaps of images.*--data A_DIR --data-b B_DIR"):
        opened(str(photos(4)))
