"""Pairs as the networks see them: same geometry for both, the right direction, draws from the place alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from i2i.data import files
from i2i.data.config import Augmentation, DataConfig
from i2i.data.derive import Edges
from i2i.data.images import to_model_range
from i2i.data.layouts import Example
from i2i.data.pairs import PairedImages
from i2i.errors import UserError

SIZES = {"image_size": 32, "load_size": 36}


def side_by_side(folder: Path, index: int = 0, height: int = 40) -> Example:
    """A is a ramp, B its inverse: whatever geometry they get, they must add up to white."""
    ramp = np.random.default_rng(index).integers(0, 256, (height, height, 3)).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    path = folder / f"{index}.png"
    cv2.imwrite(str(path), np.hstack([ramp, 255 - ramp]))
    return Example(str(index), path, path)


def pairs(folder: Path, *, train: bool = True, seed: int = 3, **options: object) -> PairedImages:
    config = DataConfig.model_validate({"aspect": "squash", "channels_a": 3, "channels_b": 3, **SIZES, **options})
    return PairedImages([side_by_side(folder, index) for index in range(3)], config, seed, train=train)


def test_both_images_share_crop_and_flip(tmp_path: Path) -> None:
    data = pairs(tmp_path / "ab")
    for epoch in range(6):
        item = data[1, epoch]
        assert item["a"].shape == item["b"].shape == (3, 32, 32)
        # each half is resized on its own, so rounding may differ by one
        assert ((item["a"].int() + item["b"].int()) - 255).abs().max() <= 1


def test_crops_and_flips_vary_and_are_uncorrelated(tmp_path: Path) -> None:
    """A column index as the image: its first value tells the crop, its slope the flip."""
    columns = np.broadcast_to(np.arange(36, dtype=np.uint8)[None, :, None], (36, 36, 3))
    cv2.imwrite(str(tmp_path / "x.png"), np.hstack([columns, columns]))
    config = DataConfig.model_validate({"aspect": "squash", "channels_a": 3, "channels_b": 3, **SIZES})
    data = PairedImages([Example("x", tmp_path / "x.png", tmp_path / "x.png")], config, 0, train=True)
    rows = [data[0, epoch]["b"][0, 0].int() for epoch in range(300)]
    flipped = np.array([int(row[0] > row[-1]) for row in rows])
    offset = np.array([int(min(row[0], row[-1])) for row in rows])
    assert set(offset) == {0, 1, 2, 3, 4}
    assert 0.4 < flipped.mean() < 0.6
    assert abs(np.corrcoef(flipped, offset)[0, 1]) < 0.2


def test_draws_follow_from_the_place_alone(tmp_path: Path) -> None:
    augment = (Augmentation(transform="GaussNoise", on="a", options={"p": 1.0}),)
    one, other = pairs(tmp_path / "ab", augment=augment), pairs(tmp_path / "ab", augment=augment)
    order = [(0, 0), (1, 0), (2, 5), (1, 1)]
    first = {place: one[place]["a"] for place in order}
    again = {place: other[place]["a"] for place in reversed(order)}
    assert all(torch.equal(first[place], again[place]) for place in order)
    assert not torch.equal(first[1, 0], first[1, 1])
    assert not torch.equal(pairs(tmp_path / "ab", seed=4, augment=augment)[1, 0]["a"], first[1, 0])


def test_direction_swaps(tmp_path: Path) -> None:
    forth, back = pairs(tmp_path / "ab"), pairs(tmp_path / "ab", direction="BtoA")
    assert torch.equal(forth[0, 0]["a"], back[0, 0]["b"])
    assert torch.equal(forth[0, 0]["b"], back[0, 0]["a"])


def test_validation_shows_the_whole_image_and_does_not_vary(tmp_path: Path) -> None:
    data = pairs(tmp_path / "ab", train=False)
    assert data[0, 0]["a"].shape == (3, 32, 32)
    assert torch.equal(data[0, 0]["a"], data[0, 7]["a"])


def test_derived_edges_fit_their_photo_and_keep_the_aspect(tmp_path: Path) -> None:
    photo = np.full((48, 96, 3), 30, np.uint8)
    cv2.rectangle(photo, (30, 10), (70, 38), (220, 220, 220), -1)
    cv2.imwrite(str(tmp_path / "p.png"), photo)
    config = DataConfig.model_validate({"aspect": "keep", "channels_b": 3, "derive": {"name": "edges"}, **SIZES})
    data = PairedImages([Example("p", None, tmp_path / "p.png")], config, 0, train=True)
    assert config.derive is not None
    for epoch in range(4):
        item = data[0, epoch]
        assert item["a"].shape == (1, 32, 32)
        cropped = item["b"].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(item["a"][0], Edges()(cropped, np.random.default_rng())[..., 0])
    whole = PairedImages([Example("p", None, tmp_path / "p.png")], config, 0, train=False)[0, 0]
    # short side 32 of 48x96 is 32x64; the middle 32 columns of it are columns 24 to 72 of the photo
    assert whole["b"].shape == (3, 32, 32)
    assert whole["b"][0, 16, 8] > 200


def test_images_that_are_only_cropped_keep_their_pixels(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (48, 96, 3)).astype(np.uint8)
    small = np.full((16, 24, 3), 90, np.uint8)
    for name, image in (("p", photo), ("s", small)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[..., ::-1])
    config = DataConfig.model_validate(
        {"aspect": "crop", "channels_b": 3, "derive": {"name": "edges"}, "image_size": 32}
    )
    examples = [Example(name, None, tmp_path / f"{name}.png") for name in "ps"]
    train = PairedImages(examples, config, 0, train=True)
    windows = np.lib.stride_tricks.sliding_window_view(photo, (32, 32, 3))[:, :, 0]
    for epoch in range(4):
        crop = train[0, epoch]["b"].permute(1, 2, 0).numpy()
        assert any((windows == side).all(axis=(2, 3, 4)).any() for side in (crop, crop[:, ::-1]))
    held_out = train.as_held_out()
    np.testing.assert_array_equal(held_out[0, 0]["b"].permute(1, 2, 0), photo[8:40, 32:64])
    assert held_out[1, 0]["b"].shape == train[1, 0]["b"].shape == (3, 32, 32)  # too small, and so enlarged
    with pytest.raises(ValueError, match=r"leave data\.load_size out"):
        DataConfig.model_validate({"aspect": "crop", "load_size": 36})


NOISE = {"aspect": "keep", "channels_a": 3, "channels_b": 3, "derive": {"name": "noise"}, **SIZES}


def test_derivations_are_drawn_anew_in_training_and_stay_in_validation(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "p.png"), np.full((40, 40, 3), 128, np.uint8))  # which looks the same in every crop
    config = DataConfig.model_validate(NOISE)

    def inputs(seed: int, *, train: bool) -> list[torch.Tensor]:
        example = Example("p", None, tmp_path / "p.png")
        images = PairedImages([example, example], config, seed, train=train)
        return [images[place]["a"] for place in ((0, 0), (0, 1), (1, 0))]

    first, next_epoch, next_index = inputs(3, train=True)
    assert not torch.equal(first, next_epoch)
    assert not torch.equal(first, next_index)
    assert all(torch.equal(one, other) for one, other in zip(inputs(3, train=True), inputs(3, train=True), strict=True))
    assert not torch.equal(first, inputs(4, train=True)[0])
    held_out, later, another = inputs(3, train=False)
    assert torch.equal(held_out, later)
    assert not torch.equal(held_out, another)


def test_inputs_may_be_smaller_than_their_photos(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    cv2.imwrite(str(tmp_path / "p.png"), photo)
    derive = {"name": "downscale", "enlarge": False}
    config = DataConfig.model_validate({**NOISE, "derive": derive})
    images = PairedImages([Example("p", None, tmp_path / "p.png")], config, 0, train=True)
    for epoch in range(4):
        item = images[0, epoch]
        assert (item["a"].shape, item["b"].shape) == ((3, 8, 8), (3, 32, 32))
        blocks = item["b"].float().reshape(3, 8, 4, 8, 4).mean(dim=(2, 4))
        assert torch.corrcoef(torch.stack([blocks.flatten(), item["a"].flatten().float()]))[0, 1] > 0.9


@pytest.mark.parametrize("bits", [8, 16])
def test_a_given_mask_goes_with_its_photo(tmp_path: Path, bits: int) -> None:
    """Cracks are white on grey: wherever crop and flip put one, the input has its mask, and grey in its place."""
    mask = np.zeros((40, 40), np.uint8)
    cv2.line(mask, (8, 4), (30, 36), 255, 2)
    photo = np.where(mask > 0, *((65535, 128 * 257 + 100) if bits == 16 else (255, 128)))
    files.write(tmp_path / "m.png", mask[..., None])
    stored: files.Pixels = photo.astype(np.uint16) if bits == 16 else photo.astype(np.uint8)
    files.write(tmp_path / "p.png", stored[..., None].repeat(3, axis=2))
    options = {"derive": {"name": "heal"}, "channels_a": 4, "resize_a": "nearest", "bits": bits}
    config = DataConfig.model_validate({**NOISE, "image_size": 32, "load_size": 40, **options})
    images = PairedImages([Example("x", tmp_path / "m.png", tmp_path / "p.png")], config, 0, train=True)
    masks = []
    for epoch in range(6):
        item = images[0, epoch]
        a, b = (item[side] * 255 if bits == 16 else item[side].float() for side in ("a", "b"))
        assert item["a"].dtype == item["b"].dtype == (torch.float32 if bits == 16 else torch.uint8)
        torch.testing.assert_close(a[3] == 255, b[0] > 200)
        assert (a[:3] - 128).abs().max() <= 2  # rounded twice: the colours, and the grain
        masks.append(item["a"][3])
    assert len({mask.numpy().tobytes() for mask in masks}) > 3
    if bits == 16:
        assert item["b"].min().item() == pytest.approx((128 * 257 + 100) / 65535, abs=1e-6)  # whose depth stays


def test_grey_masks_keep_their_values(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).choice([0, 255], (50, 50)).astype(np.uint8)
    photo = np.random.default_rng(1).integers(0, 256, (50, 50, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    cv2.imwrite(str(tmp_path / "p.png"), photo)
    options = {"aspect": "squash", "channels_a": 1, "channels_b": 3, "resize_a": "nearest", **SIZES}
    rotate = [{"transform": "Rotate", "options": {"limit": 30, "p": 1.0}}]
    config = DataConfig.model_validate({**options, "augment": rotate})
    data = PairedImages([Example("x", tmp_path / "m.png", tmp_path / "p.png")], config, 0, train=True)
    assert data[0, 0]["a"].shape == (1, 32, 32)
    assert set(np.unique(data[0, 0]["a"].numpy())) <= {0, 255}


def test_sixteen_bits_survive(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (32, 64)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), deep)
    options = {"aspect": "squash", "channels_a": 1, "channels_b": 1, "image_size": 32, "bits": 16}
    config = DataConfig.model_validate(options)
    item = PairedImages([Example("d", tmp_path / "d.png", tmp_path / "d.png")], config, 0, train=False)[0, 0]
    np.testing.assert_allclose(to_model_range(item["a"])[0], deep[:, :32] / 65535 * 2 - 1, atol=1e-6)


def test_model_range_by_hand() -> None:
    torch.testing.assert_close(to_model_range(torch.tensor([0, 255], dtype=torch.uint8)), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(to_model_range(torch.tensor([0.0, 0.25, 1.0])), torch.tensor([-1.0, -0.5, 1.0]))


@pytest.mark.parametrize(
    ("transform", "options", "hint"),
    [("GausNoise", {}, "did you mean 'GaussNoise'"), ("Rotate", {"limit": "far"}, "Rotate")],
)
def test_wrong_augmentations_are_explained(
    photos: Callable[..., Path], tmp_path: Path, transform: str, options: dict[str, object], hint: str
) -> None:
    with pytest.raises(UserError, match=hint):
        pairs(tmp_path / "ab", augment=[{"transform": transform, "options": options}])


def test_augmentations_are_rehearsed_together(tmp_path: Path) -> None:
    larger = {"transform": "Resize", "options": {"height": 48, "width": 48}}
    crop = {"transform": "RandomCrop", "options": {"height": 40, "width": 40}}
    fog = {"transform": "RandomFog", "on": "a"}
    assert pairs(tmp_path / "ab", augment=[fog, larger, crop])[0, 0]["b"].shape == (3, 40, 40)
    with pytest.raises(UserError, match="RandomCrop, on both: does not take these images"):
        pairs(tmp_path / "ab", augment=[crop])
    with pytest.raises(
        UserError, match=r"RandomFog, on a: does not take these images .A of 1 channels.*; leave it out"
    ):
        pairs(tmp_path / "ab", augment=[fog], channels_a=1)


def test_decoded_images_are_kept_as_long_as_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pairs(tmp_path / "ab")
    both = 2 * 36 * 36 * 3  # bytes of a pair at load size
    monkeypatch.setattr("i2i.data.images.CACHE_BYTES", 3 * both - 1)
    decoded: list[str] = []
    read = files.read

    def noted(path: Path) -> files.Pixels:
        decoded.append(path.stem)
        return read(path)

    monkeypatch.setattr(files, "read", noted)
    for epoch in range(4):
        for index in range(3):
            data[index, epoch]
    assert decoded == ["0", "1", "2", "2", "2", "2"]
