"""Runs: the folder of one, how it starts and how it goes on."""

from __future__ import annotations

import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from i2i import __version__, world
from i2i.config import Config, Layer, resolve
from i2i.data import Data, Source, find_source, open_data
from i2i.engine.checkpoint import read_train_json, save_imported, set_aside_later
from i2i.engine.config import RunConfig, TrainConfig, part_of
from i2i.engine.fit import Outcome, Training, fit, prepare
from i2i.engine.writers import progress, typed
from i2i.errors import UserError
from i2i.inference.runs import RUNS, find_checkpoint, is_run, step_of
from i2i.inference.trained import Direction, TrainedModel
from i2i.machine import device_name
from i2i.methods import METHODS
from i2i.nn import Statistics
from i2i.optim import choose_device

# What may differ between a run and its resumption: how long, where and how cautiously it trains, and where files lie. A
# moved folder of data is recognised by the names of its images.
MAY_CHANGE = {"data.source", "data.source_b", "data.boxes", "data.keep", "data.workers", "method.perceptual.weights"}
MAY_CHANGE |= {"optim.lr", "optim.lr_d", "optim.clip_norm"}
MAY_CHANGE |= {f"train.{name}" for name in TrainConfig.model_fields if name not in ("ema", "init_from")}


def start(config: RunConfig, source: Source, console: Console, folder: Path | None = None) -> Outcome:
    """Train a new run in `folder`, or in ``runs/<time>-<preset>-<data>``.

    Raises:
        UserError: the folder is in use, the data cannot be trained on, or training diverged.
    """
    choose_device(config.train.device)  # a wrong device is found before the data is read
    _refuse_uneven(config)
    if folder is not None:
        _refuse_used(folder)
    data = _open(config, source, console)
    for line in config.method.remarks(config.optim):
        _say(console, f"note: {line}")
    training = prepare(config.completed(data.config), data, console)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{Path(config.preset).stem}-{source.name}"
    run = world.first_ones(_make_folder(folder, name) if world.rank() == 0 else Path())
    return _fit(training, run, console)


def go_on(path: Path, flags: Sequence[Layer], console: Console) -> Outcome:
    """Resume the run (or checkpoint) at `path` as if it had never stopped.

    Raises:
        UserError: there is nothing to resume, the flags would make it another run, or the data is not what it was.
    """
    checkpoint = find_checkpoint(path).absolute()
    run = checkpoint.parents[1]
    if not is_run(run):
        raise UserError(f"{path}: is not in a run's checkpoints/ folder; --resume needs the whole run")
    if not (checkpoint / "train.json").exists():
        raise UserError(
            f"{checkpoint}: holds networks alone, not the state of a training; begin a new run with their weights: "
            f"{typed('i2i')} train PRESET --init-from {path}"
        )
    saved = read_train_json(checkpoint)["config"]
    before = resolve(RunConfig, [Layer(str(checkpoint), saved)])
    config = resolve(RunConfig, [Layer(str(checkpoint), saved), *flags])
    changed = _differences(before, config)
    if refused := [key for key in changed if key not in MAY_CHANGE]:
        raise UserError(
            f"--resume {path}: {', '.join(refused)} cannot change in the middle of a run; leave the flag out, or start "
            "a new run"
        )
    choose_device(config.train.device)
    _refuse_uneven(config)
    if changed:
        _say(console, f"resume: from here on with another {', '.join(changed)}")
    source = find_source(config.data.source)
    config = config.model_copy(update={"data": config.data.model_copy(update={"source": source.given})})
    data = _open(config, source, console)
    taken, total = step_of(checkpoint), config.train.total_steps(len(data.splits["train"]), config.images_per_step)
    if taken >= total:
        raise UserError(
            f"{run}: has taken {taken} of {total} steps already; to train it longer, give more: --steps {2 * taken}"
        )
    training = prepare(config, data, console, checkpoint)
    if world.rank() == 0 and (moved := set_aside_later(checkpoint)):
        _say(console, f"checkpoints after step {taken} were moved to {moved}")
    return _fit(training, run, console)


