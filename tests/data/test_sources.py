"""What `--data` may name, and where its files come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from i2i.data import files, sources
from i2i.data.config import DataConfig
from i2i.data.derive import Edges
from i2i.data.layouts import read_folder
from i2i.data.prepare import prepare_photos
from i2i.data.sources import BUILTIN, Drawings, draw_cats, find_source
from i2i.errors import UserError

FEW = (Drawings("train", 3), Drawings("val", 1), Drawings("test", 1))


@pytest.fixture
def few_cats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources.BUILTIN, "cats", FEW)
    monkeypatch.setattr(sources, "DRAWN_SIZE", 48)


def test_a_bare_word_is_a_data_set_and_a_path_a_folder(photos: Callable[..., Path]) -> None:
    photos(2, name="edges2cats")  # a folder of the same name in the working folder
    assert find_source("edges2cats").recipe is not None
    assert find_source("./edges2cats").path == Path("edges2cats").resolve()
    assert find_source(str(photos(2))).given == str(photos(2).resolve())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("edges2cat", "did you mean 'edges2cats'"),
        ("no/such/folder", "there is no such folder"),
        ("./a.png", "is a file; give the folder"),
        ("", "add --data NAME"),
    ],
)
def test_wrong_names_are_explained(given: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=message):
        find_source(given)


@pytest.mark.usefixtures("few_cats")
def test_cats_are_drawn_once_and_always_the_same(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = draw_cats(tmp_path / "one", FEW, lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)]
    again = draw_cats(tmp_path / "two", FEW)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.jpg"))
    assert len(names) == 5
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes()
    stamp = (folder / names[0]).stat().st_mtime_ns
    assert draw_cats(folder, FEW).is_dir()
    assert (folder / names[0]).stat().st_mtime_ns == stamp


def test_a_drawing_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        draw_cats(tmp_path / "cats", FEW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_cats")
def test_prepared_photos_take_the_drawings_place(photos: Callable[..., Path], own_data_root: Path) -> None:
    assert "drawn cats" in find_source("edges2cats").describe()
    config = DataConfig(derive=Edges())
    target = own_data_root / "edges2cats" / "photos"
    folder = photos(10, size=60)
    (folder / "broken.png").write_bytes(b"no image")
    made = prepare_photos(folder, target, config, 0, size=40, ahead=False, overwrite=False)
    assert made.counts == {"train": 9, "val": 1}
    assert len(made.left_out) == 1
    assert "broken.png" in made.left_out[0]
    source = find_source("edges2cats")
    assert source.folder() == target
    assert "your own photos" in source.describe()
    assert files.read(next((target / "train").glob("*.jpg"))).shape == (40, 40, 3)
    with pytest.raises(UserError, match="--overwrite"):
        prepare_photos(folder, target, config, 0, size=40, ahead=False, overwrite=False)
    prepare_photos(folder, target, config, 0, size=32, ahead=False, overwrite=True)
    assert files.read(next((target / "train").glob("*.jpg"))).shape == (32, 32, 3)
    assert len(list(folder.iterdir())) == 11  # the user's folder was only read


def test_inputs_derived_ahead_are_pairs(photos: Callable[..., Path], own_data_root: Path) -> None:
    target = own_data_root / "edges2cats" / "photos"
    prepare_photos(photos(4), target, DataConfig(derive=Edges()), 0, size=40, ahead=True, overwrite=False)
    layer = find_source("edges2cats").layers[-1]
    assert layer.options["data"]["layout"] == "two-folders"
    folder = read_folder(target)
    assert (folder.folder_a, folder.folder_b) == ("input", "target")
    example = folder.splits["train"][0]
    assert example.a is not None
    assert example.b is not None
    expected = Edges()(files.to_uint8(files.read(example.b)), np.random.default_rng())
    np.testing.assert_array_equal(files.read(example.a), expected)


def test_what_cannot_be_prepared_is_refused(photos: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="derives no inputs"):
        prepare_photos(photos(), tmp_path / "t", DataConfig(), 0, size=40, ahead=True, overwrite=False)
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "x.png").write_bytes(b"junk")
    with pytest.raises(UserError, match="none of its 1 images can be read"):
        prepare_photos(junk, tmp_path / "t", DataConfig(), 0, size=40, ahead=False, overwrite=False)
    assert not (tmp_path / "t").exists()


def test_two_coats_are_two_heaps_of_other_cats(tmp_path: Path) -> None:
    few = tuple(Drawings(part.folder, 4, part.coat) for part in BUILTIN["two coats"])
    folder = read_folder(draw_cats(tmp_path / "coats", few))
    assert folder.layout == "unpaired"
    a, b = (np.stack([files.read(path) for path in folder.side("train", side)]).astype(int) for side in ("a", "b"))
    assert len(a) == len(b) == 4
    warmth = [float((heap[..., 0] - heap[..., 2]).mean()) for heap in (a, b)]
    assert warmth[0] > warmth[1] + 10  # ginger is redder than silver
