"""Scalars of many steps, fetched from the device at once, so that the loop never waits for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from i2i.methods import Method


@dataclass(frozen=True)
class Divergence:
    """The first step whose loss or gradient was not finite."""

    step: int
    indices: tuple[int, ...]
    scalars: tuple[str, ...]


class Recorder:
    """Collects each step's scalars on the device until `drain` is called."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._names: list[str] = []
        self._rows: list[Tensor] = []
        self._indices: list[Tensor] = []
        self._first = 0

    def add(self, step: int, scalars: Mapping[str, Tensor], indices: Tensor) -> None:
        """Take in the scalars of `step` (counted from 0) and which examples it saw."""
        if not self._rows:
            self._first = step
        values = dict(scalars)
        for name, stepper in self.method.steppers.items():
            values[f"grad_norm/{name}"] = stepper.grad_norm
            values[f"skipped/{name}"] = stepper.skipped
        self._names = list(values)
        self._rows.append(torch.stack([value.detach().float() for value in values.values()]))
        self._indices.append(indices)

    def drain(self) -> dict[str, float]:
        """Return the means since the last call, and forget the rows."""
        if not self._rows:
            return {}
        means = dict(zip(self._names, torch.stack(self._rows).mean(dim=0).tolist(), strict=True))
        self._rows, self._indices = [], []
        return {name: value for name, value in means.items() if not name.startswith("skipped/")}

    def divergence(self) -> Divergence | None:
        """Return the first step since the last `drain` that went wrong, if one did."""
        if not self._rows:
            return None
        skips = [column for column, name in enumerate(self._names) if name.startswith("skipped/")]
        losses = [column for column, name in enumerate(self._names) if name.startswith("loss/")]
        for row, values in enumerate(torch.stack(self._rows).tolist()):
            bad = tuple(self._names[column] for column in losses if not math.isfinite(values[column]))
            if bad or any(values[column] > 0 for column in skips):
                return Divergence(self._first + row, tuple(self._indices[row].tolist()), bad)
        return None
