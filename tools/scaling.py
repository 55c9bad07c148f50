"""How cost grows: start-up with the number of files, and images per second with the batch and the size of images.

    python -m tools.scaling --json tools/results/scaling.json --picture docs/assets/scaling.svg

Start-up is what passes from `i2i train`, typed, to the end of the first step of a small U-Net at 64 pixels, in a
process of its own: seconds by the clock and of the processor, and peak memory. The first start decodes every file; the
second finds noted that none has changed. The images are 100 drawn ones of 96 pixels, and the folder holds hard links to
them: each name is listed, looked up and decoded as any file is, and yet all contents lie in the system's memory, so
that what a disk or a network adds is not in these figures.

Images per second are those of a training step alone, on random images already on the device: the median of several
rounds after a warm-up, of a U-Net and a PatchGAN of 16 filters and one depth for all sizes, run as trainings are where
no option says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from i2i.data.drawn import Cats, Drawings, draw
from i2i.machine import device_name
from i2i.methods import METHODS, Pix2PixConfig
from i2i.optim import choose_device
from tools.bench import WARM_UP, Bench, own_peak_megabytes
from tools.charts import Line, Panel, chart

DISTINCT = 100  # contents of files
COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000)
BATCHES = (1, 2, 4, 8, 16)
SIZES = (64, 128, 256, 512)
SMALL = Pix2PixConfig.model_validate(
    {"generator": {"name": "unet", "ngf": 16, "depth": 6}, "discriminator": {"name": "patchgan", "ndf": 16}}
)
OPTIONS = ["--set", "data.derive=edges", "--image-size", "64", "--set", "method.generator.ngf=16"]
OPTIONS += ["--set", "method.discriminator.ndf=16", "--steps", "1000"]

Row = dict[str, Any]


def fill(folder: Path, count: int, contents: Sequence[Path]) -> Path:
    """Make a folder of `count` hard links to images, by turns."""
    folder.mkdir()
    for index in range(count):
        os.link(contents[index % len(contents)], folder / f"{index:06d}.jpg")
    return folder


def start_up(folder: Path, run: Path, cache: Path, device: str) -> Row:
    """Start a training of the images of a folder in a process of its own, and return what it took to the first step."""
    command = [sys.executable, "-m", "tools.scaling", "--first-step", str(time.time()), str(folder), str(run), device]
    done = subprocess.run(
        command, env=os.environ | {"I2I_DATA": str(cache)}, stdout=subprocess.PIPE, text=True, check=True
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def stop_at_first_step(began: float, folder: str, run: str, device: str) -> None:
    """Train until the first step is taken, and print what it took since `began` (`time.time()`)."""
    from i2i.cli import main

    method = METHODS["pix2pix"]

    class Stopping(method):  # type: ignore[misc, valid-type]
        def train_step(self, batch: Any, step: int) -> None:
            super().train_step(batch, step)
            seconds, processor = time.time() - began, time.process_time()
            peak = own_peak_megabytes(torch.device("cpu"))
            print(json.dumps({"seconds": seconds, "cpu_seconds": processor, "peak_megabytes": peak}))
            raise SystemExit

    METHODS["pix2pix"] = Stopping
    sys.exit(main(["train", "pix2pix", "--data", folder, "--run-dir", run, "--device", device, *OPTIONS]))


def images_per_second(device: torch.device, size: int, batch: int, rounds: int) -> float:
    """Return how many images a second a training step of the small networks takes in."""
    bench = Bench(SMALL, {}, device, size, batch)
    for _ in range(WARM_UP):
        bench.seconds()
    return batch / statistics.median(bench.seconds() for _ in range(rounds))


def panels(starts: Sequence[Row], steps: Sequence[Row]) -> list[Panel]:
    """Return what the picture shows of the results."""

    def of_starts(key: str) -> list[Line]:
        return [
            Line(f"{which} start", [(row["files"], row[key]) for row in starts if row["start"] == which])
            for which in ("first", "second")
        ]

    def of_size(size: int) -> Line:
        return Line(
            f"{size} x {size}", [(row["batch"], row["images_per_second"]) for row in steps if row["size"] == size]
        )

    shown = []
    if starts:
        shown.append(Panel("Start-up to the first step", "files", "seconds", of_starts("seconds")))
        shown.append(Panel("Peak memory of start-up", "files", "MB", of_starts("peak_megabytes")))
    if steps:
        sizes = list(dict.fromkeys(row["size"] for row in steps))
        shown.append(Panel("A training step", "batch", "images per second", [of_size(size) for size in sizes]))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="*", default=COUNTS, help="how many files; none: no start-up")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="sides of images; none: no steps")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--picture", type=Path, help="an SVG to write")
    parser.add_argument("--first-step", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.first_step:
        began, *rest = arguments.first_step
        stop_at_first_step(float(began), *rest)
    device = choose_device(arguments.device)
    starts: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        drawn = draw(place / "drawn", [Drawings("", DISTINCT, Cats(size=96))]) if arguments.files else place
        for count in arguments.files:
            folder = fill(place / str(count), count, sorted(drawn.glob("*.jpg")))
            for which in ("first", "second"):
                taken = start_up(folder, place / f"{count}-{which}", place / "cache", arguments.device)
                row = {"files": count, "start": which, **{key: round(value, 2) for key, value in taken.items()}}
                starts.append(row)
                print("{files:7} files, {start:6} start {seconds:7.2f} s".format(**row), end="")
                print(" ({cpu_seconds:.2f} s of the processor), {peak_megabytes:.0f} MB".format(**row), flush=True)
    steps: list[Row] = []
    for size in arguments.sizes:
        for batch in arguments.batches:
            pace = images_per_second(device, size, batch, arguments.rounds)
            steps.append({"size": size, "batch": batch, "images_per_second": round(pace, 2)})
            print(f"{size:4} px, batch {batch:3} {pace:9.1f} images/s", flush=True)
    if arguments.picture:
        arguments.picture.write_text(chart(panels(starts, steps)), encoding="utf-8")
    if arguments.json:
        result = {
            "command": "python -m tools.scaling " + " ".join(sys.argv[1:]),
            "device": device_name(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "start_up": starts,
            "steps": steps,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
