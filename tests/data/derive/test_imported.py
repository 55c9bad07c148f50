"""Functions of the user's own, and what is said where they are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from i2i.data.derive import Chain, Gray, Image, Imported
from i2i.errors import UserError

MINE = """
import numpy as np

def faded(photo, rng, strength=0.5):
    return np.uint8(photo * (1 - strength * rng.random()))

def five(photo, rng):
    return np.repeat(photo[..., :1], 5, axis=2)

def halved(photo, rng):
    return photo[::2]

def floats(photo, rng):
    return photo / 255

number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path) -> None:
    (tmp_path / "my_derivations.py").write_text(MINE)


def test_a_function_is_called_with_its_options(cat: Image) -> None:
    derive = Imported.model_validate({"name": "my_derivations:faded", "options": {"strength": "1.0"}})
    wanted = np.uint8(cat * (1 - np.random.default_rng(5).random()))
    np.testing.assert_array_equal(derive(cat, np.random.default_rng(5)), wanted)
    assert derive.channels_of(3) == 3
    assert Imported(name="my_derivations:five").channels_of(1) == 5


def test_code_is_named_as_such() -> None:
    mine = Imported(name="my_derivations:five")
    assert mine.names_code
    assert Chain(steps=(Gray(), mine)).names_code
    assert not Chain(steps=(Gray(),)).names_code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("halved", "made 64x32 pixels of a photo of 64x64"),
        ("floats", r"returned float64 \[64, 64, 3\]; an image must be an array of uint8"),
        ("number", "is a int, which derives no images"),
        ("fadde", "has no 'fadde'; did you mean 'faded'"),
    ],
)
def test_what_gives_no_image_is_found_before_the_run(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Imported(name=f"my_derivations:{name}").channels_of(3)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UserError, match=r"called with a photo, a generator and \{'power': 2\}: .*'power'"):
        Imported(name="my_derivations:faded", options={"power": 2}).channels_of(3)
