"""`i2i data`: list, download, inspect, prepare and preview."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from i2i.data import Source
    from i2i.data.opened import Needs
    from i2i.data.reports import Say, Show
    from i2i.engine.config import RunConfig

app = typer.Typer(no_args_is_help=True, help="List, download, inspect, prepare and preview data.")

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A data option, such as data.derive.name=edges.")
]

Preset = Annotated[
    str | None,
    typer.Option(help="The preset that is to be trained: its sizes and augmentation, and what it learns from."),
]


@app.command("list")
def list_data() -> None:
    """Show the named data sets and where their files are."""
    from rich.console import Console
    from rich.table import Table

    from i2i.data.places import data_root
    from i2i.data.sources import find_source
    from i2i.resources import resource_names

    table = Table(box=None, padding=(0, 2), show_header=False)
    for name in resource_names("datasets"):
        source = find_source(name)
        assert source.recipe is not None
        table.add_row(name, source.recipe.title, source.describe().partition(": ")[2])
    console = Console()
    console.print(table)
    console.print(f"files lie in {data_root()} (change with I2I_DATA)", highlight=False, soft_wrap=True)


@app.command()
def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Data sets, such as facades.")],
) -> None:
    """Bring data sets onto this machine now, instead of at their first use; an interrupted download goes on."""
    from rich.console import Console

    from i2i.data.sources import find_source

    console = Console()
    for source in [find_source(name, recipe_alone=True, flag="NAME") for name in names]:
        typer.echo(f"{source.name}: in {source.download(*_shown_on(console))}")


@app.command()
def inspect(
    data: Annotated[str, typer.Argument(help="A data set or a folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    preset: Preset = None,
    settings: Settings = None,
) -> int:
    """Check every image: layout, counts, sizes, broken files, unmatched pairs, duplicates, constant images."""
    from rich.console import Console

    from i2i.data.inspection import inspect as inspect_folder
    from i2i.data.opened import find_folder
    from i2i.engine.writers import progress

    config, source, needs = _config(data, settings, preset)
    console = Console(stderr=as_json)
    source.folder(*_shown_on(console))
    folder = find_folder(config.data, source, config.seed, needs)
    with progress(console, "checking") as checking:
        inspection = inspect_folder(folder, checking)
    if as_json:
        typer.echo(json.dumps(inspection.as_dict(), indent=1))
    else:
        for line in inspection.lines():
            typer.echo(line)
    return 1 if inspection.problems() else 0


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="The data set whose files these become, such as edges2cats.")],
    photos: Annotated[Path, typer.Option(help="The folder of your photos; it is only read.")],
    size: Annotated[int, typer.Option(min=16, help="Longer short sides are shrunk to this.")] = 572,
    ahead: Annotated[bool, typer.Option("--ahead", help="Derive the inputs now instead of while training.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was prepared before.")] = False,
    settings: Settings = None,
) -> int:
    """Let your own photos take a data set's place."""
    from rich.console import Console

    from i2i.data.places import data_root
    from i2i.data.prepare import prepare_photos
    from i2i.engine.writers import progress
    from i2i.errors import UserError
    from i2i.resources import find_yaml

    find_yaml(name, "datasets", "data set")
    if "/" in name:
        raise UserError(f"{name}: give the name of a data set (see: i2i data list)")
    config, source, _ = _config(name, settings, recipe_alone=True)
    if not source.takes_photos:
        raise UserError(f"{name}: is not made of photos; train on folders of your own instead: --data DIR")
    console = Console()
    with progress(console, "checking") as checking, progress(console, "writing") as writing:
        made = prepare_photos(
            photos.expanduser(),
            data_root() / name / "photos",
            config.data,
            config.seed,
            size=size,
            ahead=ahead,
            overwrite=overwrite,
            checking=checking,
            writing=writing,
        )
    for line in made.left_out:
        typer.echo(f"left out: {line}", err=True)
    counts = ", ".join(f"{split} {count}" for split, count in made.counts.items())
    typer.echo(f"{name} now uses your photos: {counts}, in {made.folder}")
    return 1 if made.left_out else 0


@app.command()
def preview(
    data: Annotated[str, typer.Argument(help="A data set or a folder.")],
    output: Annotated[Path, typer.Argument(help="The image to write.")] = Path("preview.png"),
    preset: Preset = None,
    rows: Annotated[int, typer.Option(min=1, help="Images on the sheet.")] = 12,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the image if it exists.")] = False,
    settings: Settings = None,
) -> None:
    """Write a sheet of what the network will see in training, and in validation."""
    from rich.console import Console

    from i2i.data import files, open_data
    from i2i.data.preview import preview_sheet
    from i2i.engine.writers import progress
    from i2i.errors import UserError

    output = output.expanduser()
    if output.suffix.lower() not in files.WRITABLE:
        raise UserError(f"{output}: must be the name of an image, such as preview.png")
    if output.exists() and not overwrite:
        raise UserError(f"{output}: exists already; add --overwrite, or give another name")
    config, source, needs = _config(data, settings, preset)
    console = Console()
    source.folder(*_shown_on(console))
    with progress(console, "checking") as checking:
        opened = open_data(config.data, source, config.seed, typer.echo, checking, needs)
    files.write(output, preview_sheet(opened, rows))
    typer.echo(f"sheet: {output}")


def _shown_on(console: Console) -> tuple[Show, Say]:
    """Return what shows progress on a console, and what prints lines above it."""
    from i2i.engine.writers import progress

    return partial(progress, console), partial(console.print, highlight=False, markup=False, soft_wrap=True)


def _config(
    data: str, settings: list[str] | None, preset: str | None = None, recipe_alone: bool = False
) -> tuple[RunConfig, Source, Needs]:
    """Return the options of a run on the data, and what its method learns from: the preset's, or what data is for."""
    from i2i.config import parse_setting
    from i2i.data.opened import usual_needs
    from i2i.engine.config import compose
    from i2i.methods import METHODS

    flags = [parse_setting(text) for text in settings or []]
    config, source = compose(preset or "pix2pix", data, flags, recipe_alone=recipe_alone)
    return config, source, METHODS[config.method.name].needs if preset else usual_needs(config.data, source)
