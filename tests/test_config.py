from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PositiveInt, model_validator

from i2i.config import (
    Config,
    Layer,
    keys_of,
    load_attribute,
    merge,
    natural,
    nest,
    parse_setting,
    read_yaml,
    resolve,
)
from i2i.errors import UserError


class Round(Config):
    name: Literal["round"] = "round"
    radius: float = 1.0
    smooth: bool = True


class Square(Config):
    name: Literal["square"] = "square"
    side: float = 2.0
    smooth: bool = True


Shape = Annotated[Round | Square, Field(discriminator="name")]


class Engine(Config):
    name: Literal["petrol", "diesel"] = "petrol"
    power: float = 50.0


class Wheel(Config):
    spokes: PositiveInt


class Car(Config):
    title: str = ""
    seats: PositiveInt = 4
    weight: float | None = 800.0
    lights: Literal["on", "off", "auto"] = "auto"
    radio: bool = False
    gears: tuple[float, float] = (1.0, 2.0)
    shape: Shape = Round()
    spare: Shape | None = None
    engine: Engine = Engine()
    wheels: tuple[Wheel, ...] = ()
    extras: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _petrol_is_weak(self) -> Car:
        if self.engine.name == "petrol" and self.engine.power > 100:
            raise ValueError("petrol gives at most 100")
        return self


def car(*settings: str) -> Car:
    return resolve(Car, [parse_setting(setting) for setting in settings])


def complaint(*settings: str) -> str:
    with pytest.raises(UserError) as caught:
        car(*settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_text_is_read_by_the_type_of_its_field() -> None:
    built = car("weight=1e-4", "lights=off", "radio=on", "gears=[1e1, 2]", "title=off", "seats=5", "engine.power=1e1")
    assert built.weight == 1e-4
    assert built.lights == "off"
    assert built.radio is True
    assert built.gears == (10.0, 2.0)
    assert built.title == "off"
    assert built.seats == 5
    assert built.engine == Engine(power=10)


@pytest.mark.parametrize("null", ["null", "none", "None", "~", ""])
def test_null_empties_what_may_be_empty_and_is_text_elsewhere(null: str) -> None:
    built = car("spare=square", f"weight={null}", f"spare={null}", f"title={null}")
    assert (built.weight, built.spare, built.title) == (None, None, null)


def test_one_option_of_a_default_part_changes_alone() -> None:
    assert car("shape.radius=3").shape == Round(radius=3)


def test_a_name_stands_for_a_part() -> None:
    assert car("shape=square").shape == car("shape.name=square").shape == Square()
    assert car("spare=square", "spare.side=5").spare == Square(side=5)


def test_options_go_with_the_part_that_another_name_replaces() -> None:
    for renamed in ("shape=square", "shape.name=square"):
        assert car("shape.radius=3", "shape.smooth=no", renamed).shape == Square(smooth=True)


def test_options_stay_where_the_same_part_is_named_again() -> None:
    for named in ("shape=round", "shape.name=round"):
        assert car("shape.radius=3", named).shape == Round(radius=3)


def test_options_stay_where_all_names_share_them() -> None:
    for named in ("engine=diesel", "engine.name=diesel"):
        assert car("engine.power=70", named).engine == Engine(name="diesel", power=70)


def test_later_layers_lie_on_top() -> None:
    assert car("seats=2", "shape.radius=3", "seats=6", "shape.smooth=off").model_dump(include={"seats", "shape"}) == {
        "seats": 6,
        "shape": {"name": "round", "radius": 3.0, "smooth": False},
    }


def test_layers_are_left_as_they_were() -> None:
    below, top = {"a": {"b": 1}}, {"a": {"c": {"d": 2}}}
    assert merge(below, top) == {"a": {"b": 1, "c": {"d": 2}}}
    assert (below, top) == ({"a": {"b": 1}}, {"a": {"c": {"d": 2}}})


def test_what_was_resolved_and_saved_resolves_to_the_same() -> None:
    built = car("shape=square", "shape.side=5", "weight=null", "engine=diesel", "wheels=[{spokes: 5}]")
    assert resolve(Car, [Layer("saved", built.model_dump(mode="json"))]) == built


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seatz=5", "there is no option 'seatz'; did you mean 'seats'?"),
        ("shape.radios=5", "there is no option 'shape.radios'; did you mean 'shape.radius'?"),
        ("radius=5", "there is no option 'radius'; did you mean 'shape.radius'?"),
        ("side=5", "there is no option 'side'; it stands at: shape.side"),
        ("shape.side=5", "there is no option 'shape.side'; it needs shape.name=square"),
        ("wheels=[{spokes: 5, tyre: 1}]", "there is no option 'wheels.0.tyre'"),
        ("shape=squar", "option 'shape.name': 'squar' is not known; did you mean 'square'?"),
        ("shape.name=xyz", "option 'shape.name': 'xyz' is not known; choose one of: round, square"),
        ("engine=steam", "option 'engine.name': 'steam' is not known; choose one of: diesel, petrol"),
        ("lights=of", "option 'lights': 'of' is not known; did you mean 'off'?"),
        ("seats=many", "option 'seats' must be a valid integer"),
        ("seats=0", "option 'seats' must be greater than 0, not '0'"),
        ("seats=null", "option 'seats' must be a valid integer"),
        ("weight=inf", "option 'weight' must be a finite number, not 'inf'"),
        ("weight.x=1", "option 'weight' must be a valid number"),
        ("radio=loud", "option 'radio' must be a valid boolean"),
        ("gears=[1]", "option 'gears.1' must be given"),
        ("gears=[1, x]", "option 'gears.1' must be a valid number"),
        ("wheels=[{}]", "option 'wheels.0.spokes' must be given"),
        ("engine.power=101", "petrol gives at most 100"),
        ("shape.smooth=maybe", "option 'shape.smooth' must be a valid boolean"),
    ],
)
def test_mistakes_are_named_with_key_and_mend(setting: str, message: str) -> None:
    text = complaint(setting)
    assert message in text
    if "petrol" not in message:  # a rule between options is nobody's alone
        assert text.startswith(f"--set {setting}: {message}")


