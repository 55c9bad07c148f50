"""`i2i translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from i2i.cli.options import Device, Overwrite, Precision, Statistics, Trust


def translate(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="An image, a folder, or DATASET:SPLIT such as edges2cats:val.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder, or for one image a file.")],
    model: Annotated[
        Path | None,
        typer.Option(help="A run, a checkpoint, an exported or a foreign .pth file; the newest run if left out."),
    ] = None,
    direction: Annotated[
        Literal["AtoB", "BtoA"] | None, typer.Option(help="AtoB or BtoA, for models that go both ways.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Most images per forward; what is fast if left out.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Work at this short side, then enlarge back.")] = None,
    tile: Annotated[
        str | None, typer.Option(metavar="N|auto", help="Translate larger images in tiles of N, or as memory asks.")
    ] = None,
    image_format: Annotated[
        Literal["png", "jpg", "webp", "bmp", "tif", "same"] | None,
        typer.Option(
            "--format", help="png, jpg, webp, bmp, tif, or same as the input; png where it holds the channels."
        ),
    ] = None,
    alpha: Annotated[
        Literal["keep", "drop"], typer.Option(help="Carry the inputs' transparency over, or lay them over white.")
    ] = "keep",
    from_photos: Annotated[
        bool, typer.Option("--from-photos", help="Derive the inputs from photos, as in training.")
    ] = False,
    from_pairs: Annotated[
        bool, typer.Option("--from-pairs", help="Take the input's half of side-by-side pairs.")
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE|FOLDER", help="Masks of the inputs' names, for models that take them: inpainting."),
    ] = None,
    statistics: Statistics = None,
    dropout: Annotated[Literal["off", "sample"] | None, typer.Option(help="off, or sample as in training.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampled dropout.")] = 0,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet, input | output | target, to this PNG.")
    ] = None,
    overwrite: Overwrite = False,
    trust: Trust = False,
    device: Device = "auto",
    precision: Precision = "fp32",
    runtime: Annotated[
        Literal["auto", "torch", "onnx", "plain"],
        typer.Option(help="What runs the network: torch, onnx (a CPU, fp32), plain torch, or auto: what is faster."),
    ] = "auto",
) -> int:
    """Translate images with a trained model: i2i translate drawings/ cats/."""
    from rich.console import Console

    from i2i.data import files
    from i2i.engine.writers import progress
    from i2i.errors import UserError
    from i2i.inference import load
    from i2i.inference.folders import choose_runtime, plan, translate_jobs
    from i2i.inference.runs import newest_run

    if from_photos and from_pairs:
        raise UserError("--from-photos and --from-pairs are both given; keep one")
    output = output.expanduser()
    sheet = sheet.expanduser() if sheet else None
    if sheet is not None and sheet.suffix.lower() not in files.WRITABLE:
        raise UserError(f"--sheet {sheet}: must be the name of an image, such as sheet.png")
    if sheet is not None and sheet.exists() and not overwrite:
        raise UserError(f"--sheet {sheet}: exists already; add --overwrite")
    run = model or newest_run()
    translator = load(
        run,
        direction=direction,
        device=device,
        precision=precision,
        tile=_tile(tile),
        statistics=statistics,
        dropout=dropout,
        seed=seed,
        trust=trust,
        runtime=runtime,
        say=typer.echo,
    )
    typer.echo(f"model: {translator.describe()}{'' if model else ' (the newest run)'}")
    jobs = plan(
        translator,
        source,
        output,
        prepare="photos" if from_photos else "pairs" if from_pairs else "inputs",
        size=size,
        suffix=None if image_format == "same" else f".{image_format}" if image_format else "",
        keep_alpha=alpha == "keep",
        masks=mask,
        overwrite=overwrite,
        say=typer.echo,
    )
    choose_runtime(translator, jobs, typer.echo)
    with progress(Console(), "image") as told:
        result = translate_jobs(translator, jobs, batch_size, told, sheet=sheet is not None)
    if sheet is not None and result.sheet is not None:
        files.write(sheet, result.sheet)
    for line in result.failures:
        typer.echo(f"failed: {line}", err=True)
    typer.echo(
        f"translated: {result.written} images to {output}"
        + (f", {len(result.failures)} failed" if result.failures else "")
    )
    if sheet is not None and result.sheet is not None:
        typer.echo(f"sheet: {sheet}")
    return 1 if result.failures else 0


def _tile(text: str | None) -> int | Literal["auto"] | None:
    from i2i.errors import UserError

    if text is None or text == "auto":
        return text  # type: ignore[return-value]
    if not text.isdecimal() or int(text) < 64:
        raise UserError(f"--tile {text}: must be a number of pixels from 64, or auto")
    return int(text)
