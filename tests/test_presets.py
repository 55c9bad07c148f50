"""Every shipped preset and recipe loads and trains one step."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from i2i.config import Layer, read_yaml, resolve
from i2i.data import sources
from i2i.data.sources import Recipe
from i2i.engine.config import compose
from i2i.engine.runs import start
from i2i.methods import METHODS
from i2i.resources import find_yaml, resource_names

ONE_STEP = Layer("--steps 1", {"train": {"steps": 1, "epochs": None, "device": "cpu"}, "data": {"workers": 0}})


@pytest.fixture(autouse=True)
def few_cats(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, parts in sources.BUILTIN.items():
        monkeypatch.setitem(sources.BUILTIN, name, tuple(replace(part, count=2) for part in parts))


@pytest.mark.parametrize("name", resource_names("configs"))
def test_preset_trains_a_step(name: str, tmp_path: Path) -> None:
    needs = METHODS[compose(name, "edges2cats", [])[0].method.name].needs
    config, source = compose(name, {"pairs": "edges2cats", "heaps": "ginger2silver"}[needs], [ONE_STEP])
    outcome = start(config, source, Console(file=io.StringIO()), tmp_path / "run")
    assert outcome.steps == 1
    assert list(outcome.checkpoint.glob("G*.safetensors"))


@pytest.mark.parametrize("name", resource_names("datasets"))
def test_recipe_names_options_that_exist(name: str) -> None:
    assert resolve(Recipe, [read_yaml(find_yaml(name, "datasets", "data set"))]).title
    config, _ = compose("pix2pix", name, [])
    assert config.data.source == name
