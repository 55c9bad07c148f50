"""`i2i sample`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from i2i.cli.options import Device, Overwrite, Precision, Trust

if TYPE_CHECKING:
    from i2i.inference import Sampler

COUNT, COUNT_PER_CLASS = 64, 10
MAX_SEED = 2**63 - 1
# What goes with what: of the options that some ways of sampling do not know.
KNOWN = {
    "images": {"--count", "--seed", "--seeds", "--grid"},
    "--interpolate": {"--steps", "--along"},
    "--arithmetic": set[str](),
    "--traverse": {"--seed", "--steps"},
}


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run or a checkpoint of a model that makes images.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="A .png or .jpg for one picture of all images, or a folder.")
    ],
    count: Annotated[
        int | None,
        typer.Option(min=1, help=f"Number of seeds ({COUNT}; with classes {COUNT_PER_CLASS}, each in every class)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, help="The first seed (0); the others follow it.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(metavar="1,5,9", help="These seeds, instead of --count.")] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="CAT,DOG", help="Names or numbers of classes; all if left out.")
    ] = None,
    grid: Annotated[Path | None, typer.Option(help="Where OUTPUT is a folder: a picture of all images too.")] = None,
    interpolate: Annotated[
        str | None, typer.Option(metavar="A,B", help="The way from one seed to another: a strip and a GIF.")
    ] = None,
    arithmetic: Annotated[
        str | None, typer.Option(metavar="'3 - 7 + 12'", help="Seeds, and last the image of their noise's sum.")
    ] = None,
    traverse: Annotated[
        str | None,
        typer.Option(metavar="K|cK", help="Change value K of a seed's noise, or InfoGAN's code cK: a strip and a GIF."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Images of --interpolate and --traverse (10).")
    ] = None,
    along: Annotated[
        Literal["linear", "spherical"] | None,
        typer.Option(help="Path of --interpolate (spherical for normal noise, else linear)."),
    ] = None,
    truncation: Annotated[
        float | None, typer.Option(help="Redraw normal noise beyond this: less varied, more typical images.")
    ] = None,
    overwrite: Overwrite = False,
    trust: Trust = False,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> int:
    """Make images of noise with a trained model: i2i sample runs/faces faces.png."""
    from rich.console import Console

    from i2i.engine.writers import progress
    from i2i.inference import load_sampler
    from i2i.inference.samples import plan_samples, plan_strip, write_samples, write_strip

    given = {
        "--count": count,
        "--seed": seed,
        "--seeds": seeds,
        "--grid": grid,
        "--steps": steps,
        "--along": along,
    }
    modes = {"--interpolate": interpolate, "--arithmetic": arithmetic, "--traverse": traverse}
    mode = _mode(modes, [flag for flag, value in given.items() if value is not None])
    output, grid = output.expanduser(), grid.expanduser() if grid else None
    numbers = _seeds(seeds) if seeds is not None else None
    ends = _ends(interpolate) if interpolate is not None else None
    terms = _terms(arithmetic) if arithmetic is not None else None

    sampler = load_sampler(run, device=device, precision=precision, trust=trust)
    sampler.space.refuse_truncation(truncation)
    labels = _labels(sampler, classes)
    typer.echo(f"model: {sampler.describe()}")
    if mode == "images":
        first, number = seed or 0, count or (COUNT_PER_CLASS if sampler.classes else COUNT)
        plan = plan_samples(sampler, output, numbers or range(first, first + number), labels, grid, overwrite)
        with progress(Console(), "image") as told:
            write_samples(sampler, plan, truncation, told)
        if plan.folder:
            typer.echo(f"sampled: {plan.count} images to {plan.folder}")
        if plan.grid:
            rows = f"a row for each of {', '.join(sampler.classes[label] for label in labels)}; " if labels else ""
            named = ", ".join(map(str, numbers)) if numbers else f"{first} to {first + number - 1}"
            typer.echo(f"grid: {plan.grid} ({plan.rows} x {plan.columns} images; {rows}seeds {named})")
        return 0

    label = _one_label(sampler, mode, labels, classes)
    strip, gif = plan_strip(output, overwrite, animated=terms is None)
    there_and_back = True
    if ends is not None:
        pictures = sampler.interpolate(*ends, steps or 10, label=label, along=along, truncation=truncation)
        shown = f"{len(pictures)} images from seed {ends[0]} to {ends[1]}"
    elif terms is not None:
        pictures = sampler.arithmetic(terms, label=label, truncation=truncation)
        shown = f"{len(terms)} operands and their result"
    else:
        assert traverse is not None
        there_and_back = not sampler.space.is_categorical(traverse)
        pictures = sampler.traverse(traverse, seed or 0, steps, label=label, truncation=truncation)
        shown = f"{len(pictures)} images along {traverse} from seed {seed or 0}"
    write_strip(pictures, strip, gif, there_and_back=there_and_back)
    typer.echo(f"strip: {strip} ({shown})")
    if gif:
        typer.echo(f"gif: {gif}")
    return 0


def _mode(modes: dict[str, str | None], given: Sequence[str]) -> str:
    """Return which way of sampling was asked for, and refuse options that do not go with it."""
    from i2i.errors import UserError

    asked = [flag for flag, value in modes.items() if value is not None]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} are given together; keep one")
    mode = asked[0] if asked else "images"
    for flag in given:
        if flag not in KNOWN[mode]:
            homes = [other for other, known in KNOWN.items() if flag in known and other != "images"]
            raise UserError(
                f"{flag}: does not go with {mode}; leave it out"
                if asked
                else f"{flag}: belongs to {' or '.join(homes)}; add that, or leave it out"
            )
    if "--seeds" in given and (others := [flag for flag in ("--seed", "--count") if flag in given]):
        raise UserError(f"--seeds and {others[0]} are given together; keep one")
    return mode


def _seed(text: str, flag: str) -> int:
    from i2i.errors import UserError

    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_SEED):
        raise UserError(f"{flag}: '{text}' is no seed; seeds are whole numbers from 0")
    return int(text)


def _seeds(text: str, flag: str = "--seeds") -> list[int]:
    """Read ``1,5,9``."""
    from i2i.errors import UserError

    seeds = [_seed(part.strip(), f"{flag} {text}") for part in text.split(",")]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        raise UserError(f"{flag} {text}: names seed {twice} twice; keep one")
    return seeds


def _ends(text: str) -> tuple[int, int]:
    """Read ``3,7``."""
    from i2i.errors import UserError

    ends = _seeds(text, "--interpolate")
    if len(ends) != 2:
        raise UserError(f"--interpolate {text}: takes two seeds, such as 3,7")
    return ends[0], ends[1]


def _terms(text: str) -> list[tuple[int, int]]:
    """Read ``3 - 7 + 12`` as ``[(1, 3), (-1, 7), (1, 12)]``."""
    from i2i.errors import UserError

    parts = re.findall(r"([+-]?)\s*(\d+)\s*", text, re.ASCII)
    if not re.fullmatch(r"\s*[+-]?\s*\d+\s*([+-]\s*\d+\s*)*", text, re.ASCII):
        raise UserError(f"--arithmetic '{text}': write seeds with + or - between them, such as '3 - 7 + 12'")
    return [(-1 if sign == "-" else 1, _seed(number, f"--arithmetic '{text}'")) for sign, number in parts]


def _labels(sampler: Sampler, classes: str | None) -> list[int]:
    """Read ``cat,dog`` as the classes' numbers; all of them if nothing is said."""
    from i2i.errors import UserError

    if classes is None:
        return list(range(len(sampler.classes)))
    labels = [sampler.label_of(name.strip()) for name in classes.split(",")]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise UserError(f"--classes {classes}: names '{sampler.classes[twice]}' twice; keep one")
    return labels


def _one_label(sampler: Sampler, mode: str, labels: Sequence[int], classes: str | None) -> int | None:
    """Return the one class that a strip is of; None for models without."""
    from i2i.errors import UserError

    if not sampler.classes:
        return None
    if classes is None and len(labels) > 1:
        raise UserError(f"{mode}: shows one class; add --classes with one of: {', '.join(sampler.classes)}")
    if len(labels) > 1:
        raise UserError(f"{mode}: shows one class, and --classes {classes} names {len(labels)}; keep one")
    return labels[0]
