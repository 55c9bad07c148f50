"""Batches cut from images that are kept equal those of the loader, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from i2i.data import DataConfig, Kept, Stream, files, find_source, in_blocks, kept_bytes, open_data, training_loader
from i2i.data.crops import epoch_shares, windows
from i2i.data.images import ImageSet
from i2i.data.opened import Needs

CPU = torch.device("cpu")


def unheard(done: int, total: int) -> None:
    """Show nothing."""


def noise(path: Path, seed: int, height: int, width: int, channels: int = 3, bits: int = 8) -> None:
    pixels = np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels))
    files.write(path, pixels.astype(np.uint16 if bits == 16 else np.uint8))


def pairs(root: Path, channels: int = 3, bits: int = 8) -> Needs:
    for index in range(7):
        noise(root / "train" / f"{index}.png", index, 23, 46, channels, bits)
    return "pairs"


def grey_pairs(root: Path) -> Needs:
    return pairs(root, channels=1)


def deep_pairs(root: Path) -> Needs:
    return pairs(root, bits=16)


def several_inputs(root: Path) -> Needs:
    for index in range(7):
        for number, name in enumerate(("clean", "mask", "image")):
            noise(root / "train" / name / f"{index}.png", 9 * index + number, 23, 30, 1 if name == "mask" else 3)
    return "pairs"


def heaps(root: Path) -> Needs:
    for side, count in (("A", 4), ("B", 7)):
        for index in range(count):
            noise(root / f"train{side}" / f"{index}.png", ord(side) + index, 20 + index, 30)
    return "heaps"


def classes(root: Path) -> Needs:
    for name in ("cat", "dog", "owl"):
        for index in range(3):
            noise(root / "train" / name / f"{name}{index}.png", index, 20, 25 + index)
    return "images"


def opened(make: Callable[[Path], Needs], root: Path, **options: Any) -> ImageSet:
    needs = make(root)
    config = DataConfig.model_validate({"image_size": 16, "val_share": 0.01, **options})
    return open_data(config, find_source(str(root)), 3, lambda line: None, needs=needs).splits["train"]


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (pairs, {}),
        (pairs, {"direction": "BtoA", "load_size": 21}),
        (pairs, {"load_size": 16, "flip": False}),
        (grey_pairs, {}),
        (deep_pairs, {}),
        (several_inputs, {"folder_a": ("clean", "mask"), "folder_b": "image", "layout": "two-folders"}),
        (heaps, {}),
        (heaps, {"direction": "BtoA"}),
        (classes, {}),
        (classes, {"load_size": 20, "aspect": "squash"}),
    ],
    ids=["pairs", "BtoA", "as-it-is", "grey", "deep", "several", "heaps", "heaps-BtoA", "classes", "classes-cropped"],
)
def test_batches_equal_the_loaders(
    tmp_path: Path, make: Callable[[Path], Needs], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the ends of epochs, in blocks of several steps, and from a step in the middle."""
    monkeypatch.setattr("i2i.data.kept.AT_ONCE", 3)
    train = opened(make, tmp_path / "set", **options)
    whole = list(training_loader(train, Stream(len(train), 4, 3, 0, 9), workers=0, pin=False))
    told: list[tuple[int, int]] = []
    kept = Kept(train, CPU, lambda done, total: told.append((done, total)))
    assert told[-1] == (sum(heap.count for heap in train.heaps),) * 2
    assert sum(pixels.nbytes for pixels in kept._pixels.values()) == kept_bytes(train)
    for start, steps in ((0, 1), (5, 1), (5, 3)):
        blocks = [kept.batch(places) for places in in_blocks(Stream(len(train), 4, 3, start, 9), steps)]
        for name in whole[0]:
            cut, loaded = (torch.cat([batch[name] for batch in batches]) for batches in (blocks, whole[start:]))
            assert cut.dtype == loaded.dtype
            assert torch.equal(cut, loaded), name
        assert all(batch.keys() == whole[0].keys() for batch in blocks)


def test_windows_by_hand() -> None:
    """Of an image of 5x8 a square of 3 has 3 places down and 6 across, and is mirrored in the upper half of draws."""
    shares = np.array([[0.0, 0.0, 0.0], [0.34, 0.5, 0.49], [0.67, 0.84, 0.5], [0.999, 0.999, 0.999]])
    by_hand = [[0, 0, 0], [1, 3, 0], [2, 5, 1], [2, 5, 1]]
    assert windows(shares, 5, 8, 3, flip=True).tolist() == by_hand
    assert windows(shares, 5, 8, 3, flip=False)[:, 2].tolist() == [0, 0, 0, 0]
    assert not np.array_equal(epoch_shares(0, 0, 4, 3), epoch_shares(0, 1, 4, 3))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"augment": [{"transform": "GaussNoise"}]}, "data.augment changes"),
        ({"layout": "photos", "derive": "edges"}, "A is derived"),
        ({"aspect": "crop"}, "aspect=crop images differ in size"),
        ({"aspect": "keep"}, "aspect=keep images differ in size"),
        ({}, None),
    ],
)
def test_what_cannot_be_kept(tmp_path: Path, options: dict[str, Any], reason: str | None) -> None:
    unkeepable = opened(pairs, tmp_path / "set", **options).unkeepable
    assert unkeepable is None if reason is None else unkeepable and reason in unkeepable


def test_squares_cut_from_the_middle_can_be_kept_and_others_cannot(tmp_path: Path) -> None:
    assert opened(classes, tmp_path / "set").unkeepable is None
    assert opened(classes, tmp_path / "set", load_size=20).unkeepable


def test_nothing_is_remembered_twice(tmp_path: Path) -> None:
    train = opened(pairs, tmp_path / "set")
    train[0, 0]
    Kept(train, CPU, unheard)
    assert not train._loaded
