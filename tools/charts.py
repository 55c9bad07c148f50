"""Charts on two logarithmic scales, as SVG: plain text, sharp at any size, and drawn without a library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#1b6ca8", "#d1603d", "#4c9a52", "#8a5aa8", "#c29a1b", "#5a6b7a")
WIDTH, HEIGHT = 460, 330  # of a panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 46  # around its lines
HEADROOM = 18  # for each name of a line, above the lines


@dataclass(frozen=True)
class Line:
    """Points (x, y), both above 0, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Lines over one pair of axes, whose names say the units."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]


def chart(panels: Sequence[Panel]) -> str:
    """Return the SVG of panels side by side."""
    drawn = "".join(
        f'<g transform="translate({number * WIDTH} 0)">{_panel(panel)}</g>' for number, panel in enumerate(panels)
    )
    width = len(panels) * WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{width}" height="{HEIGHT}" fill="#fff"/>{drawn}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    xs, ys = ([point[axis] for line in panel.lines for point in line.points] for axis in (0, 1))
    x_ticks, y_ticks = sorted(set(xs)), ticks(min(ys), max(ys))
    top = TOP + HEADROOM * len(panel.lines)
    x_at = _scale(x_ticks, LEFT, WIDTH - RIGHT)
    y_at = _scale(y_ticks, HEIGHT - BOTTOM, top)
    parts = [f'<text x="{LEFT}" y="18" font-size="14" font-weight="bold">{escape(panel.title)}</text>']
    for value in x_ticks:
        x = x_at(value)
        parts.append(f'<path d="M{x:.1f} {top}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:,g}</text>')
    for value in y_ticks:
        y = y_at(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>')
    middle = (top + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.x)}</text>')
    parts.append(
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(panel.y)}</text>'
    )
    for number, line in enumerate(panel.lines):
        colour, at = COLOURS[number % len(COLOURS)], TOP + HEADROOM * number + 4
        places = [(x_at(x), y_at(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(f'<path d="M{LEFT} {at}h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + 24}" y="{at + 4}">{escape(line.name)}</text>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Return the values 1, 2, 5 of each decade that reach from `low` to `high`; of many decades, their 1 alone."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    values = [float(f"{step}e{decade}") for decade in decades for step in steps]
    first = max((value for value in values if value <= low), default=values[0])
    last = min((value for value in values if value >= high), default=values[-1])
    return [value for value in values if first <= value <= last]


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Return what places a value between `start` and `end` by its logarithm."""
    low, high = math.log(values[0]), math.log(values[-1])
    span = (high - low) or 1.0
    return lambda value: start + (end - start) * (math.log(value) - low) / span
