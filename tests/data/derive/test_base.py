"""Ranges as users type them."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.config import Layer, resolve
from i2i.data.config import DataConfig
from i2i.data.derive import Noise
from i2i.data.derive.base import draw, draw_count
from i2i.errors import UserError


def typed(value: object) -> Noise:
    config = resolve(DataConfig, [Layer("mine", {"derive": {"name": "noise", "sigma": value}})])
    assert isinstance(config.derive, Noise)
    return config.derive


def test_a_range_may_be_one_number() -> None:
    assert typed("25").sigma == (25, 25)
    assert typed(["5", "1e1"]).sigma == (5, 10)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["9", "2"], r"mine: option 'derive.sigma': must be one number or \[low, high\], not \[9, 2\]"),
        (["1", "2", "3"], r"must be one number or \[low, high\]"),
        ("-1", "mine: option 'derive.sigma' must be greater than or equal to 0, not '-1'"),
        (["0", "much"], "mine: option 'derive.sigma.1' must be a valid number.*'much'"),
    ],
)
def test_wrong_ranges_are_refused(value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        typed(value)


def test_a_derivation_must_be_named() -> None:
    with pytest.raises(UserError, match=r"mine: option 'derive\.name' must be given"):
        resolve(DataConfig, [Layer("mine", {"derive": {"factor": "2"}})])
    with pytest.raises(UserError, match=r"'rian' is not known; did you mean 'rain'"):
        resolve(DataConfig, [Layer("mine", {"derive": "rian"})])


def test_draws_fill_their_ranges() -> None:
    rng = np.random.default_rng(0)
    assert {draw_count((2, 4), rng) for _ in range(50)} == {2, 3, 4}
    drawn = [draw((1, 3), rng) for _ in range(200)]
    assert 1 <= min(drawn) < 1.1
    assert 2.9 < max(drawn) <= 3
