"""`i2i train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i import world
from i2i.errors import UserError

if TYPE_CHECKING:
    from i2i.config import Layer

NEWEST = ":newest"


def with_newest_run(arguments: list[str]) -> list[str]:
    """Let ``--resume`` stand without a value, for the newest run."""
    result = []
    for argument, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        result.append(argument)
        if argument == "--resume" and following.startswith("-"):
            result.append(NEWEST)
    return result


def train(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A preset (see: i2i list) or the path of a YAML file.")] = None,
    data: Annotated[str | None, typer.Option(help="A data set (see: i2i data list) or the path of a folder.")] = None,
    data_b: Annotated[str | None, typer.Option(help="The folder of B, where --data is that of A alone.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training images.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the square that is trained on.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    direction: Annotated[str | None, typer.Option(help="AtoB or BtoA.")] = None,
    gan_loss: Annotated[str | None, typer.Option(help="Adversarial loss (see: i2i list losses).")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16, fp16 or fp32.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Train in so many processes: GPUs, or with --device cpu parts of the CPU.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Loader processes, of each process that trains.")] = None,
    init_from: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Begin with the weights of a run, a checkpoint or .pth files.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="The run's folder, instead of runs/<time>-<name>-<data>.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="[RUN]", help="Go on with a run, the newest if none is named.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other option, such as optim.clip_norm=1."),
    ] = None,
) -> int:
    """Train a model: i2i train pix2pix --data edges2cats."""
    from i2i.config import Layer, nest, parse_setting
    from i2i.engine.launch import end_with_parent, is_supervised, launch

    if epochs is not None and steps is not None:
        raise UserError("--epochs and --steps are both given; keep one")
    given: dict[str, Any] = {
        "data.source": data if resume else None,
        "data.source_b": None if data_b is None else str(Path(data_b).expanduser().resolve()),
        "data.batch_size": batch_size,
        "data.image_size": image_size,
        "data.direction": direction,
        "data.workers": workers,
        "optim.lr": lr,
        "method.gan_loss": gan_loss,
        "train.precision": precision,
        "train.device": device,
        "train.init_from": init_from,
        "seed": seed,
    }
    flags = [
        Layer(f"--{key.split('.')[-1].replace('_', '-')} {value}", nest(key, value))
        for key, value in given.items()
        if value is not None
    ]
    if epochs is not None:
        flags.append(Layer(f"--epochs {epochs}", {"train": {"epochs": epochs, "steps": None}}))
    if steps is not None:
        flags.append(Layer(f"--steps {steps}", {"train": {"steps": steps, "epochs": None}}))
    flags += map(parse_setting, settings or [])

    if devices is not None and devices > 1 and not is_supervised():
        return launch(devices, [sys.executable, "-m", "i2i", *context.obj])
    end_with_parent()
    with world.joined():
        return _train(name, data, flags, run_dir, resume)


def _train(name: str | None, data: str | None, flags: list[Layer], run_dir: Path | None, resume: str | None) -> int:
    """Train what the flags say and print what came of it; of several processes, the first alone prints."""
    from rich.console import Console

    from i2i.engine.config import compose
    from i2i.engine.launch import resuming
    from i2i.engine.runs import go_on, start
    from i2i.engine.writers import typed
    from i2i.inference.runs import newest_run

    console = Console(quiet=world.rank() > 0)
    if resume is not None:
        if name is not None or run_dir is not None:
            raise UserError("--resume takes preset and folder from the run; leave the name and --run-dir out")
        run = newest_run() if resume == NEWEST else Path(resume)
        if resume == NEWEST:
            console.print(f"resume: {run} (the newest run)", highlight=False)
        outcome = go_on(run, flags, console)
    else:
        if name is None:
            raise UserError("name a preset (such as: i2i train pix2pix --data edges2cats; see: i2i list), or --resume")
        config, source = compose(name, data, flags)
        outcome = start(config, source, console, run_dir.expanduser() if run_dir else None)
    run = outcome.checkpoint.parents[1]
    console.print(f"checkpoint: {outcome.checkpoint}", highlight=False, soft_wrap=True)
    if outcome.best:
        best = outcome.best
        last = "" if outcome.last is None else f"; last: {outcome.last:.4g}"
        console.print(f"best: {best['name']} {best['value']:.4g} at step {best['step']}{last}", highlight=False)
    if outcome.exit_code:
        console.print(
            f"stopped after step {outcome.steps}; to go on: {resuming(run)}",
            highlight=False,
            soft_wrap=True,
        )
    else:
        use = f"sample: {typed('i2i')} sample {run} OUTPUT"
        if outcome.translates:
            use = f"translate: {typed('i2i')} translate INPUT OUTPUT --model {run}"
        console.print(use, highlight=False, soft_wrap=True)
    return outcome.exit_code
