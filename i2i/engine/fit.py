"""The training loop."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from torch import Tensor, nn

from i2i.data import Data, PairedImages, batches_in_order, to_model_range, training_loader
from i2i.data import files as image_files
from i2i.data.sheet import contact_sheet, to_pixels
from i2i.engine.checkpoint import (
    TrainState,
    count_parameters,
    load_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
)
from i2i.engine.config import RunConfig
from i2i.engine.health import diversity, verdict
from i2i.engine.interrupt import Interruption, interruptible
from i2i.engine.recorder import Recorder
from i2i.engine.writers import MetricsFile, TensorBoard, Ticker, Writer, as_note, typed
from i2i.errors import UserError, did_you_mean
from i2i.inference.runs import step_of
from i2i.methods import METHODS, Method
from i2i.nn import inference_mode
from i2i.optim import Ema, Precision, Schedule, choose_device
from i2i.seeding import derive, torch_seeded


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the steps taken, its last checkpoint, the best validation, and the exit code."""

    steps: int
    checkpoint: Path
    best: dict[str, Any]
    exit_code: int


def build_method(config: RunConfig, data: Data, precision: Precision) -> Method:
    """Build a run's method; its initial weights follow from the seed alone."""
    with torch_seeded(config.seed, "init"):
        method: Method = METHODS[config.method.name](config.method, *data.channels, config.optim, precision)
    if config.train.channels_last:
        for network in method.networks.values():
            network.to(memory_format=torch.channels_last)
    return method


def fit(config: RunConfig, data: Data, run: Path, console: Console, checkpoint: Path | None = None) -> Outcome:
    """Train until the configured number of steps, or until asked to stop.

    Args:
        config: everything the run was told, completed from the data.
        data: images that have been checked.
        run: the run's folder, which exists.
        console: where progress is shown.
        checkpoint: where to go on from; None starts anew.

    Raises:
        UserError: a loss or gradient stopped being finite, or the checkpoint does not fit.
    """
    precision = Precision(config.train.precision, choose_device(config.train.device))
    method = build_method(config, data, precision)
    _check_watched(config, method)
    total = config.train.total_steps(len(data.splits["train"]), config.data.batch_size)
    state = TrainState(
        method,
        {name: Ema(method.networks[name], config.train.ema) for name in method.generators if config.train.ema},
        Schedule(config.optim.schedule),
        best={},
    )
    first = load_checkpoint(checkpoint, state, data.digest) if checkpoint else 0
    if first >= total:
        raise UserError(
            f"{run}: has taken {first} of {total} steps already; give --steps or --epochs to train it longer"
        )
    with _kernels(config.train.deterministic), Loop(config, data, run, console, precision, state, first, total) as loop:
        return loop.train()


@contextmanager
def _kernels(deterministic: bool) -> Iterator[None]:
    """Let cuDNN choose kernels that repeat themselves, or the fastest ones for these sizes."""
    before = torch.are_deterministic_algorithms_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=not deterministic, deterministic=deterministic):
            yield
    finally:
        torch.use_deterministic_algorithms(before)


def _check_watched(config: RunConfig, method: Method) -> None:
    schedule = config.optim.schedule
    if schedule.name == "plateau" and schedule.watch not in method.lower_is_better:
        raise UserError(
            f"option 'optim.schedule.watch': '{schedule.watch}' is no validation loss of {config.method.name}"
            f"{did_you_mean(schedule.watch, method.lower_is_better)}"
        )


