"""Finds the presets and recipes, in a checkout and in an installed package alike."""

from __future__ import annotations

from pathlib import Path

from i2i.errors import UserError, did_you_mean

PACKAGE = Path(__file__).parent


def resource_folder(name: str) -> Path:
    """Return the folder ``configs`` or ``datasets``: inside the installed package, or at the top of the checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def resource_names(folder: str) -> list[str]:
    """Return the names of the YAML files of a resource folder."""
    return sorted(path.stem for path in resource_folder(folder).glob("*.yaml"))


def find_yaml(name: str, folder: str, what: str) -> Path:
    """Return the file of a named resource, or of a path to a YAML of the user's own.

    Args:
        name: a bare word, or a path that has a separator or ends in ``.yaml`` or ``.yml``.
        folder: ``configs`` or ``datasets``.
        what: what the file is, for the error's words.

    Raises:
        UserError: there is no such file.
    """
    if "/" in name or "\\" in name or name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"{name}: there is no such {what} file")
        return path
    path = resource_folder(folder) / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"there is no {what} '{name}'{did_you_mean(name, resource_names(folder))}")
    return path
