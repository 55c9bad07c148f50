"""Gradient steps: optimizers, precision, learning-rate policies, averaged weights."""

from i2i.optim.ema import Ema
from i2i.optim.precision import Precision, PrecisionName, choose_device
from i2i.optim.schedule import Schedule, ScheduleConfig
from i2i.optim.stepper import OptimConfig, Stepper

__all__ = [
    "Ema",
    "OptimConfig",
    "Precision",
    "PrecisionName",
    "Schedule",
    "ScheduleConfig",
    "Stepper",
    "choose_device",
]
