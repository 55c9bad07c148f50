"""Steps in their order, and what they are together."""

from __future__ import annotations

import numpy as np
import pytest

from i2i.config import Layer, resolve
from i2i.data.config import DataConfig
from i2i.data.derive import Chain, Downscale, Gray, Image, Jpeg, Mask, Noise
from i2i.errors import UserError


def test_noise_lies_on_the_small_photo_which_is_enlarged_at_the_end(cat: Image) -> None:
    noise, small = Noise(sigma=(20, 20)), Downscale(factor=2)
    chain = Chain(steps=(small, noise))
    wanted = small.prepared(noise.degraded(small.degraded(cat, np.random.default_rng(0)), np.random.default_rng(7)))
    np.testing.assert_array_equal(chain(cat, np.random.default_rng(7)), wanted)
    other_way = Chain(steps=(noise, small))(cat, np.random.default_rng(7)).astype(float)
    fine = [np.diff(image.astype(float) - cat, axis=1).std() for image in (wanted, other_way)]
    assert fine[0] > 1.3 * fine[1]  # shrinking takes noise away


def test_steps_count_together() -> None:
    chain = Chain(steps=(Gray(), Downscale(factor=2, enlarge=False), Downscale(factor=3), Mask()))
    assert (chain.scale, chain.magnification, chain.wants_mask, chain.channels_of(3)) == (2, 6, True, 2)


def test_holes_are_cut_into_what_is_prepared(cat: Image) -> None:
    image = Chain(steps=(Downscale(factor=2), Mask()))(cat, np.random.default_rng(0))
    assert set(np.unique(image[..., 3])) == {0, 255}
    assert (image[image[..., 3] == 255, :3] == 128).all()
    known = image[..., 3] == 0
    np.testing.assert_array_equal(image[known, :3], Downscale(factor=2)(cat, np.random.default_rng(0))[known])


def test_steps_by_name_or_with_options() -> None:
    def steps(value: object) -> object:
        config = resolve(DataConfig, [Layer("mine", {"derive": {"name": "chain", "steps": value}})])
        assert isinstance(config.derive, Chain)
        return config.derive.steps

    assert steps(["gray", {"name": "jpeg", "quality": "30"}]) == (Gray(), Jpeg(quality=(30, 30)))
    assert steps("gray") == steps({"name": "gray"}) == (Gray(),)
    for wrong, message in (
        (["mask", "noise"], "mask must be the last step"),
        (["noise", "heal"], r"'derive\.steps\.1\.name': 'heal' is not known"),
        ([{"name": "noise", "sigma": "-2"}], r"'derive\.steps\.0\.sigma' must be greater than or equal to 0"),
    ):
        with pytest.raises(UserError, match=message):
            steps(wrong)
