"""The vectors that images are made of: drawn for each seed by itself, blended, summed, and changed along one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from i2i.errors import UserError
from i2i.methods.infogan import SWEEP
from i2i.methods.noise import COLUMNS, Prior
from i2i.seeding import numpy_generator

Latents = npt.NDArray[np.float32]
"""Vectors ``[N, width]`` or one of them ``[width]``."""

Along = Literal["linear", "spherical"]
SMALLEST_TRUNCATION = 0.01  # below it, redrawing goes on too long


def slerp(start: Latents, end: Latents, share: npt.NDArray[np.float64]) -> Latents:
    """Go from one vector to another on the great circle through both (White 2016, section 2.1; Shoemake 1985).

    A straight line between two draws of many normal values passes through shorter vectors than the generator was
    trained on; this path does not. Vectors of one direction, or of opposite ones, have no such circle, and are joined
    by the straight line.

    Args:
        start: ``[D]``.
        end: ``[D]``.
        share: ``[S]``, 0 at the start to 1 at the end.

    Returns:
        Points ``[S, D]``; exactly `start` and `end` at 0 and 1.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = float(a @ b / lengths) if lengths else 1.0
    if abs(cosine) > 1 - 1e-9:
        return lerp(start, end, share)
    angle = math.acos(cosine)
    points = np.outer(np.sin((1 - share) * angle), a) + np.outer(np.sin(share * angle), b)
    path: Latents = (points / math.sin(angle)).astype(np.float32)
    return path


def lerp(start: Latents, end: Latents, share: npt.NDArray[np.float64]) -> Latents:
    """Go from one vector to another on the straight line; see `slerp`."""
    points = np.outer(1 - share, start.astype(np.float64)) + np.outer(share, end.astype(np.float64))
    return points.astype(np.float32)


