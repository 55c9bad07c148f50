"""`i2i import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from i2i.cli.options import Statistics


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A folder of the CycleGAN-and-pix2pix code's .pth files, or one of them."
        ),
    ],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder, which is made.")],
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="Which way a generator translates whose file does not say.")
    ] = None,
    statistics: Statistics = None,
) -> None:
    """Keep networks trained with the CycleGAN-and-pix2pix code as a run."""
    from i2i.engine.runs import import_model
    from i2i.engine.writers import typed
    from i2i.inference import open_model

    model = open_model(source)
    checkpoint = import_model(model, run.expanduser(), direction, statistics)
    for name, network in model.networks.items():
        typer.echo(f"{name}: {network.label}")
    typer.echo(f"checkpoint: {checkpoint}")
    typer.echo(f"translate: {typed('i2i')} translate INPUT OUTPUT --model {run}")
    typer.echo(f"train further: {typed('i2i')} train {model.method} --data DATA --init-from {run}")
