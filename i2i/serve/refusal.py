"""What a request is answered with that cannot be served."""

from __future__ import annotations

from i2i.errors import UserError


class Refusal(UserError):
    """A mistake in a request, with the HTTP status that says of which kind; any other `UserError` is a 400.

    Args:
        status: the HTTP status.
        reason: one line that says what is wrong.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
