"""Edges of photos whose contours are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from i2i.data.derive import Edges

RNG = np.random.default_rng(0)


def square(low: int = 40, high: int = 200) -> npt.NDArray[np.uint8]:
    photo = np.full((64, 64, 3), low, np.uint8)
    photo[16:48, 16:48] = high
    return photo


def test_a_squares_outline_is_drawn_black_on_white() -> None:
    drawing = Edges(blur=0, shortest=0)(square(), RNG)
    assert drawing.shape == (64, 64, 1)
    assert set(np.unique(drawing)) == {0, 255}
    rows, columns = np.nonzero(drawing[..., 0] == 0)
    # each line stands within one pixel of the square's border, and all four sides are there
    distance = np.minimum.reduce([abs(rows - 15.5), abs(rows - 47.5), abs(columns - 15.5), abs(columns - 47.5)])
    assert distance.max() <= 1
    assert {int(rows.min()), int(columns.min())} <= {15, 16}
    assert {int(rows.max()), int(columns.max())} <= {47, 48}
    assert 4 * 28 <= len(rows) <= 4 * 34


def test_dim_and_bright_photos_give_the_same_drawing() -> None:
    bright, dim = (Edges(blur=0)(square(20, high), RNG) for high in (220, 60))
    np.testing.assert_array_equal(bright, dim)


def test_a_flat_photo_with_faint_noise_has_no_edges() -> None:
    noisy = np.random.default_rng(1).integers(126, 130, (64, 64, 3)).astype(np.uint8)
    assert (Edges()(noisy, RNG) == 255).all()


def test_wider_lines_cover_more() -> None:
    thin, wide = ((Edges(width=width)(square(), RNG) == 0).sum() for width in (1, 3))
    assert 2 * thin < wide < 4 * thin


def test_specks_are_dropped_and_contours_kept() -> None:
    photo = square()
    photo[4:8, 4:8] = 200
    with_speck, without = (Edges(blur=0, shortest=shortest)(photo, RNG)[..., 0] for shortest in (0, 100))
    assert (with_speck[:12, :12] == 0).any()
    assert (without[:12, :12] == 255).all()
    np.testing.assert_array_equal(with_speck[13:], without[13:])


def test_blur_takes_texture_away() -> None:
    rng = np.random.default_rng(2)
    photo = square() + rng.integers(0, 40, (64, 64, 3)).astype(np.uint8)
    sharp, blurred = ((Edges(blur=blur, density=0.3, shortest=0)(photo, RNG) == 0).sum() for blur in (0.0, 8.0))
    assert blurred < sharp


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_photos(channels: int) -> None:
    np.testing.assert_array_equal(Edges()(square()[..., :channels], RNG), Edges()(square(), RNG))


def test_a_photo_gives_the_same_drawing_at_every_size() -> None:
    """The share of ink along the contours halves with the size, as lines keep their width: a quarter of the
    pixels a side, a quarter of the length in lines of the same width, a sixteenth of the area."""
    rng = np.random.default_rng(3)
    photo = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(64, axis=0).repeat(64, axis=1)
    small = photo[::4, ::4].copy()
    ink_large, ink_small = (float((Edges()(image, RNG) == 0).mean()) for image in (photo, small))
    assert ink_small / ink_large == pytest.approx(4, rel=0.15)
