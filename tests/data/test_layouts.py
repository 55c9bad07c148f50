import os
from pathlib import Path

import pytest
from PIL import Image

from i2i.data.layouts import DataFolder, Example, read_folder, role_of
from i2i.errors import UserError

REAL = Path(os.environ.get("I2I_REAL_IMAGES", "no folder of real images was named"))


def make(root: Path, *names: str, size: tuple[int, int] = (8, 8)) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)
    return root


def counts(folder: DataFolder) -> dict[str, int]:
    return {split: len(examples) for split, examples in folder.splits.items()}


def names(folder: DataFolder) -> list[str]:
    return sorted(example.name for examples in folder.splits.values() for example in examples)


def numbered(pattern: str, count: int) -> list[str]:
    return [pattern.format(index) for index in range(count)]


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(UserError) as error:
        read_folder(root, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(root))
    return str(error.value)


def test_side_by_side(tmp_path: Path) -> None:
    make(tmp_path, *numbered("train/{}.png", 20), *numbered("test/{}.png", 4), size=(16, 8))
    folder = read_folder(tmp_path)
    assert folder.layout == "side-by-side"
    assert folder.describe() == (
        f"side-by-side pairs in {tmp_path}/: train 18, val 2 (split off train, seed 0), test 4"
    )
    assert folder.splits["test"][3] == Example("3", tmp_path / "test/3.png", tmp_path / "test/3.png")


def test_photos_with_and_without_splits(tmp_path: Path) -> None:
    make(tmp_path / "flat", "1.png", "sub/2.png", "10.jpg")
    folder = read_folder(tmp_path / "flat")
    assert folder.layout == "photos"
    assert counts(folder) == {"train": 2, "val": 1}
    assert names(folder) == ["1", "10", "sub/2"]
    assert all(example.a is None for example in folder.splits["train"])
    make(tmp_path / "split", "training/1.png", "Validation/2.png", "testing/3.png", "testing/4.png")
    folder = read_folder(tmp_path / "split")
    assert counts(folder) == {"train": 1, "val": 1, "test": 2}
    assert folder.val_origin is None
    assert folder.side("test", "b") == (tmp_path / "split/testing/3.png", tmp_path / "split/testing/4.png")


def test_nearly_all_headers_decide_between_pairs_and_photos(tmp_path: Path) -> None:
    make(tmp_path, *numbered("{}.png", 19), size=(100, 50))
    make(tmp_path, "odd.png", size=(50, 50))
    (tmp_path / "broken.png").touch()
    assert read_folder(tmp_path).layout == "side-by-side"
    make(tmp_path, *numbered("more{}.png", 5), size=(50, 50))
    assert read_folder(tmp_path).layout == "photos"
    assert read_folder(tmp_path, layout="side-by-side").layout == "side-by-side"
    make(tmp_path / "near", "1.png", size=(202, 100))
    assert read_folder(tmp_path / "near").layout == "side-by-side"
    make(tmp_path / "far", "1.png", size=(205, 100))
    assert read_folder(tmp_path / "far").layout == "photos"


@pytest.mark.parametrize("pattern", ["{split}/{side}/{name}.png", "{side}/{split}/{name}.png"])
def test_two_folders_in_either_nesting(tmp_path: Path, pattern: str) -> None:
    places = [("train", "1"), ("train", "deep/2"), ("train", "3"), ("test", "1")]
    for side in ("image", "mask"):
        make(tmp_path, *(pattern.format(split=split, side=side, name=name) for split, name in places))
    folder = read_folder(tmp_path)
    assert folder.layout == "two-folders"
    assert (folder.folder_a, folder.folder_b) == ("mask", "image")
    assert counts(folder) == {"train": 2, "val": 1, "test": 1}
    assert names(folder) == ["1", "1", "3", "deep/2"]
    expected = [tmp_path / pattern.format(split="test", side=side, name="1") for side in ("mask", "image")]
    assert [folder.splits["test"][0].a, folder.splits["test"][0].b] == expected
    assert folder.describe() == (
        f"pairs in two folders in {tmp_path}/ (A: mask, B: image): train 2, val 1 (split off train, seed 0), test 1"
    )


