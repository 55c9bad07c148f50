"""Recipes: what is known of a named data set before any of its files is here (``datasets/NAME.yaml``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, model_validator

from i2i.config import Config
from i2i.data.reports import as_size

Address = Annotated[str, Field(pattern=r"^https?://[^/]+/.*[^/]$")]
Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}|git:[0-9a-f]{40})$")]


class Archive(Config):
    """A file to download, and the images to take out of it.

    Attributes:
        urls: its addresses, tried in turn.
        bytes: its length.
        exact: whether that length is known to the byte, and therefore checked.
        checksum: ``sha256:``, ``md5:`` or ``git:`` (git's id of a file's content) and hexadecimal digits; None: none
            is known.
        take: folders in it, at whatever depth, and where their images go in the data set's folder; ``.``: everything.
        include: pattern of the file names to take, such as ``[A-Z]*``; case matters.
    """

    urls: Annotated[tuple[Address, ...], Field(min_length=1)]
    bytes: PositiveInt
    exact: bool = True
    checksum: Checksum | None = None
    take: dict[str, str] = Field(default_factory=lambda: {".": "."})
    include: str = "*"

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.urls[0].rpartition("/")[2]


class Recipe(Config):
    """A named data set: what it is, where its files come from, and the `data` options that fit it.

    Attributes:
        title: its name in words.
        about: what it holds and where it comes from.
        terms: in one line, on what terms it may be used.
        builtin: the generator that draws it, where it needs no files.
        archives: files that are downloaded and unpacked: at first use, or where it can be drawn, when asked for.
        torchvision: the class of torchvision.datasets that downloads it at first use.
        files: names of the files or folders that must then be there, packed by gzip or not.
        data: options laid under the user's own.
    """

    title: str
    about: str
    terms: str | None = None
    builtin: Literal["cats", "two coats", "coats", "cracks"] | None = None
    archives: tuple[Archive, ...] = ()
    torchvision: str | None = None
    files: tuple[str, ...] = ()
    data: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if not (self.builtin or self.archives or self.torchvision):
            raise ValueError("says neither who draws it (builtin) nor where it is downloaded (archives, torchvision)")
        if self.archives and not self.terms:
            raise ValueError("says not on what terms it may be used (terms)")
        return self

    @property
    def size(self) -> str:
        """How much is downloaded, in words."""
        about = "" if all(archive.exact for archive in self.archives) else "about "
        return about + as_size(sum(archive.bytes for archive in self.archives))

    @property
    def host(self) -> str:
        """Where it is downloaded from first."""
        return urlsplit(self.archives[0].urls[0]).netloc