class Loop:
    """What surrounds a method's `train_step`: batches, reports, validation, checkpoints and the end."""

    def __init__(
        self,
        config: RunConfig,
        data: Data,
        run: Path,
        console: Console,
        precision: Precision,
        state: TrainState,
        first: int,
        total: int,
    ) -> None:
        self.config, self.data, self.run, self.state = config, data, run, state
        self.precision, self.method = precision, state.method
        self.first, self.total = first, total
        self.recorder = Recorder(state.method)
        self.ticker = Ticker(console, total, first, "step")
        self.writers: list[Writer] = [TensorBoard(run, first), MetricsFile(run, first)]
        self.log_every = config.train.log_interval(total)
        self.validate_every = config.train.validation_interval(total)
        self.saved_at = time.monotonic()
        self.checkpoint: Path | None = None
        self.latest: dict[str, float] = {}
        self._close = ExitStack()

    def __enter__(self) -> Loop:
        self._close.enter_context(self.ticker)
        for writer in self.writers:
            self._close.callback(writer.close)
        return self

    def __exit__(self, *error: object) -> None:
        self._close.close()

    def train(self) -> Outcome:
        """Take the steps from the first to the last."""
        self._introduce()
        seed, waited, since = self.config.seed, 0.0, time.monotonic()
        step = self.first
        with interruptible() as interruption, torch_seeded(seed, "run", device=self.precision.device):
            for step, batch, wait in self._batches():
                torch.manual_seed(derive(seed, "step", step))  # dropout: a resumed run draws the same
                progress = step / self.total
                for stepper in self.method.steppers.values():
                    stepper.set_lr_factor(self.state.schedule.factor(progress))
                with self.precision.autocast():
                    scalars = self.method.train_step(batch, step)
                for ema in self.state.emas.values():
                    ema.update(step)
                self.recorder.add(step, scalars, batch["index"])
                taken, waited = step + 1, waited + wait
                last = taken == self.total or bool(interruption)
                if taken % self.log_every == 0 or last:
                    now = time.monotonic()
                    self._report(taken, now - since, waited)
                    waited, since = 0.0, now
                pause = time.monotonic()
                if taken % self.validate_every == 0 or taken == self.total:
                    self._validate(taken)
                if last or self._checkpoint_due(taken):
                    self._save(taken)
                since += time.monotonic() - pause  # images per second are those of training alone
                self.ticker.update(taken)
                if interruption:
                    break
            return self._conclude(step + 1, interruption)

    def _introduce(self) -> None:
        sizes = ", ".join(f"{n} {count_parameters(net) / 1e6:.1f} M" for n, net in self.method.networks.items())
        where = f"{self.precision.device} in {self.precision.name}"
        self.ticker.say(f"{self.config.method.name}: {sizes} parameters, on {where}, {self.total} steps")
        self.ticker.say(f"run: {self.run}")
        self.ticker.say(f"watch: {typed('tensorboard')} --logdir {self.run.parent}")
        for writer in self.writers:
            writer.text(self.first, "config", yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False))

    def _batches(self) -> Iterator[tuple[int, dict[str, Tensor], float]]:
        """Yield (step, batch on the device, seconds waited for it)."""
        config = self.config.data
        workers = choose_workers(self.precision.device) if config.workers is None else config.workers
        pin = self.precision.device.type == "cuda"
        train = self.data.splits["train"]
        loader = training_loader(train, config.batch_size, self.config.seed, self.first, self.total, workers, pin)
        asked = time.monotonic()
        for step, batch in enumerate(loader, start=self.first):
            on_device = self._to_device(batch)
            yield step, on_device, time.monotonic() - asked
            asked = time.monotonic()

    def _to_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        layout = torch.channels_last if self.config.train.channels_last else torch.contiguous_format
        images = {
            name: to_model_range(batch[name].to(self.precision.device, non_blocking=True)).contiguous(
                memory_format=layout
            )
            for name in ("a", "b")
        }
        return {**images, "index": batch["index"]}

    def _report(self, taken: int, seconds: float, waited: float) -> None:
        self._refuse_divergence()
        means = self.recorder.drain()
        steps = min(self.log_every, taken - self.first)
        values = {
            **means,
            **{f"lr/{name}": stepper.lr for name, stepper in self.method.steppers.items()},
            "epoch": taken * self.config.data.batch_size / len(self.data.splits["train"]),
            "speed/images_per_second": steps * self.config.data.batch_size / max(seconds, 1e-9),
            "speed/data_wait": waited / max(seconds, 1e-9),
        }
        if self.precision.device.type == "cuda":
            values["speed/memory_gb"] = torch.cuda.max_memory_allocated(self.precision.device) / 1e9
        self.latest |= values
        for writer in self.writers:
            writer.scalars(taken, values)
        self.ticker.update(taken, as_note(values))

    @contextmanager
    def _generators(self) -> Iterator[dict[str, nn.Module]]:
        """Give the generators as they will be used: averaged where there is an average, in inference mode."""
        emas, networks = self.state.emas, self.method.networks
        chosen = {name: emas[name].shadow if name in emas else networks[name] for name in self.method.generators}
        with ExitStack() as modes, torch_seeded(self.config.seed, "validation", device=self.precision.device):
            for network in chosen.values():
                modes.enter_context(inference_mode(network, self.method.policy))
            yield chosen

    def _validation_set(self) -> PairedImages:
        splits = self.data.splits
        return splits.get("val") or splits["train"]

    def _validate(self, taken: int) -> None:
        """Judge the held-out images, draw a sheet of the first few, and keep the best state."""
        rows: dict[str, list[Tensor]] = {}
        columns: dict[str, list[Tensor]] = {}
        wanted, config = self.config.train.sheet_rows, self.config.data
        with self._generators() as generators:
            for batch in batches_in_order(self._validation_set(), config.batch_size, config.val_images):
                on_device = self._to_device(batch)
                for name, values in self.method.validate(on_device, generators).items():
                    rows.setdefault(name, []).append(values.cpu())
                if sum(map(len, next(iter(columns.values()), []))) < wanted:
                    for caption, images in self.method.pictures(on_device, generators).items():
                        columns.setdefault(caption, []).append(images.cpu())
        pictures = {caption: torch.cat(parts)[:wanted] for caption, parts in columns.items()}
        scalars = {name: float(torch.cat(parts).mean()) for name, parts in rows.items()}
        scalars["health/diversity"] = diversity(pictures["output"], pictures["target"])
        health = verdict({**self.latest, **scalars}, taken)
        sheet = contact_sheet({caption: to_pixels(images) for caption, images in pictures.items()})
        (self.run / "samples").mkdir(exist_ok=True)
        image_files.write(self.run / "samples" / f"step_{taken:08d}.png", sheet)
        for writer in self.writers:
            writer.scalars(taken, scalars)
            writer.picture(taken, "validation", sheet)
            writer.text(taken, "health", health)
        watched = self.method.lower_is_better[0]
        self.ticker.say(
            f"step {taken}: {'  '.join(f'{name} {value:.4g}' for name, value in scalars.items())}  {health}"
        )
        self.state.schedule.observe(scalars)
        if not self.state.best or scalars[watched] < self.state.best["value"]:
            self.state.best.update(step=taken, name=watched, value=scalars[watched])
            self._save(taken)

    def _checkpoint_due(self, taken: int) -> bool:
        train = self.config.train
        by_steps = train.checkpoint_every is not None and taken % train.checkpoint_every == 0
        by_rule = train.keep_every is not None and taken % train.keep_every == 0
        return by_steps or by_rule or time.monotonic() - self.saved_at > train.checkpoint_minutes * 60

    def _save(self, taken: int) -> None:
        if self.checkpoint is not None and step_of(self.checkpoint) == taken:
            return
        self._refuse_divergence()  # nothing that is not finite may take a good checkpoint's place
        self.checkpoint = save_checkpoint(self.run, taken, self.state, self.config, self.data.digest)
        train = self.config.train
        remove_old_checkpoints(self.run, train.keep, train.keep_every, self.state.best.get("step"))
        self.saved_at = time.monotonic()

    def _refuse_divergence(self) -> None:
        wrong = self.recorder.divergence()
        if wrong is None:
            return
        names = ", ".join(self.data.splits["train"].name(index) for index in wrong.indices)
        what = ", ".join(wrong.scalars) or "a gradient"
        raise UserError(
            f"{self.run}: {what} was not finite at step {wrong.step} (images: {names}); that update was left out and "
            f"the run stopped; last good checkpoint: {self.checkpoint or 'none was saved yet'}. "
            "Try a smaller --lr, --precision fp32, or --set optim.clip_norm=1"
        )

    def _conclude(self, taken: int, interruption: Interruption) -> Outcome:
        assert self.checkpoint is not None
        return Outcome(taken, self.checkpoint, self.state.best, interruption.exit_code)


def choose_workers(device: torch.device) -> int:
    """Return how many loader processes a device wants: a GPU must not wait, a CPU needs its cores for the networks."""
    cores = os.cpu_count() or 1
    return min(8, max(1, cores - 1)) if device.type == "cuda" else min(2, cores // 4)