def test_two_folders_without_splits_and_other_folders(tmp_path: Path) -> None:
    make(tmp_path, "input/1.png", "input/2.png", "target/1.jpg", "target/2.jpg", "old/3.png", "cover.png")
    folder = read_folder(tmp_path)
    assert (folder.folder_a, folder.folder_b) == ("input", "target")
    assert counts(folder) == {"train": 1, "val": 1}
    assert folder.notes == ("left out: 2 images in neither input nor target",)


def test_a_folder_around_everything_does_not_matter(tmp_path: Path) -> None:
    make(tmp_path, "archive/set/train/1.png", "archive/set/test/1.png")
    assert counts(read_folder(tmp_path)) == {"train": 1, "val": 1, "test": 1}
    make(tmp_path / "only", "test/1.png")
    assert counts(read_folder(tmp_path / "only")) == {"test": 1}


def test_unpaired(tmp_path: Path) -> None:
    make(tmp_path, *numbered("trainA/{}.png", 10), *numbered("trainB/{}.png", 20), "testA/1.png", "testB/1.png")
    folder = read_folder(tmp_path)
    assert folder.layout == "unpaired"
    assert folder.describe() == (
        f"unpaired images in {tmp_path}/: train 9 + 18, val 1 + 2 (split off train, seed 0), test 1 + 1"
    )
    assert folder.side("test", "a") == (tmp_path / "testA/1.png",)
    assert folder.side("test", "b") == (tmp_path / "testB/1.png",)
    assert len({example.name for example in folder.splits["train"]}) == 27
    paired = read_folder(tmp_path, layout="two-folders")
    assert counts(paired) == {"train": 9, "val": 1, "test": 1}
    assert len(paired.problems) == 10
    assert "only 'A'" in refusal(make(tmp_path / "half", "trainA/1.png"))


def test_unpaired_is_obeyed_where_names_differ(tmp_path: Path) -> None:
    make(tmp_path, "A/x.png", "A/y.png", "B/p.png", "B/q.png")
    assert "data.layout=unpaired" in refusal(tmp_path)
    folder = read_folder(tmp_path, layout="unpaired")
    assert counts(folder) == {"train": 2, "val": 2}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *(
            (word, "a")
            for word in [
                "sketch",
                "Sketches",
                "input",
                "inputs",
                "mask",
                "masks",
                "edges",
                "label",
                "labels",
                "rainy",
                "lr",
                "LR",
                "low",
            ]
        ),
        *(
            (word, "a")
            for word in [
                "condition",
                "source",
                "A",
                "a",
                "trainA",
                "imageA",
                "images_a",
                "real_A",
                "LR_bicubic",
                "inputImages",
            ]
        ),
        *(
            (word, "b")
            for word in [
                "photo",
                "photos",
                "target",
                "output",
                "gt",
                "GT",
                "ground_truth",
                "groundTruth",
                "clean",
                "hr",
                "HR",
                "high",
            ]
        ),
        *((word, "b") for word in ["real", "B", "b", "imageB", "fake_B", "target-images"]),
        *(
            (word, None)
            for word in ["image", "images", "data", "DATA", "pasta", "cars", "input_target", "A_B", "x", "123"]
        ),
    ],
)
def test_role_words(name: str, role: str | None) -> None:
    assert role_of(name) == role


def test_what_names_do_not_decide_is_asked(tmp_path: Path) -> None:
    for first, second in (("left", "right"), ("mask", "label"), ("photo", "target")):
        root = make(tmp_path / first, f"{first}/1.png", f"{second}/1.png")
        line = refusal(root)
        assert first in line
        assert second in line
        assert "--set data.folder_a=NAME --set data.folder_b=NAME" in line
        for options in ({"folder_a": first}, {"folder_b": second}, {"folder_a": first, "folder_b": second}):
            folder = read_folder(root, **options)  # type: ignore[arg-type]
            assert (folder.folder_a, folder.folder_b) == (first, second)
    assert read_folder(tmp_path / "left", layout="photos").layout == "photos"


