"""What long work tells the user while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Progress = Callable[[int, int], None]
"""Takes how much is done, and of how much."""

Show = Callable[[str], AbstractContextManager[Progress]]
"""Takes the work and its unit, such as ``drawing`` or ``downloading, MB``, and gives what shows it going on."""

Say = Callable[[str], None]
"""Takes a line for the user."""


@contextmanager
def unseen(work: str) -> Iterator[Progress]:
    """Show nothing."""
    yield lambda done, total: None


def unheard(line: str) -> None:
    """Say nothing."""


def as_size(count: int) -> str:
    """Return a number of bytes in words, such as ``30.2 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
