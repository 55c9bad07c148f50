"""Which device and which arithmetic a run uses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from i2i.errors import UserError

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        UserError: the device does not exist here.
    """
    available = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    available += ["cpu"]
    if name == "auto":
        return torch.device(available[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in available:
        raise UserError(f"there is no device '{name}' on this machine; choose one of: auto, {', '.join(available)}")
    return torch.device(wanted)


class Precision:
    """The arithmetic of a run: weights in fp32, forwards in `dtype` where it helps (mixed precision).

    ``auto`` is bf16 where the device computes in it, fp16 (with a loss scaler) on older GPUs, fp32 elsewhere.
    """

    def __init__(self, name: PrecisionName = "fp32", device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.name = self._best() if name == "auto" else name
        self.dtype = DTYPES[self.name]

    def _best(self) -> PrecisionName:
        if self.device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        if self.device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return "bf16"
        return "fp32"

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which forwards run."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return a loss scaler, which fp16 needs because its small gradients would vanish; None otherwise."""
        return torch.amp.GradScaler(self.device.type) if self.dtype == torch.float16 else None
