"""What the docs name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from i2i.cli import app
from i2i.config import keys_of, read_yaml, resolve
from i2i.data.recipes import Recipe
from i2i.engine.config import RunConfig
from i2i.resources import find_yaml, resource_names

ROOT = Path(__file__).parents[1]
OF_OTHERS = {"--logdir", "--strict", "--eval", "--constraint"}  # of TensorBoard, mypy, pip, the code people come from
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def flags_of_ours() -> set[str]:
    commands = [typer.main.get_command(app)]
    flags = set()
    for command in commands:
        commands += getattr(command, "commands", {}).values()  # grows while it is walked
        flags |= {name for parameter in command.params for name in parameter.opts}
    return flags


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_and_flags_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    # The first column of the tables for newcomers holds other code's flags.
    ours = re.sub(r"^\| `--[^|]*\|", "|", text, flags=re.MULTILINE)
    ours = re.sub(r"```python.*?```", "", ours, flags=re.DOTALL)
    ours = re.sub(r"\]\([^)]*\)", "]", ours)  # where links lead
    ours = re.sub(r"\bpython \S+\.py.*", "", ours)  # scripts have flags of their own
    keys = set(re.findall(r"\b((?:data|method|optim|train)\.[a-z_0-9.]*[a-z_0-9])\b(?![/(:])", ours))
    files = {key for key in keys if key.endswith((".md", ".py", ".yaml", ".json", ".safetensors"))}
    assert keys - files <= set(keys_of(RunConfig))
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", ours))
    assert named - OF_OTHERS <= flags_of_ours()


def test_the_table_of_data_sets_says_what_the_recipes_say() -> None:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = {cells[0].strip("`"): cells[2:] for line in text.splitlines() if len(cells := _cells(line)) == 5}
    kinds = {"md5": "MD5", "sha256": "SHA-256", "git": "git"}
    known = {}
    for name in resource_names("datasets"):
        recipe = resolve(Recipe, [read_yaml(find_yaml(name, "datasets", "data set"))])
        if recipe.archives:
            checks = {kinds[str(archive.checksum).partition(":")[0]] for archive in recipe.archives}
            known[name] = [recipe.size, recipe.terms, *checks]
        assert f"`{name}`" in text
    assert known == {name: cells for name, cells in rows.items() if name not in ("name", "---")}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
