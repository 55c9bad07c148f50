"""`i2i evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from i2i.cli.options import Device, Overwrite

if TYPE_CHECKING:
    from i2i.inference.evaluation import Result


def evaluate(
    outputs: Annotated[
        Path,
        typer.Argument(metavar="OUTPUTS|RUN", help="A folder of images, an image, or a model that is to make them."),
    ],
    targets: Annotated[
        Path | None, typer.Argument(metavar="TARGETS", help="What they should be: a folder with the same names.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Of a RUN: a data set or a folder to try it on; its own if left out.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a RUN: train, val or test; test if there is one.")] = None,
    direction: Annotated[Literal["AtoB", "BtoA"] | None, typer.Option(help="Of a RUN that goes both ways.")] = None,
    metrics: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="What to measure; see: i2i list metrics.")
    ] = "psnr,ssim,l1",
    color: Annotated[
        Literal["rgb", "y"], typer.Option(help="psnr, ssim and l1 of RGB, or of Y as for super-resolution.")
    ] = "rgb",
    crop_border: Annotated[int, typer.Option(min=0, help="Pixels at each side that psnr, ssim and l1 leave out.")] = 0,
    modcrop: Annotated[int, typer.Option(min=1, metavar="SCALE", help="Cut images to a multiple of this.")] = 1,
    tolerance: Annotated[float, typer.Option(min=0, help="Pixels by which marks of masks may be off.")] = 0,
    marks: Annotated[Literal["white", "black"], typer.Option(help="Which pixels of masks are the marks.")] = "white",
    features: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="fid, kid and mifid in features of your own: a .onnx, or a TorchScript .pt."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the files of weights (torch's cache).")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Run the code of a TorchScript file.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all values, per image and on the whole.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html|DIR", help="Write a page with the best and the worst images.")
    ] = None,
    rank: Annotated[
        str | None, typer.Option(metavar="NAME", help="Metric by which the page chooses images (the first).")
    ] = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> int:
    """Measure outputs against their targets, or a model: i2i evaluate cats/ photos/; i2i evaluate runs/my_run."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from i2i.engine.writers import progress
    from i2i.errors import UserError
    from i2i.inference import load
    from i2i.inference.couples import find_couples, measure, without_partner, write_record
    from i2i.inference.evaluation import Evaluation, Protocol, load_networks
    from i2i.inference.report import file_for, write_report
    from i2i.inference.trials import is_model, try_on
    from i2i.metrics import metrics_named
    from i2i.optim import choose_device

    names = [name.strip() for name in metrics.split(",") if name.strip()]
    of_pairs = [metric.name for metric in metrics_named(names) if metric.of_pairs]
    if rank is not None and report is None:
        raise UserError("--rank: belongs to --report; add that, or leave it out")
    if rank is not None and rank not in of_pairs:
        raise UserError(f"--rank {rank}: must be one of the metrics of pairs that are measured ({', '.join(of_pairs)})")
    json_file = file_for("--json", json_file, "measured.json", overwrite)
    page = file_for("--report", report, "report.html", overwrite)
    protocol = Protocol(color=color, crop_border=crop_border, modcrop=modcrop, tolerance=tolerance, marks=marks)
    protocol.refuse_idle(metrics_named(names))
    tried = is_model(outputs)
    if not tried and not outputs.expanduser().exists():
        raise UserError(f"{outputs}: there is no such folder, image or run")
    if tried and targets is not None:
        raise UserError(f"{targets}: {outputs} is a model, whose targets are those of a data set; say --data {targets}")
    for flag, value in (("--data", data), ("--split", split), ("--direction", direction)):
        if value is not None and not tried:
            raise UserError(f"{flag}: is for a model, and {outputs} is none; leave it out, or give a run")
    networks = load_networks(
        names,
        features=features.expanduser() if features else None,
        weights=weights.expanduser() if weights else None,
        device=choose_device(device),
        trust=trust,
    )
    evaluation = Evaluation(names, protocol, networks)
    about: dict[str, Any]
    with ExitStack() as until_measured:
        if tried:
            translator = load(outputs, direction=direction, device=device, trust=trust)
            typer.echo(f"model: {translator.describe()}")
            made = Path(until_measured.enter_context(TemporaryDirectory()))
            with progress(Console(), "image") as told:
                trials = try_on(translator, data, split, names, made, typer.echo, told)
            couples, failures = trials.couples, trials.failures
            about = {"model": translator.describe(), "data": trials.images}
            title = f"{outputs} on {trials.images}"
        else:
            folders = outputs.expanduser(), targets.expanduser() if targets else None
            couples, failures = find_couples(*folders, names, protocol, typer.echo), ()
            about = {
                "outputs": str(outputs),
                "targets": str(targets) if targets else None,
                "without_partner": without_partner(couples, names),
            }
            title = f"{outputs} against {targets}" if targets else str(outputs)
        with progress(Console(), "image") as told:
            measured = measure(evaluation, couples, told, failures)
        _print(measured.result)
        for line in measured.failures:
            typer.echo(f"failed: {line}", err=True)
        if json_file:
            write_record(json_file, about, measured)
            typer.echo(f"json: {json_file}")
        if page:
            pictures = {couple.name: couple.pictures for couple in couples}
            by = rank or next(iter(of_pairs), None)
            write_report(page, title, measured.result, by, lambda name: pictures[name](), measured.failures)
            typer.echo(f"report: {page}")
    return 1 if measured.failures else 0


def _print(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    from i2i.inference.report import COLUMNS, row

    table = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0), header_style="italic")
    for metric, score in result.scores.items():
        table.add_row(*row(metric, score))
    console = Console(markup=False, highlight=False)
    console.print(table)
    for line in result.protocol:
        console.print(line, style="dim", soft_wrap=True)
    for line in result.notes:
        console.print(f"note: {line}", soft_wrap=True)
