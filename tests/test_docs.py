"""What the docs name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from i2i.cli import app
from i2i.config import keys_of
from i2i.engine.config import RunConfig

ROOT = Path(__file__).parents[1]
OF_OTHERS = {"--logdir", "--strict", "--eval"}  # flags of TensorBoard, mypy and the code that people come from
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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
    keys = set(re.findall(r"\b((?:data|method|optim|train)\.[a-z_0-9.]*[a-z_0-9])\b(?![/(:])", ours))
    files = {key for key in keys if key.endswith((".md", ".py", ".yaml"))}
    assert keys - files <= set(keys_of(RunConfig))
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", ours))
    assert named - OF_OTHERS <= flags_of_ours()
