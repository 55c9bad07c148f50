"""The page of `i2i serve` as a picture: a cat is drawn on it, by a real browser, and what came of it photographed.

    python tools/page.py docs/assets/page.jpg runs/demo

Takes a model of edges, Chromium and the library playwright, which drives it; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import math
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import sync_playwright

from i2i.serve.app import create_app
from i2i.serve.models import open_menu

SCREEN = {"width": 1180, "height": 740}
Points = list[tuple[float, float]]


def arc(x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360) -> Points:
    """Return points of an ellipse's arc, in shares of the sheet; angles clockwise from the right."""
    angles = [math.radians(start + (end - start) * step / 28) for step in range(29)]
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


def curve(*points: tuple[float, float]) -> Points:
    """Return a smooth line through points (Catmull and Rom 1974)."""
    padded = [points[0], *points, points[-1]]
    line = [points[0]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, 9):
            t = step / 8
            x, y = (
                0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                for p, q, r, s in zip(a, b, c, d, strict=True)
            )
            line.append((x, y))
    return line


def mirrored(strokes: list[Points]) -> list[Points]:
    """Return strokes with their mirror images."""
    return strokes + [[(1 - x, y) for x, y in stroke] for stroke in strokes]


def cat() -> list[Points]:
    """Return the strokes of a sitting cat."""
    return [
        arc(0.5, 0.34, 0.17, 0.145, -52, 232),  # the head, open between the ears
        curve((0.42, 0.205), (0.5, 0.195), (0.58, 0.205)),
        *mirrored(
            [
                curve((0.35, 0.27), (0.335, 0.18), (0.345, 0.1), (0.39, 0.15), (0.43, 0.2)),
                curve((0.37, 0.22), (0.365, 0.155), (0.405, 0.205)),
                arc(0.43, 0.32, 0.042, 0.042),
                arc(0.43, 0.32, 0.013, 0.03),
                curve((0.41, 0.38), (0.33, 0.365), (0.25, 0.37)),
                curve((0.41, 0.4), (0.33, 0.41), (0.26, 0.43)),
                arc(0.475, 0.41, 0.026, 0.022, 0, 150),
                curve((0.38, 0.455), (0.34, 0.58), (0.3, 0.7), (0.31, 0.82), (0.36, 0.87), (0.42, 0.87)),
                curve((0.44, 0.58), (0.45, 0.72), (0.44, 0.83), (0.41, 0.87), (0.46, 0.885), (0.495, 0.86), (0.5, 0.7)),
            ]
        ),
        [(0.48, 0.385), (0.52, 0.385), (0.5, 0.405), (0.48, 0.385)],
        curve(
            (0.69, 0.8), (0.77, 0.79), (0.82, 0.7), (0.8, 0.6), (0.83, 0.53), (0.88, 0.64), (0.83, 0.82), (0.7, 0.86)
        ),
    ]


def draw(page: Any, strokes: list[Points]) -> None:
    """Draw with the mouse and wait until the result is that of the last stroke."""
    box = page.locator("#ink").bounding_box()
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=2)
        page.mouse.up()
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    page.wait_for_selector("#result-stage[aria-busy=false]")
    page.wait_for_timeout(500)  # until what shows that it is busy has faded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="where to write the JPEG")
    parser.add_argument("run", type=Path, help="a model of edges")
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    browser_at = shutil.which("chromium") or shutil.which("google-chrome")
    with socket.create_server(("127.0.0.1", 0)) as bound, sync_playwright() as driver:
        server = uvicorn.Server(uvicorn.Config(create_app(open_menu([arguments.run], say=print)), log_level="warning"))
        threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True).start()
        browser = driver.chromium.launch(executable_path=browser_at, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SCREEN, color_scheme="dark" if arguments.dark else "light")  # type: ignore[arg-type]
        page.goto(f"http://127.0.0.1:{bound.getsockname()[1]}")
        page.wait_for_selector("#model option", state="attached")
        draw(page, cat())
        page.screenshot(path=arguments.picture, type="jpeg", quality=82)
        browser.close()
        server.should_exit = True


if __name__ == "__main__":
    main()
