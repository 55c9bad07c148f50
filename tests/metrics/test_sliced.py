"""The sliced Wasserstein distance against its definition in numpy, and what it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.metrics import sliced_wasserstein

Array = NDArray[np.float64]


def photos(count: int = 6, channels: int = 3, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Smooth noise: what is near is alike."""
    coarse = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def halved(images: Array) -> Array:
    count, channels, height, width = images.shape
    even = images[..., : height // 2 * 2, : width // 2 * 2]
    return np.asarray(even.reshape(count, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5)))


def by_definition(images: Tensor, reference: Tensor, seed: int = 0) -> float:
    """Return the distance by loops in float64; only the random numbers are torch's."""
    a, b = images.double().numpy(), reference.double().numpy()
    generator, distances = torch.Generator().manual_seed(seed), []
    for _ in range(3):
        count, channels, height, width = a.shape
        side = min(7, height, width)
        rows = torch.randint(height - side + 1, (count, 64), generator=generator).tolist()
        columns = torch.randint(width - side + 1, (count, 64), generator=generator).tolist()
        directions = torch.randn(channels * side * side, 256, generator=generator).double().numpy()
        directions /= np.sqrt((directions**2).sum(0))
        mean = b.mean((0, 2, 3))[:, None, None]
        deviation = np.maximum(b.std((0, 2, 3)), 2 / 255)[:, None, None]
        projected = []
        for x in (a, b):
            patches = [
                ((x[n, :, row : row + side, column : column + side] - mean) / deviation).ravel()
                for n in range(count)
                for row, column in zip(rows[n], columns[n], strict=True)
            ]
            projected.append(np.sort(np.stack(patches) @ directions, axis=0))
        distances.append(np.abs(projected[0] - projected[1]).mean())
        if min(height, width) < 14:
            break
        a, b = halved(a), halved(b)
    return float(np.mean(distances))


@pytest.mark.parametrize(
    "shape", [(3, 3, 32, 32), (2, 1, 28, 28), (2, 4, 15, 40), (4, 3, 8, 8), (4, 3, 5, 9), (5, 2, 1, 1)]
)
def test_it_is_its_definition(shape: tuple[int, int, int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    images, reference = torch.rand(2, *shape, generator=generator) * 2 - 1
    images = images * 0.7 + 0.1
    found = sliced_wasserstein(images, reference, seed=3)
    assert found.shape == ()
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(by_definition(images, reference, seed=3), rel=1e-4)


def test_one_pixel_by_hand() -> None:
    # one channel of one pixel: directions are 1 or -1, so it is the mean difference of the sorted values, by the
    # deviation of the reference, which is 0.5
    reference = torch.tensor([0.5, -0.5]).reshape(2, 1, 1, 1)
    images = torch.tensor([-0.4, 0.9]).reshape(2, 1, 1, 1)
    assert sliced_wasserstein(images, reference).item() == pytest.approx((0.1 + 0.4) / 2 / 0.5)


@pytest.mark.parametrize("shape", [(4, 3, 32, 32), (1, 1, 1, 1), (2, 3, 8, 8), (1, 3, 64, 7)])
def test_equal_sets_are_not_apart(shape: tuple[int, int, int, int]) -> None:
    for images in (torch.rand(shape) * 2 - 1, torch.zeros(shape)):
        assert sliced_wasserstein(images, images.clone()).item() == 0


def test_it_grows_with_a_shift_and_with_noise() -> None:
    images = photos()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    for change in (torch.ones_like(images), noise):
        found = [sliced_wasserstein(images + much * change, images).item() for much in (0.0, 0.02, 0.05, 0.1, 0.3)]
        assert found[0] == 0
        assert found == sorted(set(found))


def test_it_sees_colours_textures_and_collapse_but_no_order() -> None:
    images = photos(16)
    reordered = sliced_wasserstein(images.flip(0), images).item()
    recoloured = sliced_wasserstein(images + torch.tensor([0.2, -0.2, 0.0])[:, None, None], images).item()
    blurred = sliced_wasserstein(torch.nn.functional.avg_pool2d(images, 9, 1, 4), images).item()
    collapsed = sliced_wasserstein(images[:1].expand_as(images), images).item()
    another = sliced_wasserstein(photos(16, seed=1), images).item()
    assert reordered < 0.1
    assert min(recoloured, blurred, collapsed) > 2 * reordered
    assert collapsed > 2 * another


def test_flat_references_give_numbers_of_a_size_that_can_be_read() -> None:
    flat = torch.full((2, 3, 16, 16), 0.3)
    rounding = sliced_wasserstein(flat + 1e-6, flat).item()
    assert 0 < rounding < 1e-3
    assert sliced_wasserstein(torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)).isfinite()


def test_it_repeats_itself_and_draws_nothing_from_others() -> None:
    images, reference = photos(3), photos(3, seed=1)
    state = torch.get_rng_state()
    first = sliced_wasserstein(images, reference)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert sliced_wasserstein(images, reference).item() == first.item()
    other = sliced_wasserstein(images, reference, seed=1).item()
    assert other != first.item()
    assert other == pytest.approx(first.item(), rel=0.1)


def test_autocast_changes_nothing() -> None:
    images, reference = photos(3), photos(3, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sliced_wasserstein(images, reference)
    assert found.item() == sliced_wasserstein(images, reference).item()
    assert sliced_wasserstein(images.bfloat16(), reference.double()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(5, 3, 32, 32), (6, 1, 32, 32), (6, 3, 32, 31)])
def test_sets_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"sets of the same shape can be compared, not \[6, 3, 32, 32\] and \["):
        sliced_wasserstein(photos(), torch.zeros(shape))
