"""Mode collapse: which losses and cures cover all modes of a mixture of Gaussians in the plane.

    python tools/modes.py --json tools/results/modes.json --picture docs/assets/modes.png

The mixtures are the ring of 8 Gaussians (Metz et al. 2017) and the grid of 25 (Lin et al. 2018), shrunk into the square
[-0.8, 0.8]^2 with their proportions kept, for a generator ends in tanh. Points are images of two channels and one
pixel, so that `i2i.methods.gan.GAN` itself is trained, fully connected. Each run is measured after its last step, on
2500 samples. A sample is good within 3 standard deviations of a mode. A mode is covered if its good samples are at
least a tenth of its fair share of all; it is near if that holds for all samples that it is the nearest mode of, good or
not. So collapse shows as modes that are not near, and blur as good samples that are few. Seconds are the processor's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from i2i.machine import processor
from i2i.methods.gan import GAN, GANConfig
from i2i.nn import MLPCriticConfig, MLPGeneratorConfig
from i2i.optim import OptimConfig
from i2i.seeding import torch_seeded

Picture = npt.NDArray[np.uint8]

SAMPLES = 2500
BATCH = 128
HIDDEN = (128, 128)
COLUMNS = 6  # of the picture


@dataclass(frozen=True)
class Mixture:
    """Gaussians of equal weight and one deviation; centers [modes, 2]."""

    centers: Tensor
    std: float
    steps: int

    def draw(self, count: int) -> Tensor:
        """Return points [count, 2] from torch's global generator."""
        return self.centers[torch.randint(len(self.centers), (count,))] + self.std * torch.randn(count, 2)


def ring() -> Mixture:
    """Radius 2 and deviation 0.02 (Metz et al. 2017), shrunk 2.5 times."""
    angles = torch.arange(8) * math.pi / 4
    return Mixture(0.8 * torch.stack([angles.cos(), angles.sin()], dim=1), 0.008, steps=2000)


def grid() -> Mixture:
    """Five by five, 2 apart, deviation 0.05 (Lin et al. 2018), shrunk 5 times."""
    places = torch.linspace(-0.8, 0.8, 5)
    return Mixture(torch.cartesian_prod(places, places), 0.01, steps=20_000)


MIXTURES = {"ring": ring(), "grid": grid()}


@dataclass(frozen=True)
class Entry:
    """A row of the table: what differs from the common settings, in options of `GANConfig` and `OptimConfig`."""

    name: str
    method: dict[str, Any] = field(default_factory=dict)
    optim: dict[str, Any] = field(default_factory=dict)
    generator: dict[str, Any] = field(default_factory=dict)
    on_grid: bool = False

    def config(self) -> GANConfig:
        """Return the method's options; the generator's initial weights, if any were named, are the critic's as well."""
        generator = MLPGeneratorConfig(hidden=HIDDEN, norm="none", activation="relu", **self.generator)
        critic = MLPCriticConfig(hidden=HIDDEN, init=generator.init)
        return GANConfig(**{"latent": 16, "generator": generator, "discriminator": critic, **self.method})

    def settings(self) -> str:
        """Return in words what differs."""
        told = {
            **{key: value for key, value in self.method.items() if key != "gan_loss"},
            **self.optim,
            **self.generator,
        }
        return ", ".join(f"{key} {_said(value)}" for key, value in told.items())


ENTRIES = (
    Entry("minimax", {"gan_loss": "minimax"}),
    Entry("nonsaturating", on_grid=True),
    Entry("nonsaturating, 2 noises", {"latent": 2}),
    Entry("nonsaturating, orthogonal", generator={"init": "orthogonal"}, on_grid=True),
    Entry("pack 2", {"pack": 2}, on_grid=True),
    Entry("pack 4", {"pack": 4}),
    Entry("unroll 5, orthogonal", {"unroll": 5}, {"lr": 1e-3}, {"init": "orthogonal"}),
    Entry("lsgan", {"gan_loss": "lsgan"}),
    Entry("hinge", {"gan_loss": "hinge"}, on_grid=True),
    Entry("rsgan", {"gan_loss": "rsgan"}, on_grid=True),
    Entry("rasgan", {"gan_loss": "rasgan"}),
    Entry("ralsgan", {"gan_loss": "ralsgan"}),
    Entry("rahinge", {"gan_loss": "rahinge"}),
    Entry("wgan", {"gan_loss": "wgan", "d_steps": 5, "weight_clip": 0.1}, {"name": "rmsprop", "lr": 5e-4}),
    Entry("wgan-gp", {"gan_loss": "wgan-gp", "d_steps": 5, "lambda_penalty": 0.1}, {"betas": (0.5, 0.9)}),
    Entry("dragan", {"gan_loss": "dragan", "lambda_penalty": 0.1}),
    Entry("rsgan-gp", {"gan_loss": "rsgan-gp", "lambda_penalty": 0.1}),
    Entry("rasgan-gp", {"gan_loss": "rasgan-gp", "lambda_penalty": 0.1}),
    Entry("r3gan", {"gan_loss": "r3gan", "lambda_penalty": 0.05}, on_grid=True),
)
COMMON = (
    f"generator and discriminator of {HIDDEN[0]} and {HIDDEN[1]} hidden units without norm, kaiming weights, 16 "
    f"noises, {BATCH} points (or packs of points, as in the code of Lin et al. 2018) for each step of the "
    "discriminator, Adam 2e-3 with betas 0.5 and 0.999, learning rate falling linearly over the second half"
)


