"""The training loop."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from torch import Tensor

from i2i import world
from i2i.data import Data
from i2i.data import files as image_files
from i2i.data.files import BrokenImage
from i2i.engine.checkpoint import (
    TrainState,
    count_parameters,
    load_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
)
from i2i.engine.config import RunConfig
from i2i.engine.feeding import Feed, to_device
from i2i.engine.health import verdict
from i2i.engine.interrupt import EXIT_CODES, interruptible
from i2i.engine.launch import advise, resuming
from i2i.engine.recorder import Divergence, Recorder
from i2i.engine.stepping import Stepping, check_graph
from i2i.engine.validation import Validator
from i2i.engine.writers import MetricsFile, TensorBoard, Ticker, Writer, as_note, typed
from i2i.errors import ProcessLost, UserError, did_you_mean
from i2i.inference.export.graph import first_line
from i2i.inference.runs import checkpoints, folder_name, step_of
from i2i.inference.trained import TrainedModel, open_model
from i2i.methods import METHODS, Method
from i2i.metrics import METRICS, Metric
from i2i.nn import refuse_norms_apart
from i2i.nn.convolution import set_products
from i2i.optim import Ema, Precision, Schedule, choose_device
from i2i.seeding import derive, torch_seeded


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the steps taken, its last checkpoint, the best and the last validation, and the exit code.

    Also whether it made something that translates images.
    """

    steps: int
    checkpoint: Path
    best: dict[str, Any]
    last: float | None
    exit_code: int
    translates: bool


def build_method(config: RunConfig, data: Data, precision: Precision) -> Method:
    """Build a run's method; its initial weights follow from the seed alone."""
    with torch_seeded(config.seed, "init"):
        kind = METHODS[config.method.name]
        method: Method = kind(config.method, **kind.measures(data), optim=config.optim, precision=precision)
    for name, network in method.networks.items():
        if world.size() > 1:
            refuse_norms_apart(network, name)
        network.to(memory_format=precision.memory_format(config.train.channels_last))
        set_products(network, config.train.products)
        if config.train.compile:
            network.compile(options={"fallback_random": True})  # dropout draws as it does uncompiled
    return method


@dataclass(frozen=True)
class Training:
    """All that a training needs, tried out.

    Attributes:
        config: everything the run was told, completed from the data.
        data: images that have been checked.
        precision: how and where is computed.
        state: what is trained.
        first: how many steps were taken before.
        total: how many there are to be.
        validator: judges the held-out images.
        feed: gives the batches.
    """

    config: RunConfig
    data: Data
    precision: Precision
    state: TrainState
    first: int
    total: int
    validator: Validator
    feed: Feed


def prepare(config: RunConfig, data: Data, console: Console, checkpoint: Path | None = None) -> Training:
    """Build what a training needs and judge an image, so that what cannot work is found before anything is written.

    Args:
        config: everything the run was told, completed from the data.
        data: images that have been checked.
        console: where is said what the networks begin with.
        checkpoint: where to go on from; None starts anew.

    Raises:
        UserError: the options do not suit each other or the data, or the checkpoint does not fit.
    """
    precision = Precision(config.train.precision, choose_device(config.train.device))
    method = build_method(config, data, precision)
    _check_watched(config, method)
    check_graph(config.train.graph, method, precision)
    if config.train.init_from and checkpoint is None:
        _begin_with(open_model(config.train.init_from), method, console)
    state = TrainState(
        method,
        {name: Ema(method.networks[name], config.train.ema) for name in method.generators if config.train.ema},
        Schedule(config.optim.schedule),
        best={},
    )
    validator = Validator(
        method,
        state.emas,
        data.held_out,
        partial(to_device, device=precision.device, memory_format=precision.memory_format(config.train.channels_last)),
        config.seed,
        precision.device,
        config.train.metrics,
    )
    first = load_checkpoint(checkpoint, state, data.digest) if checkpoint else 0
    state.begin_alike()
    with kernels(config.train.deterministic):
        best = _metric_of(config.train.best or "")
        limit = 1 if best is None or best.of_pairs else None  # a value of sets is there only with enough images
        try:
            judgement = validator.judge(rows=1, limit=limit)
        except RuntimeError as error:
            if not config.train.compile:
                raise
            raise UserError(
                f"train.compile=true: the networks could not be compiled ({first_line(error)}); leave it out"
            ) from error
        _check_best(config.train.best, judgement.scalars)
    total = config.train.total_steps(len(data.splits["train"]), config.images_per_step)
    feed = Feed(config, data.splits["train"], precision, console)
    return Training(config, data, precision, state, first, total, validator, feed)


