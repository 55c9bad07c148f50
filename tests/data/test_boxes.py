"""Photos cut by the bounding boxes of Pascal VOC: to the pixel, and nothing an XML file asks for is done."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from i2i.data import DataConfig, find_source, open_data
from i2i.data.boxes import BadAnnotation, read_boxes
from i2i.data.geometry import Box
from i2i.data.opened import Data
from i2i.errors import UserError

OBJECT = (
    "<object><name>dog</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def voc(path: Path, *boxes: tuple[object, ...]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><size/>{''.join(OBJECT.format(*box) for box in boxes)}</annotation>")
    return path


def photo(path: Path, height: int = 40, width: int = 60) -> None:
    """Green tells the column, blue the row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:height, :width]
    cv2.imwrite(str(path), np.stack([rows, columns, rows * 0], axis=2).astype(np.uint8))


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """Two classes of two photos, laid out as Stanford dogs are: annotations without suffix."""
    for name in ("corgi/c_1", "corgi/c_2", "pug/p_1", "pug/p_2"):
        photo(tmp_path / "dogs" / "Images" / f"{name}.jpg".replace("jpg", "png"))
        voc(tmp_path / "dogs" / "Annotation" / name, (11, 6, 18, 13))
    return tmp_path / "dogs"


def opened(root: Path, **options: object) -> Data:
    config = DataConfig.model_validate({"image_size": 8, "flip": False, "boxes": str(root / "Annotation"), **options})
    return open_data(config, find_source(str(root)), 0, lambda line: None, needs="images")


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(UserError) as error:
        opened(root, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_box_is_cut_to_the_pixel(dogs: Path) -> None:
    data = opened(dogs)
    assert (data.classes, data.config.boxes) == (("corgi", "pug"), str(dogs / "Annotation"))
    for images in data.splits.values():
        for index in range(len(images)):
            image = images[index, 0]["image"]
            assert image[1, 0].tolist() == list(range(10, 18))
            assert image[2, :, 0].tolist() == list(range(5, 13))


def test_each_box_is_a_sample_and_those_of_a_photo_stay_together(dogs: Path) -> None:
    plain = opened(dogs)
    for name in ("corgi/c_1", "corgi/c_2", "pug/p_1", "pug/p_2"):
        (dogs / "Annotation" / name).unlink()
        voc(dogs / "Annotation" / f"{name}.xml", (11, 6, 18, 13), (31, 6, 38, 13))  # the other name they go by
    data = opened(dogs)
    assert [len(images) for images in data.splits.values()] == [2 * len(images) for images in plain.splits.values()]
    assert data.splits["train"].names == [f"{name}#{n}" for name in plain.splits["train"].names for n in (1, 2)]
    assert [int(data.splits["train"][index, 0]["image"][1, 0, 0]) for index in (0, 1)] == [10, 30]
    assert data.digest != plain.digest


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        (Box(10, 10, 20, 20), (40, 40), Box(10, 10, 20, 20)),
        (Box(10, 10, 20, 14), (40, 40), Box(10, 7, 20, 17)),
        (Box(10, 0, 20, 4), (40, 40), Box(10, 0, 20, 10)),  # moved down, for there is nothing above
        (Box(36, 10, 40, 20), (40, 40), Box(30, 10, 40, 20)),
        (Box(0, 10, 40, 20), (30, 40), Box(0, 0, 40, 30)),  # no square fits
        (Box(-5, 30, 10, 60), (40, 40), Box(0, 30, 10, 40)),  # what lies outside does not count
    ],
)
def test_growing_to_a_square(box: Box, size: tuple[int, int], expected: Box) -> None:
    assert box.squared(*size) == expected


def test_a_flat_folder_of_annotations_serves_and_another_classes_does_not(dogs: Path) -> None:
    for path in list((dogs / "Annotation").rglob("*_*")):
        path.rename(dogs / "Annotation" / f"{path.name}.xml")
    assert len(opened(dogs).splits["train"]) == 3
    (dogs / "Annotation" / "pug" / "c_1.xml").write_bytes((dogs / "Annotation" / "c_1.xml").read_bytes())
    (dogs / "Annotation" / "c_1.xml").unlink()
    assert "c_1.png: has no annotation" in refusal(dogs)


def test_missing_and_bad_annotations_are_listed_like_bad_files(dogs: Path) -> None:
    (dogs / "Annotation" / "corgi" / "c_1").unlink()
    (dogs / "Annotation" / "pug" / "p_1").write_text("<annotation><object>")
    voc(dogs / "Annotation" / "pug" / "p_2", (101, 6, 118, 13))
    message = refusal(dogs)
    assert "c_1.png: has no annotation with its bounding box; " in message
    assert "p_1.png: its annotation " in message
    assert "is no valid XML" in message
    assert "p_2.png: has a box (columns 100 to 118, rows 5 to 13) that lies beside it" in message
    data = opened(dogs, bad_files="skip", val_share=0.5)
    assert {name for images in data.splits.values() for name in images.names} == {"corgi/c_2"}


def test_folders_that_cannot_be(dogs: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in refusal(dogs, boxes="nowhere")
    (tmp_path / "others").mkdir()
    voc(tmp_path / "others" / "cat.xml", (1, 1, 2, 2))
    assert "holds no annotation of a photo in" in refusal(dogs, boxes=str(tmp_path / "others"))


BOMB = '<!DOCTYPE a [<!ENTITY x "x"><!ENTITY y "&x;&x;&x;&x;">]><annotation>&y;</annotation>'
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "has a DOCTYPE"),
        (FILE, "has a DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><annotation/>', "has a DOCTYPE"),
        ("<annotation>&x;</annotation>", "is no valid XML .undefined entity"),
        ("", "is no valid XML"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "is no valid XML"),
        ("<annotation/>" + " " * (1 << 20), "is larger than 1 MiB"),
        ("<annotation/>", "holds no box"),
        (OBJECT.format(1, 2, "three", 4), "holds no box"),  # not within an annotation
        (f"<a>{OBJECT.format(1, 2, 'three', 4)}</a>", "as numbers"),
        (f"<a>{OBJECT.format(1, 2, 'nan', 4)}</a>", "a box of no size"),
        (f"<a>{OBJECT.format(9, 2, 3, 4)}</a>", "a box of no size"),
        ("<a><object><bndbox/></object></a>", "as numbers"),
    ],
)
def test_hostile_and_malformed_annotations(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.xml").write_text(content)
    with pytest.raises(BadAnnotation, match=message) as refusal:
        read_boxes(tmp_path / "x.xml")
    assert "\n" not in str(refusal.value)


def test_corners_count_from_one_and_may_be_fractions(tmp_path: Path) -> None:
    assert read_boxes(voc(tmp_path / "x.xml", (1, 1, 1, 1), (2.2, 3, 9.8, 7))) == [Box(0, 0, 1, 1), Box(1, 2, 10, 7)]
