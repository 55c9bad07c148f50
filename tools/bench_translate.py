"""Time and memory of translating a folder, `i2i translate` against the plain loop, interleaved in one process.

    python -m tools.bench_translate --network resnet --images 200 --rounds 3 --json tools/results/translate-cpu.json

The plain loop decodes with Pillow, runs the network in eager fp32 at batch 1, made of torch's own layers, and encodes
with Pillow, one image after the other. Each round translates the whole folder in every way, so that a machine that
slows down slows them all; medians are shown, and how many times the plain loop's time fits into them. The images are
drawn cats as PNG, the weights random, which makes no difference to the time. Converting the network for onnxruntime is
not counted. Where the time goes is found by doing one thing at a time, on one thread beside the network's own. Peak
memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from i2i.data import DataConfig, files
from i2i.data.cats import draw_cat
from i2i.inference import Translator
from i2i.inference.folders import plan, translate_jobs
from i2i.inference.runtimes import Runtime
from i2i.machine import device_name
from i2i.nn import InferencePolicy, InstanceNorm, ResNet, UNet
from i2i.nn.convolution import set_products
from i2i.optim import Precision, PrecisionName, choose_device
from tools.bench import own_peak_megabytes

DRAWN = 20  # different pictures; the folder repeats them

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: ResNet(3, 3, blocks=9, ngf=64),
    "unet": lambda: UNet(3, 3, depth=8, ngf=64),
}
DESCRIBED = {"resnet": "CycleGAN's ResNet of 9 blocks", "unet": "pix2pix's U-Net of depth 8 with running statistics"}


@dataclass(frozen=True)
class Variant:
    """One way to translate; no runtime stands for the plain loop."""

    name: str
    runtime: Runtime | None
    precision: PrecisionName = "fp32"


VARIANTS = (
    Variant("plain loop", None),
    Variant("torch", "torch"),
    Variant("onnx", "onnx"),
    Variant("torch bf16", "torch", "bf16"),
)


def plain_network(name: str, device: torch.device) -> nn.Module:
    """Return a network with random weights and torch's own instance norm, as simple code has it."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval().to(device)
    set_products(network, False)
    for parent in list(network.modules()):
        for key, child in parent.named_children():
            if isinstance(child, InstanceNorm):
                setattr(parent, key, nn.InstanceNorm2d(child.num_features))
    return network


