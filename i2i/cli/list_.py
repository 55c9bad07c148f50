"""`i2i list`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from i2i.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

Rows = Sequence[tuple[str, "str | Table"]]


def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT",
            help="presets, data, methods, generators, discriminators, derivations, losses, penalties or metrics; "
            "everything if left out.",
        ),
    ] = None,
) -> None:
    """Show presets, data sets, methods, networks, losses, penalties and metrics."""
    from rich.console import Console
    from rich.table import Table

    if what is not None and what not in SECTIONS:
        raise UserError(f"there is no list of '{what}'{did_you_mean(what, SECTIONS)}")
    console = Console(markup=False)
    # one after the other, so that what is light is shown before torch is imported for the rest
    for title, rows in (section() for name, section in SECTIONS.items() if what in (None, name)):
        table = Table(show_header=False, box=None, padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column()
        for row in rows:
            table.add_row(*row)
        console.print(title, style="italic", highlight=False)
        console.print(table)
        console.print()


def _presets() -> tuple[str, Rows]:
    from i2i.resources import resource_folder, resource_names

    def comment(name: str) -> str:
        text = (resource_folder("configs") / f"{name}.yaml").read_text(encoding="utf-8")
        lines = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
        return " ".join(lines)

    return "presets (i2i train NAME)", [(name, comment(name)) for name in resource_names("configs")]


def _data() -> tuple[str, Rows]:
    from i2i.config import read_yaml
    from i2i.resources import resource_folder, resource_names

    recipes = {name: read_yaml(resource_folder("datasets") / f"{name}.yaml") for name in resource_names("datasets")}
    return "data sets (--data NAME)", [(name, layer.options["title"]) for name, layer in recipes.items()]


def _methods() -> tuple[str, Rows]:
    from i2i.methods import METHODS

    return "methods", _about(METHODS)


def _generators() -> tuple[str, Rows]:
    from i2i.nn import GENERATORS

    return "generators (method.generator.name)", _about(GENERATORS)


def _discriminators() -> tuple[str, Rows]:
    from i2i.nn import DISCRIMINATORS

    return "discriminators (method.discriminator.name)", _about(DISCRIMINATORS)


def _derivations() -> tuple[str, Rows]:
    from i2i.data.derive import DERIVATIONS

    return "derivations (data.derive.name)", _about(DERIVATIONS)


def _losses() -> tuple[str, Rows]:
    from i2i.losses.gan import ALIASES, GAN_LOSSES
    from i2i.losses.penalties import PENALTIES

    title = (
        "GAN losses (--gan-loss NAME): what D and G minimise; Cr, Cf: D's raw output on real and on generated images, "
        "s: sigmoid, E: mean"
    )
    rows = []
    for loss in GAN_LOSSES.values():
        penalties = [f"{name} (weight {PENALTIES[name].weight:g})" for name in loss.penalties]
        facts = {"D": loss.d_formula, "G": loss.g_formula, "source": loss.source, "penalty": ", ".join(penalties)}
        facts["weights"] = f"of D, clipped to +-{loss.weight_clip:g}" if loss.weight_clip is not None else ""
        facts["optim"] = str(loss.advice or "")
        rows.append((_with_aliases(loss.name, ALIASES), _facts(facts)))
    return title, rows


def _penalties() -> tuple[str, Rows]:
    from i2i.losses.penalties import PENALTIES, PENALTY_ALIASES

    title = (
        "gradient penalties: what D minimises beside its loss; C: D's raw output, r, f: real and generated images, "
        "grad: gradient with respect to the image, |.|: norm over one image, E: mean"
    )
    rows = []
    for penalty in PENALTIES.values():
        facts = {"term": penalty.formula, "weight": f"{penalty.weight:g}", "source": penalty.source}
        rows.append((_with_aliases(penalty.name, PENALTY_ALIASES), _facts(facts)))
    return title, rows


def _metrics() -> tuple[str, Rows]:
    from i2i.metrics import METRICS

    rows = []
    for metric in METRICS.values():
        facts = {"what": metric.about, "of": f"{metric.of}; {metric.better} is better", "source": metric.source}
        rows.append((metric.name, _facts(facts | {"needs": metric.needs})))
    return "metrics (i2i evaluate --metrics NAME,NAME)", rows


SECTIONS = {
    "presets": _presets,
    "data": _data,
    "methods": _methods,
    "generators": _generators,
    "discriminators": _discriminators,
    "derivations": _derivations,
    "losses": _losses,
    "penalties": _penalties,
    "metrics": _metrics,
}


def _about(kinds: Mapping[str, type]) -> Rows:
    return [(name, (kind.__doc__ or "").splitlines()[0]) for name, kind in kinds.items()]


def _with_aliases(name: str, aliases: Mapping[str, str]) -> str:
    own = [alias for alias, meant in aliases.items() if meant == name]
    return textwrap.fill(f"{name} ({', '.join(own)})" if own else name, width=14, break_on_hyphens=False)


def _facts(facts: Mapping[str, str]) -> Table:
    """Return label and text, one fact a row; what is long goes on below its own text."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=7)
    grid.add_column()
    for label, text in facts.items():
        if text:
            grid.add_row(label, text)
    grid.add_row()
    return grid
