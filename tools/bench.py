"""Time and memory of training steps: ways to run them against the plain loop, interleaved in one process.

    python tools/bench.py --method pix2pix cyclegan --batch 1 4 --json bench.json
    python tools/bench.py --data FOLDER --set data.derive.name=edges     # whole trainings on these images, data and all

The plain loop is eager fp32 with the library's own kernels. Each round takes one step of every variant, so that a
machine that slows down slows them all; medians and their ratio are shown. Peak memory is that of a process of its own.
A device's peak is what a large product of matrices reaches on it, in bf16 where it knows that, so a share of it says
how busy the device is; a step's work is counted in multiplications and additions of its convolutions and products.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from rich.console import Console
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from i2i.config import Layer, parse_setting
from i2i.data import DataConfig
from i2i.engine.config import RunConfig, TrainConfig, compose
from i2i.engine.fit import build_method, kernels
from i2i.engine.runs import start
from i2i.engine.stepping import Stepping
from i2i.errors import UserError
from i2i.machine import device_name
from i2i.methods import CycleGANConfig, Pix2PixConfig
from i2i.optim import Precision, choose_device

PLAIN = {"precision": "fp32", "channels_last": False, "products": False, "graph": False}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "fp32": {"precision": "fp32"},
    "bf16 alone": {**PLAIN, "precision": "bf16"},
    "bf16 channels_last": {**PLAIN, "precision": "bf16", "channels_last": True},
    "auto": {},
    "auto compiled": {"compile": True},
}
CONFIGS: dict[str, Pix2PixConfig | CycleGANConfig] = {"pix2pix": Pix2PixConfig(), "cyclegan": CycleGANConfig()}
NETWORKS = {
    "pix2pix": "the paper's U-Net and PatchGAN",
    "cyclegan": "two ResNets of 9 blocks and two PatchGANs, identity loss on",
}
WARM_UP = 5  # steps; more than come before a step is recorded


class Bench:
    """The networks of a method, run in one way on random images."""

    def __init__(
        self,
        method: Pix2PixConfig | CycleGANConfig,
        settings: dict[str, Any],
        device: torch.device,
        size: int,
        batch: int,
    ) -> None:
        data = DataConfig(image_size=size, batch_size=batch)
        config = RunConfig(method=method, data=data, train=TrainConfig(**settings)).completed(data)
        self.precision = Precision(config.train.precision, device)
        self.method = build_method(config, SimpleNamespace(channels=(3, 3)), self.precision)  # type: ignore[arg-type]
        layout = self.precision.memory_format(config.train.channels_last)
        images = torch.rand(2, batch, 3, size, size, device=device) * 2 - 1
        self.batch: dict[str, Tensor] = {
            side: image.contiguous(memory_format=layout) for side, image in zip("ab", images, strict=True)
        }
        self.take_step = Stepping(self.method, self.precision, config.train.graph, print)
        self.step = 0

    def seconds(self) -> float:
        """Take one step and return how long it took, the device's work included."""
        self._wait()
        began = time.perf_counter()
        self.take_step(self.batch, self.step)
        self._wait()
        self.step += 1
        return time.perf_counter() - began

    def work(self) -> float:
        """Return the floating-point operations of a step, 2 for each multiplication and addition."""
        with FlopCounterMode(display=False) as counter:
            self.seconds()
        return float(counter.get_total_flops())

    def _wait(self) -> None:
        if self.precision.device.type == "cuda":
            torch.cuda.synchronize()


def peak_speed(device: torch.device) -> tuple[str, float]:
    """Return in which arithmetic, and how many floating-point operations a second, a product of matrices reaches."""
    precision = Precision("auto", device)
    side = 8192 if device.type == "cuda" else 2048
    a, b = torch.rand(2, side, side, device=device, dtype=precision.dtype)
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        c = a @ b
        float(c[0, 0])  # waits for it
        seconds.append(time.perf_counter() - began)
    return precision.name, 2 * side**3 / min(seconds)


def peak_megabytes(arguments: argparse.Namespace, method: str, batch: int, variant: str) -> float:
    """Return the peak memory of a process that runs this variant alone: of the GPU, or resident on a CPU."""
    command = [sys.executable, __file__, "--only", variant, "--method", method, "--batch", str(batch)]
    command += ["--size", str(arguments.size), "--device", arguments.device]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(printed.splitlines()[-1])["peak_megabytes"])