def decode(path: Path) -> Tensor:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def encode(path: Path, output: Tensor) -> None:
    pixels = ((output[0] + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0)
    Image.fromarray(pixels.cpu().numpy()).save(path)


class Plain:
    """The loop that anybody would write."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        self.network = plain_network(name, device)
        self.spent = {"decode": 0.0, "network": 0.0, "encode": 0.0}

    def __call__(self, source: Path, output: Path) -> None:
        """Translate a folder."""
        output.mkdir()
        for path in sorted(source.iterdir()):
            times = [time.perf_counter()]
            image = decode(path).to(self.device)
            times.append(time.perf_counter())
            with torch.no_grad():
                made = self.network(image).cpu()
            times.append(time.perf_counter())
            encode(output / path.name, made)
            times.append(time.perf_counter())
            for part, began, ended in zip(self.spent, times[:-1], times[1:], strict=True):
                self.spent[part] += ended - began


class Fast:
    """What `i2i translate` does, without loading the model."""

    def __init__(self, name: str, variant: Variant, device: torch.device) -> None:
        torch.manual_seed(0)
        self.translator = Translator(
            NETWORKS[name](),
            in_channels=3,
            out_channels=3,
            policy=InferencePolicy(),
            data=DataConfig(direction="AtoB", aspect="squash"),
            precision=Precision(variant.precision, device),
            runtime=variant.runtime or "auto",
            say=print,
        )
        self.spent = {"decode": 0.0, "network": 0.0, "encode": 0.0}

    def __call__(self, source: Path, output: Path) -> None:
        """Translate a folder."""
        jobs = plan(self.translator, str(source), output, say=lambda line: None)
        assert not translate_jobs(self.translator, jobs).failures

    def take_apart(self, source: Path, output: Path) -> None:
        """Do one thing after the other, to see how long each takes."""
        jobs = plan(self.translator, str(source), output, say=lambda line: None)
        began = time.perf_counter()
        images = [job.read().pixels for job in jobs]
        self.spent["decode"] += time.perf_counter() - began
        began = time.perf_counter()
        size = self.translator.batch_size(*images[0].shape[:2])
        made = [
            out for at in range(0, len(images), size) for out in self.translator.translate_pixels(images[at:][:size])
        ]
        self.spent["network"] += time.perf_counter() - began
        began = time.perf_counter()
        for job, pixels in zip(jobs, made, strict=True):
            files.write(job.output, pixels)
        self.spent["encode"] += time.perf_counter() - began


def make_images(folder: Path, count: int, size: int) -> None:
    folder.mkdir()
    for index in range(count):
        path = folder / f"{index:05}.png"
        if index < DRAWN:
            Image.fromarray(draw_cat(np.random.default_rng(index), size)).save(path)
        else:
            shutil.copy(folder / f"{index % DRAWN:05}.png", path)


def seconds(way: Plain | Fast, source: Path, output: Path) -> float:
    """Translate the folder and return how long it took."""
    began = time.perf_counter()
    way(source, output)
    taken = time.perf_counter() - began
    shutil.rmtree(output)
    return taken


def peak_megabytes(variant: Variant, arguments: argparse.Namespace) -> float:
    """Return the peak memory of a process that translates in this way alone."""
    command = [sys.executable, "-m", "tools.bench_translate", "--only", variant.name, "--rounds", "1"]
    for key in ("network", "size", "device", "images"):
        command += [f"--{key}", str(getattr(arguments, key))]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(printed.splitlines()[-1])["peak_megabytes"])


def shares(way: Plain | Fast) -> dict[str, float]:
    """Return which part of the time went into what, when one thing was done at a time."""
    whole = sum(way.spent.values())
    return {part: round(spent / whole, 3) for part, spent in way.spent.items()}


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="resnet")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write the results here as well, beside those of other networks")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    device = choose_device(arguments.device)
    variants = [variant for variant in VARIANTS if arguments.only in (None, variant.name)]
    if device.type != "cpu":
        variants = [variant for variant in variants if variant.runtime != "onnx"]
    with tempfile.TemporaryDirectory() as root:
        source, output = Path(root, "in"), Path(root, "out")
        make_images(source, arguments.images, arguments.size)
        few = Path(root, "few")
        make_images(few, 4, arguments.size)
        ways = [
            Fast(arguments.network, variant, device) if variant.runtime else Plain(arguments.network, device)
            for variant in variants
        ]
        for way in ways:
            seconds(way, few, output)
            way.spent = dict.fromkeys(way.spent, 0.0)
        times = [[seconds(way, source, output) for way in ways] for _ in range(arguments.rounds)]
        if arguments.only:
            print(json.dumps({"peak_megabytes": own_peak_megabytes(device)}))
            return
        for way in ways:
            if isinstance(way, Fast):
                way.take_apart(few, output)
                shutil.rmtree(output)
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    rows: list[dict[str, Any]] = [
        {
            "variant": variant.name,
            "seconds": round(median, 2),
            "milliseconds_per_image": round(median / arguments.images * 1e3, 1),
            "speed_up": round(medians[0] / median, 2),
            "shares": shares(way),
            "peak_megabytes": round(peak_megabytes(variant, arguments)),
        }
        for variant, median, way in zip(variants, medians, ways, strict=True)
    ]
    result = {
        "command": "python -m tools.bench_translate " + " ".join(sys.argv[1:] if given is None else given),
        "device": device_name(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "work": f"{arguments.images} images of {arguments.size} px, {DESCRIBED[arguments.network]}",
        "rounds": arguments.rounds,
        "rows": rows,
    }
    print(f"{result['work']}, on {result['device']}, torch {torch.__version__}")
    for row in rows:
        parts = ", ".join(f"{part} {share:.0%}" for part, share in row["shares"].items())
        print(
            f"{row['variant']:>12} {row['milliseconds_per_image']:9.1f} ms {row['speed_up']:6.2f}x "
            f"{row['peak_megabytes']:6} MB  ({parts})"
        )
    if arguments.json:
        known = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json.exists() else {}
        text = json.dumps(known | {arguments.network: result}, indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
