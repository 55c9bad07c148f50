"""`i2i list`."""

from __future__ import annotations


def list_() -> None:
    """Show presets, data sets, methods, networks and losses."""
    from rich.console import Console
    from rich.table import Table

    from i2i.config import read_yaml
    from i2i.data.derive import DERIVATIONS
    from i2i.losses import GAN_LOSSES
    from i2i.methods import METHODS
    from i2i.nn import DISCRIMINATORS, GENERATORS
    from i2i.resources import resource_folder, resource_names

    console = Console()

    def show(title: str, rows: list[tuple[str, str]]) -> None:
        table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2))
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print()

    def first_comment(name: str) -> str:
        text = (resource_folder("configs") / f"{name}.yaml").read_text(encoding="utf-8")
        lines = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
        return " ".join(lines)

    def about(kinds: dict[str, type]) -> list[tuple[str, str]]:
        return [(name, (kind.__doc__ or "").splitlines()[0]) for name, kind in kinds.items()]

    recipes = {name: read_yaml(resource_folder("datasets") / f"{name}.yaml") for name in resource_names("datasets")}
    show("presets (i2i train NAME)", [(name, first_comment(name)) for name in resource_names("configs")])
    show("data sets (--data NAME)", [(name, layer.options["title"]) for name, layer in recipes.items()])
    show("methods", about(METHODS))
    show("generators (method.generator.name)", about(dict(GENERATORS)))
    show("discriminators (method.discriminator.name)", about(dict(DISCRIMINATORS)))
    show("derivations (data.derive.name)", about(dict(DERIVATIONS)))
    losses = [
        (loss.name, f"D: {loss.d_formula}   G: {loss.g_formula}   ({loss.source})") for loss in GAN_LOSSES.values()
    ]
    show("GAN losses (--gan-loss NAME)", losses)
