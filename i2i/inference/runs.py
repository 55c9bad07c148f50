"""Where runs, checkpoints and weights lie, and what a weights file says of itself."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from i2i.errors import UserError

FORMAT = 2
RUNS = Path("runs")
STEP = re.compile(r"step_(\d{8,})")


def checkpoints(run: Path) -> list[Path]:
    """Return a run's complete checkpoints, oldest first."""
    folder = run / "checkpoints"
    return sorted((p for p in folder.glob("step_*") if STEP.fullmatch(p.name)), key=step_of)


def folder_name(step: int) -> str:
    """Return what the checkpoint after `step` steps is called."""
    return f"step_{step:08d}"


def step_of(checkpoint: Path) -> int:
    """Return how many steps were taken before this checkpoint."""
    match = STEP.fullmatch(checkpoint.name)
    assert match
    return int(match[1])


def is_run(folder: Path) -> bool:
    """Say whether a folder is that of a run."""
    return (folder / "run.json").is_file()


def newest_run(root: Path = RUNS) -> Path:
    """Return the run below `root` whose newest checkpoint is the latest.

    Raises:
        UserError: there is none.
    """
    runs = [run for run in root.glob("*") if is_run(run) and checkpoints(run)]
    if not runs:
        raise UserError(f"there is no run with a checkpoint in {root}/; train one (i2i train pix2pix) or name one")
    return max(runs, key=lambda run: checkpoints(run)[-1].stat().st_mtime_ns)


def place_of(path: Path) -> Path:
    """Return `path` itself, or below ``runs/`` if it lies only there."""
    path = path.expanduser()
    return RUNS / path if not path.exists() and (RUNS / path).exists() else path


def find_checkpoint(path: Path) -> Path:
    """Return the checkpoint that `path` names: itself, or the last one of a run.

    Raises:
        UserError: there is none.
    """
    path = place_of(path)
    if STEP.fullmatch(path.name) and path.is_dir():
        return path
    if is_run(path):
        found = checkpoints(path)
        if not found:
            raise UserError(f"{path}: the run has no checkpoint yet")
        return found[-1]
    what = "is neither a run nor a checkpoint" if path.exists() else "does not exist"
    raise UserError(f"{path}: {what}; give a run folder (it holds run.json) or one of its checkpoints/step_... folders")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors with a JSON header as safetensors, flushed to the disk."""
    rows = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    save_file(rows, path, metadata={"i2i": as_text(header)})
    with path.open("rb") as file:
        os.fsync(file.fileno())


def as_text(header: Mapping[str, Any]) -> str:
    """Return a header as it stands in files."""
    return json.dumps({"format": FORMAT, **header})


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a file that `write_tensors` wrote.

    Raises:
        UserError: the file is missing, damaged, not ours, or of a newer format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("i2i")
    except FileNotFoundError as error:
        raise UserError(f"{path}: does not exist") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: is damaged or no safetensors file ({error})") from error
    return parse_header(path, text)


def parse_header(path: Path, text: str | None) -> dict[str, Any]:
    """Return the header of a file from the text in it.

    Raises:
        UserError: the file is not ours (None), or of another format.
        ValueError: the text is damaged.
    """
    if text is None:
        raise UserError(f"{path}: was not written by i2i (its header does not describe the network)")
    header: dict[str, Any] = json.loads(text)
    if header["format"] != FORMAT:
        mend = "update i2i" if header["format"] > FORMAT else "use the i2i that wrote it"
        raise UserError(f"{path}: has format {header['format']}, and this i2i reads {FORMAT}; {mend}")
    return header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file, on the CPU.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (FileNotFoundError, SafetensorError, OSError) as error:
        raise UserError(f"{path}: is missing or damaged ({error})") from error


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], file: Path, *, assign: bool = False) -> None:
    """Give a network the weights that were read from `file`.

    Args:
        network: what takes them.
        weights: tensors by name.
        file: where they come from, for the error's words.
        assign: let the network keep these very tensors instead of copying them.

    Raises:
        UserError: they are another network's.
    """
    try:
        network.load_state_dict(weights, assign=assign)
    except RuntimeError as error:
        raise UserError(f"{file}: does not fit the network: {str(error).splitlines()[-1].strip()}") from error