def test_the_layer_that_made_the_mistake_is_named() -> None:
    preset = Layer("my.yaml", {"shape": {"name": "circle", "radius": "2"}, "seats": "5"})
    with pytest.raises(UserError, match=r"^my\.yaml: option 'shape\.name': 'circle'"):
        resolve(Car, [preset, parse_setting("shape.radius=3")])
    with pytest.raises(UserError, match=r"^--set seats=x: option 'seats'"):
        resolve(Car, [preset, parse_setting("shape=round"), parse_setting("seats=x")])


@pytest.mark.parametrize("setting", ["seats", "=5", "shape..radius=5", "shape.=5", ""])
def test_a_setting_must_read_key_value(setting: str) -> None:
    with pytest.raises(UserError, match=r"^--set .*: must read key=value, such as --set optim\.lr=1e-4"):
        parse_setting(setting)


def test_a_setting_must_be_yaml() -> None:
    with pytest.raises(UserError, match=r"^--set gears=\[1, 2: the value is no valid YAML"):
        parse_setting("gears=[1, 2")


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_setting("title=a=b").options == {"title": "a=b"} == nest("title", "a=b")


def test_yaml_arrives_as_it_was_typed(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("weight: 1e-4\nlights: off\nradio: yes\nspare: null\nshape:\n  radius: 1_0\n")
    layer = read_yaml(path)
    assert layer.origin == str(path)
    assert layer.options == {
        "weight": "1e-4",
        "lights": "off",
        "radio": "yes",
        "spare": "null",
        "shape": {"radius": "1_0"},
    }
    assert resolve(Car, [layer]) == Car(weight=1e-4, lights="off", radio=True, shape=Round(radius=10))
    path.write_text("# nothing but a remark\n")
    assert read_yaml(path).options == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seats: 4\nshape: [1, 2\nlights: off\n", r" line \d+: is no valid YAML \("),
        (b"seats: 4\nshape:\n\tradius: 1\n", r" line 3: is no valid YAML \(found character '\\t'"),
        (b"title: \xff\xfe\n", r": is no valid YAML \("),
        (b"title: \x01\n", r": is no valid YAML \("),
        (b"- seats\n- 4\n", ": must hold `key: value` lines, not a list"),
        (b"seats\n", ": must hold `key: value` lines, not a str"),
    ],
)
def test_bad_yaml_is_refused_in_one_line_that_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"my\.yaml{message}") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"my\.yaml: cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "my.yaml")


def test_keys_include_those_of_every_alternative() -> None:
    assert {"seats", "shape", "shape.radius", "shape.side", "spare.side", "engine.power"} <= set(keys_of(Car))


def test_text_becomes_what_it_spells_where_no_type_is_known() -> None:
    spelled = {"a": ["1", "1e-4", "true"], "b": {"c": "null", "d": "off", "e": "2.5"}, "f": 3}
    assert natural(spelled) == {"a": [1, 1e-4, True], "b": {"c": None, "d": "off", "e": 2.5}, "f": 3}
    assert type(natural("1")) is int


def test_a_users_own_attribute_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_losses.py").write_text("def focal():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_attribute("my_own_losses:focal")() == 42
    for name, message in {
        "my_own_losses:focall": r"the module has no 'focall'; did you mean 'focal'\?",
        "my_own_losses:xyz": r"the module has no 'xyz'; choose one of: focal$",
        "my_absent_losses:focal": r"'my_absent_losses' cannot be imported",
        "my_own_losses": r"must read module:attribute",
        "my_own_losses:": r"must read module:attribute",
    }.items():
        with pytest.raises(UserError, match=message):
            load_attribute(name)
