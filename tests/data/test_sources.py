"""What `--data` may name, and where its files come from."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from i2i.config import Layer, resolve
from i2i.data import drawn, files, open_data
from i2i.data.config import DataConfig
from i2i.data.derive import Downscale, Edges, Heal, Mask
from i2i.data.drawn import BUILTIN, Cats, Drawings, draw
from i2i.data.layouts import read_folder
from i2i.data.prepare import prepare_photos
from i2i.data.recipes import Recipe
from i2i.data.sources import find_source
from i2i.errors import UserError

FEW = tuple(Drawings(split, count, Cats(size=48)) for split, count in (("train", 3), ("val", 1), ("test", 1)))


@pytest.fixture
def few_cats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drawn.BUILTIN, "cats", FEW)


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


def test_cats_are_drawn_once_and_always_the_same(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = draw(tmp_path / "one", FEW, lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)]
    again = draw(tmp_path / "two", FEW)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.jpg"))
    assert len(names) == 5
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes()
    stamp = (folder / names[0]).stat().st_mtime_ns
    assert draw(folder, FEW).is_dir()
    assert (folder / names[0]).stat().st_mtime_ns == stamp


def test_a_drawing_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        draw(tmp_path / "cats", FEW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_cats")
def test_prepared_photos_take_the_drawings_place(photos: Callable[..., Path], own_data_root: Path) -> None:
    assert "drawn by a seeded generator" in find_source("edges2cats").describe()
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


def test_masks_derived_ahead_stay_a_channel_of_the_input(photos: Callable[..., Path], own_data_root: Path) -> None:
    target = own_data_root / "edges2cats" / "photos"
    prepare_photos(photos(4), target, DataConfig(derive=Mask()), 0, size=40, ahead=True, overwrite=False)
    source = find_source("edges2cats")
    options = resolve(DataConfig, [Layer(layer.origin, layer.options["data"]) for layer in source.layers])
    data = open_data(options.model_copy(update={"image_size": 40, "load_size": 40}), source, 0, lambda _: None)
    assert data.channels == (4, 3)
    item = data.splits["train"][0, 0]
    hole = item["a"][3] == 255
    assert hole.any()
    assert (item["a"][:3, hole] == 128).all()
    assert torch.equal(item["a"][:3, ~hole], item["b"][:, ~hole])


@pytest.mark.parametrize(
    ("derive", "message"),
    [(None, "derives no inputs"), (Heal(), "takes pairs, not photos"), (Downscale(enlarge=False), "smaller than")],
)
def test_what_cannot_be_derived_ahead_is_refused(
    photos: Callable[..., Path], tmp_path: Path, derive: Heal | Downscale | None, message: str
) -> None:
    with pytest.raises(UserError, match=f"--ahead: .*{message}"):
        prepare_photos(photos(), tmp_path / "t", DataConfig(derive=derive), 0, size=40, ahead=True, overwrite=False)


def test_what_cannot_be_prepared_is_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "x.png").write_bytes(b"junk")
    with pytest.raises(UserError, match="none of its 1 images can be read"):
        prepare_photos(junk, tmp_path / "t", DataConfig(), 0, size=40, ahead=False, overwrite=False)
    assert not (tmp_path / "t").exists()


def test_two_coats_are_two_heaps_of_other_cats(tmp_path: Path) -> None:
    few = tuple(replace(part, count=4) for part in BUILTIN["two coats"])
    folder = read_folder(draw(tmp_path / "coats", few))
    assert folder.layout == "unpaired"
    a, b = (np.stack([files.read(path) for path in folder.side("train", side)]).astype(int) for side in ("a", "b"))
    assert len(a) == len(b) == 4
    warmth = [float((heap[..., 0] - heap[..., 2]).mean()) for heap in (a, b)]
    assert warmth[0] > warmth[1] + 10  # ginger is redder than silver


def test_drawn_coats_are_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(replace(part, count=2) for part in BUILTIN["coats"])
    monkeypatch.setitem(drawn.BUILTIN, "coats", few)
    source = find_source("coats")
    config = resolve(DataConfig, [Layer(layer.origin, layer.options["data"]) for layer in source.layers])
    data = open_data(config, source, 0, lambda line: None, needs="images")
    assert data.classes == ("black", "blue", "calico", "ginger-tabby", "white")
    assert {split: len(images) for split, images in data.splits.items()} == {"train": 10, "val": 10, "test": 10}
    means: dict[str, list[float]] = {}
    for index in range(10):
        item = data.splits["test"][index, 0]
        means.setdefault(data.classes[int(item["label"])], []).append(float(item["image"].float().mean()))
    assert np.mean(means["white"]) > np.mean(means["black"])


class FakeMNIST:
    """Downloads as torchvision's class does: packed and unpacked files in NAME/raw."""

    calls = 0
    files: tuple[str, ...] = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    error: Exception | None = None

    def __init__(self, root: str, download: bool) -> None:
        assert download
        type(self).calls += 1
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name in self.files:
            if self.error is not None:
                raise self.error
            shape = (20, 4, 4) if "images" in name else (20,)
            header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
            content = header + bytes(index % 10 for index in range(int(np.prod(shape))))
            (raw / f"{name}-ubyte").write_bytes(content)
            (raw / f"{name}-ubyte.gz").write_bytes(gzip.compress(content))


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch) -> type[FakeMNIST]:
    fake = type("Fake", (FakeMNIST,), {"calls": 0})
    for name in ("MNIST", "FashionMNIST"):
        monkeypatch.setattr(f"torchvision.datasets.{name}", fake)
    return fake


