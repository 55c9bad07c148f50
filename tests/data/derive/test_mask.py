"""Where holes are, and what is in them."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from i2i.data.derive import Image, Mask
from i2i.errors import UserError


def test_holes_are_grey_and_the_rest_is_the_photo(cat: Image) -> None:
    for seed in range(30):
        image = Mask()(cat, np.random.default_rng(seed))
        hole = image[..., 3] == 255
        assert set(np.unique(image[..., 3])) == {0, 255}  # a hole there always is
        assert (image[hole, :3] == 128).all()
        np.testing.assert_array_equal(image[~hole, :3], cat[~hole])


def test_a_box_has_its_size() -> None:
    photo = np.zeros((40, 80, 1), np.uint8)
    mask = Mask(boxes=(1, 1), strokes=(0, 0), box_size=(0.25, 0.25))
    places = set()
    for seed in range(20):
        rows, columns = np.nonzero(mask(photo, np.random.default_rng(seed))[..., 1])
        assert len(rows) == 10 * 20
        assert [int(np.ptp(rows)), int(np.ptp(columns))] == [9, 19]
        places.add((rows.min(), columns.min()))
    assert len(places) > 10


def test_strokes_are_as_wide_as_told() -> None:
    photo = np.zeros((200, 200, 1), np.uint8)
    narrow, wide = (
        np.mean(
            [
                Mask(boxes=(0, 0), strokes=(1, 1), stroke_width=(share, share))(photo, np.random.default_rng(seed))[
                    ..., 1
                ]
                for seed in range(20)
            ]
        )
        for share in (0.02, 0.06)
    )
    assert 2 < wide / narrow < 3.5  # where they cross, they do not count twice


def test_a_user_s_own_mask_is_cut_out(cat: Image) -> None:
    mask = np.zeros((96, 96, 1), np.uint8)
    mask[:40] = 200
    mask[40:50] = 100  # not marked
    image = Mask().prepared(cat, mask)
    assert (image[:40, :, :3] == 128).all()
    np.testing.assert_array_equal(image[40:, :, :3], cat[40:])
    assert image[..., 3].tolist() == [[255] * 96] * 40 + [[0] * 96] * 56


def test_refusals(cat: Image) -> None:
    with pytest.raises(UserError, match="mask: an image needs its mask"):
        Mask().prepared(cat)
    with pytest.raises(UserError, match="the mask is of 10x20 pixels and its image of 96x96"):
        Mask().prepared(cat, np.zeros((20, 10, 1), np.uint8))
    with pytest.raises(ValidationError, match="nothing to paint"):
        Mask(boxes=(0, 0), strokes=(0, 0))