def fit(training: Training, run: Path, console: Console) -> Outcome:
    """Train until the configured number of steps, or until asked to stop.

    Args:
        training: what `prepare` returned.
        run: the run's folder, which exists.
        console: where progress is shown.

    Raises:
        UserError: a loss or gradient stopped being finite.
        ProcessLost: another of the processes that train together has ended.
    """
    with kernels(training.config.train.deterministic), Loop(training, run, console) as loop:
        try:
            return loop.train()
        except ProcessLost as error:
            raise ProcessLost(f"{error}; {loop.advice()}") from error


def _begin_with(model: TrainedModel, method: Method, console: Console) -> None:
    """Give a method the weights of a trained model and say which of its networks begin anew.

    A generator never does unless the model has none of its name.
    """
    taken = model.load_into(
        {
            name: network
            for name, network in method.networks.items()
            if name in method.generators or _fits(model, name, method.specs.get(name))
        }
    )
    fresh = [name for name in method.networks if name not in taken]
    begun_anew = f"; {', '.join(fresh)} begin anew" if fresh else ""
    console.print(f"init: {', '.join(taken)} from {model.path}{begun_anew}", highlight=False, soft_wrap=True)


def _fits(model: TrainedModel, name: str, spec: Mapping[str, Any] | None) -> bool:
    """Say whether a network is built like the trained one of its name."""
    trained = model.networks.get(name)
    if trained is None or spec is None:
        return False
    return not trained.differing(spec["config"]) and spec["measures"] == trained.measures


@contextmanager
def kernels(deterministic: bool) -> Iterator[None]:
    """Let cuDNN choose kernels that repeat themselves, or the fastest for these sizes; fp32 means fp32 (no TF32)."""
    before = torch.are_deterministic_algorithms_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=not deterministic, deterministic=deterministic, allow_tf32=False
        ):
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


def _check_best(name: str | None, scalars: Mapping[str, float]) -> None:
    if name is not None and name not in scalars:
        raise UserError(
            f"option 'train.best': '{name}' is not among what is measured of the validation images"
            f"{did_you_mean(name, scalars)}"
        )


def _metric_of(name: str) -> Metric | None:
    """Return the metric whose value a validation scalar is, if it is one's."""
    return METRICS.get(name.partition("/")[2].removesuffix("_ab").removesuffix("_ba"))


def _is_better(name: str, value: float, than: float) -> bool:
    """Whether a validation scalar has improved: most fall, and some metrics rise."""
    metric = _metric_of(name)
    return value > than if metric is not None and metric.better == "higher" else value < than