@dataclass(frozen=True)
class LatentSpace:
    """What a generator takes: noise, and behind it InfoGAN's codes, if it has any.

    Attributes:
        noise: how many values of noise.
        prior: their distribution: N(0, 1), or uniform in -1 to 1.
        categories: sizes of the categorical codes, which are one-hot.
        continuous: number of continuous codes, uniform in -1 to 1.
    """

    noise: int
    prior: Prior = "normal"
    categories: tuple[int, ...] = ()
    continuous: int = 0

    @property
    def width(self) -> int:
        """How many values a vector has."""
        return self.noise + sum(self.categories) + self.continuous

    def refuse_truncation(self, truncation: float | None) -> None:
        """Refuse to truncate what has no tails.

        Raises:
            UserError: the noise is uniform, or the bound is so narrow that redrawing would not end.
        """
        if truncation is None:
            return
        if self.prior != "normal":
            raise UserError(
                "--truncation: the model's noise is uniform in -1 to 1 and has no tails to cut; leave it out"
            )
        if not truncation >= SMALLEST_TRUNCATION:
            raise UserError(
                f"--truncation {truncation:g}: must be at least {SMALLEST_TRUNCATION}; 2 cuts little, 0.5 much"
            )

    def draw(self, seeds: Sequence[int], truncation: float | None = None) -> Latents:
        """Return the vectors ``[N, width]`` of some seeds, each a function of its seed alone.

        Args:
            seeds: numbers from 0.
            truncation: values of normal noise beyond it, on either side, are redrawn until they are not (Brock et al.
                2019, section 3.1): less varied and more typical images. The codes stay as they are.

        Raises:
            UserError: there is nothing to truncate.
        """
        self.refuse_truncation(truncation)
        vectors = np.zeros((len(seeds), self.width), np.float32)
        for vector, seed in zip(vectors, seeds, strict=True):
            # numpy's draws are the same on every processor; torch's normal ones are not, to the last bit
            generator = numpy_generator(seed, "noise")
            if self.prior == "uniform":
                vector[: self.noise] = generator.uniform(-1, 1, self.noise)
            else:
                vector[: self.noise] = _normal(generator, self.noise, truncation)
            codes = numpy_generator(seed, "codes")
            place = self.noise
            for size in self.categories:
                vector[place + codes.integers(size)] = 1
                place += size
            vector[place:] = codes.uniform(-1, 1, self.continuous)
        return vectors

    def between(self, start: Latents, end: Latents, steps: int, along: Along | None = None) -> Latents:
        """Return vectors ``[steps, width]`` from one to another, both included.

        Codes go along the straight line, whatever the noise does.

        Args:
            start: ``[width]``.
            end: ``[width]``.
            steps: at least 2.
            along: `linear`, or `spherical`: see `slerp`; None: spherical for normal noise, else linear.
        """
        share = np.linspace(0, 1, steps)
        vectors = lerp(start, end, share)
        if (along or ("spherical" if self.prior == "normal" else "linear")) == "spherical":
            vectors[:, : self.noise] = slerp(start[: self.noise], end[: self.noise], share)
        return vectors

    def total(self, signs: Sequence[int], vectors: Latents) -> Latents:
        """Return the sum ``[width]`` of vectors ``[N, width]``, each taken +1 or -1 times (Radford et al. 2016, 6.3).

        The noise alone is summed. Codes are the first vector's, for a sum of categories is none.
        """
        result: Latents = vectors[0].copy()
        noise = vectors[:, : self.noise].astype(np.float64)
        result[: self.noise] = np.asarray(signs, np.float64) @ noise
        return result

    def traverse(self, axis: str, vector: Latents, steps: int | None = None) -> Latents:
        """Return copies ``[steps, width]`` of a vector that differ in one value, or in one categorical code.

        Args:
            axis: the value's number from 0, or a code's name, ``c0`` the first: the categorical ones, then the
                continuous ones.
            vector: ``[width]``, the start.
            steps: how many; None: 10. A categorical code goes through its categories, as many as they are.

        Returns:
            Vectors whose value goes from -2 to 2, or from -1 to 1 where noise is uniform.

        Raises:
            UserError: there is no such axis, or steps are given for a categorical code.
        """
        place, size = self._axis(axis)
        if size:
            if steps is not None:
                raise UserError(f"--traverse {axis}: goes through its {size} categories; leave --steps out")
            vectors = np.tile(vector, (size, 1))
            vectors[:, place : place + size] = np.eye(size)
            return vectors
        end = 1.0 if self.prior == "uniform" and place < self.noise else SWEEP
        vectors = np.tile(vector, (steps or COLUMNS, 1))
        vectors[:, place] = np.linspace(-end, end, len(vectors))
        return vectors

    def is_categorical(self, axis: str) -> bool:
        """Say whether `axis` names a categorical code.

        Raises:
            UserError: there is no such axis.
        """
        return self._axis(axis)[1] > 0

    def _axis(self, axis: str) -> tuple[int, int]:
        """Return where an axis begins, and how many categories it has: 0 for a single value."""
        if axis.isascii() and axis.isdigit() and len(axis) < 10 and int(axis) < self.noise:
            return int(axis), 0
        codes: dict[str, tuple[int, int]] = {}
        place = self.noise
        for size in [*self.categories, *[0] * self.continuous]:
            codes[f"c{len(codes)}"] = place, size
            place += size or 1
        if axis not in codes:
            named = f", and the codes {', '.join(codes)}" if codes else ""
            raise UserError(f"--traverse {axis}: the model has the axes 0 to {self.noise - 1}{named}")
        return codes[axis]


def _normal(generator: np.random.Generator, count: int, truncation: float | None) -> Latents:
    """Draw normal values, and those beyond the bound again."""
    values: Latents = generator.standard_normal(count).astype(np.float32)
    if truncation is not None:
        bound = np.float32(truncation)
        while (beyond := np.abs(values) > bound).any():
            values[beyond] = generator.standard_normal(int(beyond.sum()))
    return values
