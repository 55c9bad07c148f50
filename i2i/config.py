"""Configuration machinery: frozen models, layers of YAML and ``key=value``, errors that name the key and the mend.

What can be configured stands beside the part it configures; nothing here knows of networks or data.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from i2i.errors import UserError, did_you_mean

Tree = dict[str, Any]

NULLS = {"null", "none", "~", ""}


class Config(BaseModel):
    """A frozen set of options: unknown keys are errors, values are converted by the field's type.

    YAML guesses types from spelling (``1e-4`` becomes a string, ``off`` becomes False), so values arrive here as the
    text that was typed, and the field decides what it means.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: _on_default(cls, key, _read_text(cls, key, value)) for key, value in values.items()}


def _read_text(model: type[BaseModel], key: str, value: Any) -> Any:
    """Return None for ``null`` where the field allows it, ``{"name": "unet"}`` for ``unet`` where it wants a part."""
    field = model.model_fields.get(key)
    if field is None or not isinstance(value, str):
        return value
    if value.lower() in NULLS and type(None) in get_args(field.annotation):
        return None
    parts = list(_models_in(field.annotation))
    if parts and all("name" in part.model_fields for part in parts):
        return {"name": value}
    return value


def _on_default(model: type[BaseModel], key: str, value: Any) -> Any:
    """Lay options on those of the part that stands there by default, so that one can be changed without its name."""
    field = model.model_fields.get(key)
    if field is None or not isinstance(value, Mapping) or not isinstance(field.default, Config):
        return value
    return merge(field.default.model_dump(), value, list(_models_in(field.annotation)))


OneOrMore = BeforeValidator(lambda value: (value,) if isinstance(value, str | int | float) else value)
"""Lets the one entry of a tuple stand without brackets: ``penalties=r1``."""


def tag_of(value: Any) -> str | None:
    """Return which part of a union, tagged by names, is meant: that of a name, or ``module:attribute`` of any such."""
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
    if name is None:
        return None
    return "module:attribute" if ":" in str(name) else str(name)