@pytest.mark.parametrize(("name", "first"), [("mnist", "0"), ("fashion_mnist", "t-shirt")])
def test_torchvision_downloads_once_and_says_so(
    name: str, first: str, mnist: type[FakeMNIST], own_data_root: Path
) -> None:
    assert "not here yet" in find_source(name).describe()
    for _ in range(2):
        lines: list[str] = []
        source = find_source(name)
        config = resolve(DataConfig, [Layer(layer.origin, layer.options["data"]) for layer in source.layers])
        assert (config.image_size, config.flip, config.layout) == (28, False, "idx")
        data = open_data(config, source, 0, lines.append, needs="images")
        assert {split: len(images) for split, images in data.splits.items()} == {"train": 18, "val": 2, "test": 20}
        assert (len(data.classes), data.classes[0]) == (10, first)
        told = f"data: downloading {name} to {own_data_root / name}"
        assert (told in lines) == (mnist.calls == 1 and lines[0].startswith("data: downloading"))
    assert mnist.calls == 1
    assert f"files in {own_data_root / name}" in source.describe()


def test_a_download_that_fails_says_what_to_put_where(mnist: type[FakeMNIST], own_data_root: Path) -> None:
    mnist.error = OSError("Error downloading train-images:\nTried http://x, got: no route to host")
    with pytest.raises(UserError) as refusal:
        find_source("mnist").folder()
    message = str(refusal.value)
    assert "\n" not in message
    assert "no route to host" in message
    wanted = ", ".join(f"{name}-ubyte.gz" for name in FakeMNIST.files)
    assert f"put {wanted} into {own_data_root / 'mnist'} by hand" in message
    assert list((own_data_root / "mnist").iterdir()) == []
    mnist.error = None
    mnist.files = ("train-images-idx3",)
    with pytest.raises(UserError, match=r"lacks train-labels-idx1-ubyte\.gz, t10k-images-idx3-ubyte\.gz, t10k-labels"):
        find_source("mnist").folder()


def test_files_put_there_by_hand_are_used(mnist: type[FakeMNIST], own_data_root: Path, tmp_path: Path) -> None:
    mnist(str(tmp_path / "elsewhere"), download=True)
    for path in (tmp_path / "elsewhere").rglob("*.gz"):
        (own_data_root / "mnist").mkdir(parents=True, exist_ok=True)
        path.rename(own_data_root / "mnist" / path.name)
    assert find_source("mnist").folder() == own_data_root / "mnist"
    assert mnist.calls == 1


