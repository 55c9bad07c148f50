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
OF_OTHERS |= {"--data-binary"}  # of curl
OF_OTHERS |= {"--nnodes", "--nproc-per-node", "--node-rank", "--master-addr", "--master-port"}  # of torchrun
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def flags_of_ours() -> set[str]:
    commands = [typer.main.get_command(app)]
    flags = {"--help"}
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
    ours = re.sub(r"\bpython (-m )?\S+.*", "", ours)  # scripts have flags of their own
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


def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocstrings_handlers.python")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)  # where the extension of the reference lies
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))  # a broken link ends it
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r"<(?:script|link|img|iframe)[^>]* (?:src|href)=\"?(?:https?:)?//[^>]*>", page.read_text())
        assert not fetched
    reference = (tmp_path / "reference" / "losses.html").read_text(encoding="utf-8")
    assert 'id="i2i.losses.gan.gan_loss"' in reference
    assert 'href="#i2i.losses.penalties.gradients_at"' in reference  # a name in a docstring leads to what it names
    options = re.sub(r"<[^>]*>", "", (tmp_path / "reference" / "optim.html").read_text(encoding="utf-8"))
    assert "\nlr: PositiveFloat = 0.0002\n" in options


def test_links_of_the_readme_lead_somewhere() -> None:
    """Those of the other pages are checked when the site is built."""
    for target, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", (ROOT / target).read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in anchors, f"{target}#{anchor}"


def test_pages_say_nothing_of_files_that_are_not_there() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:tools|tests|configs|datasets|i2i)/[\w/.-]+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists() or "NAME" in name, f"{page.name}: {name}"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