class Loop:
    """What surrounds a method's `train_step`: batches, reports, validation, checkpoints and the end.

    Several processes go through it in step, and the first of them alone writes.
    """

    def __init__(self, training: Training, run: Path, console: Console) -> None:
        self.config, self.data, self.run, self.state = training.config, training.data, run, training.state
        self.precision, self.method, self.validator = training.precision, training.state.method, training.validator
        self.first, self.total, self.feed = training.first, training.total, training.feed
        self.log_every = self.config.train.log_interval(self.total)
        self.validate_every = self.config.train.validation_interval(self.total)
        self.recorder = Recorder(self.method)
        self.watched = self.config.train.best or self.method.lower_is_better[0]
        self.last: float | None = None
        self.ticker = Ticker(console, self.total, self.first, "step")
        self.writes = world.rank() == 0
        self.writers: list[Writer] = [TensorBoard(run, self.first), MetricsFile(run, self.first)] if self.writes else []
        self.watch = Stopwatch()
        self.checkpoint: Path | None = None
        self.latest: dict[str, float] = {}
        self._close = ExitStack()

    def __enter__(self) -> Loop:
        for writer in self.writers:
            self._close.callback(writer.close)
        self._close.enter_context(self.ticker)
        return self

    def __exit__(self, *error: object) -> None:
        self._close.close()

    def train(self) -> Outcome:
        """Take the steps from the first to the last."""
        self._introduce()
        with interruptible() as interruption, torch_seeded(self.config.seed, "run", device=self.precision.device):
            self.watch.restart()
            take_step = Stepping(self.method, self.precision, self.config.train.graph, self.ticker.say)
            for step, batch in self._batches():
                torch.manual_seed(derive(self.config.seed, "step", step))  # dropout: a resumed run draws the same
                lr_factor = self.state.schedule.factor(step / self.total)
                for stepper in self.method.steppers.values():
                    stepper.set_lr_factor(lr_factor)
                scalars = take_step(batch, step)
                for ema in self.state.emas.values():
                    ema.update(step)
                self.recorder.add(step, scalars, batch["index"])

                taken = step + 1
                is_last = taken == self.total
                validate = is_last or taken % self.validate_every == 0
                if validate or taken % self.log_every == 0:
                    self._report(taken)
                if validate:
                    self._validate(taken)
                # asked once, so that what stops the run is also saved; all processes get the same answers
                stop, due = world.agreed(interruption.signal, self._checkpoint_due(taken))
                if is_last or stop or due:
                    self._report(taken)
                    self._save(taken)
                self.ticker.update(taken)
                if stop:
                    break
        assert self.checkpoint is not None
        translates = bool(self.method.translations(self.config.data.direction))
        exit_code = EXIT_CODES.get(stop, 0) if taken < self.total else 0
        return Outcome(taken, self.checkpoint, self.state.best, self.last, exit_code, translates)

    def _introduce(self) -> None:
        sizes = ", ".join(f"{n} {count_parameters(net) / 1e6:.1f} M" for n, net in self.method.networks.items())
        where = f"{self.precision.device} in {self.precision.name}"
        self.ticker.say(f"{self.config.method.name}: {sizes} parameters, on {where}, {self.total} steps")
        self.ticker.say(f"data: {self.feed.describe()}")
        if world.size() > 1:
            each = self.config.data.batch_size // world.size()
            self.ticker.say(f"processes: {world.size()}, each with {each} of a batch of {self.config.data.batch_size}")
        self.ticker.say(f"run: {self.run}")
        self.ticker.say(f"watch: {typed('tensorboard')} --logdir {self.run.parent}")
        for writer in self.writers:
            writer.text(self.first, "config", yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False))
        advise(self.advice())

    def advice(self) -> str:
        """Return how to go on, should this process or another one end before its time."""
        return f"to go on: {resuming(self.run)}" if checkpoints(self.run) else "nothing had been saved yet"

    def _batches(self) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield each step and its batch on the device."""
        batches = self.feed.batches(self.first, self.total)
        for step in range(self.first, self.total):
            batch, broken = None, None
            with self.watch.waiting():
                try:
                    batch = next(batches)
                except BrokenImage as error:
                    broken = error
            if any(world.agreed(broken is not None)):  # in any process
                if step > self.first:
                    self._save(step)
                gone = next(filter(None, world.everyones(broken)))
                hint = f"put it back, then: {resuming(self.run)}"
                raise UserError(f"{gone} (it could be read before the run began); {hint}") from gone
            assert batch is not None
            yield step, batch

    def _report(self, taken: int) -> None:
        """Write the mean scalars since the last report, if there was a step since."""
        if not len(self.recorder):
            return
        self._refuse_divergence()
        steps, means = len(self.recorder), _means(world.everyones(self.recorder.drain()))
        seconds, waited = self.watch.lap()
        values = {
            **means,
            **{f"lr/{name}": stepper.lr for name, stepper in self.method.steppers.items()},
            "epoch": taken * self.config.images_per_step / len(self.data.splits["train"]),
            "speed/images_per_second": steps * self.config.images_per_step / seconds,
            "speed/data_wait": waited / seconds,
        }
        if self.precision.device.type == "cuda":
            values["speed/memory_gb"] = torch.cuda.max_memory_allocated(self.precision.device) / 1e9
        self.latest = values
        for writer in self.writers:
            writer.scalars(taken, values)
        self.ticker.update(taken, as_note(values))

    def _validate(self, taken: int) -> None:
        """Judge the held-out images, write what was found, and keep the state if it is the best so far."""
        with self.watch.paused():
            judgement = self.validator.judge(self.config.train.sheet_rows)
        scalars, watched = judgement.scalars, self.watched
        health = verdict({**self.latest, **scalars}, taken)
        if judgement.sheet is not None:
            image_files.write(self.run / "samples" / f"step_{taken:08d}.png", judgement.sheet)
        for writer in self.writers:
            writer.scalars(taken, scalars)
            if judgement.sheet is not None:
                writer.picture(taken, "validation", judgement.sheet)
            if health:
                writer.text(taken, "health", health)
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in scalars.items() if not name.startswith("health/"))
        self.ticker.say(f"step {taken}: {numbers}" + (f"  health: {health}" if health else ""))
        self.state.schedule.observe(scalars)
        self.last = scalars[watched]
        if not self.state.best or _is_better(watched, self.last, self.state.best["value"]):
            self.state.best.update(step=taken, name=watched, value=scalars[watched])
            self._save(taken)

    def _checkpoint_due(self, taken: int) -> bool:
        train = self.config.train
        by_steps = train.checkpoint_every is not None and taken % train.checkpoint_every == 0
        by_rule = train.keep_every is not None and taken % train.keep_every == 0
        by_clock = self.writes and self.watch.since_save() > train.checkpoint_minutes * 60
        return by_steps or by_rule or by_clock

    def _save(self, taken: int) -> None:
        if self.checkpoint is not None and step_of(self.checkpoint) == taken:
            return
        self._refuse_divergence()  # nothing that is not finite may take a good checkpoint's place
        self.checkpoint = self.run / "checkpoints" / folder_name(taken)
        if not self.writes:
            return
        with self.watch.paused():
            save_checkpoint(self.run, taken, self.state, self.config, self.data.digest)
            train = self.config.train
            remove_old_checkpoints(self.run, train.keep, train.keep_every, self.state.best.get("step"))
        advise(self.advice())
        self.watch.saved()

    def _refuse_divergence(self) -> None:
        wrong = _first_divergence(world.everyones(self.recorder.divergence()))
        if wrong is None:
            return
        names = ", ".join(self.data.splits["train"].names[index] for index in wrong.indices)
        what = ", ".join(wrong.scalars) or "a gradient"
        saved = checkpoints(self.run)
        good = saved[-1] if saved else "none was saved yet"
        raise UserError(
            f"{self.run}: {what} was not finite at step {wrong.step} (images: {names}); that update was left out and "
            f"the run stopped; last good checkpoint: {good}. To go on from there, with a smaller step: "
            f"{resuming(self.run)} --lr {self.config.optim.lr / 2:g} "
            "(or --precision fp32, or --set optim.clip_norm=1)"
        )


def _means(everyones: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over processes of the scalars that each of them has."""
    return {name: sum(values[name] for values in everyones) / len(everyones) for name in everyones[0]}