def test_named_folders(tmp_path: Path) -> None:
    make(tmp_path, "x/lr/1.png", "x/hr/1.png", "y/1.png")
    folder = read_folder(tmp_path, folder_a="x/lr", folder_b="y")
    assert folder.splits["train"] == (Example("1", tmp_path / "x/lr/1.png", tmp_path / "y/1.png"),)
    assert "did you mean 'y'" in refusal(tmp_path, folder_a="yy", folder_b="x")
    assert "leave them out" in refusal(tmp_path, layout="photos", folder_a="x")
    assert "which of its folders" in refusal(tmp_path, folder_a="y", folder_b="y")


def test_more_than_two_folders(tmp_path: Path) -> None:
    make(tmp_path / "classes", "cat/1.png", "dog/1.png", "cow/1.png")
    assert read_folder(tmp_path / "classes").layout == "photos"
    make(tmp_path / "unclear", "input/1.png", "mask/1.png", "target/1.png")
    assert "which of its folders" in refusal(tmp_path / "unclear")
    make(tmp_path / "loose", "1.png", "2.png", "mask/1.png", "mask/2.png")
    assert "data.layout=photos" in refusal(tmp_path / "loose")


def test_several_data_sets_are_not_mixed(tmp_path: Path) -> None:
    make(tmp_path, "one/train/1.png", "one/test/1.png", "two/1.png", "three/trainA/1.png")
    assert f"such as {tmp_path / 'one'}" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("a", "b", "matched"),
    [
        (["1_A", "2_A", "10_A"], ["1_B", "2_B", "10_B"], ["1", "10", "2"]),
        (["1_mask", "2_mask", "3_mask"], ["1", "2", "4"], ["1", "2"]),
        (["rain-001", "rain-002"], ["norain-001", "norain-002", "norain-100"], ["001", "002"]),
        (["0001x4", "0002x4", "0013x4"], ["0001", "0002", "0013"], ["0001", "0002", "0013"]),
        (["c/c_1_leftImg8bit", "d/d_2_leftImg8bit"], ["c/c_1_gt_ids", "d/d_2_gt_ids"], ["c/c_1", "d/d_2"]),
        (["photo_1_A"], ["photo_1_B"], ["photo"]),
    ],
)
def test_words_common_to_a_side_are_looked_past(tmp_path: Path, a: list[str], b: list[str], matched: list[str]) -> None:
    make(tmp_path, *(f"input/{name}.png" for name in a), *(f"target/{name}.jpg" for name in b))
    folder = read_folder(tmp_path)
    assert sorted(set(names(folder))) == matched
    assert len(folder.problems) == len(a) + len(b) - 2 * len(matched)
    assert any("matched by their names without" in note for note in folder.notes)


def test_numbers_are_no_words_to_look_past(tmp_path: Path) -> None:
    make(tmp_path, "input/img_1.png", "target/img_2.png")
    assert "no image of 'input' has the name of one of 'target'" in refusal(tmp_path)


def test_unmatched_and_doubled_files_are_problems(tmp_path: Path) -> None:
    make(tmp_path, "input/1.png", "input/1.jpg", "input/2.png", "input/3.png", "target/1.png", "target/2.png")
    make(tmp_path, "target/4.png")
    folder = read_folder(tmp_path)
    assert names(folder) == ["1", "2"]
    problems = {problem.path.relative_to(tmp_path).as_posix(): problem.reason for problem in folder.problems}
    assert set(problems) == {"input/1.png", "input/3.png", "target/4.png"}
    assert problems["input/1.png"].startswith("has the same name as 1.jpg")
    assert problems["input/3.png"] == "has no partner of the same name in 'target'"
    assert str(folder.problems[0]).startswith(f"{tmp_path / 'input/1.png'}: ")


