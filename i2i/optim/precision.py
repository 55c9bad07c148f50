"""Which device and which arithmetic a run uses."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from i2i import world
from i2i.errors import UserError

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name; ``auto`` takes CUDA, then MPS, then the CPU.

    Where several processes train together, ``auto`` and ``cuda`` are the GPU of this one's number on its machine.

    Raises:
        UserError: the device does not exist here, or there are fewer than processes.
    """
    if world.size() > 1:
        name = _device_of_its_own(name)
    available = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    available += ["cpu"]
    if name == "auto":
        return torch.device(available[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in available:
        raise UserError(f"there is no device '{name}' on this machine; choose one of: auto, {', '.join(available)}")
    if wanted.startswith("cuda"):
        torch.cuda.set_device(wanted)  # what asks for "the" GPU means this one
    return torch.device(wanted)


def _device_of_its_own(name: str) -> str:
    """Return the device of that name for one of several processes."""
    count, gpus = world.local_size(), torch.cuda.device_count()
    if name == "cpu":
        return name
    if name not in ("auto", "cuda"):
        raise UserError(
            f"--device {name}: is one device, and {count} processes train here; leave it out for a GPU each, or "
            "choose cpu"
        )
    if gpus == 0:
        raise UserError(
            f"this machine has no GPU for any of {count} processes; add --device cpu to train on its processors"
        )
    if gpus < count:
        raise UserError(
            f"each of {count} processes needs a GPU, and this machine has {gpus}; start {gpus}, such as by "
            f"--devices {gpus}"
        )
    return f"cuda:{world.local_rank()}"


class Precision:
    """The arithmetic of a run: weights in fp32, forwards in `dtype` where it helps (mixed precision).

    ``auto`` is bf16 where the device computes in it, fp16 (with a loss scaler) on older GPUs, fp32 elsewhere.
    """

    def __init__(self, name: PrecisionName = "fp32", device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.name = self._best() if name == "auto" else name
        if self.name == "fp16" and self.device.type == "mps":
            raise UserError("--precision fp16: is not offered on mps; choose fp32 or bf16")
        self.dtype = DTYPES[self.name]

    def _best(self) -> PrecisionName:
        if self.device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        return "bf16" if self.device.type == "cpu" and _cpu_computes_bf16() else "fp32"

    def memory_format(self, channels_last: bool | None = None) -> torch.memory_format:
        """Return the memory layout that convolutions prefer; `channels_last` says so or otherwise.

        That is channels_last, save on a CPU, where it makes a training step slower (docs/speed.md).
        """
        if channels_last is None:
            channels_last = self.device.type != "cpu"
        return torch.channels_last if channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which forwards run."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return a loss scaler, which fp16 needs because its small gradients would vanish; None otherwise."""
        return torch.amp.GradScaler(self.device.type) if self.dtype == torch.float16 else None


def _cpu_computes_bf16() -> bool:
    """Say whether the CPU has instructions for bf16, without which it is emulated and slow."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(check() for name in asked if (check := getattr(torch.cpu, name, None)))
