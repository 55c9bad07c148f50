"""Time and memory of a training step, variants against the plain loop, interleaved in one process.

    python tools/bench.py --method cyclegan --size 256 --batch 1 --rounds 15 --json bench.json

The plain loop is eager fp32 in the default memory layout. Each round runs one step of every variant, so that a machine
that slows down slows them all; medians and the ratio of medians are shown. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.methods import METHODS, CycleGANConfig, Method, Pix2PixConfig
from i2i.optim import Precision, PrecisionName, choose_device


@dataclass(frozen=True)
class Variant:
    """One way to run the same step."""

    name: str
    precision: PrecisionName
    layout: torch.memory_format


VARIANTS = (
    Variant("plain", "fp32", torch.contiguous_format),
    Variant("fp32 channels_last", "fp32", torch.channels_last),
    Variant("bf16", "bf16", torch.contiguous_format),
    Variant("bf16 channels_last", "bf16", torch.channels_last),
)


CONFIGS = {"pix2pix": Pix2PixConfig(), "cyclegan": CycleGANConfig()}
NETWORKS = {
    "pix2pix": "full-size U-Net and PatchGAN",
    "cyclegan": "two full-size ResNets of 9 blocks and two PatchGANs, identity loss on",
}


class Bench:
    """The full-size networks of a method's paper on random images."""

    def __init__(self, method: str, variant: Variant, device: torch.device, size: int, batch: int) -> None:
        self.precision = Precision(variant.precision, device)
        torch.manual_seed(0)
        self.method: Method = METHODS[method](CONFIGS[method].completed(size, batch), precision=self.precision)
        for network in self.method.networks.values():
            network.to(memory_format=variant.layout)
        images = torch.rand(2, batch, 3, size, size, device=device) * 2 - 1
        self.batch: dict[str, Tensor] = {
            side: image.contiguous(memory_format=variant.layout) for side, image in zip("ab", images, strict=True)
        }
        self.step = 0

    def seconds(self) -> float:
        """Take one step and return how long it took, the device's work included."""
        self._wait()
        began = time.perf_counter()
        with self.precision.autocast():
            self.method.train_step(self.batch, self.step)
        self._wait()
        self.step += 1
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.precision.device.type == "cuda":
            torch.cuda.synchronize()


def peak_megabytes(variant: Variant, arguments: argparse.Namespace) -> float:
    """Return the peak memory of a process that runs this variant alone: of the GPU, or resident on a CPU."""
    command = [sys.executable, __file__, "--only", variant.name, "--rounds", "3"]
    command += [
        "--method",
        arguments.method,
        "--size",
        str(arguments.size),
        "--batch",
        str(arguments.batch),
        "--device",
        arguments.device,
    ]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(printed)["peak_megabytes"])


def own_peak_megabytes(device: torch.device) -> float:
    """Return this process's peak memory; getrusage would count what its parent held before this program began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=CONFIGS, default="pix2pix")
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    variants = [variant for variant in VARIANTS if arguments.only in (None, variant.name)]
    benches = [Bench(arguments.method, variant, device, arguments.size, arguments.batch) for variant in variants]
    for bench in benches:
        for _ in range(3):
            bench.seconds()
    times = [[bench.seconds() for bench in benches] for _ in range(arguments.rounds)]
    if arguments.only:
        print(json.dumps({"peak_megabytes": own_peak_megabytes(device)}))
        return
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    del benches
    rows: list[dict[str, Any]] = [
        {
            "variant": variant.name,
            "milliseconds": round(median * 1e3, 1),
            "speed_up": round(medians[0] / median, 2),
            "peak_megabytes": round(peak_megabytes(variant, arguments)),
        }
        for variant, median in zip(variants, medians, strict=True)
    ]
    machine = torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} cores, {_processor()}"
    result = {
        "command": "python tools/bench.py " + " ".join(sys.argv[1:]),
        "device": machine,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "step": f"{arguments.method}, {NETWORKS[arguments.method]}, {arguments.size} px, batch {arguments.batch}",
        "rounds": arguments.rounds,
        "rows": rows,
    }
    print(f"{result['step']}, on {machine}, torch {torch.__version__}")
    for row in rows:
        print(
            f"{row['variant']:>20} {row['milliseconds']:9.1f} ms {row['speed_up']:6.2f}x {row['peak_megabytes']:7} MB"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    """Return the processor's name and whether it computes in bf16."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return f"{name} ({', '.join(flag for flag in ('avx512_bf16', 'amx_bf16') if flag in flags) or 'no bf16'})"


if __name__ == "__main__":
    main()
