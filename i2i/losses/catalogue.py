"""How entries of the catalogues of losses are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from i2i.config import load_attribute
from i2i.errors import UserError, did_you_mean

T = TypeVar("T")


def look_up(name: str, catalogue: Mapping[str, T], aliases: Mapping[str, str], what: str, kind: type[T]) -> T:
    """Return the entry of a catalogue by its name or alias, or the user's own by ``module:attribute``.

    Args:
        name: what the user typed.
        catalogue: the entries by name.
        aliases: other names of theirs.
        what: what they are, in words.
        kind: their class, of which a user's own must be.

    Raises:
        UserError: there is none, or the user's own is no such thing.
    """
    if ":" in name:
        own = load_attribute(name)
        if not isinstance(own, kind):
            raise UserError(f"{name}: must be an i2i.losses.{kind.__name__}, not a {type(own).__name__}")
        return own
    entry = catalogue.get(aliases.get(name, name))
    if entry is None:
        raise UserError(f"there is no {what} '{name}'{did_you_mean(name, [*catalogue, *aliases])}")
    return entry
