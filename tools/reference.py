"""How the reference in the documentation is made of docstrings: an extension of mkdocstrings (see mkdocs.yml)."""

from __future__ import annotations

import re
from typing import Any

import griffe

NAME = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)(\(\))?`(?!`)")  # `gan_loss`, `i2i.nn.frozen`, but no ``code``


class Reference(griffe.Extension):
    """Shows each thing once, where it is defined; what options' defaults are; and lets names lead to what they name."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Walk the whole package once it is loaded."""
        _walk(pkg)


def _walk(thing: griffe.Object | griffe.Alias) -> None:
    if thing.is_alias:
        return
    if isinstance(thing, griffe.Module):
        thing.exports = None  # what a package passes on from its modules stands with those
    if thing.docstring:
        if isinstance(thing, griffe.Class) and any(base.name == "Config" for base in thing.mro()):
            thing.docstring.value += _defaults(thing)
        thing.docstring.value = NAME.sub(lambda name: _linked(thing, name), thing.docstring.value)
    for member in thing.members.values():
        _walk(member)


def _defaults(options: griffe.Class) -> str:
    """Return the options that a class adds, with their types and defaults, as a block of code."""
    own = [member for member in options.attributes.values() if member.annotation and not member.has_labels("property")]
    lines = [
        f"{member.name}: {member.annotation}" + (f" = {member.value}" if member.value is not None else "")
        for member in own
        if not (member.name.startswith("_") or str(member.annotation).startswith("ClassVar"))
    ]
    return "\n\n```python\n" + "\n".join(lines) + "\n```\n" if lines else ""


def _linked(thing: griffe.Object | griffe.Alias, name: re.Match[str]) -> str:
    """Return a link, which stays plain text where the reference does not show what it names."""
    try:
        path = thing.resolve(name[1])
    except griffe.NameResolutionError:
        path = name[1]
    if not path.startswith("i2i."):
        return name[0]
    return f'<autoref optional identifier="{path}">{name[0]}</autoref>'
