"""Ctrl-C and SIGTERM as a request that the loop answers between two steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from i2i import world

ECHO = 2.0  # seconds
# what shells expect after a signal
EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interruption:
    """Whether the run was asked to stop, and by which signal (a key of `EXIT_CODES`); 0: by none."""

    def __init__(self) -> None:
        self.signal = 0
        self.since = 0.0

    def __bool__(self) -> bool:
        return self.signal != 0


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn the first Ctrl-C or SIGTERM within the block into a flag; a second one interrupts at once.

    Where several processes train together, those of the first `ECHO` seconds count as one: the terminal sends a signal
    to all of them, and torchrun passes it on as well. Outside the main thread, where Python allows no handlers, the
    flag stays down.
    """
    request, several = Interruption(), world.size() > 1
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if not request:
            request.signal, request.since = number, time.monotonic()
        elif not several or time.monotonic() - request.since > ECHO:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in EXIT_CODES}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
