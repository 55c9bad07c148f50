"""Networks as torch's own files of graphs, and such files at work in place of networks."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from i2i.errors import UserError
from i2i.inference.export.graph import first_line, quiet

METADATA = "i2i.json"
PLACES = re.compile(rf"([^/]+/extra|extra_files)/{re.escape(METADATA)}")
"""Where the metadata lie in the archive; the latter in files of torch before 2.8."""
LARGEST = 16 << 20  # bytes of metadata


def write(program: ExportedProgram, path: Path, metadata: str) -> None:
    """Write a graph as a ``.pt2`` file, weights included.

    Args:
        program: the graph.
        path: the file.
        metadata: what the file is to say of itself.
    """
    with quiet():
        torch.export.save(program, path, extra_files={METADATA: metadata})


def read_metadata(path: Path) -> str | None:
    """Return what a ``.pt2`` file says of itself; None: nothing that i2i wrote. None of its content is run.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = next((entry for entry in archive.infolist() if PLACES.fullmatch(entry.filename)), None)
            if entry is None:
                return None
            if entry.file_size > LARGEST:
                raise ValueError(f"its description has {entry.file_size} bytes")
            return archive.read(entry).decode()
    except FileNotFoundError as error:
        raise UserError(f"{path}: does not exist") from error
    except Exception as error:  # an archive of arbitrary bytes makes zipfile raise whatever there is
        raise UserError(f"{path}: is damaged or no .pt2 file ({first_line(error)})") from error


class Pt2Network(nn.Module):
    """The graph of a ``.pt2`` file, in place of the network that was written to it.

    To read one is to run code of its maker's: torch unpickles examples and objects in it, and evaluates the formulas
    of its sizes.

    Args:
        path: the file.
        trust: read it, if it is your own.

    Raises:
        UserError: the file is not trusted, missing or damaged.
    """

    def __init__(self, path: Path, *, trust: bool) -> None:
        super().__init__()
        if not trust:
            raise UserError(
                f"{path}: to read a .pt2 file is to run what its maker put there, for torch unpickles it; if it is "
                "yours, add --trust (from Python: trust=True), or take an ONNX or safetensors file"
            )
        try:
            with quiet():
                self.graph = torch.export.load(path).module()
        except Exception as error:  # damaged files make torch raise whatever there is
            reason = f"is damaged, or not for torch {torch.__version__} ({first_line(error)})"
            raise UserError(f"{path}: {reason}") from error

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the output for `inputs`, such as [N, C, H, W]."""
        output: Tensor = self.graph(*inputs)
        return output

    def train(self, mode: bool = True) -> Pt2Network:
        """Do nothing: a graph has no modes."""
        return self
