"""Published files of weights: where they lie, and whether they are what they should be; nothing is downloaded."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights that its makers have published.

    Attributes:
        name: of the file, as torch keeps it.
        url: where it can be fetched from, by hand.
        sha256: of its content.
    """

    name: str
    url: str
    sha256: str

    def find(self, what: str, folder: Path | None = None) -> Path:
        """Return the file, whose content is the published one.

        Args:
            what: takes the file, for the error's text.
            folder: where it lies; None: where torch keeps what it has downloaded.

        Raises:
            UserError: it is missing, or another file; the line says which one goes where.
        """
        import torch

        path = (folder or Path(torch.hub.get_dir(), "checkpoints")) / self.name
        if not path.is_file():
            elsewhere = "" if folder else " (i2i evaluate finds it in other folders too: --weights)"
            raise UserError(f"{path}: is missing, and {what} takes it: fetch it from {self.url}{elsewhere}")
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        if found != self.sha256:
            raise UserError(
                f"{path}: is damaged or another file: its sha256 begins with {found[:12]}, that of the published one "
                f"with {self.sha256[:12]}; fetch it again from {self.url}"
            )
        return path


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a ``.pth`` file by name, on the CPU; nothing in it is executed.

    Raises:
        UserError: it holds anything else than tensors by name.
    """
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # what torch warns of is refused below
            held: Any = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in held.items()):
            raise TypeError
    except Exception as error:  # a file of arbitrary bytes makes torch raise whatever there is
        raise UserError(
            f"{path}: is no file of weights alone: it is damaged, of another kind, or holds code"
        ) from error
    return held  # type: ignore[no-any-return]
