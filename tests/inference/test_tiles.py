"""Tiles: the whole image's output where the network looks no further than a tile shows it, and no seams elsewhere."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from i2i.inference.tiles import scattered, tile_starts, tiled
from i2i.nn import InferencePolicy, Norm, ResNet, apply_policy, initialise
from i2i.nn.policy import shared_statistics


def cases(count: int) -> list[tuple[int, int, int, int]]:
    """(height, width, tile, overlap), drawn at random; the overlap goes up to all but a pixel of the tile."""
    draw = random.Random(0)
    sizes = [(draw.randint(1, 70), draw.randint(1, 70), draw.randint(8, 64)) for _ in range(count)]
    return [(height, width, tile, draw.choice([0, 1, tile // 4, tile // 2, tile - 1])) for height, width, tile in sizes]


def test_tiles_cover_the_side_and_overlap_enough() -> None:
    draw = random.Random(1)
    for _ in range(3000):
        side, tile = draw.randint(1, 400), draw.randint(1, 64)
        overlap, align = draw.randrange(tile), 2 ** draw.randrange(6)
        starts = tile_starts(side, tile, overlap, align)
        assert starts[0] == 0
        assert starts[-1] == max(0, side - tile)
        assert all(following - start <= tile - overlap for start, following in pairwise(starts))
        assert all(start < following for start, following in pairwise(starts))
        if 2 * align <= tile - overlap:
            assert all(start % align == 0 for start in starts[:-1])


def test_tiles_are_evenly_spread_and_no_more_than_needed() -> None:
    assert tile_starts(1000, 256, 64) == [0, 186, 372, 558, 744]
    assert tile_starts(1000, 256, 64, 16) == [0, 176, 368, 560, 744]
    assert tile_starts(448, 256, 64, 16) == [0, 192]
    assert tile_starts(256, 256, 64, 16) == [0]
    assert tile_starts(257, 256, 64, 16) == [0, 1]


@pytest.mark.parametrize(("tile", "overlap", "align"), [(8, 8, 1), (8, -1, 1), (0, 0, 1), (8, 2, 0)])
def test_tiles_that_cannot_be_laid_are_refused(tile: int, overlap: int, align: int) -> None:
    with pytest.raises(ValueError, match="tiles"):
        tile_starts(100, tile, overlap, align)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_weights_add_up_to_one(scale: int) -> None:
    for height, width, tile, overlap in cases(150):
        image = torch.zeros(1, 2, height, width)
        ones = tiled(lambda x: torch.ones(1, 1, scale * x.shape[2], scale * x.shape[3]), image, tile, overlap)
        torch.testing.assert_close(ones, torch.ones(1, 1, scale * height, scale * width), atol=1e-6, rtol=0)


def test_a_pointwise_network_gives_the_whole_images_output() -> None:
    for height, width, tile, overlap in cases(100):
        image = torch.randn(1, 3, height, width)
        output = tiled(lambda x: x[:, :2].tanh(), image, tile, overlap)
        torch.testing.assert_close(output, image[:, :2].tanh(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_what_reaches_a_quarter_of_the_overlap_sees_no_tiles(
    padding_mode: Literal["zeros", "reflect"],
) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 5, padding=2, padding_mode=padding_mode),
        nn.Tanh(),
        nn.Conv2d(4, 2, 3, padding=1, padding_mode=padding_mode),
    ).requires_grad_(False)
    for height, width in [(70, 65), (33, 100), (32, 41), (90, 3), (25, 26)]:
        image = torch.randn(1, 3, height, width)
        torch.testing.assert_close(tiled(network, image, 32, 12), network(image), atol=1e-6, rtol=0)


def test_strided_convolutions_meet_the_pixels_at_one_phase() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.ConvTranspose2d(4, 1, 4, 4)).requires_grad_(False)
    image = torch.randn(1, 1, 100, 116)
    torch.testing.assert_close(tiled(network, image, 32), network(image), atol=1e-6, rtol=0)


def test_tiles_that_disagree_leave_no_seam() -> None:
    draw = random.Random(2)
    output = tiled(lambda x: torch.full_like(x, draw.randrange(2)), torch.zeros(1, 1, 400, 370), 64, 16)
    assert output.max() - output.min() > 0.999
    # The steepest slope of a cosine that rises by 1 within half the overlap.
    steepest = math.pi / 2 / 8 + 1e-6
    assert output.diff(dim=2).abs().max() <= steepest
    assert output.diff(dim=3).abs().max() <= steepest


def test_the_enlargement_of_super_resolution_is_read_off() -> None:
    image = torch.randn(1, 3, 75, 50)
    output = tiled(lambda x: interpolate(x, scale_factor=2.0, mode="bilinear"), image, 32)
    torch.testing.assert_close(output, interpolate(image, scale_factor=2.0, mode="bilinear"), atol=1e-6, rtol=0)


def test_an_image_no_larger_than_a_tile_is_one_forward() -> None:
    seen = []

    def forward(x: Tensor) -> Tensor:
        seen.append(x.shape)
        return x.double() * 2

    image = torch.randn(1, 3, 20, 64)
    output = tiled(forward, image, 64)
    assert torch.equal(output, image * 2)
    assert output.dtype == torch.float32
    assert seen == [(1, 3, 20, 64)]


def test_all_tiles_have_one_size() -> None:
    shapes = set()

    def forward(x: Tensor) -> Tensor:
        shapes.add(x.shape[-2:])
        return x

    tiled(forward, torch.randn(1, 3, 40, 333), 64)
    assert shapes == {(40, 64)}


def test_outputs_that_do_not_fit_are_refused() -> None:
    image = torch.zeros(1, 3, 50, 50)
    with pytest.raises(ValueError, match="whole number"):
        tiled(lambda x: x[..., ::2, ::2], image, 32)
    with pytest.raises(ValueError, match="whole number"):
        tiled(lambda x: x[..., 1:], image, 32)
    with pytest.raises(ValueError, match="whole number"):
        tiled(lambda x: x.mean((2, 3)), image, 32)
    with pytest.raises(ValueError, match="row 0, column 18 is not finite"):
        tiled(lambda x: x / int(x.storage_offset() == 0), image, 32)
    growing = iter(range(1, 9))
    with pytest.raises(ValueError, match="unlike before"):
        tiled(lambda x: x.repeat(1, next(growing), 1, 1), image, 32)
    for wrong in (torch.zeros(3, 50, 50), torch.zeros(2, 3, 50, 50), torch.zeros(1, 3, 0, 50)):
        with pytest.raises(ValueError, match="one image"):
            tiled(lambda x: x, wrong, 32)


@pytest.mark.parametrize(
    ("height", "width", "tile", "crop"),
    [(1000, 700, 256, 64), (700, 1000, 512, 256), (640, 900, 256, 256), (40, 900, 256, 64), (30, 40, 256, 128)],
)
def test_scattered_crops_show_the_whole_image_in_batches_no_larger_than_a_tile(
    height: int, width: int, tile: int, crop: int
) -> None:
    image = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
    batches = list(scattered(image, tile, crop))
    assert all(batch.numel() <= tile**2 for batch in batches)
    assert len({batch.shape[-2:] for batch in batches}) == 1
    crops = torch.cat(batches)
    assert set(crops.flatten().tolist()) == set(range(height * width))
    assert crops.numel() < 1.5 * image.numel()
    with pytest.raises(ValueError, match="larger than tiles"):
        next(scattered(image, 64, 65))


def test_each_batch_of_scattered_crops_is_from_all_over_the_image() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 1024), torch.linspace(-1, 1, 2048), indexing="ij")
    batches = list(scattered(torch.stack([y, x])[None], 256, 64))
    assert len(batches) == 32
    for batch in batches:
        assert batch.shape == (16, 2, 64, 64)
        assert batch.mean((0, 2, 3)).abs().max() < 0.25


@pytest.mark.parametrize("norm", ["instance", "batch", "group"])
def test_with_shared_statistics_tiles_come_near_the_whole_images_output(norm: Norm) -> None:
    torch.manual_seed(0)
    network = ResNet(3, 3, blocks=2, ngf=8, norm=norm).requires_grad_(False)
    initialise(network, "kaiming")
    apply_policy(network, InferencePolicy(statistics="image"))
    y, x = torch.meshgrid(torch.linspace(-1, 1, 400), torch.linspace(-1, 1, 300), indexing="ij")
    image = torch.stack([y, torch.sin(20 * y * x), torch.randn(400, 300) * (x + 1) / 4])[None].clamp(-1, 1)

    whole = network(image)
    own = tiled(network, image, 128)
    with shared_statistics(network, network, scattered(image, 128, 32)):
        shared = tiled(network, image, 128)
    error, error_of_own = ((output - whole).abs().mean() for output in (shared, own))
    assert error < error_of_own / 3
