"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run the code that a model of your own names as its network, or holds (.pt2).")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="fp32, bf16, fp16 or auto.")]
Statistics = Annotated[
    Literal["running", "image"] | None,
    typer.Option(help="What batch norm divides by: running statistics, or those of each image."),
]
