"""`i2i serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from i2i.cli.options import Device, Precision, Trust


def serve(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN ...]",
            help="Runs, checkpoints, exported files, .pth files or folders of such; the newest run if left out.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in your browser.")] = False,
    max_mb: Annotated[int, typer.Option("--max-mb", min=1, help="Most megabytes of an image file.")] = 20,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Most megapixels of an image, in and out.")] = 16,
    trust: Trust = False,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> int:
    """Draw and translate in the browser, with one trained model or several: i2i serve runs/my_cats."""
    from i2i.serve.server import bind, is_loopback, refuse_missing, run, url_of

    refuse_missing()
    with bind(host, port) as bound:  # a taken port is said before models are loaded
        from i2i.inference.runs import newest_run
        from i2i.serve.app import create_app
        from i2i.serve.guard import LOOPBACK
        from i2i.serve.images import Limits
        from i2i.serve.models import open_menu

        if not runs:
            runs = [newest_run()]
            typer.echo(f"run: {runs[0]} (the newest run)")
        menu = open_menu(runs, device=device, precision=precision, trust=trust, say=typer.echo)
        limits = Limits(max_mb << 20, max_megapixels * 1_000_000)
        local = is_loopback(bound)
        app = create_app(menu, limits, hosts={*LOOPBACK, host.lower()} if local else ())

        def opened() -> None:
            if not local:
                typer.echo("note: whoever reaches this machine can use the models; there is no password")
            typer.echo(f"serving: {url_of(bound)} (Ctrl-C ends it)")
            if open_:
                typer.launch(url_of(bound))

        run(app, bound, opened)
    return 0
