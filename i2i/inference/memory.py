"""How large the parts may be, and must be, that an image is cut into: by the memory there is, and by the network.

What a network does to sizes is found by running it on torch's meta device, whose tensors have shapes but no values: it
takes milliseconds and no memory at any size.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SMALLEST_TILE = 256
TILE_STEP = 64
SMALLEST_MAP = 16
# What a forward took of a fresh process (VmHWM less VmRSS after one at 64x64) over `peak_bytes`, with torch 2.15 on a
# CPU that has AVX-512 and AMX, at 1024x1024 and 2048x1536, with 1 and 4 threads: the ResNet of 9 blocks 1.33 in fp32
# and 0.85 to 1.01 in bf16, the U-Net of depth 8 0.98 to 1.10 and 0.57 to 1.14. Kernels hold a large map once more in a
# layout of their own, and bf16 halves most maps but not all. Not measured on a GPU.
OVERHEAD = 1.5


def largest_tile(
    network: nn.Module,
    channels: int,
    height: int,
    width: int,
    free: int | None,
    *,
    share: float = 0.5,
) -> int | None:
    """Return the side of the largest square tile whose forward fits into memory, or None where tiles are not needed.

    The side is a multiple of 64, and at least 256, whether that fits or not: smaller tiles would hardly save memory,
    and the network would see too little of the image. None says that the whole image fits, or that it is not known how
    much memory there is or how much the network needs, so that it can but be tried.

    Args:
        network: the network.
        channels: C of the image ``[1, C, height, width]``.
        height: of the image.
        width: of the image.
        free: bytes that are free on the network's device, as `free_bytes` says.
        share: the part of the free memory that a forward may take; what else a translation holds, such as images that
            are read ahead or wait to be written, takes of the rest.
    """
    if free is None:
        return None
    room = free * share / OVERHEAD
    whole = peak_bytes(network, channels, height, width)
    if whole is None or whole <= room:
        return None
    low, high = SMALLEST_TILE // TILE_STEP, max(height, width) // TILE_STEP
    while low < high:
        middle = (low + high + 1) // 2
        needed = peak_bytes(network, channels, min(middle * TILE_STEP, height), min(middle * TILE_STEP, width))
        low, high = (middle, high) if needed is not None and needed <= room else (low, middle - 1)
    return low * TILE_STEP


def peak_bytes(network: nn.Module, channels: int, height: int, width: int) -> int | None:
    """Return how many bytes the tensors of an fp32 forward of ``[1, C, height, width]`` take at most at one time.

    Input and output count, the weights do not, nor what kernels take for themselves (see `OVERHEAD`).

    Args:
        network: the network, in the mode it will run in; it is not touched.
        channels: C.
        height: of the image.
        width: of the image.

    Returns:
        the bytes, or None where the network does not run on the meta device, because its way depends on values.
    """
    try:
        shapes = _without_values(network)
        with torch.no_grad(), _Tally() as tally:
            shapes(torch.empty(1, channels, height, width, device="meta"))
    except Exception:  # a network of the user's own may raise anything
        return None
    return int(tally.peak)


def crop_side(network: nn.Module, channels: int, tile: int) -> int:
    """Return how large the crops must be from which a network can tell what its maps are like on a large image.

    A quarter or a half of a tile where no map is then smaller than 16x16, so that its borders do not rule it; a whole
    tile for deeper networks, and for those that do not run on the meta device.

    Args:
        network: the network, in the mode it will run in; it is not touched.
        channels: C of the image ``[1, C, H, W]``.
        tile: side of the tiles.
    """
    smallest = 0

    def note(module: nn.Module, inputs: Any, output: object) -> None:
        nonlocal smallest
        if isinstance(output, Tensor) and output.dim() == 4:
            smallest = min(smallest, *output.shape[-2:])

    try:
        shapes = _without_values(network)
        for module in shapes.modules():
            module.register_forward_hook(note)
        for crop in (tile // 4, tile // 2):
            smallest = crop
            with torch.no_grad():
                shapes(torch.empty(1, channels, crop, crop, device="meta"))
            if smallest >= SMALLEST_MAP:
                return crop
    except Exception:  # a network of the user's own may raise anything
        return tile
    return tile


def _without_values(network: nn.Module) -> nn.Module:
    """Copy a network to the meta device; what deepcopy believes to have copied already is not copied."""
    known: dict[int, Any] = {}
    for weight in network.parameters():
        known[id(weight)] = nn.Parameter(torch.empty_like(weight, device="meta"), requires_grad=False)
    for buffer in network.buffers():
        known[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(network, known)


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made within and still live.

    Attributes:
        live: bytes now.
        peak: most bytes at one time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._counted: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count the memory of what it returns, unless that is of an older tensor."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._counted:
            return
        self._counted.add(id(storage))
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, id(storage), storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._counted.discard(key)
        self.live -= size


def free_bytes(device: torch.device, root: Path = Path("/")) -> int | None:
    """Return how much memory a device has to give, in bytes; None where that is not known.

    Args:
        device: of the computation.
        root: where ``proc`` and ``sys`` are found, from which a CPU's memory is read: Linux alone has them.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    if device.type != "cpu":
        return None
    available = _fields(root / "proc/meminfo").get("MemAvailable:")
    machine = [] if available is None else [available * 1024]
    return min([*machine, *_control_groups(root)], default=None)


def _control_groups(root: Path) -> Iterator[int]:
    """Yield what is left of the limits of this process's control groups, such as a container has (v1 and v2).

    A group's limit holds for the groups below it too. Inside a container the path may name folders that only the
    machine sees; its own group then is what stands at the top.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, usage, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            limits, used = (_lines(folder / name) for name in (limit, usage))
            if limits and used and limits[0].isdecimal() and used[0].isdecimal():
                # The kernel drops files from its cache before it lets a process run out of memory.
                reclaimable = _fields(folder / "memory.stat").get(cache, 0)
                yield max(0, int(limits[0]) - int(used[0]) + reclaimable)


def _fields(file: Path) -> dict[str, int]:
    """Return the numbers of a file whose lines read ``name number``; empty where there is none."""
    rows = [line.split() for line in _lines(file)]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
