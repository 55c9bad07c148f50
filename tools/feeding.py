"""How long a training waits for its images: kept on the device, and read by loader processes.

    python tools/feeding.py cyclegan ginger2silver --step 1.5

In place of training, the process sleeps for as long as a step would take the device. The share of the time that it
waits for batches is what `speed/data_wait` shows in a run. Milliseconds "at most" are those a batch takes where nothing
else is done. Images are decoded before, as in every epoch after the first.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator

import torch
from rich.console import Console
from torch import Tensor

from i2i.config import parse_setting
from i2i.data import open_data
from i2i.engine.config import compose
from i2i.engine.feeding import Feed
from i2i.errors import UserError
from i2i.methods import METHODS
from i2i.optim import Precision, choose_device

STEPS = 512


def seconds_waited(batches: Iterator[dict[str, Tensor]], step: float, device: torch.device) -> tuple[float, float]:
    """Return the seconds that `STEPS` steps took, of which each is `step` seconds of sleep, and those of waiting."""
    waited, began = 0.0, time.perf_counter()
    for _ in range(STEPS):
        asked = time.perf_counter()
        next(batches)
        waited += time.perf_counter() - asked
        if step:
            time.sleep(step)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, waited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("data")
    parser.add_argument("--step", type=float, default=1.5, help="milliseconds")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="any option of the run")
    arguments = parser.parse_args()
    device, console = choose_device(arguments.device), Console()
    for keep in ("device", "off"):
        settings = [*arguments.settings, f"data.keep={keep}"]
        config, source = compose(arguments.preset, arguments.data, [parse_setting(text) for text in settings])
        data = open_data(config.data, source, config.seed, lambda line: None, needs=METHODS[config.method.name].needs)
        config = config.completed(data.config)
        try:
            feed = Feed(config, data.splits["train"], Precision("auto", device), console)
        except UserError as error:
            print(error)
            continue
        epoch = -(-len(feed.images) // feed.per_step)
        batches = feed.batches(0, 2 * epoch + 3 * STEPS)
        for _ in itertools.islice(batches, 2 * epoch):  # processes begin, images are decoded
            pass
        took, _ = seconds_waited(batches, 0, device)
        whole, waited = seconds_waited(batches, arguments.step / 1e3, device)
        print(
            f"{feed.describe()}: {took / STEPS * 1e3:.3f} ms a batch at most; with steps of {arguments.step:g} ms "
            f"{waited / whole:.1%} of the time is waiting"
        )


if __name__ == "__main__":
    main()