def natural(value: Any) -> Any:
    """Return typed text as the number, boolean or None that it spells, for options whose types are not known here."""
    if isinstance(value, Mapping):
        return {key: natural(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [natural(item) for item in value]
    if not isinstance(value, str):
        return value
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            pass
    return {"true": True, "false": False, "null": None, "none": None}.get(value.lower(), value)


@dataclass(frozen=True)
class Layer:
    """One source of options: where they were stated, and the nested options themselves."""

    origin: str
    options: Tree


def read_yaml(path: Path) -> Layer:
    """Read a YAML file as a layer whose values are the text that was typed.

    Raises:
        UserError: the file is missing, is no YAML, or holds no mapping.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise UserError(f"{path}{where}: is no valid YAML ({problem})") from error
    tree = {} if tree in (None, "") else tree
    if not isinstance(tree, dict):
        raise UserError(f"{path}: must hold `key: value` lines, not a {type(tree).__name__}")
    return Layer(str(path), tree)


def parse_setting(text: str) -> Layer:
    """Turn ``optim.lr=1e-4`` into a layer.

    Raises:
        UserError: there is no ``=``, or the value is no YAML.
    """
    key, sign, value = text.partition("=")
    if not sign or not all(part.strip() for part in key.split(".")):
        raise UserError(f"--set {text}: must read key=value, such as --set optim.lr=1e-4")
    try:
        parsed = yaml.load(value, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise UserError(f"--set {text}: the value is no valid YAML") from error
    return Layer(f"--set {text}", nest(key.strip(), "" if parsed is None else parsed))


def nest(key: str, value: Any) -> Tree:
    """Return ``{"a": {"b": value}}`` for the key ``a.b``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def merge(base: Mapping[str, Any], top: Mapping[str, Any], models: Sequence[type[BaseModel]] = ()) -> Tree:
    """Lay `top` over `base`, mapping by mapping.

    Where both name a part (``name: unet``) and the names differ, the other part's options are dropped with it, unless
    one of `models`, which the mapping may become, goes by both names, as an optimizer's options do.
    """
    if "name" in base and "name" in top and base["name"] != top["name"]:
        names = [get_args(model.model_fields["name"].annotation) for model in models if "name" in model.model_fields]
        if not any(base["name"] in known and top["name"] in known for known in names):
            return dict(top)
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        owners = [model for model in models if key in model.model_fields]
        parts = [part for model in owners for part in _models_in(model.model_fields[key].annotation)]
        if owners and isinstance(below, Mapping):
            value = _read_text(owners[0], key, value)  # `unet` lies on options as `name: unet` does
        if isinstance(value, Mapping):
            below = {"name": below} if isinstance(below, str) else below
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value, parts)
        else:
            merged[key] = value
    return merged


M = TypeVar("M", bound=Config)


def resolve(model: type[M], layers: Sequence[Layer]) -> M:
    """Build `model` from layers of options, later ones on top.

    Raises:
        UserError: a key is unknown or a value does not fit; the line names key and layer, and the nearest valid one.
    """
    tree = _defaults(model)
    for layer in layers:
        tree = merge(tree, layer.options, [model])
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise UserError(_explain(model, error, tree, layers)) from error


def _defaults(model: type[BaseModel]) -> Tree:
    """Return the parts that stand by default, so that a layer may change one option of a part without naming it."""
    return {
        name: field.default.model_dump()
        for name, field in model.model_fields.items()
        if isinstance(field.default, BaseModel)
    }


def _explain(model: type[Config], error: ValidationError, tree: Tree, layers: Sequence[Layer]) -> str:
    """Turn the first of pydantic's complaints into one line."""
    first = error.errors(include_url=False)[0]
    path = _path_in(tree, first["loc"])
    key = ".".join(map(str, path))
    stated = {"missing": path[:-1], "union_tag_invalid": [*path, "name"]}.get(first["type"], path)
    origin = next((layer.origin for layer in reversed(layers) if _holds(layer.options, stated)), None)
    where = f"{origin}: " if origin else ""
    if first["type"] == "extra_forbidden":
        return f"{where}there is no option '{key}'{_nearest_key(key, model)}"
    if first["type"] == "missing":
        return f"{where}option '{key}' must be given"
    if first["type"] == "union_tag_not_found":
        return f"{where}option '{key}.name' must be given"
    if first["type"] in ("literal_error", "enum"):
        choices = [choice.strip(" '") for choice in str(first["ctx"]["expected"]).replace(" or ", ", ").split(",")]
        return f"{where}option '{key}': '{first['input']}' is not known{did_you_mean(str(first['input']), choices)}"
    if first["type"] == "union_tag_invalid":
        choices = [choice.strip(" '") for choice in str(first["ctx"]["expected_tags"]).split(",")]
        tag = first["ctx"]["tag"]
        return f"{where}option '{key}.name': '{tag}' is not known{did_you_mean(tag, choices)}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "value_error":
        return f"{where}{f'option {key!r}: ' if key else ''}{message}"
    if first["type"] in ("model_type", "model_attributes_type", "dict_type"):
        message = "a set of options, key: value"
    return f"{where}option '{key}' must be {message}, not '{first['input']}'"


def _step_into(tree: Any, part: int | str) -> Any:
    """Return what stands at a key or an index of a tree; raise LookupError where there is none."""
    if isinstance(tree, Mapping) or (isinstance(tree, list | tuple) and isinstance(part, int)):
        return tree[part]  # type: ignore[index]
    raise LookupError(part)


def _path_in(tree: Any, loc: tuple[int | str, ...]) -> list[int | str]:
    """Drop from pydantic's location what the user never typed: tags of unions, places in what is no list yet."""
    path: list[int | str] = []
    for depth, part in enumerate(loc):
        try:
            tree = _step_into(tree, part)
        except LookupError:
            is_last = depth == len(loc) - 1
            in_no_list = isinstance(part, int) and not isinstance(tree, list | tuple)
            if not is_last or in_no_list or (isinstance(tree, Mapping) and part == tree.get("name")):
                continue  # an unknown or missing key can only stand at the end
        path.append(part)
    return path


def _holds(tree: Any, path: Sequence[int | str]) -> bool:
    """Whether a layer states what stands at `path`; ``unet`` states the name of a part."""
    try:
        for part in path:
            if part == "name" and isinstance(tree, str):
                return True
            tree = _step_into(tree, part)
    except LookupError:
        return False
    return True


def _nearest_key(key: str, model: type[Config]) -> str:
    if owners := list(_owners_of(key.split("."), model)):
        return f"; it needs {key.rpartition('.')[0]}.name={' or '.join(owners)}"
    keys = list(keys_of(model))
    same_leaf = [known for known in keys if known.split(".")[-1] == key.split(".")[-1]]
    if same_leaf:
        return did_you_mean(key, [min(same_leaf, key=len)]).replace("; choose one of: ", "; it stands at: ")
    siblings = [known for known in keys if known.rpartition(".")[0] == key.rpartition(".")[0]]
    leaf = did_you_mean(key, siblings)
    return leaf if "did you mean" in leaf else did_you_mean(key, keys) if len(keys) < 20 else leaf


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of a configuration, the options of all alternatives included."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for part in _models_in(field.annotation):
            yield from keys_of(part, f"{prefix}{name}.")


def _owners_of(path: Sequence[str], model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of the parts that have the option of that key."""
    field = model.model_fields.get(path[0])
    if field is not None and len(path) == 1:
        name = model.model_fields["name"].default if "name" in model.model_fields else None
        yield name if isinstance(name, str) else "module:attribute"
    elif field is not None:
        for part in _models_in(field.annotation):
            yield from _owners_of(path[1:], part)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _models_in(argument)


def load_attribute(name: str) -> Any:
    """Return the object that ``module:attribute`` names, such as a user's own loss or network.

    Raises:
        UserError: the module cannot be imported or has no such attribute.
    """
    module_name, _, attribute = name.partition(":")
    if not (module_name and attribute):
        raise UserError(f"'{name}': must read module:attribute, such as my_losses:focal")
    if str(Path.cwd()) not in sys.path:  # an installed command does not look into the working folder by itself
        sys.path.append(str(Path.cwd()))
    try:
        module = import_module(module_name)
    except (ImportError, TypeError, ValueError) as error:  # the latter of names such as "..losses"
        raise UserError(f"{name}: the module '{module_name}' cannot be imported ({error})") from error
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise UserError(f"{name}: the module has no '{attribute}'{did_you_mean(attribute, public)}")
    return getattr(module, attribute)