def import_model(
    model: TrainedModel, run: Path, direction: Direction | None = None, statistics: Statistics | None = None
) -> Path:
    """Keep foreign networks as a run of ours and return its checkpoint.

    It can be translated with and trained further (``--init-from``), but not resumed: foreign files hold no optimizers.

    Args:
        model: what was opened.
        run: the run's folder, which is made.
        direction: which way a generator translates, where its file does not say; None: AtoB.
        statistics: what batch norm divides by at inference; None: its running statistics.

    Raises:
        UserError: the model is a run of ours already, does not go in that direction, or the folder is in use.
    """
    if not model.foreign:
        raise UserError(f"{model.path}: is of i2i's own format already")
    _refuse_used(run, "")
    _, way = model.generator(direction)
    policy = model.policy.model_copy(update={"statistics": statistics} if statistics else {})
    parts: dict[str, Any] = {
        part_of(network): network.config.model_dump(mode="json") for network in model.networks.values()
    }
    options: dict[str, Any] = {"preset": model.method, "method": {"name": model.method, **parts}}
    config = resolve(RunConfig, [Layer(str(model.path), options)])
    config = config.model_copy(update={"data": model.data.model_copy(update={"direction": way})})
    checkpoint = save_imported(run, model, way, policy, config)
    _write_config(run, config)
    _note(run, status="imported", imported_from=str(model.path), i2i=__version__)
    return checkpoint


def _refuse_used(folder: Path, flag: str = "--run-dir ") -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = f"; to go on with it: {typed('i2i')} train --resume {folder}" if flag and is_run(folder) else ""
        raise UserError(f"{flag}{folder}: is not empty{hint}")


def _make_folder(folder: Path | None, name: str) -> Path:
    """Make the run's folder; two runs that start in the same second get one each."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_used(folder)
        return folder
    RUNS.mkdir(exist_ok=True)
    for number in itertools.count(1):
        run = RUNS / (name if number == 1 else f"{name}-{number}")
        try:
            run.mkdir()
        except FileExistsError:
            continue
        return run
    raise AssertionError("counting ended")


def _open(config: RunConfig, source: Source, console: Console) -> Data:
    needs = METHODS[config.method.name].needs
    with world.leader_first():  # the others find what was downloaded, drawn and checked
        source.folder(partial(progress, console), lambda line: _say(console, line))
        with progress(console, "checking") as checking:
            data = open_data(config.data, source, config.seed, lambda line: _say(console, line), checking, needs)
    if data.digest != world.first_ones(data.digest):
        raise UserError(
            f"{data.folder.root}: process {world.rank()} sees other training images there than process 0; give every "
            "machine the same files"
        )
    return data


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _refuse_uneven(config: RunConfig) -> None:
    """Refuse a batch that processes cannot share."""
    count, size = world.size(), config.data.batch_size
    together = getattr(config.method, "pack", 1)  # images that stay together
    if count > 1 and size % (count * together):
        possible = ", ".join(str(n) for n in range(1, size + 1) if size % (n * together) == 0)
        packs = f" of packs of {together}" if together > 1 else ""
        raise UserError(
            f"a batch of {size} does not divide into equal shares{packs} for {count} processes; train in {possible}, "
            f"or choose --batch-size {-(-size // (count * together)) * count * together} for a new run"
        )


def _fit(training: Training, run: Path, console: Console) -> Outcome:
    if world.rank() > 0:
        return fit(training, run, console)
    _write_config(run, training.config)
    with _status(run, training.precision.device):
        outcome = fit(training, run, console)
    _note(run, status="stopped" if outcome.exit_code else "done", last=outcome.steps, best=outcome.best)
    return outcome


def _write_config(run: Path, config: RunConfig) -> None:
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    (run / "config.yaml").write_text(text, encoding="utf-8")


@contextmanager
def _status(run: Path, device: torch.device) -> Iterator[None]:
    """Keep run.json saying how the run fares, whatever ends it."""
    session = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "i2i": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device_name(device),
        "processes": world.size(),
    }
    _note(run, status="running", error=None, sessions=[*_notes(run).get("sessions", []), session])
    try:
        yield
    except BaseException as error:
        _note(run, status="failed", error=f"{type(error).__name__}: {error}")
        raise


def _note(run: Path, **facts: Any) -> None:
    path = run / "run.json"
    known = _notes(run)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({**known, **facts}, indent=1), encoding="utf-8")
    os.replace(temporary, path)


def _notes(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known


def _differences(one: Config, other: Config) -> list[str]:
    """Return the dotted keys in which two configurations differ."""

    def flat(tree: Any, prefix: str = "") -> Mapping[str, Any]:
        if not isinstance(tree, dict):
            return {prefix: tree}
        return {k: v for key, item in tree.items() for k, v in flat(item, f"{prefix}.{key}" if prefix else key).items()}

    a, b = flat(one.model_dump()), flat(other.model_dump())
    return sorted(key for key in {*a, *b} if a.get(key) != b.get(key))
