"""The error a user can mend, and the help it carries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user's: one line that says what is wrong, where, and what to type instead.

    The command line prints it without a traceback and ends with exit code 2. Everything else that is raised is a fault
    of the program and keeps its traceback.
    """


class ProcessLost(Exception):
    """Another of the processes that train together ended, or cannot be reached; why is part of its message."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice nearest to `word`, or a list of all choices if none is near.

    The text starts with its own separator, so that it can be put straight behind a sentence.
    """
    choices = sorted(choices)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; choose one of: {', '.join(choices)}" if choices else ""
