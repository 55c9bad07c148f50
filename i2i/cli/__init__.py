"""The command line: each file parses one command, calls one function and prints."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from i2i import __version__, world
from i2i.cli import data, evaluate, export, import_, list_, sample, serve, train, translate
from i2i.errors import ProcessLost, UserError

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
app.command("serve")(serve.serve)
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
        code = app(typed, standalone_mode=False, obj=typed)
        return code if isinstance(code, int) else 0
    except UserError as error:
        return _refused(str(error))
    except typer.Exit as request:
        return request.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _tell("stopped")
        return 130
    except ProcessLost as error:
        from i2i.engine.launch import LOST, is_supervised, say_why

        if is_supervised():  # by one who knows better which of the processes was the first
            say_why(str(error))
        else:
            _tell(f"error: {error}")
        return LOST
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        return _refused(f"{error.filename or 'the disk'}: {error.strerror}")
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which must not be imported for its name
            hint = "try a smaller --batch-size or --image-size, or --precision bf16"
            return _refused(f"the device has not enough memory; {hint}")
        explain = getattr(error, "format_message", None)  # of the parser's errors alone
        if explain is None:
            raise
        return _refused(f"{explain().replace('Value error, ', '')} (see: i2i --help, i2i COMMAND --help)")


def _refused(reason: str) -> int:
    """Tell what the user can mend, in one line, and return the exit code for it."""
    _tell(f"error: {' '.join(reason.split())}")
    return 2


def _tell(line: str) -> None:
    """Print a line on the error stream; of several processes that train together, one alone does."""
    if world.speaks():
        typer.echo(line, err=True)


def run() -> None:
    """Run the command that was typed and leave with its exit code."""
    try:
        place = world.planned()
    except UserError:  # which commands say that care
        place = world.Place()
    if place.size == 1:
        sys.exit(main())
    try:
        code = main()
    except Exception:
        _tell(f"process {place.rank} of {place.size}: {traceback.format_exc()}")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        os._exit(code)  # what runs at exit may wait for other processes, and they for this one
    sys.exit(code)