def train(entry: Entry, mixture: Mixture, seed: int, steps: int) -> tuple[Tensor, float]:
    """Return samples [SAMPLES, 2] of a generator trained so, and the seconds that its training took."""
    with torch_seeded(seed, "modes"):
        optim = OptimConfig(**{"lr": 2e-3, **entry.optim})
        gan = GAN(entry.config(), channels=2, size=1, optim=optim)
        began = time.process_time()
        for step in range(steps):
            for stepper in gan.steppers.values():
                stepper.set_lr_factor(optim.schedule.factor(step / steps))
            points = mixture.draw(BATCH * gan.config.pack * gan.config.batches_per_step)
            gan.train_step({"image": points.reshape(-1, 2, 1, 1)}, step)
        seconds = time.process_time() - began
        with torch.no_grad():
            return gan.G(gan.noise(SAMPLES)).flatten(1), seconds


def measured(samples: Tensor, mixture: Mixture) -> dict[str, float]:
    """Return how many modes are covered and near, and the share of good samples, as the top of this file says."""
    modes = len(mixture.centers)
    distance, nearest = torch.cdist(samples, mixture.centers).min(dim=1)
    good = distance <= 3 * mixture.std
    enough = 0.1 * len(samples) / modes
    return {
        "covered": int((torch.bincount(nearest[good], minlength=modes) >= enough).sum()),
        "near": int((torch.bincount(nearest, minlength=modes) >= enough).sum()),
        "good": round(good.float().mean().item(), 4),
    }


def row(name: str, entry: Entry, runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return a row of the table: means over the seeds, and each run."""
    means = {key: round(statistics.mean(run[key] for run in runs), 3) for key in runs[0]}
    return {"mixture": name, "entry": entry.name, "settings": entry.settings(), **means, "runs": list(runs)}


def panel(samples: Tensor, mixture: Mixture, caption: str, side: int = 180) -> Picture:
    """Draw the samples over circles of 3 standard deviations around the modes."""
    scale = 4  # drawn larger and shrunk, so that dots may be finer than a pixel
    image = np.full((side * scale, side * scale, 3), 255, np.uint8)

    def pixel(point: Sequence[float]) -> tuple[int, int]:
        x, y = (int((0.5 + 0.46 * value) * side * scale) for value in point)
        return x, y

    for center in mixture.centers.tolist():
        cv2.circle(image, pixel(center), round(0.46 * side * scale * 3 * mixture.std), (120, 190, 255), -1)
    for sample in samples.tolist():
        cv2.circle(image, pixel(sample), scale // 2, (140, 60, 20), -1)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    head = np.full((18, side, 3), 255, np.uint8)
    cv2.putText(head, caption, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (40, 40, 40), 1, cv2.LINE_AA)
    framed: Picture = np.concatenate([head, small])
    cv2.rectangle(framed, (0, 0), (side - 1, side + 17), (220, 220, 220), 1)
    return framed


def sheet(panels: Sequence[Picture]) -> Picture:
    """Put pictures of one size side by side, in rows of COLUMNS."""
    columns = min(COLUMNS, len(panels))
    blank = np.full_like(panels[0], 255)
    padded = [*panels, *[blank] * (-len(panels) % columns)]
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    whole: Picture = np.concatenate(rows)
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", choices=MIXTURES, help="one of them; both if left out")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of rows; all if left out")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row on the ring; the grid has one")
    parser.add_argument("--steps", type=int, help="of the generator, instead of the mixture's own number")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    parser.add_argument("--picture", type=Path, help="write a PNG of each row's first run here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # these networks are too small to share
    rows: list[dict[str, Any]] = []
    panels: list[Picture] = []
    print(f"{'':32} {'covered':>8} {'near':>6} {'good':>6} {'seconds':>8}")
    for name, mixture in MIXTURES.items():
        if arguments.mixture not in (None, name):
            continue
        entries = [entry for entry in ENTRIES if entry.on_grid or name != "grid"]
        for entry in entries:
            if arguments.only and entry.name not in arguments.only:
                continue
            runs = []
            for seed in range(arguments.seeds if name == "ring" else 1):
                samples, seconds = train(entry, mixture, seed, arguments.steps or mixture.steps)
                runs.append({**measured(samples, mixture), "seconds": round(seconds, 2)})
                if seed == 0:
                    panels.append(panel(samples, mixture, entry.name if name == "ring" else f"{name}: {entry.name}"))
            rows.append(row(name, entry, runs))
            print(_line(rows[-1]), flush=True)
    if arguments.json:
        result = {
            "command": "python tools/modes.py " + " ".join(sys.argv[1:]),
            "device": f"one core of {os.cpu_count()}, {processor()}",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "common": COMMON,
            "steps": {name: arguments.steps or mixture.steps for name, mixture in MIXTURES.items()},
            "modes": {name: len(mixture.centers) for name, mixture in MIXTURES.items()},
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        cv2.imwrite(str(arguments.picture), _of_few_colours(sheet(panels)), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _line(row: dict[str, Any]) -> str:
    named = f"{row['mixture']}  {row['entry']}"
    return f"{named:32} {row['covered']:8.1f} {row['near']:6.1f} {row['good']:6.0%} {row['seconds']:8.1f}"


def _of_few_colours(picture: Picture) -> Picture:
    """Round colours, which PNG packs into a third of the bytes."""
    rounded: Picture = (np.round(picture / 17.0) * 17).astype(np.uint8)
    return rounded


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(_said, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