def test_celeba_is_photos_wherever_they_were_unpacked(
    photos: Callable[..., Path], own_data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("torchvision.datasets.CelebA")
    with pytest.raises(UserError, match=r"img_align_celeba into .*celeba by hand"):
        find_source("celeba").folder()
    photos(4, name=str(own_data_root / "celeba" / "unpacked" / "img_align_celeba"))
    source = find_source("celeba")
    assert not source.takes_photos
    data = open_data(DataConfig(layout="photos", image_size=16), source, 0, lambda line: None, needs="images")
    assert (len(data.splits["train"]), data.classes) == (3, ())


LITTLE = """
title: Little
about: two pairs side by side
terms: for tests alone
archives:
  - urls: [https://example.org/little.zip]
    bytes: {size}
    checksum: {checksum}
data: {{layout: side-by-side, direction: BtoA, val_share: 0.5}}
"""


@pytest.fixture
def little(tmp_path: Path, own_data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a data set `little` known, whose archive lies where it is to be put by hand; return the archive."""
    archive = own_data_root / "little" / "little.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        for index in range(2):
            pair = np.random.default_rng(index).integers(0, 256, (32, 64, 3), dtype=np.uint8)
            files.write(tmp_path / "pair.png", pair)
            file.write(tmp_path / "pair.png", f"little/train/{index}.png")
    recipes = tmp_path / "recipes" / "datasets"
    recipes.mkdir(parents=True)
    content = archive.read_bytes()
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    (recipes / "little.yaml").write_text(LITTLE.format(size=len(content), checksum=checksum))
    monkeypatch.setattr("i2i.resources.resource_folder", lambda name: recipes.parent / name)
    return archive


def test_a_recipes_archives_are_unpacked_at_first_use_and_say_on_what_terms(
    little: Path, photos: Callable[..., Path]
) -> None:
    photos(1, name="little")  # the working folder has a folder of that name
    source = find_source("little")
    assert source.describe() == "little: not here yet, 0.0 MB to download"
    config = resolve(DataConfig, [Layer(layer.origin, layer.options["data"]) for layer in source.layers])
    lines: list[str] = []
    data = open_data(config, source, 0, lines.append)
    assert {split: len(images) for split, images in data.splits.items()} == {"train": 1, "val": 1}
    assert "say --data ./little" in lines[0]
    assert lines[1] == f"data: downloading little, 0.0 MB from example.org, to {little.parent}"
    assert lines[2] == "data: terms of little: for tests alone"
    assert lines[3] == f"data: little: files in {little.parent / 'downloaded'}"
    lines.clear()
    open_data(config, source, 0, lines.append)
    assert not any("downloading" in line for line in lines)


def test_a_file_that_cannot_be_checked_is_said_to_be_so(little: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipes" / "datasets" / "little.yaml"
    lines = [line for line in recipe.read_text().splitlines() if "checksum" not in line]
    recipe.write_text("\n".join(lines))
    said: list[str] = []
    find_source("little").download(say=said.append)
    assert "no checksum of little.zip is known, so that another file would not be noticed" in said[-1]


def test_the_users_photos_come_before_downloaded_ones_and_those_before_drawings(
    photos: Callable[..., Path], own_data_root: Path
) -> None:
    assert "download photos, 791.9 MB, with: i2i data download edges2cats" in find_source("edges2cats").describe()
    downloaded = photos(2, name=str(own_data_root / "edges2cats" / "downloaded"))
    assert find_source("edges2cats").folder() == find_source("edges2cats").download() == downloaded
    own = own_data_root / "edges2cats" / "photos"
    prepare_photos(photos(4), own, DataConfig(derive=Edges()), 0, size=40, ahead=False, overwrite=False)
    assert find_source("edges2cats").folder() == own


def test_a_recipe_tells_where_its_files_come_from_and_on_what_terms() -> None:
    about = {"title": "t", "about": "a"}
    with pytest.raises(UserError, match="says neither who draws it"):
        resolve(Recipe, [Layer("x.yaml", about)])
    archive = {"urls": ["https://example.org/x.zip"], "bytes": "5"}
    with pytest.raises(UserError, match="says not on what terms"):
        resolve(Recipe, [Layer("x.yaml", {**about, "archives": [archive]})])
    for wrong in ({"urls": ["ftp://example.org/x.zip"]}, {"checksum": "sha256:12"}, {"checksum": "crc:12345678"}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            resolve(Recipe, [Layer("x.yaml", {**about, "terms": "t", "archives": [archive | wrong]})])
