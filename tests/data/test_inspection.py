import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from i2i.data import inspection
from i2i.data.files import read, write
from i2i.data.inspection import inspect
from i2i.data.layouts import read_folder, two_heaps
from i2i.data.places import cache_root, data_root


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_DATA", str(tmp_path_factory.mktemp("data")))


def noise(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def photos(root: Path, split: str, seeds: list[int]) -> None:
    for seed in seeds:
        write(root / split / f"{seed}.png", noise(seed))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded, in no order."""
    names: list[str] = []

    def noted(path: Path) -> object:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(inspection, "read", noted)
    return names


def test_a_clean_folder(tmp_path: Path) -> None:
    photos(tmp_path, "train", [1, 2, 3])
    photos(tmp_path, "val", [4])
    write(tmp_path / "val" / "5.png", noise(5, 16, 12))
    folder = read_folder(tmp_path)
    found = inspect(folder)
    assert found.problems() == []
    assert found.warnings() == []
    assert found.usable() == folder
    assert found.sizes == {(8, 8): 4, (12, 16): 1}
    assert found.channels("b") == {3: 5}
    assert found.channels("a") == {}
    assert (found.depths, found.deepest) == ({8: 5}, 8)
    assert found.lines()[1:] == [
        "5 files decoded, 0 broken",
        "width 8 to 12, height 8 to 16",
        "most common sizes: 8x8 (4), 12x16 (1); bits: 8 (5)",
    ]


def test_broken_files_are_named_and_left_out(tmp_path: Path) -> None:
    photos(tmp_path, "train", [1, 2, 3, 4])
    cut = tmp_path / "train" / "2.png"
    cut.write_bytes(cut.read_bytes()[:100])
    (tmp_path / "train" / "3.png").write_bytes(b"")
    found = inspect(read_folder(tmp_path, val_share=0.3))
    assert [problem.path.name for problem in sorted(found.problems(), key=str)] == ["2.png", "3.png"]
    assert {problem.reason for problem in found.broken} >= {"is empty (0 bytes)"}
    kept = [example.name for examples in found.usable().splits.values() for example in examples]
    assert sorted(kept) == ["1", "4"]
    assert found.usable().problems == ()
    json.dumps(found.as_dict())
    assert len(found.as_dict()["broken"]) == 2


def test_the_second_time_nothing_is_decoded(tmp_path: Path, decoded: list[str]) -> None:
    photos(tmp_path, "train", [1, 2, 3])
    (tmp_path / "train" / "4.png").touch()
    calls: list[tuple[int, int]] = []
    first = inspect(read_folder(tmp_path), lambda done, total: calls.append((done, total)))
    assert sorted(decoded) == ["1.png", "2.png", "3.png", "4.png"]
    assert calls == [(0, 4), (4, 4)]
    assert len(list((cache_root() / "index").iterdir())) == 1
    decoded.clear()
    again = inspect(read_folder(tmp_path))
    assert decoded == []
    assert again == first
    write(tmp_path / "train" / "2.png", noise(9))
    os.utime(tmp_path / "train" / "3.png", ns=(1, 1))
    changed = inspect(read_folder(tmp_path))
    assert sorted(decoded) == ["2.png", "3.png"]
    assert changed.records[tmp_path / "train" / "2.png"] != first.records[tmp_path / "train" / "2.png"]


def test_progress_counts_to_the_end_in_batches(tmp_path: Path) -> None:
    photos(tmp_path, "train", list(range(40)))
    calls: list[tuple[int, int]] = []
    inspect(read_folder(tmp_path), lambda done, total: calls.append((done, total)))
    assert calls == [(0, 40), (16, 40), (32, 40), (40, 40)]
    write(tmp_path / "train" / "7.png", noise(99))
    calls.clear()
    inspect(read_folder(tmp_path), lambda done, total: calls.append((done, total)))
    assert calls == [(39, 40), (40, 40)]  # the time left is that of the rest


def test_an_interrupted_inspection_keeps_what_it_did(tmp_path: Path, decoded: list[str]) -> None:
    photos(tmp_path, "train", list(range(40)))

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect(read_folder(tmp_path), interrupt)
    decoded.clear()
    inspect(read_folder(tmp_path))
    assert len(decoded) <= 40 - 16


def test_an_unwritable_or_damaged_cache_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, "train", [1, 2])
    folder = read_folder(tmp_path)
    expected = inspect(folder)
    (index,) = (cache_root() / "index").iterdir()
    whole = index.read_bytes()
    size = b",8,8,"  # width and height
    assert whole.count(size) == 2
    older = whole.replace(b"version %d" % inspection.INDEX_VERSION, b"version 0")
    for content in (whole[:-9], b"", b"[]\n{}", older, whole.replace(size, b",9,8,")):
        index.write_bytes(content)
        assert inspect(folder) == expected
        assert index.read_bytes() == whole
    (tmp_path / "file").touch()
    monkeypatch.setenv("I2I_DATA", str(tmp_path / "file" / "within"))
    assert inspect(folder) == expected


def test_what_was_found_is_saved_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, "train", list(range(40)))
    folder = read_folder(tmp_path)
    monkeypatch.setattr(inspection, "SAVE_SECONDS", 0.0)
    kept: list[int] = []

    def look(done: int, total: int) -> None:
        kept.append(sum(len(inspection._load(index)) for index in (cache_root() / "index").glob("*")))

    inspect(folder, look)
    assert kept == [0, 0, 16, 32]


def test_indexes_of_the_last_used_folders_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "INDEXES", 2)
    made: dict[str, Path] = {}
    for age, name in enumerate("ab"):
        photos(tmp_path, name, [1])
        inspect(read_folder(tmp_path / name))
        (made[name],) = set((cache_root() / "index").iterdir()) - {*made.values()}
        os.utime(made[name], (age, age))
    inspect(read_folder(tmp_path / "a"))  # nothing is written, and yet it is used
    photos(tmp_path, "c", [1])
    inspect(read_folder(tmp_path / "c"))
    left = set((cache_root() / "index").iterdir())
    assert len(left) == 2
    assert made["a"] in left


def test_two_heaps_are_remembered_both(tmp_path: Path, decoded: list[str]) -> None:
    for seed, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        write(tmp_path / f"{name}.png", noise(seed))
    heaps = two_heaps(read_folder(tmp_path / "a", "photos"), read_folder(tmp_path / "b", "photos"))
    inspect(heaps)
    assert len(decoded) == 4
    decoded.clear()
    inspect(heaps)
    assert decoded == []


def test_odd_widths_of_side_by_side_pairs(tmp_path: Path) -> None:
    write(tmp_path / "1.png", noise(1, 50, 101))
    write(tmp_path / "2.png", noise(2, 50, 100))
    found = inspect(read_folder(tmp_path))
    assert [(problem.path.name, problem.reason[:19]) for problem in found.problems()] == [
        ("1.png", "is 101 pixels wide,")
    ]
    assert inspect(read_folder(tmp_path, layout="photos")).problems() == []


def test_pairs_of_unlike_shapes_and_unmatched_files(tmp_path: Path) -> None:
    for name, width in (("1", 16), ("2", 17)):
        write(tmp_path / "lr" / f"{name}.png", noise(1 + width, 8, width))
        write(tmp_path / "hr" / f"{name}.png", noise(2 + width, 16, 32))
    write(tmp_path / "hr" / "3.png", noise(7))
    found = inspect(read_folder(tmp_path))
    assert [example.name for example in found.unlike_shapes] == ["2"]
    assert [problem.path for problem in found.unmatched] == [tmp_path / "hr" / "3.png"]
    assert found.problems() == list(found.unmatched)
    assert len(found.warnings()) == 1


def test_duplicates(tmp_path: Path) -> None:
    photos(tmp_path, "train", [1, 2, 3])
    photos(tmp_path, "test", [3, 4])
    write(tmp_path / "train" / "again.bmp", noise(1))
    write(tmp_path / "train" / "white.png", np.full((8, 8, 3), 255, np.uint8))
    write(tmp_path / "test" / "white.png", np.full((8, 8, 3), 255, np.uint8))
    write(tmp_path / "val" / "5.png", noise(5))
    found = inspect(read_folder(tmp_path))
    assert found.duplicates_between == ((tmp_path / "train" / "3.png", tmp_path / "test" / "3.png"),)
    assert found.duplicates_within == {"train": 1, "val": 0, "test": 0}
    assert sorted(found.constant) == [tmp_path / "test" / "white.png", tmp_path / "train" / "white.png"]
    assert found.problems() == []
    assert len(found.warnings()) == 3


def test_a_single_image_in_train_and_val_is_no_duplicate(tmp_path: Path) -> None:
    photos(tmp_path, ".", [1])
    assert inspect(read_folder(tmp_path)).duplicates_between == ()


def test_equal_masks_do_not_make_equal_pairs(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write(tmp_path / "mask" / f"{seed}.png", noise(0, channels=1))
        write(tmp_path / "image" / f"{seed}.png", noise(seed))
    found = inspect(read_folder(tmp_path))
    assert set(found.duplicates_within.values()) == {0}
    assert found.channels("a") == {1: 3}
    assert found.channels("b") == {3: 3}


def test_mixtures_are_warned_of(tmp_path: Path) -> None:
    photos(tmp_path, "train", [1, 2])
    write(tmp_path / "train" / "grey.png", noise(3, channels=1))
    cv2.imwrite(str(tmp_path / "train" / "deep.png"), noise(4).astype(np.uint16) * 257)
    found = inspect(read_folder(tmp_path))
    assert found.deepest == 16
    assert found.warnings() == ["images of 3 (3), 1 (1) channels are mixed", "images of 8 (3), 16 (1) bits are mixed"]


def test_many_channels_must_be_equally_many(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        write(tmp_path / "input" / f"{seed}.tif", noise(seed, channels=6))
        write(tmp_path / "target" / f"{seed}.tif", noise(seed, channels=13 if seed < 3 else 7))
    write(tmp_path / "target" / "1.tif", np.full((8, 8, 13), 9, np.uint8))
    found = inspect(read_folder(tmp_path))
    assert (found.channels("a"), found.channels("b")) == ({6: 3}, {13: 2, 7: 1})
    assert found.constant == (tmp_path / "target" / "1.tif",)
    (problem,) = found.problems()
    assert problem.path == tmp_path / "target" / "3.tif"
    assert problem.reason == "has 7 channels where 2 of 3 images have 13; all must have equally many"
    assert found.as_dict()["odd_channels"] == [{"path": str(problem.path), "reason": problem.reason}]
    assert len(inspect(found.usable()).problems()) == 0


def test_among_ordinary_images_only_those_of_many_channels_are_odd(tmp_path: Path) -> None:
    for seed, channels in enumerate((1, 3, 3, 6)):
        write(tmp_path / f"{seed}.tif", noise(seed, channels=channels))
    assert [problem.path.name for problem in inspect(read_folder(tmp_path)).problems()] == ["3.tif"]


def test_what_a_library_mends_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "1.tif", noise(1, channels=6))
    write(tmp_path / "2.tif", noise(2, channels=6))
    folder = read_folder(tmp_path)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "tifffile", None)
        assert len(inspect(folder).broken) == 2
    assert inspect(folder).broken == ()


def test_many_problems_are_shortened_in_lines_only(tmp_path: Path) -> None:
    photos(tmp_path, "train", [1])
    for index in range(9):
        (tmp_path / "train" / f"x{index}.png").touch()
    found = inspect(read_folder(tmp_path))
    assert len([line for line in found.lines() if line.startswith("problem: ")]) == 6
    assert "problem: ... and 4 more" in found.lines()
    assert len(found.as_dict()["broken"]) == 9


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("I2I_DATA", str(tmp_path))
    assert data_root() == tmp_path
    assert cache_root().parent == tmp_path
    monkeypatch.delenv("I2I_DATA")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data_root() == tmp_path / "xdg" / "i2i"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_root() == Path.home() / ".cache" / "i2i"
    monkeypatch.setattr("sys.platform", "darwin")
    assert data_root() == Path.home() / "Library" / "Caches" / "i2i"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert data_root() == tmp_path / "local" / "i2i"
