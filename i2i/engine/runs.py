"""Runs: the folder of one, how it starts and how it goes on."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from i2i import __version__
from i2i.config import Config, Layer, resolve
from i2i.data import Data, Source, find_source, open_data
from i2i.engine.checkpoint import read_train_json
from i2i.engine.config import RunConfig
from i2i.engine.fit import Outcome, fit
from i2i.engine.writers import progress
from i2i.errors import UserError
from i2i.inference.runs import RUNS, find_checkpoint, is_run
from i2i.optim import choose_device

# What may differ between a run and its resumption: how long and where it trains, never what it computes.
MAY_CHANGE = ("train.", "data.workers")


def start(config: RunConfig, source: Source, console: Console, folder: Path | None = None) -> Outcome:
    """Train a new run in `folder`, or in ``runs/<time>-<preset>-<data>``.

    Raises:
        UserError: the folder is in use, the data cannot be trained on, or training diverged.
    """
    choose_device(config.train.device)  # a wrong device is found before the data is read
    run = folder or RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{Path(config.preset).stem}-{source.name}"
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        hint = f"; to go on with it: i2i train --resume {run}" if is_run(run) else ""
        raise UserError(f"--run-dir {run}: is not empty{hint}")
    data = _open(config, source, console)
    config = config.completed(data.config)
    run.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    (run / "config.yaml").write_text(text, encoding="utf-8")
    return _fit(config, data, run, console, None)


def go_on(path: Path, flags: Sequence[Layer], console: Console) -> Outcome:
    """Resume the run (or checkpoint) at `path` as if it had never stopped.

    Raises:
        UserError: there is nothing to resume, the flags would make it another run, or the data is not what it was.
    """
    checkpoint = find_checkpoint(path)
    run = checkpoint.parents[1]
    saved = read_train_json(checkpoint)["config"]
    before = resolve(RunConfig, [Layer(str(checkpoint), saved)])
    config = resolve(RunConfig, [Layer(str(checkpoint), saved), *flags])
    changed = [key for key in _differences(before, config) if not key.startswith(MAY_CHANGE)]
    if changed:
        raise UserError(
            f"--resume {path}: {', '.join(changed)} cannot change in the middle of a run; leave the flag out, or start "
            "a new run"
        )
    choose_device(config.train.device)
    data = _open(config, find_source(config.data.source), console)
    return _fit(config, data, run, console, checkpoint)


def _open(config: RunConfig, source: Source, console: Console) -> Data:
    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    with progress(console, "drawing") as drawing:
        source.folder(drawing)
    with progress(console, "checking") as checking:
        return open_data(config.data, source, config.seed, say, checking)


def _fit(config: RunConfig, data: Data, run: Path, console: Console, checkpoint: Path | None) -> Outcome:
    with _status(run):
        outcome = fit(config, data, run, console, checkpoint)
    _note(run, status="stopped" if outcome.exit_code else "done", last=outcome.steps, best=outcome.best)
    return outcome


@contextmanager
def _status(run: Path) -> Iterator[None]:
    """Keep run.json saying how the run fares, whatever ends it."""
    _note(
        run,
        status="running",
        i2i=__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        command=sys.argv,
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    try:
        yield
    except BaseException as error:
        _note(run, status="failed", error=f"{type(error).__name__}: {error}")
        raise


def _note(run: Path, **facts: Any) -> None:
    path = run / "run.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({**known, **facts}, indent=1), encoding="utf-8")
    os.replace(temporary, path)


def _differences(one: Config, other: Config) -> list[str]:
    """Return the dotted keys in which two configurations differ."""

    def flat(tree: Any, prefix: str = "") -> Mapping[str, Any]:
        if not isinstance(tree, dict):
            return {prefix: tree}
        return {k: v for key, item in tree.items() for k, v in flat(item, f"{prefix}.{key}" if prefix else key).items()}

    a, b = flat(one.model_dump()), flat(other.model_dump())
    return sorted(key for key in {*a, *b} if a.get(key) != b.get(key))
