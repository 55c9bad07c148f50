"""Learning-rate policies, as factors of the progress through a run.

Progress runs from 0 at the first step to 1 after the last, so a policy means the same for a run counted in epochs and
for one counted in steps, and a resumed run needs no state but its step (`plateau` alone listens to validation).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt

from i2i.config import Config

Share = Annotated[float, Field(gt=0, le=1)]


class Constant(Config):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"

    def factor(self, progress: float) -> float:
        """Return 1."""
        return 1.0


class Linear(Config):
    """Flat for a share of the run, then linear to zero: the pix2pix and CycleGAN papers' 100 + 100 epochs."""

    name: Literal["linear"] = "linear"
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def factor(self, progress: float) -> float:
        """Return 1 until `hold`, then fall to 0 at the end."""
        return min(1.0, (1 - progress) / (1 - self.hold))


class Step(Config):
    """Multiplied by `gamma` after every `every` share of the run (50 of 200 epochs: 0.25)."""

    name: Literal["step"] = "step"
    every: Share = 0.25
    gamma: Share = 0.1

    def factor(self, progress: float) -> float:
        """Return gamma to the number of whole shares behind."""
        return self.gamma ** math.floor(progress / self.every + 1e-9)


class Cosine(Config):
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, eq. 5, without restarts)."""

    name: Literal["cosine"] = "cosine"

    def factor(self, progress: float) -> float:
        """Return ``(1 + cos(pi progress)) / 2``."""
        return (1 + math.cos(math.pi * progress)) / 2


class Plateau(Config):
    """Multiplied by `gamma` when the watched validation scalar has not fallen for more than `patience` validations."""

    name: Literal["plateau"] = "plateau"
    gamma: Share = 0.2
    patience: NonNegativeInt = 5
    threshold: Annotated[float, Field(ge=0)] = 1e-4
    watch: str = "val/l1"

    def factor(self, progress: float) -> float:
        """Return 1: the falls are counted by `Schedule.observe`."""
        return 1.0


ScheduleConfig = Annotated[Constant | Linear | Step | Cosine | Plateau, Field(discriminator="name")]


class Schedule:
    """A policy at work: its factor at any progress, and the one policy's memory of validations."""

    def __init__(self, config: Constant | Linear | Step | Cosine | Plateau) -> None:
        self.config = config
        self.falls = 0
        self.best = math.inf
        self.waited = 0

    def factor(self, progress: float) -> float:
        """Return what to multiply the learning rate with; `progress` in [0, 1]."""
        fallen = self.config.gamma**self.falls if isinstance(self.config, Plateau) else 1.0
        return fallen * self.config.factor(progress)

    def observe(self, scalars: dict[str, float]) -> None:
        """Take in a validation's scalars (lower is better)."""
        if not isinstance(self.config, Plateau):
            return
        if (value := scalars[self.config.watch]) < self.best * (1 - self.config.threshold):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.config.patience:
            self.falls, self.waited = self.falls + 1, 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, in JSON's types."""
        return {"falls": self.falls, "best": None if math.isinf(self.best) else self.best, "waited": self.waited}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up where `state` was saved."""
        self.falls, self.waited = state["falls"], state["waited"]
        self.best = math.inf if state["best"] is None else state["best"]
