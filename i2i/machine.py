"""The machine: its cores, and what measurements call it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def count_cores(processes: int = 1) -> int:
    """Return how many of the machine's cores this process may use, or each of several that share them; 1 at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes)


def device_name(device: torch.device | str = "cpu") -> str:
    """Return a GPU's name, or how many cores of which processor this process may use and whether it knows bf16."""
    if str(device).startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    flags = _cpuinfo("flags").split()
    bf16 = ", ".join(flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags) or "no bf16"
    return f"{count_cores()} cores, {processor()} ({bf16})"


def processor() -> str:
    """Return the processor's name."""
    return _cpuinfo("model name") or platform.machine()


def _cpuinfo(key: str) -> str:
    """Return what Linux says of the first processor under a key; nothing elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
