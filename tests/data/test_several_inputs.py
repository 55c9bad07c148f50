"""Several folders of A, whose channels are put together: a photo and a mask, say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from i2i.config import Layer, resolve
from i2i.data import Data, files, open_data
from i2i.data.config import DataConfig, Part
from i2i.data.inspection import inspect
from i2i.data.layouts import read_folder
from i2i.data.preview import preview_sheet
from i2i.data.sheet import THICKNESS, VEIL, to_pixels
from i2i.data.sources import find_source
from i2i.errors import UserError

Trio = Callable[..., Path]


@pytest.fixture
def trio(tmp_path: Path) -> Trio:
    """Return a function that makes clean photos (colour), masks (two values) and damaged photos, all named alike."""

    def make(count: int = 4, size: int = 32, mask_size: int | None = None) -> Path:
        root = tmp_path / "trio"
        for index in range(count):
            rng = np.random.default_rng(index)
            side = mask_size or size
            files.write(root / "train" / "clean" / f"{index}.png", rng.integers(0, 256, (size, size, 3), np.uint8))
            files.write(root / "train" / "mask" / f"{index}.png", rng.integers(0, 2, (side, side, 1), np.uint8) * 255)
            files.write(root / "train" / "image" / f"{index}.png", rng.integers(0, 256, (size, size, 3), np.uint8))
        return root

    return make


def opened(root: Path, **options: Any) -> Data:
    config = resolve(DataConfig, [Layer("test", {"folder_a": ["clean", "mask"], "image_size": 32, **options})])
    return open_data(config, find_source(str(root)), 0, lambda line: None)


def values(image: torch.Tensor) -> set[float]:
    return set(image.flatten().tolist())


def test_the_channels_of_all_folders_follow_each_other(trio: Trio) -> None:
    root = trio()
    folder = read_folder(root, folder_a=["clean", "mask"])  # the third folder can only be B
    assert (folder.folder_a, folder.more_a, folder.folder_b) == ("clean", ("mask",), "image")
    assert "(A: clean + mask, B: image)" in folder.describe()
    data = opened(root)
    assert data.channels == (4, 3)
    assert data.config.folder_a == ("clean", "mask")
    assert data.config.parts_a == (Part(channels=3, resize="bicubic"), Part(channels=1, resize="nearest"))
    example, item = data.folder.splits["val"][0], data.splits["val"][0, 0]
    clean, mask, image = (files.read(path) for path in example.files)
    assert torch.equal(item["a"], torch.from_numpy(np.concatenate([clean, mask], axis=2).transpose(2, 0, 1)))
    assert torch.equal(item["b"], torch.from_numpy(image.transpose(2, 0, 1)))
    again = opened(root, **data.config.model_dump(exclude={"folder_a", "image_size"}))  # as a checkpoint records it
    assert torch.equal(again.splits["val"][0, 0]["a"], item["a"])
    swapped = opened(root, direction="BtoA")
    assert swapped.channels == (3, 4)
    assert torch.equal(swapped.splits["val"][0, 0]["b"], item["a"])


def test_each_folder_is_resized_in_its_own_way_and_all_share_crop_and_flip(trio: Trio) -> None:
    data = opened(trio(size=48), image_size=32, load_size=40)
    for index, epoch in ((0, 0), (1, 3)):
        a, b = (data.splits["train"][index, epoch][side] for side in "ab")
        assert (a.shape, b.shape) == ((4, 32, 32), (3, 32, 32))
        assert values(a[3]) == {0, 255}  # not blended
        assert len(values(a[:3])) > 100
    example = data.folder.splits["train"][0]
    white = np.full((48, 48, 1), 255, np.uint8)
    white[:, :24] = 0
    for path in example.files:  # the left half black in all three
        files.write(path, np.repeat(white, files.read(path).shape[2], axis=2))
    data = opened(example.files[0].parents[2], image_size=32, load_size=40, bad_files="skip")
    for epoch in range(6):
        item = data.splits["train"][0, epoch]
        assert torch.equal(item["a"][0] > 127, item["a"][3] > 127)
        assert torch.equal(item["a"][0] > 127, item["b"][0] > 127)


def test_changes_of_colour_leave_masks_alone(trio: Trio) -> None:
    root = trio()
    darker = {"transform": "RandomBrightnessContrast", "options": {"brightness_limit": [-0.6, -0.5], "p": "1"}}
    plain = opened(root, flip=False).splits["train"][0, 0]
    for on in ("both", "a"):
        item = opened(root, flip=False, augment=[{**darker, "on": on}]).splits["train"][0, 0]
        assert item["a"][:3].float().mean() < 0.6 * plain["a"][:3].float().mean()
        assert torch.equal(item["a"][3], plain["a"][3])
        assert torch.equal(item["b"], plain["b"]) == (on == "a")
    turned = opened(root, augment=[{"transform": "Rotate", "options": {"limit": [20, 30], "p": "1"}}])
    assert values(turned.splits["train"][0, 0]["a"][3]) <= {0, 255}


def test_depths_are_made_equal(trio: Trio) -> None:
    root = trio()
    for path in (root / "train" / "clean").iterdir():
        files.write(path, files.read(path).astype(np.uint16) * 257)
    item = opened(root).splits["val"][0, 0]
    assert item["a"].dtype == torch.float32
    assert values(item["a"][3]) == {0.0, 1.0}


def test_what_does_not_fit_is_found_before_the_first_step(trio: Trio) -> None:
    root = trio(mask_size=24)
    problems = inspect(read_folder(root, folder_a=["clean", "mask"])).unlike_parts
    assert len(problems) == 4
    assert "has 24x24 pixels, and " in problems[0].reason
    assert problems[0].reason.endswith("whose channels it follows, 32x32")
    with pytest.raises(UserError, match="has 24x24 pixels"):
        opened(root)
    trio()
    (root / "train" / "mask" / "2.png").unlink()
    files.write(root / "train" / "mask" / "9.png", np.zeros((32, 32, 1), np.uint8))
    with pytest.raises(
        UserError, match=r"clean/2\.png: has no partner of the same name in 'mask'.*mask/9\.png: has no"
    ):
        opened(root)
    assert sum(len(images) for images in opened(root, bad_files="skip").splits.values()) == 3
    (root / "train" / "mask" / "1.png").write_bytes(b"junk")
    assert sum(len(images) for images in opened(root, bad_files="skip").splits.values()) == 2
    for path in sorted((root / "train" / "mask").iterdir()):
        path.rename(path.with_stem(f"m{path.stem}"))
    with pytest.raises(UserError, match="no image of 'clean' has the name of one of 'mask'"):
        opened(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folder_a": ["clean", "maks"]}, "did you mean 'mask'"),
        ({"folder_a": []}, r"name each of the folders of A once, such as \[clean,mask\]"),
        ({"folder_a": ["mask", "mask"]}, "name each of the folders of A once"),
        ({"folder_b": "mask"}, "both name 'mask'"),
        ({"layout": "unpaired"}, "several folders of A belong to pairs"),
        ({"layout": "photos"}, "have no meaning in layout 'photos'"),
        ({"channels_a": 3}, r"data\.channels_a=3: the folders of A give 3 \+ 1 channels"),
    ],
)
def test_what_was_typed_wrongly_is_explained(options: dict[str, Any], message: str, trio: Trio) -> None:
    with pytest.raises(UserError, match=message):
        opened(trio(), **options)


def test_the_mask_is_seen_on_sheets() -> None:
    image = torch.zeros(1, 4, 1, 2)  # mid-grey
    image[0, 3] = torch.tensor([[-1.0, 1.0]])
    bare, veiled = to_pixels(image)[0][0]
    assert bare.tolist() == [128] * 3
    assert veiled.tolist() == [round(128 + (colour - 128) * THICKNESS) for colour in VEIL]
    grey = to_pixels(image[:, [0, 3]])[0][0]
    assert grey.tolist() == [bare.tolist(), veiled.tolist()]


def test_the_preview_shows_photo_and_mask(trio: Trio) -> None:
    sheet = preview_sheet(opened(trio()), 2)
    red = (sheet[..., 0].astype(int) - sheet[..., 1:].max(axis=2)) > 60
    assert red.mean() > 0.05
