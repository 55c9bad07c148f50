from __future__ import annotations

from pathlib import Path

import pytest

from i2i import resources
from i2i.errors import UserError
from i2i.resources import find_yaml, resource_folder, resource_names

TOP = Path(__file__).parents[1]


def test_a_checkout_keeps_presets_and_recipes_at_its_top() -> None:
    assert resource_folder("configs") == TOP / "configs"
    assert {"pix2pix", "demo"} <= set(resource_names("configs"))
    assert find_yaml("edges2cats", "datasets", "data set") == TOP / "datasets" / "edges2cats.yaml"


def test_an_installed_package_keeps_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "i2i" / "configs").mkdir(parents=True)
    (tmp_path / "i2i" / "configs" / "mine.yaml").touch()
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "i2i")
    assert resource_names("configs") == ["mine"]
    assert find_yaml("mine", "configs", "preset") == tmp_path / "i2i" / "configs" / "mine.yaml"


def test_a_path_is_taken_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pix2pix.yaml").touch()
    assert find_yaml("pix2pix.yaml", "configs", "preset") == Path("pix2pix.yaml")
    assert find_yaml("./pix2pix.yaml", "configs", "preset").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pix2pi", "there is no preset 'pix2pi'; did you mean 'pix2pix'?"),
        ("mine/own.yaml", "mine/own.yaml: there is no such preset file"),
        ("own.yml", "own.yml: there is no such preset file"),
    ],
)
def test_what_is_missing_is_named(name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        find_yaml(name, "configs", "preset")
    assert str(caught.value) == message
