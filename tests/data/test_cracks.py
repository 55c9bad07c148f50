"""The drawn cracks: deterministic, true to their masks, and no task for a threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from i2i.config import Layer, resolve
from i2i.data import drawn, files, open_data
from i2i.data.config import DataConfig
from i2i.data.cracks import Road, draw_road
from i2i.data.sources import find_source


@pytest.fixture(scope="module")
def roads() -> list[Road]:
    return [draw_road(np.random.default_rng(seed), 128) for seed in range(24)]


def test_shapes_and_types(roads: list[Road]) -> None:
    for road in roads:
        assert road.image.shape == road.clean.shape == (128, 128, 3)
        assert road.mask.shape == (128, 128, 1)
        assert {road.image.dtype, road.clean.dtype, road.mask.dtype} == {np.dtype(np.uint8)}
        assert set(np.unique(road.mask)) == {0, 255}  # never without a crack
    with pytest.raises(ValueError, match="64 to 1024"):
        draw_road(np.random.default_rng(0), 63)


def test_the_generator_state_alone_decides_the_pixels(roads: list[Road]) -> None:
    again = draw_road(np.random.default_rng(5), 128)
    for name in ("image", "mask", "clean"):
        np.testing.assert_array_equal(getattr(again, name), getattr(roads[5], name))
    assert (again.image != roads[6].image).mean() > 0.9


def test_the_photos_differ_where_the_mask_says_and_nearly_nowhere_else(roads: list[Road]) -> None:
    darker = [(road.clean.astype(int) - road.image).mean(axis=2) for road in roads]
    inside = [float(d[road.mask[..., 0] > 0].mean()) for d, road in zip(darker, roads, strict=True)]
    assert min(inside) > 5
    assert np.mean(inside) > 20
    for d, road in zip(darker, roads, strict=True):
        away = cv2.dilate(road.mask, np.ones((13, 13), np.uint8)) == 0
        assert (np.abs(d[away]) < 3).mean() > 0.99


def test_no_threshold_finds_the_cracks(roads: list[Road]) -> None:
    """The best of all thresholds, chosen for each photo with its mask in hand, has a low F1."""
    scores = []
    for road in roads:
        grey, mask = cv2.cvtColor(road.image, cv2.COLOR_RGB2GRAY).ravel(), road.mask.ravel() > 0
        hits = np.cumsum(mask[np.argsort(grey, kind="stable")])
        scores.append((2 * hits / (np.arange(1, mask.size + 1) + mask.sum())).max())
    assert np.mean(scores) < 0.5


def test_surfaces_differ_widely(roads: list[Road]) -> None:
    means = np.stack([road.clean.mean(axis=(0, 1)) for road in roads])
    assert means.std(axis=0).min() > 8  # of the colour
    assert np.ptp([road.clean.std() for road in roads]) > 15  # of the contrast
    assert np.ptp([(road.mask > 0).mean() for road in roads]) > 0.03  # of how cracked they are


def test_they_are_pairs_of_masks_and_photos(monkeypatch: pytest.MonkeyPatch, own_data_root: Path) -> None:
    few = tuple(replace(part, count=2, painter=drawn.Roads(64)) for part in drawn.BUILTIN["cracks"])
    monkeypatch.setitem(drawn.BUILTIN, "cracks", few)
    source = find_source("cracks")
    config = resolve(DataConfig, [Layer(layer.origin, layer.options["data"]) for layer in source.layers])
    data = open_data(config, source, 0, lambda line: None)
    assert (data.folder.folder_a, data.folder.folder_b, data.channels) == ("mask", "image", (1, 3))
    assert (data.config.resize_a, data.config.resize_b) == ("nearest", "bicubic")
    assert {split: len(images) for split, images in data.splits.items()} == {"train": 2, "val": 2, "test": 2}
    clean = own_data_root / "cracks" / f"drawn-v{drawn.VERSION}" / "train" / "clean"
    assert files.read(clean / "road-0001.jpg").shape == (64, 64, 3)
