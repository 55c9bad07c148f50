"""Checkpoints: everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from i2i import world
from i2i.engine.config import RunConfig
from i2i.errors import UserError
from i2i.inference.runs import checkpoints, folder_name, load_weights, read_tensors, step_of, write_tensors
from i2i.inference.trained import Direction, TrainedModel
from i2i.methods import Method
from i2i.methods.base import network_spec
from i2i.nn import InferencePolicy
from i2i.optim import Ema, Schedule


@dataclass
class TrainState:
    """What training changes, beside the random draws, which follow from seed and step."""

    method: Method
    emas: dict[str, Ema]
    schedule: Schedule
    best: dict[str, Any]  # the lowest validation scalar so far and its step; empty before the first validation

    def begin_alike(self) -> None:
        """Give every process the first one's weights: other processors may draw or round others."""
        for network in (*self.method.networks.values(), *(ema.shadow for ema in self.emas.values())):
            world.broadcast_(list(network.state_dict().values()))


def save_checkpoint(run: Path, step: int, state: TrainState, config: RunConfig, data_digest: str) -> Path:
    """Write ``checkpoints/step_00010000`` after `step` steps: into a temporary folder, flushed, then renamed."""
    with _made_whole(run, step) as folder:
        _write(folder, step, state, config, data_digest)
    return run / "checkpoints" / folder_name(step)


def save_imported(
    run: Path, model: TrainedModel, direction: Direction, policy: InferencePolicy, config: RunConfig
) -> Path:
    """Write the networks of a foreign model as a checkpoint after no steps of ours, without the state of a training.

    Args:
        run: the run's folder.
        model: what was opened.
        direction: in which a generator translates whose file does not say.
        policy: how the generators run.
        config: what is known of how they were trained.
    """
    with _made_whole(run, 0) as folder:
        for name, network in model.networks.items():
            way = direction if direction in network.translates else next(iter(network.translates), None)
            header = {
                "method": model.method,
                "role": name,
                "network": network_spec(network.kind, network.config, **network.measures),
                "policy": policy.model_dump(),
                "translates": way,
                "step": 0,
                "imported_from": str(network.file),
                "config": config.model_dump(mode="json"),
            }
            write_tensors(folder / f"{name}.safetensors", network.read(), header)
    return run / "checkpoints" / folder_name(0)


@contextmanager
def _made_whole(run: Path, step: int) -> Iterator[Path]:
    """Give out a temporary folder that becomes the checkpoint of that step once it is complete."""
    final = run / "checkpoints" / folder_name(step)
    temporary = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)  # a checkpoint of the same step, from before a resume
    os.replace(temporary, final)


def _write(folder: Path, step: int, state: TrainState, config: RunConfig, data_digest: str) -> None:
    method, dump = state.method, config.model_dump(mode="json")
    translations = method.translations(config.data.direction)
    for name, network in method.networks.items():
        header = {
            "method": config.method.name,
            "role": name,
            "network": method.specs.get(name),
            "policy": method.policy.model_dump(),
            "translates": translations.get(name),
            "step": step,
            "config": dump,
        }
        write_tensors(folder / f"{name}.safetensors", network.state_dict(), header)
        if name in state.emas:
            shadow = state.emas[name].shadow.state_dict()
            write_tensors(folder / f"{name}_ema.safetensors", shadow, {**header, "ema": config.train.ema})
    tensors: dict[str, Tensor] = {f"method/{key}": value for key, value in method.state().items()}
    scalers: dict[str, Mapping[str, float]] = {}
    for name, stepper in method.steppers.items():
        moments, scalers[name] = stepper.state()
        tensors |= {f"optim/{name}/{key}": value for key, value in moments.items()}
    write_tensors(folder / "train.safetensors", tensors, {"step": step})
    rest = {
        "step": step,
        "schedule": state.schedule.state(),
        "scalers": scalers,
        "best": state.best,
        "data": data_digest,
        "config": dump,
    }
    with (folder / "train.json").open("w", encoding="utf-8") as file:
        json.dump(rest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(checkpoint: Path, state: TrainState, data_digest: str) -> int:
    """Put a checkpoint's state into `state` and return its step.

    Raises:
        UserError: the checkpoint is damaged or of another network, or the training images are not those it saw.
    """
    rest = read_train_json(checkpoint)
    if rest["data"] != data_digest:
        raise UserError(
            f"{checkpoint}: the training images have changed since (files added, removed or renamed), so the run "
            "cannot go on as it would have; put them back, or start a new run"
        )
    method = state.method
    for name, network in method.networks.items():
        _read_network(network, checkpoint / f"{name}.safetensors")
        if name in state.emas:
            _read_network(state.emas[name].shadow, checkpoint / f"{name}_ema.safetensors")
    tensors = read_tensors(checkpoint / "train.safetensors")
    for name, stepper in method.steppers.items():
        stepper.load_state(_below(tensors, f"optim/{name}/"), rest["scalers"][name])
    method.load_state(_below(tensors, "method/"))
    state.schedule.load_state(rest["schedule"])
    state.best.update(rest["best"])
    return int(rest["step"])


def _read_network(network: nn.Module, file: Path) -> None:
    load_weights(network, read_tensors(file), file)


def read_train_json(checkpoint: Path) -> dict[str, Any]:
    """Return the part of a checkpoint that is no tensor, the run's configuration among it.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = checkpoint / "train.json"
    try:
        rest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is missing or damaged; resume from another checkpoint of the run") from error
    return rest


def set_aside_later(checkpoint: Path) -> Path | None:
    """Move a run's checkpoints after `checkpoint` out of the way of those to come, and return where they are now."""
    run = checkpoint.parents[1]
    later = [other for other in checkpoints(run) if step_of(other) > step_of(checkpoint)]
    if not later:
        return None
    aside = run / "checkpoints" / f"set-aside-{time.strftime('%Y%m%d-%H%M%S')}"
    aside.mkdir()
    for other in later:
        other.rename(aside / other.name)
    return aside


def remove_old_checkpoints(run: Path, keep: int, keep_every: int | None, best: int | None) -> None:
    """Keep the newest `keep`, the best, and those at multiples of `keep_every`."""
    for checkpoint in checkpoints(run)[:-keep]:
        step = step_of(checkpoint)
        if step != best and not (keep_every and step % keep_every == 0):
            shutil.rmtree(checkpoint)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in network.parameters())