def _first_divergence(everyones: Sequence[Divergence | None]) -> Divergence | None:
    """Return what went wrong first in any process, and the images of those that saw it.

    All leave the same updates out; those whose own loss was not finite saw why.
    """
    found = [wrong for wrong in everyones if wrong is not None]
    if not found:
        return None
    step = min(wrong.step for wrong in found)
    first = [wrong for wrong in found if wrong.step == step]
    saw = [wrong for wrong in first if wrong.scalars] or first
    indices = tuple(index for wrong in saw for index in wrong.indices)
    return Divergence(step, indices, tuple(dict.fromkeys(name for wrong in saw for name in wrong.scalars)))


class Stopwatch:
    """Seconds of training and of waiting for data, without those of validation and saving."""

    def __init__(self) -> None:
        self.restart()
        self.saved()

    def restart(self) -> None:
        """Begin a lap."""
        self._began, self._waited = time.monotonic(), 0.0

    def lap(self) -> tuple[float, float]:
        """Return (seconds, seconds waited) since the last lap, and begin another."""
        seconds, waited = max(time.monotonic() - self._began, 1e-9), self._waited
        self.restart()
        return seconds, waited

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as waiting for data."""
        began = time.monotonic()
        yield
        self._waited += time.monotonic() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the block out."""
        began = time.monotonic()
        yield
        self._began += time.monotonic() - began

    def saved(self) -> None:
        """Note that a checkpoint was saved."""
        self._saved = time.monotonic()

    def since_save(self) -> float:
        """Return the seconds since the last checkpoint."""
        return time.monotonic() - self._saved
