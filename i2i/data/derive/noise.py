"""Noisy photos, to be cleaned."""

from __future__ import annotations

from typing import Literal

import numpy as np

from i2i.data.derive.base import Amount, Derivation, Image, draw


class Noise(Derivation):
    """A photo with noise: the same everywhere, or growing with the light.

    It is Gaussian, of variance ``sigma^2 + shot^2 * x``, where x is the pixel's share of white: the first part is a
    camera's in the dark, the second that of counted photons (Poisson) in the approximation for many (Foi et al. 2008).

    Attributes:
        sigma: standard deviation of the part that is the same everywhere, in pixel values of 0 to 255.
        shot: standard deviation of the other part where the photo is white, likewise.
    """

    name: Literal["noise"] = "noise"
    sigma: Amount = (5, 50)
    shot: Amount = (0, 0)

    def degraded(self, photo: Image, rng: np.random.Generator) -> Image:
        """Return the noisy photo, rounded and cut off at black and white."""
        sigma, shot = draw(self.sigma, rng), draw(self.shot, rng)
        noise = rng.standard_normal(photo.shape, dtype=np.float32)
        noise *= np.sqrt(np.float32(sigma**2) + np.float32(shot**2 / 255) * photo) if shot else np.float32(sigma)
        noise += photo
        return np.clip(np.rint(noise, out=noise), 0, 255, out=noise).astype(np.uint8)
