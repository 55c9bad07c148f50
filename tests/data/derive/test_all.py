"""What holds for every derivation, whatever it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from i2i.data.derive import DERIVATIONS, Derivation, DerivationConfig, Image
from i2i.errors import UserError

CHAIN = {"steps": ["blur", {"name": "downscale", "factor": 2, "enlarge": False}, "noise", "mask"]}
OPTIONS: list[dict[str, Any]] = [
    *({"name": name, **(CHAIN if name == "chain" else {})} for name in DERIVATIONS),
    {"name": "downscale", "factor": 3, "enlarge": False},
    {"name": "rain", "setting": "heavy", "haze": [0.1, 0.3]},
    {"name": "gray", "space": "lab"},
    {"name": "blur", "motion": [4, 9]},
    {"name": "noise", "shot": 20},
]
CERTAIN = ("edges", "downscale", "gray")  # nothing in them is random


def built(options: dict[str, Any]) -> Derivation:
    derivation: Derivation = TypeAdapter(DerivationConfig).validate_python(options)
    return derivation


def crack(photo: Image, derive: Derivation) -> Image | None:
    mask = np.zeros((*photo.shape[:2], 1), np.uint8)
    mask[30:34, 10:80] = 255
    return mask if derive.takes == "pairs" else None


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values()))[:30])
@pytest.mark.parametrize("channels", [1, 3])
def test_inputs_are_as_announced_and_follow_from_the_generator(
    cat: Image, options: dict[str, Any], channels: int
) -> None:
    derive, photo = built(options), np.ascontiguousarray(cat[..., :channels])
    before, mask = photo.copy(), crack(photo, derive)
    first, again, other = (derive(photo, np.random.default_rng(seed), mask) for seed in (1, 1, 2))
    assert first.dtype == np.uint8
    assert first.shape == (96 // derive.scale, 96 // derive.scale, derive.channels_of(channels))
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (derive.name in CERTAIN)
    saved = built(derive.model_dump(mode="json"))
    np.testing.assert_array_equal(saved(photo, np.random.default_rng(1), mask), first)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values()))[:30])
def test_photos_of_many_channels_are_taken_or_refused(cat: Image, options: dict[str, Any]) -> None:
    derive, photo = built(options), np.concatenate([cat, cat[::-1]], axis=2)
    try:
        channels = derive.channels_of(6)
    except UserError:
        assert derive.name in ("edges", "gray", "jpeg", "warp", "heal")
    else:
        assert derive(photo, np.random.default_rng(0)).shape[2] == channels


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values()))[:30])
def test_a_user_s_own_image_becomes_what_the_network_takes(cat: Image, options: dict[str, Any]) -> None:
    """A degraded image is as many times smaller than the photo as the output is larger than it."""
    derive = built(options)
    degraded = derive.degraded(cat, np.random.default_rng(0))
    assert degraded.shape[0] * derive.magnification == 96
    side = 96 // derive.scale
    mask = np.zeros((side, side, 1), np.uint8) if derive.wants_mask else None
    assert derive.prepared(degraded, mask).shape == (side, side, derive.channels_of(3))
