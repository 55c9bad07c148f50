"""Where a run's scalars, pictures and words go: TensorBoard, metrics.jsonl and the terminal."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 10.0  # between progress lines where there is no terminal


class Writer(Protocol):
    """Takes what a run reports; `step` is the number of steps taken."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take named numbers."""

    def picture(self, step: int, name: str, image: npt.NDArray[np.uint8]) -> None:
        """Take an RGB image ``[H, W, 3]``."""

    def text(self, step: int, name: str, words: str) -> None:
        """Take a line or a page of words."""

    def close(self) -> None:
        """Flush and end."""


class TensorBoard:
    """Event files in ``tensorboard/``; after a resume the steps that are done again replace the old ones."""

    def __init__(self, run: Path, first_step: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=first_step + 1 if first_step else None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write each number as a curve."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: npt.NDArray[np.uint8]) -> None:
        """Write the image."""
        self.writer.add_image(name, image, step, dataformats="HWC")
        self.writer.flush()

    def text(self, step: int, name: str, words: str) -> None:
        """Write the words as Markdown, as they stand."""
        self.writer.add_text(name, words if "\n" not in words else f"```\n{words}\n```", step)

    def close(self) -> None:
        """Flush and close the event file."""
        self.writer.close()


class MetricsFile:
    """``metrics.jsonl``: one JSON object a line, ``{"step": 100, "loss/d": 0.61, ...}``."""

    def __init__(self, run: Path, first_step: int) -> None:
        self.path = run / "metrics.jsonl"
        if first_step and self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _step_of(line) is not None and (_step_of(line) or 0) <= first_step]
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
            os.replace(temporary, self.path)
        self.file = self.path.open("a", encoding="utf-8")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.file.write(json.dumps({"step": step, **finite}) + "\n")
        self.file.flush()

    def picture(self, step: int, name: str, image: npt.NDArray[np.uint8]) -> None:
        """Pictures do not go into this file."""

    def text(self, step: int, name: str, words: str) -> None:
        """Words do not go into this file."""

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _step_of(line: str) -> int | None:
    """Return a line's step; None where a crash cut the line off."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


class Ticker:
    """Progress with the time left: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, console: Console, total: int, done: int, unit: str) -> None:
        self.console, self.total, self.start, self.unit = console, total, done, unit
        self.done = done
        self.began = self.spoke = time.monotonic()
        self.note = ""
        self.bar: Progress | None = None
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=console,
                speed_estimate_period=60,
            )
            self.task = self.bar.add_task(unit, total=total, completed=done, note="")

    def __enter__(self) -> Ticker:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, done: int, note: str | None = None) -> None:
        """Say that `done` of the total are behind; `note` stays until the next one."""
        moved, self.done = done != self.done, done
        self.note = self.note if note is None else note
        if self.bar:
            self.bar.update(self.task, completed=done, note=self.note)
            return
        now = time.monotonic()
        if moved and (now - self.spoke >= PLAIN_SECONDS or done == self.total):
            self.spoke = now
            pace = (done - self.start) / max(now - self.began, 1e-9)
            left = (self.total - done) / pace if pace else 0.0
            share = f"{done / self.total:.0%}"
            self.say(
                f"{self.unit} {done}/{self.total} ({share}), ETA {as_time(left)}{'  ' + self.note if self.note else ''}"
            )

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress(console: Console, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that takes (done, total) and shows it from its first call on."""
    with ExitStack() as close:
        tickers: list[Ticker] = []

        def tell(done: int, total: int) -> None:
            if not tickers:
                tickers.append(close.enter_context(Ticker(console, total, done, unit)))
            tickers[0].update(done)

        yield tell


def typed(command: str) -> str:
    """Return what to type for one of this environment's commands, be the environment activated or not."""
    here = Path(sys.executable).parent / command
    if shutil.which(command) or not here.exists():
        return command
    return os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here)


def as_time(seconds: float) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def as_note(values: Mapping[str, Any]) -> str:
    """Return the few scalars that are worth a place on the progress line."""
    shown = {"loss/g": "G", "loss/d": "D", "speed/images_per_second": "img/s"}
    return "  ".join(f"{label} {values[name]:.3g}" for name, label in shown.items() if name in values)
