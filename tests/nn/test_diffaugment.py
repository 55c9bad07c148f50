"""Differentiable augmentation: each change by its formula, and what it may not do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from i2i.config import Config, parse_setting, resolve
from i2i.errors import UserError
from i2i.nn import diff_augment
from i2i.nn.diffaugment import CHANGES, Change

ALL: tuple[Change, ...] = ("color", "translation", "cutout")
EVERY = pytest.mark.parametrize("change", ALL)
SIDES = pytest.mark.parametrize("sides", [(32, 32), (28, 28), (12, 20), (9, 7), (1, 1), (3, 2)])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def numbered(count: int, height: int, width: int) -> Tensor:
    """Images of one channel, each pixel of which is its own number, from 1 on."""
    return torch.arange(1.0, height * width + 1).reshape(1, 1, height, width).repeat(count, 1, 1, 1)


@SIDES
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_shapes_types_and_seeds(sides: tuple[int, int], channels: int) -> None:
    images = torch.rand(3, channels, *sides) * 2 - 1
    for low in (images, images.double(), images.bfloat16()):
        torch.manual_seed(1)
        changed = diff_augment(low, ALL)
        torch.manual_seed(1)
        assert torch.equal(diff_augment(low, ALL), changed)
        assert (changed.shape, changed.dtype) == (low.shape, low.dtype)
        assert changed.isfinite().all()
    assert torch.equal(diff_augment(images, ()), images)


@EVERY
def test_gradients_pass_twice(change: Change) -> None:
    images = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)

    def changed(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return diff_augment(x, (change,))

    assert torch.autograd.gradcheck(changed, (images,))
    assert torch.autograd.gradgradcheck(lambda x: changed(x).square(), (images,))


@EVERY
def test_each_image_is_changed_in_its_own_way(change: Change) -> None:
    changed = diff_augment(torch.rand(1, 3, 32, 32).repeat(40, 1, 1, 1), (change,))
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 20  # 81 shifts are possible


def test_color_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = {"brightness": [0.7, 0.5], "saturation": [0.25, 1.0], "contrast": [0.9, 0.5]}
    handed_out = iter(draws.values())
    monkeypatch.setattr(
        "i2i.nn.diffaugment._uniform",
        lambda x: torch.tensor(next(handed_out), dtype=x.dtype).reshape(-1, 1, 1, 1),
    )
    # two pixels of two channels: (0.1, 0.5) and (-0.3, -0.1); then the same again
    image = torch.tensor([[[0.1, -0.3]], [[0.5, -0.1]]], dtype=torch.float64)
    first, second = diff_augment(torch.stack([image, image]), ("color",))
    # brightness + 0.2: (0.3, 0.7), (-0.1, 0.1); saturation * 0.5 around the greys 0.5 and 0: (0.4, 0.6), (-0.05, 0.05);
    # contrast * 1.4 around the mean 0.25: 0.25 + 1.4 (0.15, 0.35), 0.25 + 1.4 (-0.3, -0.2)
    wanted = torch.tensor([[[0.46, -0.17]], [[0.74, -0.03]]], dtype=torch.float64)
    torch.testing.assert_close(first, wanted)
    # brightness + 0; saturation * 2 around the greys 0.3 and -0.2: (-0.1, 0.7), (-0.4, 0); contrast * 1
    torch.testing.assert_close(second, torch.tensor([[[-0.1, -0.4]], [[0.7, 0.0]]], dtype=torch.float64))


def test_color_draws_from_the_papers_ranges() -> None:
    grey = torch.zeros(4000, 1, 1, 1)
    shifts = diff_augment(grey, ("color",))
    assert -0.5 <= shifts.min() < -0.49
    assert 0.49 < shifts.max() <= 0.5
    # of pixels (0, 0) and (2, 0), greys 0 and 1, mean 0.5: the first is constant, the second colourful
    images = torch.zeros(4000, 2, 1, 2)
    images[:, 0, 0, 1] = 2
    changed = diff_augment(images, ("color",))
    contrast = (changed[:, :, 0, 1].mean(1) - changed[:, :, 0, 0].mean(1)) / 1
    saturation = (changed[:, 0, 0, 1] - changed[:, 1, 0, 1]) / 2 / contrast
    for values, (low, high) in ((contrast, (0.5, 1.5)), (saturation, (0.0, 2.0))):
        assert low - 1e-5 <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high + 1e-5
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.03)


@SIDES
def test_translation_only_moves(sides: tuple[int, int]) -> None:
    images, (height, width) = numbered(400, *sides), sides
    changed = diff_augment(images, ("translation",))
    most = [int(side / 8 + 0.5) for side in sides]
    seen = set()
    for image in changed[:, 0]:
        rows, columns = torch.nonzero(image, as_tuple=True)
        came_from = image[rows, columns].long() - 1
        moves = {*zip((came_from // width - rows).tolist(), (came_from % width - columns).tolist(), strict=True)}
        assert len(moves) == 1  # all that is left went the same way
        ((down, right),) = moves
        assert len(rows) == (height - abs(down)) * (width - abs(right))  # and all that could be left is
        seen.add((down, right))
    wanted = [range(-each, each + 1) for each in most]
    assert {down for down, _ in seen} == set(wanted[0])
    assert {right for _, right in seen} == set(wanted[1])


def test_all_channels_move_together() -> None:
    images = torch.rand(20, 1, 16, 16).repeat(1, 3, 1, 1)
    for change in ("translation", "cutout"):
        changed = diff_augment(images, (change,))
        assert torch.equal(changed, changed[:, :1].expand_as(changed))


@SIDES
def test_cutout_takes_a_square_of_half_the_sides(sides: tuple[int, int]) -> None:
    images = numbered(600, *sides)
    changed = diff_augment(images, ("cutout",))
    lengths = [int(side / 2 + 0.5) for side in sides]
    assert torch.equal(changed[changed != 0], images[changed != 0])
    areas = []
    for gone in changed[:, 0] == 0:
        rows, columns = gone.any(1), gone.any(0)
        assert torch.equal(gone, rows[:, None] & columns[None, :])
        for lines, length in zip((rows, columns), lengths, strict=True):
            (places,) = torch.nonzero(lines, as_tuple=True)
            assert places[-1] - places[0] + 1 == len(places)  # without a gap
            whole = places[0] > 0 and places[-1] < len(lines) - 1
            assert len(places) == length if whole else length // 2 <= len(places) <= length
        areas.append(int(gone.sum()))
    assert max(areas) == lengths[0] * lengths[1]
    assert min(areas) < max(areas) or max(areas) == 1  # at the edge a part of it lies outside
    if min(sides) > 4:
        assert (changed == 0).any(0).all()  # every pixel is taken now and then


def test_changes_follow_each_other() -> None:
    images = torch.rand(5, 3, 16, 16)
    torch.manual_seed(2)
    together = diff_augment(images, ("cutout", "translation"))
    torch.manual_seed(2)
    one_by_one = CHANGES["translation"](CHANGES["cutout"](images))
    assert torch.equal(together, one_by_one)


class Run(Config):
    augment: tuple[Change, ...] = ()


def test_unknown_changes_are_refused_where_they_are_typed() -> None:
    assert resolve(Run, [parse_setting("augment=[color,cutout]")]).augment == ("color", "cutout")
    with pytest.raises(UserError, match=r"'colour' is not known; did you mean 'color'\?") as caught:
        resolve(Run, [parse_setting("augment=[colour]")])
    assert "\n" not in str(caught.value)
    assert set(CHANGES) == set(ALL)
