"""The command line: each file parses one command, calls one function and prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from i2i import __version__
from i2i.cli import data, evaluate, export, import_, list_, sample, train, translate
from i2i.errors import UserError

app = typer.Typer(
    name="i2i",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Image-to-image translation: pix2pix and CycleGAN, and the GAN cores underneath.",
)
app.command("train")(train.train)
app.command("translate")(translate.translate)
app.command("sample")(sample.sample)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("import")(import_.import_)
app.add_typer(data.app, name="data")
app.command("list")(list_.list_)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"i2i {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Image-to-image translation: pix2pix and CycleGAN, and the GAN cores underneath."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Codes: 0 done; 1 done but some images failed; 2 a mistake of the user's; 130 after Ctrl-C.
    """
    typed = train.with_newest_run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        code = app(typed, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except UserError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        return 2
    except typer.Exit as request:
        return request.exit_code
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("stopped", err=True)
        return 130
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        typer.echo(f"error: {error.filename or 'the disk'}: {error.strerror}", err=True)
        return 2
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which must not be imported for its name
            hint = "try a smaller --batch-size or --image-size, or --precision bf16"
            typer.echo(f"error: the device has not enough memory; {hint}", err=True)
            return 2
        explain = getattr(error, "format_message", None)  # of the parser's errors alone
        if explain is None:
            raise
        typer.echo(
            f"error: {' '.join(explain().replace('Value error, ', '').split())} (see: i2i --help, i2i COMMAND --help)",
            err=True,
        )
        return 2


def run() -> None:
    """Run the command that was typed and leave with its exit code."""
    sys.exit(main())
