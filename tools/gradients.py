"""What each adversarial loss teaches: its slopes in the logit of one generated image, as a picture.

    python tools/gradients.py docs/assets/gradients.svg

A generated image has the logit f, from sure to be fake to sure to be real; beside it stands a real image with the logit
2. Both slopes are taken by autograd of the losses that training uses: by how much the generator is pushed to raise f,
and by how much the discriminator is pushed to lower it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from i2i.losses import gan_loss

LOSSES = ("minimax", "nonsaturating", "lsgan", "wgan", "hinge", "rsgan", "rasgan", "ralsgan", "rahinge")
ALSO = {"nonsaturating": "dragan", "wgan": "wgan-gp", "rsgan": "rsgan-gp, r3gan", "rasgan": "rasgan-gp"}
REAL = 2.0
LEFT, RIGHT, LOW, HIGH = -5.0, 5.0, -1.0, 4.0  # what a chart shows
WIDTH, HEIGHT, GAP, TOP = 210.0, 150.0, 36.0, 44.0  # of a chart, and around it, in units of the picture
COLOURS = {"G": "#c2571a", "D": "#2563a8"}


def pushes(name: str, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how much G is pushed to raise each logit, and D to lower it, float64 [points] each.

    Args:
        name: of a loss.
        logits: of generated images, float64 [points]; each stands alone beside the real one.
    """
    loss = gan_loss(name)
    raised, lowered = [], []
    for logit in logits:
        fake, real = logit.reshape(1).clone().requires_grad_(), torch.tensor([REAL], dtype=logits.dtype)
        raised.append(-torch.autograd.grad(loss.g_loss(fake, real), fake)[0])
        lowered.append(torch.autograd.grad(loss.d_loss(real, fake), fake)[0])
    return torch.cat(raised), torch.cat(lowered)


def chart(name: str, x: float, y: float) -> str:
    """Return the SVG of one loss, its upper left corner at (x, y)."""

    def at(logit: float, push: float) -> tuple[float, float]:
        across, up = (logit - LEFT) / (RIGHT - LEFT), (push - LOW) / (HIGH - LOW)
        return x + across * WIDTH, y + (1 - up) * HEIGHT

    def text(where: tuple[float, float], words: str, extra: str = "") -> str:
        return f'<text x="{where[0]:.1f}" y="{where[1]:.1f}" {extra}>{words}</text>'

    def straight(start: tuple[float, float], end: tuple[float, float], extra: str) -> str:
        return f'<path d="M{start[0]:.1f},{start[1]:.1f} L{end[0]:.1f},{end[1]:.1f}" {extra}/>'

    parts = [
        f'<clipPath id="{name}"><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/></clipPath>',
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="#f6f5f2"/>',
        straight(at(LEFT, 0), at(RIGHT, 0), 'stroke="#999"'),
        straight(at(0, LOW), at(0, HIGH), 'stroke="#ddd"'),
        text((x, y - 7), f'<tspan font-weight="bold">{name}</tspan> <tspan fill="#777">{ALSO.get(name, "")}</tspan>'),
    ]
    if gan_loss(name).relativistic:
        parts.append(straight(at(REAL, LOW), at(REAL, HIGH), 'stroke="#777" stroke-dasharray="3 3"'))
    for push in (0, 1, 2, 3):
        parts.append(text((x - 6, at(0, push)[1] + 4), f"{push}", 'text-anchor="end" fill="#777"'))
    for logit in (-4, -2, 0, 2, 4):
        parts.append(text((at(logit, 0)[0], y + HEIGHT + 14), f"{logit}", 'text-anchor="middle" fill="#777"'))
    logits = torch.linspace(LEFT, RIGHT, 161, dtype=torch.float64)
    for (who, colour), values in zip(COLOURS.items(), pushes(name, logits), strict=True):
        points = [at(f, p) for f, p in zip(logits.tolist(), values.tolist(), strict=True)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        style = 'stroke-dasharray="7 4"' if who == "D" else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5" {style} '
            f'clip-path="url(#{name})"/>'
        )
    return "\n".join(parts)


def picture() -> str:
    """Return the SVG of all losses."""
    columns = 3
    across, down = WIDTH + GAP, HEIGHT + GAP + 14
    width, height = columns * across + 16, TOP + down * len(LOSSES) / columns + 10
    charts = [
        chart(name, 30 + index % columns * across, TOP + 20 + index // columns * down)
        for index, name in enumerate(LOSSES)
    ]
    key = "".join(
        f'<path d="M{x},18 h28" stroke="{COLOURS[who]}" stroke-width="2.5" {dash}/>'
        f'<text x="{x + 34}" y="22">{words}</text>'
        for who, x, dash, words in (
            ("G", 30, "", "pushes G to raise the logit"),
            ("D", 250, 'stroke-dasharray="7 4"', "pushes D to lower it"),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#fff"/>\n{key}\n'
        f'<text x="{width - 12:.0f}" y="22" text-anchor="end" fill="#777">across: logit of a generated image</text>\n'
        + "\n".join(charts)
        + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="the SVG to write")
    parser.parse_args().picture.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
