"""The house stands as drawn: imports go downward only, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import i2i

PACKAGE = Path(i2i.__file__).parent
# From the top down; packages of one floor know nothing of each other.
FLOORS = (
    {"cli"},
    {"serve"},
    {"engine"},
    {"inference"},
    {"methods"},
    {"metrics", "optim", "losses", "nn", "data"},
    {"world", "resources", "config", "errors", "lazy", "seeding", "weights", "machine", "__init__", "__main__"},
)
LEVEL = {room: len(FLOORS) - number for number, floor in enumerate(FLOORS) for room in floor}


def imported_rooms(file: Path) -> set[str]:
    """The rooms that a file imports, inside functions too; what is only for type checkers counts as well."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" if node.module == "i2i" else node.module for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("i2i.")}
    return rooms


def test_imports_go_downward_only() -> None:
    wrong = []
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue  # the front door opens onto every floor
        for other in imported_rooms(file) - {room, "__version__"}:
            if LEVEL[other] > LEVEL[room] or (LEVEL[other] == LEVEL[room] and LEVEL[room] > 1):
                wrong.append(f"{file.relative_to(PACKAGE)} imports {other}")
    assert not wrong


HEAVY = {"torch", "torchvision", "cv2", "albumentations", "scipy", "kornia", "tensorboard", "tifffile", "ssl"}
SLOW = {"pydantic", "numpy", "PIL", "yaml"}  # nor these, where nothing is read


@pytest.mark.parametrize(
    ("code", "left_out"),
    [
        ("import i2i", HEAVY | SLOW | {"typer", "rich"}),
        ("main(['--help'])", HEAVY | SLOW),
        *(
            (f"main(['{command}', '--help'])", HEAVY | SLOW - {"pydantic"})
            for command in ("train", "translate", "data")
        ),
        ("main(['data', 'list'])", HEAVY),
        ("main(['list', 'presets'])", HEAVY | {"numpy", "PIL"}),
        ("main(['list', 'data'])", HEAVY | {"numpy", "PIL"}),
    ],
)
def test_light_commands_import_nothing_heavy(code: str, left_out: set[str]) -> None:
    front = "from i2i.cli import main; " if code.startswith("main") else ""
    probe = f"{front}{code}; import sys; print(sorted({left_out!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