def test_a_test_split_of_one_side_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "train/input/1.png", "train/target/1.png", "test/input/2.png")
    folder = read_folder(tmp_path)
    assert "test" not in folder.splits
    assert "test is left out: it has images of A alone" in folder.notes
    make(tmp_path / "one", "train/input/1.png", "test/target/1.png", "test/input/1.png")
    assert "no image of 'input'" in refusal(tmp_path / "one")


def test_photos_of_one_stem_stay_apart(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "1.jpg", "2.jpg")
    assert names(read_folder(tmp_path)) == ["1.jpg", "1.png", "2"]


def test_images_outside_the_splits_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "train/1.png", "train/2.png", "preview.png", "docs/x.png")
    folder = read_folder(tmp_path)
    assert counts(folder) == {"train": 1, "val": 1}
    assert "left out: 2 images outside the split folders" in folder.notes


def test_val_is_a_stable_seeded_choice(tmp_path: Path) -> None:
    make(tmp_path, *numbered("{}.png", 100))
    first = read_folder(tmp_path)
    assert counts(first) == {"train": 90, "val": 10}
    assert read_folder(tmp_path) == first
    assert read_folder(tmp_path, seed=1).splits["val"] != first.splits["val"]
    assert counts(read_folder(tmp_path, val_share=0.254)) == {"train": 75, "val": 25}
    make(tmp_path, *numbered("new{}.png", 5))
    before, after = ({example.name for example in f.splits["val"]} for f in (first, read_folder(tmp_path)))
    # One ranking decides: whoever left was displaced by a new image.
    assert len(before - after) <= len([name for name in after if name.startswith("new")])


def test_val_is_bounded(tmp_path: Path) -> None:
    for index in range(2500):
        (tmp_path / f"{index}.png").touch()
    assert counts(read_folder(tmp_path)) == {"train": 2300, "val": 200}


def test_a_single_image_is_its_own_val(tmp_path: Path) -> None:
    folder = read_folder(make(tmp_path, "1.png"))
    assert folder.splits["train"] == folder.splits["val"]
    assert folder.val_origin == "the same image as train"
    assert folder.notes == ("val shows an image that is trained on, for there is no other",)


def test_images_without_splits_can_be_called_test(tmp_path: Path) -> None:
    assert counts(read_folder(make(tmp_path, "1.png", "2.png"), split="test")) == {"test": 2}


def test_forced_layouts_that_cannot_be(tmp_path: Path) -> None:
    make(tmp_path, "1.png")
    assert "needs a folder of A and a folder of B" in refusal(tmp_path, layout="two-folders")
    assert "needs a folder of A and a folder of B" in refusal(tmp_path, layout="unpaired")


def test_no_folder_no_images(tmp_path: Path) -> None:
    make(tmp_path, "facades/1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "x.txt").touch()
    assert "did you mean 'facades'?" in refusal(tmp_path / "facade")
    assert "no such folder" in refusal(tmp_path / "nowhere" / "x")
    assert "is empty" in refusal(tmp_path / "empty")
    assert "holds no images" in refusal(tmp_path / "text")
    assert f"did you mean its folder, {tmp_path / 'facades'}?" in refusal(tmp_path / "facades" / "1.png")


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "train/1.png", "test/2.png")
    monkeypatch.chdir(tmp_path)
    assert read_folder(Path()).splits["test"] == (Example("2", None, Path("test/2.png")),)


@pytest.mark.skipif(not REAL.is_dir(), reason="I2I_REAL_IMAGES names no folder")
@pytest.mark.parametrize(
    ("name", "layout", "folders"),
    [
        ("cats", "photos", (None, None)),
        ("crackforest", "two-folders", ("mask", "image")),
        ("facades", "side-by-side", (None, None)),
        ("horse2zebra", "unpaired", ("A", "B")),
        ("rain100l", "two-folders", ("input", "target")),
        ("set5", "photos", (None, None)),
        ("set14", "photos", (None, None)),
    ],
)
def test_real_folders(name: str, layout: str, folders: tuple[str | None, str | None]) -> None:
    folder = read_folder(REAL / name)
    assert folder.layout == layout
    assert (folder.folder_a, folder.folder_b) == folders
    assert not folder.problems
