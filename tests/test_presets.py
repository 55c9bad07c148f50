"""Every shipped preset and recipe loads and trains one step."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from i2i.config import Layer, read_yaml, resolve
from i2i.data import drawn
from i2i.data.recipes import Recipe
from i2i.engine.config import RunConfig, compose
from i2i.engine.runs import start
from i2i.inference.runs import read_header
from i2i.methods import METHODS
from i2i.resources import find_yaml, resource_names

ONE_STEP = Layer("--steps 1", {"train": {"steps": 1, "epochs": None, "device": "cpu"}, "data": {"workers": 0}})


@pytest.fixture(autouse=True)
def few_cats(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, parts in drawn.BUILTIN.items():
        monkeypatch.setitem(drawn.BUILTIN, name, tuple(replace(part, count=2) for part in parts))


PRESETS = {
    name: resolve(RunConfig, [read_yaml(find_yaml(name, "configs", "preset"))]) for name in resource_names("configs")
}
NEEDS = {name: METHODS[config.method.name].needs for name, config in PRESETS.items()}


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if needs != "images"])
def test_preset_trains_a_step(name: str, tmp_path: Path) -> None:
    named = PRESETS[name].data.source or {"pairs": "edges2cats", "heaps": "ginger2silver"}[NEEDS[name]]
    size = Layer("small", {"data": {"image_size": min(PRESETS[name].data.image_size, 128)}})
    config, source = compose(name, named, [ONE_STEP, size])
    given = PRESETS[name].data.derive
    assert given is None or config.data.derive == given  # whatever the data set is made pairs of by itself
    outcome = start(config, source, Console(file=io.StringIO()), tmp_path / "run")
    assert outcome.steps == 1
    assert list(outcome.checkpoint.glob("G*.safetensors"))


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if needs == "images"])
def test_preset_of_images_alone_trains_a_step(name: str, tmp_path: Path, photos: Callable[..., Path]) -> None:
    for kind in ("cats", "dogs"):
        photos(6, name=f"pets/{kind}")
    given = PRESETS[name]
    small = Layer("small", {"data": {"batch_size": 4, "image_size": min(given.data.image_size, 32)}})
    config, source = compose(name, str(tmp_path / "pets"), [ONE_STEP, small])
    console = Console(file=io.StringIO(), width=300)
    outcome = start(config, source, console, tmp_path / "run")
    assert outcome.steps == 1
    classes = read_header(outcome.checkpoint / "G.safetensors")["network"]["measures"]["classes"]
    assert classes == (2 if name == "cgan" else 0)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "was published with" not in printed  # a preset gives a loss what it asks for
    assert given.method.completed(given.data.image_size, given.data.batch_size)


@pytest.mark.parametrize("name", resource_names("datasets"))
def test_recipe_names_options_that_exist(name: str) -> None:
    assert resolve(Recipe, [read_yaml(find_yaml(name, "datasets", "data set"))]).title
    config, _ = compose("pix2pix", name, [])
    assert config.data.source == name
