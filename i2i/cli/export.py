"""`i2i export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from i2i.cli.options import Overwrite, Statistics, Trust


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, a checkpoint, or a foreign .pth file or folder.")],
    output: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The file; named after the run if left out.")
    ] = None,
    file_format: Annotated[
        Literal["onnx", "pt2", "safetensors"] | None,
        typer.Option("--format", help="onnx, pt2 or safetensors; as OUT is called, or onnx."),
    ] = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="AtoB or BtoA, for models that go both ways.")
    ] = None,
    precision: Annotated[Literal["fp32", "fp16"], typer.Option(help="fp32, or fp16: half the size.")] = "fp32",
    pixels: Annotated[
        Literal["float", "uint8"],
        typer.Option(help="Images go in and out as float [N, C, H, W] in [-1, 1], or as uint8 [N, H, W, C]."),
    ] = "float",
    statistics: Statistics = None,
    dropout: Annotated[Literal["off", "sample"] | None, typer.Option(help="off, or sample as in training.")] = None,
    overwrite: Overwrite = False,
    trust: Trust = False,
) -> None:
    """Write a trained model as ONNX, .pt2 or safetensors: i2i export runs/cats cats.onnx."""
    from i2i.engine.writers import typed
    from i2i.inference.export.exporting import export as write

    done = write(
        run,
        output,
        form=file_format,
        direction=direction,
        precision=precision,
        pixels=pixels,
        statistics=statistics,
        dropout=dropout,
        overwrite=overwrite,
        trust=trust,
    )
    typer.echo(f"model: {done.label}")
    shapes = ", ".join("x".join(map(str, shape)) for shape in done.tried)
    typer.echo(f"compared: outputs differ by at most {done.difference:.2g} of [-1, 1], on {shapes}")
    for file in done.files:
        typer.echo(f"written: {file} ({file.stat().st_size / 1e6:.1f} MB)")
    typer.echo(f"use: {typed('i2i')} {done.usage}")