def own_peak_megabytes(device: torch.device) -> float:
    """Return this process's peak memory; getrusage would count what its parent held before this program began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def interleaved(takes: Sequence[Callable[[], float]], rounds: int) -> list[list[float]]:
    """Return what each function returned in every round, all of them taken in turn."""
    rows = [[take() for take in takes] for _ in range(rounds)]
    return [list(column) for column in zip(*rows, strict=True)]


def bench_steps(arguments: argparse.Namespace, method: str, batch: int, peak: float) -> dict[str, Any]:
    """Measure steps on random images that lie on the device."""
    device = choose_device(arguments.device)
    benches = [Bench(CONFIGS[method], VARIANTS[name], device, arguments.size, batch) for name in arguments.variants]
    work = benches[0].work()
    for bench in benches:
        for _ in range(WARM_UP if device.type == "cuda" else 2):
            bench.seconds()
    medians = [statistics.median(times) for times in interleaved([b.seconds for b in benches], arguments.rounds)]
    del benches
    torch.cuda.empty_cache()  # the processes to come need the room
    rows = [
        {
            "variant": name,
            "milliseconds": round(median * 1e3, 2),
            "speed_up": round(medians[0] / median, 2),
            "images_per_second": round(batch / median, 2),
            "share_of_peak": round(work / median / peak, 3),
            "peak_megabytes": round(peak_megabytes(arguments, method, batch, name)),
        }
        for name, median in zip(arguments.variants, medians, strict=True)
    ]
    what = f"{method}, {NETWORKS[method]}, {arguments.size} px, batch {batch}"
    return {"step": what, "gigaflop": round(work / 1e9), "rounds": arguments.rounds, "rows": rows}


def bench_runs(arguments: argparse.Namespace, method: str, batch: int) -> dict[str, Any]:
    """Measure whole trainings on a folder of images, from their own reports."""
    speeds: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.variants}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments.rounds):
            for name in arguments.variants:
                speeds[name].append(_run(arguments, method, batch, name, Path(folder) / f"{turn} {name}"))
    medians = {
        name: {key: statistics.median(report[key] for report in reports) for key in reports[0]}
        for name, reports in speeds.items()
    }
    first = medians[arguments.variants[0]]["images_per_second"]
    rows = [
        {
            "variant": name,
            "images_per_second": round(report["images_per_second"], 2),
            "speed_up": round(report["images_per_second"] / first, 2),
            "data_wait": round(report["data_wait"], 4),
        }
        for name, report in medians.items()
    ]
    what = f"training of {method} on {Path(arguments.data).name}, {arguments.size} px, batch {batch}"
    return {"step": what, "rounds": arguments.rounds, "steps": arguments.steps, "rows": rows}


def _run(arguments: argparse.Namespace, method: str, batch: int, variant: str, folder: Path) -> dict[str, float]:
    """Train in a folder and return images a second and the share of waiting, as reported in the run's second half."""
    train = {
        "epochs": None,
        "steps": arguments.steps,
        "log_every": arguments.steps // 2,
        "validate_every": arguments.steps,
    }
    options = {
        "data": {"image_size": arguments.size, "batch_size": batch},
        "train": {**train, **VARIANTS[variant], "device": arguments.device},
    }
    config, source = compose(
        method, arguments.data, [*map(parse_setting, arguments.set), Layer("the benchmark", options)]
    )
    start(config, source, Console(file=io.StringIO()), folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    report = next(line for line in reversed(lines) if "speed/images_per_second" in line)
    return {key: report[f"speed/{key}"] for key in ("images_per_second", "data_wait")}


def show(result: dict[str, Any]) -> None:
    """Print a table of what was measured."""
    print(f"\n{result['step']}")
    columns = list(result["rows"][0])
    print("".join(f"{column:>20}" for column in columns))
    for row in result["rows"]:
        print("".join(f"{row[column]!s:>20}" for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", choices=CONFIGS, default=["pix2pix"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["plain", "fp32", "bf16 alone", "auto"])
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--data", help="a data set or a folder to train on, instead of steps on random images")
    parser.add_argument("--set", action="append", default=[], help="an option of these trainings, key=value")
    parser.add_argument("--steps", type=int, help="steps of a training with --data; 40 if left out")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.data and (arguments.set or arguments.steps):
        parser.error("--set and --steps are for trainings, with --data")
    arguments.steps = arguments.steps or 40
    with kernels(deterministic=False):  # as trainings have them
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Measure what was asked for."""
    device = choose_device(arguments.device)
    if arguments.only:
        bench = Bench(
            CONFIGS[arguments.method[0]], VARIANTS[arguments.only], device, arguments.size, arguments.batch[0]
        )
        for _ in range(WARM_UP):
            bench.seconds()
        print(json.dumps({"peak_megabytes": own_peak_megabytes(device)}))
        return
    arithmetic, peak = peak_speed(device)
    result: dict[str, Any] = {
        "command": "python tools/bench.py " + " ".join(sys.argv[1:]),
        "device": device_name(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "peak_teraflop_per_second": {arithmetic: round(peak / 1e12, 2)},
        "results": [],
    }
    print(f"{result['device']}, torch {torch.__version__}, peak {peak / 1e12:.2f} TFLOP/s in {arithmetic}")
    for method in arguments.method:
        for batch in arguments.batch:
            measured = (
                bench_runs(arguments, method, batch) if arguments.data else bench_steps(arguments, method, batch, peak)
            )
            result["results"].append(measured)
            show(measured)
            if arguments.json:
                arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
