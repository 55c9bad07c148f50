"""Rain against what follows from its options, and against real rain where some was named."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from i2i.data import files
from i2i.data.derive import Image, Rain
from i2i.data.derive.rain import streaks

REAL = Path(os.environ.get("I2I_REAL_IMAGES", "no folder of real images was named")) / "rain100l"


def drawn(seed: int = 0, angle: float = 0, density: float = 20, length: float = 50) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return streaks(256, 200, rng, density=density, length=length, thickness=2, angle=angle)


def test_rain_adds_the_same_light_to_all_channels_and_stops_at_white(cat: Image) -> None:
    rainy = Rain(brightness=(0.3, 0.3))(cat, np.random.default_rng(0)).astype(int)
    added = rainy - cat
    assert added.min() == 0
    assert (added.max(axis=2) > 20).mean() > 0.05
    light = added.max(axis=2, keepdims=True)
    np.testing.assert_array_equal(np.where(rainy < 255, added, light), np.broadcast_to(light, added.shape))


@pytest.mark.parametrize("angle", [-30, 0, 12, 25])
def test_streaks_lean_by_their_angle(angle: float) -> None:
    """Along streaks the light changes least: where a shifted copy is most like the layer, right of the top."""
    layer = drawn(angle=angle)
    shifted = {
        tried: float(
            (layer[24:, 40:-40] * np.roll(layer, -round(24 * np.tan(np.radians(tried))), 1)[:-24, 40:-40]).sum()
        )
        for tried in range(-45, 46)
    }
    assert max(shifted, key=shifted.__getitem__) == pytest.approx(angle, abs=2)


def test_the_light_follows_from_density_length_and_width() -> None:
    """Streaks of 3 lines begin 20 times on 10,000 pixels; a line is 50 px long times exp(0.5^2 / 2), of which it takes
    (0.3 + 1) / 2, and across it lies a Gaussian of sigma 2 / 2.3548 and height 1."""
    wanted = 20 / 1e4 * 3 * 50 * np.exp(0.125) * 0.65 * np.sqrt(2 * np.pi) * 2 / 2.3548
    layers = [drawn(seed, angle=20) for seed in range(30)]
    assert float(np.mean(layers)) == pytest.approx(wanted, rel=0.05)
    thin = np.mean([drawn(seed, density=5) for seed in range(30)])
    assert float(thin) == pytest.approx(wanted / 4, rel=0.1)


def test_no_streaks_and_mist_alone(cat: Image) -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(Rain(density=(0, 0))(cat, rng), cat)
    assert (Rain(density=(0, 0), haze=(1, 1))(cat, rng) == 200).all()
    half = Rain(density=(0, 0), haze=(0.5, 0.5))(cat, rng)
    assert abs(half.astype(int) - (cat.astype(int) + 200) / 2).max() <= 0.5


def test_options_take_the_place_of_the_setting_s(cat: Image) -> None:
    heavy = Rain(setting="heavy", angle=(0, 0), layers=(2, 2))
    assert heavy.shower.layers == (2, 2)
    assert heavy.shower.angle == (0, 0)
    assert heavy.shower.brightness == Rain(setting="heavy").shower.brightness
    light, heavy_loss = (
        np.mean([(Rain(setting=name)(cat, np.random.default_rng(seed)) - cat.astype(float)) ** 2 for seed in range(5)])
        for name in ("light", "heavy")
    )
    assert heavy_loss > 8 * light


@pytest.mark.skipif(not REAL.is_dir(), reason="I2I_REAL_IMAGES names no folder that holds rain100l")
def test_light_rain_is_like_real_rain() -> None:
    def facts(rainy: Image, clean: Image) -> list[float]:
        light = (rainy.astype(np.float32) - clean).max(axis=2)
        dx, dy = (cv2.Scharr(light, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
        error = np.mean((rainy.astype(np.float32) - clean) ** 2)
        return [10 * np.log10(255**2 / error), (light > 20).mean(), light.mean(), np.abs(dy).mean() / np.abs(dx).mean()]

    real, made = [], []
    for path in files.list_images(REAL / "input"):
        rainy, clean = (files.to_uint8(files.read(REAL / side / path.name)) for side in ("input", "target"))
        real.append(facts(rainy, clean))
        made += [facts(Rain()(clean, np.random.default_rng(seed)), clean) for seed in range(6)]
    np.testing.assert_allclose(np.mean(made, axis=0), np.mean(real, axis=0), rtol=0.2)
    assert np.mean(made, axis=0)[0] == pytest.approx(26.9, abs=1)  # as is published of Rain100L's test set
