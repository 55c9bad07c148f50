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


@dataclass(frozen=True)
class _Row:
    """One step: its scalars in one tensor on the device, and which examples it saw."""

    step: int
    names: tuple[str, ...]
    values: Tensor
    indices: Tensor


class Recorder:
    """Collects each step's scalars on the device until `drain` is called; steps may report different ones."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._rows: list[_Row] = []
        self._fetched: list[list[float]] = []  # the values of the first of these rows, on the host
        self._skipped_before = {name: float(stepper.skipped) for name, stepper in method.steppers.items()}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, step: int, scalars: Mapping[str, Tensor], indices: Tensor) -> None:
        """Take in the scalars of `step` (counted from 0) and which examples it saw."""
        values = dict(scalars)
        for name, stepper in self.method.steppers.items():
            values[f"grad_norm/{name}"] = stepper.grad_norm
            values[f"skipped/{name}"] = stepper.skipped
        stacked = torch.stack([value.detach().float() for value in values.values()])
        self._rows.append(_Row(step, tuple(values), stacked, indices))

    def drain(self) -> dict[str, float]:
        """Return the means since the last call, and forget the rows.

        A gradient's norm that overflowed, as in fp16 it may now and then, is left out of its mean.
        """
        columns: dict[str, list[float]] = {}
        for row, values in zip(self._rows, self._fetch(), strict=True):
            for name, value in zip(row.names, values, strict=True):
                if not name.startswith("skipped/") and (math.isfinite(value) or not name.startswith("grad_norm/")):
                    columns.setdefault(name, []).append(value)
        self._rows, self._fetched = [], []
        return {name: sum(values) / len(values) for name, values in columns.items()}

    def divergence(self) -> Divergence | None:
        """Return the first step since the last `drain` that went wrong, if one did."""
        for row, values in zip(self._rows, self._fetch(), strict=True):
            named = dict(zip(row.names, values, strict=True))
            bad = tuple(name for name, v in named.items() if name.startswith("loss/") and not math.isfinite(v))
            skipped = any(named[f"skipped/{name}"] > before for name, before in self._skipped_before.items())
            if bad or skipped:
                return Divergence(row.step, tuple(row.indices.tolist()), bad)
        return None

    def _fetch(self) -> list[list[float]]:
        """Return every row's values; those that are still on the device come with one transfer."""
        if new := self._rows[len(self._fetched) :]:
            values = iter(torch.cat([row.values for row in new]).tolist())
            self._fetched += [[next(values) for _ in row.names] for row in new]
        return self._fetched
