"""The generator's gradient while the discriminator trains ahead: the saturating loss against the other.

    python tools/vanishing.py --json tools/results/vanishing.json --picture docs/assets/vanishing.png

After Arjovsky & Bottou 2017, figure 2: the generator stays at its first weights, the discriminator learns to tell its
images from real ones, and every now and then the norm of the gradient that each loss of the generator would give it is
taken, over all its parameters. Goodfellow et al. 2014, section 3, says why: minimax has the slope s(Cf) in the logits,
nonsaturating 1 - s(Cf). Networks and optimizer are those of `i2i train gan`; the real images are the built-in cats.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from i2i.data.cats import draw_cat
from i2i.losses import gan_loss
from i2i.machine import processor
from i2i.methods.gan import GAN, GANConfig
from i2i.nn import frozen
from i2i.optim import OptimConfig
from i2i.seeding import numpy_generator, torch_seeded

Picture = npt.NDArray[np.uint8]

LOSSES = ("minimax", "nonsaturating")
COLOURS = {"minimax": (40, 40, 200), "nonsaturating": (170, 90, 20)}  # BGR
SIZE = 28
BATCH = 64


def cats(count: int) -> Tensor:
    """Return grey drawn cats [count, 1, SIZE, SIZE] in [-1, 1]."""
    drawn = [
        cv2.cvtColor(draw_cat(numpy_generator("vanishing", index), 64), cv2.COLOR_RGB2GRAY) for index in range(count)
    ]
    small = np.stack([cv2.resize(cat, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for cat in drawn])
    return torch.from_numpy(small).float()[:, None] / 127.5 - 1


def gradient_norms(gan: GAN, noise: Tensor) -> dict[str, float]:
    """Return the norm of G's whole gradient under each loss."""
    with frozen(gan.D):
        logits = gan.D(gan.G(noise))
    weights = list(gan.G.parameters())
    norms = {}
    for name in LOSSES:
        gradients = torch.autograd.grad(gan_loss(name).g_loss(logits), weights, retain_graph=True)
        norms[name] = float(torch.nn.utils.get_total_norm(gradients))
    return norms


def train_ahead(real: Tensor, steps: int, every: int) -> list[dict[str, float]]:
    """Train D alone and return the norms after 0, `every`, 2 `every`... steps, with how well D tells images apart."""
    with torch_seeded("vanishing"):
        gan = GAN(GANConfig(), channels=real.shape[1], size=real.shape[2], optim=OptimConfig())
        held = gan.noise(4 * BATCH)  # the same for every norm
        rows = []
        for step in range(steps + 1):
            images = real[torch.randint(len(real), (BATCH,))]
            with torch.no_grad():
                fake = gan.G(gan.noise(BATCH))
            on_real, on_fake = gan.D(images), gan.D(fake)
            if step % every == 0:
                right = torch.stack(gan.gan.accuracy(on_real, on_fake)).mean()
                rows.append({"step": step, **gradient_norms(gan, held), "d_accuracy": round(float(right), 4)})
            gan.opt_d.minimize(gan.gan.d_loss(on_real, on_fake))
    return rows


def chart(rows: Sequence[Mapping[str, float]], width: int = 560, height: int = 300) -> Picture:
    """Draw the norms over the steps, on a logarithmic scale with a line per decade."""
    left, right, top, bottom = 64, 122, 26, 36
    image: Picture = np.full((height, width, 3), 255, np.uint8)
    norms = [row[name] for row in rows for name in LOSSES]
    low, high = math.floor(math.log10(max(min(norms), 1e-30))), math.ceil(math.log10(max(norms)))
    last = rows[-1]["step"] or 1

    def pixel(step: float, exponent: float) -> tuple[int, int]:
        x = left + (width - left - right) * step / last
        return round(x), round(top + (height - top - bottom) * (high - exponent) / max(1, high - low))

    def write(text: str, at: tuple[int, int], colour: tuple[int, int, int] = (60, 60, 60)) -> None:
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)

    for exponent in range(low, high + 1, max(1, (high - low) // 8)):
        start, end = pixel(0, exponent), pixel(last, exponent)
        cv2.line(image, start, end, (225, 225, 225), 1)
        write(f"1e{exponent}", (left - 44, start[1] + 4))
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = pixel(share * last, low)
        write(f"{share * last:g}", (x - 10, y + 16))
    write("norm of the generator's gradient", (left, 14))
    write("steps of the discriminator alone", (left + 90, height - 5))
    for name in LOSSES:
        line = [pixel(row["step"], math.log10(max(row[name], 1e-30))) for row in rows]
        cv2.polylines(image, [np.array(line, np.int32)], False, COLOURS[name], 2, cv2.LINE_AA)
        write(name, (line[-1][0] + 6, line[-1][1] + 4), COLOURS[name])
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="of the discriminator")
    parser.add_argument("--every", type=int, default=25, help="steps between two measurements")
    parser.add_argument("--images", type=int, default=500, help="how many cats are drawn")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--picture", type=Path, help="write a PNG here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    real = cats(arguments.images)
    began = time.process_time()
    rows = train_ahead(real, arguments.steps, arguments.every)
    seconds = time.process_time() - began
    print(f"{'step':>6} {'D right':>8} " + " ".join(f"{name:>14}" for name in LOSSES))
    for row in rows[:: max(1, len(rows) // 10)]:
        print(f"{row['step']:6} {row['d_accuracy']:8.1%} " + " ".join(f"{row[name]:14.3g}" for name in LOSSES))
    if arguments.json:
        result = {
            "command": "python tools/vanishing.py " + " ".join(sys.argv[1:]),
            "device": f"one core of {os.cpu_count()}, {processor()}",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "networks": f"the preset gan's at {SIZE} px, batch {BATCH}, Adam 2e-4 with betas 0.5 and 0.999; G stays",
            "seconds": round(seconds, 1),
            "rows": [{**row, **{name: float(f"{row[name]:.4g}") for name in LOSSES}} for row in rows],
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        cv2.imwrite(str(arguments.picture), chart(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
