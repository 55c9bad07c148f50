"""IDX files: every image with its label, and nothing believed that a header claims."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from i2i.data import DataConfig, SingleImages, Stream, find_source, open_data, training_loader
from i2i.data.idx import find_idx, read_idx
from i2i.data.opened import Data
from i2i.data.singles import read_singles
from i2i.errors import UserError

Write = Callable[..., Path]


def idx_bytes(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], kind: int = 8) -> bytes:
    """Return the array as an IDX file holds it."""
    header = bytes([0, 0, kind, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


@pytest.fixture
def idx() -> Write:
    """Return a function that writes a set like MNIST: image n of a split has the value n at its top left."""

    def write(
        root: Path,
        splits: Sequence[tuple[str, int]] = (("train", 20), ("t10k", 6)),
        labels: Callable[[int], int] | None = lambda n: n % 3 + 4,
        shape: tuple[int, ...] = (8, 8),
        name: str = "{split}-{what}-idx{dims}-ubyte.gz",
    ) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        for split, count in splits:
            images = np.random.default_rng(count).integers(0, 256, (count, *shape)).astype(np.uint8)
            images[:, 0, 0] = np.arange(count).reshape(-1, *[1] * (len(shape) - 2))
            parts = [("images", images)]
            if labels:
                parts.append(("labels", np.array([labels(n) for n in range(count)], np.uint8)))
            for what, array in parts:
                file = root / name.format(split=split, what=what, dims=array.ndim)
                content = idx_bytes(array)
                file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
        return root

    return write


def opened(root: Path, **options: object) -> Data:
    source = find_source(str(root))
    own = source.layers[-1].options["data"]
    return open_data(DataConfig.model_validate({**own, **options}), source, 0, lambda line: None, needs="images")


@pytest.mark.parametrize(
    "name",
    [
        "{split}-{what}-idx{dims}-ubyte.gz",
        "{split}-{what}-idx{dims}-ubyte",
        "{split}-{what}.idx{dims}-ubyte",
        "MNIST/raw/emnist-letters-{split}-{what}-idx{dims}-ubyte.gz",
    ],
)
def test_images_meet_their_labels(tmp_path: Path, idx: Write, name: str) -> None:
    (tmp_path / "set" / name).parent.mkdir(parents=True)
    data = opened(idx(tmp_path / "set", name=name))
    assert (data.channels, data.classes, data.config.layout) == ((1,), ("4", "5", "6"), "idx")
    assert (data.config.image_size, data.config.load_size, data.config.flip) == (8, 8, False)
    assert {split: len(images) for split, images in data.splits.items()} == {"train": 18, "val": 2, "test": 6}
    seen = []
    for split in ("train", "val"):
        for index in range(len(data.splits[split])):
            item = data.splits[split][index, 0]
            number = int(item["image"][0, 0, 0])
            assert (item["image"].shape, item["image"].dtype) == ((1, 8, 8), torch.uint8)
            assert (item["label"].dtype, int(item["label"])) == (torch.int64, number % 3)
            seen.append(number)
    assert sorted(seen) == list(range(20))


def test_pixels_are_those_of_the_file_and_safe_from_whoever_gets_them(tmp_path: Path, idx: Write) -> None:
    data = opened(idx(tmp_path))
    stored = read_idx(tmp_path / "t10k-images-idx3-ubyte.gz")
    for index in range(6):
        image = data.splits["test"][index, 0]["image"]
        np.testing.assert_array_equal(image[0].numpy(), stored[index])
        image.zero_()
    np.testing.assert_array_equal(data.splits["test"][5, 0]["image"][0].numpy(), stored[5])


def test_workers_change_nothing(tmp_path: Path, idx: Write) -> None:
    noise = [{"transform": "GaussNoise", "options": {"p": 1.0}}]
    train = opened(idx(tmp_path), augment=noise, load_size=10, flip=True).splits["train"]
    streams = [list(training_loader(train, Stream(len(train), 5, 0, 0, 8), workers, pin=False)) for workers in (0, 2)]
    for alone, shared in zip(*streams, strict=True):
        assert set(alone) == {"image", "label", "index"}
        for key in alone:
            assert torch.equal(alone[key], shared[key])


def test_val_follows_the_seed(tmp_path: Path, idx: Write) -> None:
    root = idx(tmp_path, splits=[("train", 100)])
    held = [[e.name for e in read_singles(root, None, (), 0.1, seed).splits["val"]] for seed in (1, 1, 2)]
    assert held[0] == held[1] != held[2]
    assert len(held[0]) == 10


def test_the_digest_notices_other_pixels_and_other_labels(tmp_path: Path, idx: Write) -> None:
    digest = opened(idx(tmp_path)).digest
    assert opened(idx(tmp_path)).digest == digest
    assert opened(idx(tmp_path, labels=lambda n: (n + 1) % 3)).digest != digest
    idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[100] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    assert opened(tmp_path).digest != digest


def test_without_labels_or_with_one_alone_there_are_no_classes(tmp_path: Path, idx: Write) -> None:
    data = opened(idx(tmp_path / "bare", labels=None))
    assert data.classes == ()
    assert set(data.splits["train"][0, 0]) == {"image", "index"}
    folder = read_singles(idx(tmp_path / "fives", labels=lambda n: 5), None, ())
    assert (folder.classes, folder.notes) == ((), ("all labels are 5, so there are no classes",))


def test_colour_sizes_flags_and_names(tmp_path: Path, idx: Write) -> None:
    root = idx(tmp_path, shape=(8, 6, 3))
    data = opened(root)
    assert (data.channels, data.config.image_size) == ((3,), 6)
    data = opened(root, image_size=16, channels=1, classes=["four", "five", "six"])
    assert data.splits["train"][0, 0]["image"].shape == (1, 16, 16)
    assert data.classes == ("four", "five", "six")
    again = open_data(data.config, find_source(str(root)), 0, print, needs="images")  # as a resumed run does
    assert (again.config, again.digest) == (data.config, data.digest)


def test_a_single_file_is_trained_on_and_unpacked_twins_count_once(tmp_path: Path, idx: Write) -> None:
    root = idx(tmp_path, splits=[("t10k", 20)])
    idx(root, splits=[("t10k", 20)], name="{split}-{what}-idx{dims}-ubyte")
    assert {file.path.suffix for file in find_idx(root)} == {""}
    folder = read_singles(root, None, ())
    assert list(folder.splits) == ["train", "val"]
    assert folder.notes == ("t10k-images-idx3-ubyte is all there is, so it is trained on",)


IMAGES = np.zeros((3, 2, 2), np.uint8)
LIE = idx_bytes(IMAGES)[:4] + (2**31).to_bytes(4, "big") + idx_bytes(IMAGES)[8:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file .it starts with nothing"),
        (b"\x89PNG\r\n\x1a\n", "is no IDX file .it starts with 89 50 4e 47"),
        (b"\0\0\x08\xff" + b"\xff" * 2000, "is no IDX file"),
        (idx_bytes(IMAGES)[:10], "cut off within its header"),
        (idx_bytes(IMAGES)[:-1], "cut off: its header promises 3 x 2 x 2 values"),
        (gzip.compress(idx_bytes(IMAGES)[:-1]), "cut off: its header promises 3 x 2 x 2 values"),
        (gzip.compress(idx_bytes(IMAGES))[:-9], "is damaged or cut off"),
        (gzip.compress(idx_bytes(IMAGES))[:-4] + b"abcd", "is damaged or cut off"),
        (b"\x1f\x8b\x08" + b"\xff" * 40, "is damaged or cut off"),
        (idx_bytes(IMAGES) + b"\0", "is longer than the 3 x 2 x 2 values"),
        (gzip.compress(idx_bytes(IMAGES) + bytes(10**8)), "is longer than the 3 x 2 x 2 values"),
        (LIE, "claims 2147483648 x 2 x 2 values, which is more than 4 GiB"),
        (idx_bytes(np.zeros((0, 2, 2), np.uint8)), "is empty: its header says 0 x 2 x 2"),
        (idx_bytes(IMAGES, 0x0D), "holds floats; images and labels are bytes"),
        (idx_bytes(np.zeros((4, 4), np.uint8)), "holds an array of 4 x 4, and images are"),
        (idx_bytes(np.zeros((2, 4, 4, 7), np.uint8)), "holds an array of 2 x 4 x 4 x 7"),
    ],
    ids=itertools.count(),  # gzip writes the time, and several processes must agree on the tests' names
)
def test_broken_and_hostile_files_end_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message) as refusal:
            open_data(DataConfig(), find_source(str(tmp_path)), 0, print, needs="images")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_does_not_belong_together(tmp_path: Path, idx: Write) -> None:
    def refusal(root: Path, **options: object) -> str:
        with pytest.raises(UserError) as error:
            read_singles(root, None, options.get("classes", ()))  # type: ignore[arg-type]
        return str(error.value)

    root = idx(tmp_path / "numbers")
    (root / "train-labels-idx1-ubyte.gz").write_bytes(idx_bytes(np.zeros(19, np.uint8)))
    assert "holds 19 labels, and train-images-idx3-ubyte.gz 20 images" in refusal(root)
    (root / "train-labels-idx1-ubyte.gz").unlink()
    assert "add train-labels-idx1-ubyte.gz, or move the images away" in refusal(root)
    (root / "train-images-idx3-ubyte.gz").unlink()
    (root / "t10k-images-idx3-ubyte.gz").unlink()
    assert "holds labels, and there are no images beside it" in refusal(root)
    root = idx(tmp_path / "two")
    idx(root, name="emnist-{split}-{what}-idx{dims}-ubyte")
    assert "of several data sets" in refusal(root)
    assert "names 2 classes, and its labels tell 3 apart (4 to 6)" in refusal(
        idx(tmp_path / "named"), classes=["a", "b"]
    )
    idx(tmp_path / "sizes", splits=[("train", 4)])
    assert "different sizes" in refusal(idx(tmp_path / "sizes", splits=[("t10k", 4)], shape=(6, 6)))


def test_beside_images_they_are_asked_for(tmp_path: Path, idx: Write, photos: Callable[..., Path]) -> None:
    root = idx(photos(6))
    assert find_source(str(root)).layers == ()
    assert read_singles(root, None, ()).layout == "photos"
    assert read_singles(root, "idx", ()).layout == "idx"


def test_other_methods_say_what_they_need(tmp_path: Path, idx: Write) -> None:
    source = find_source(str(idx(tmp_path)))
    with pytest.raises(UserError, match="holds images in IDX files, and this method learns from pairs"):
        open_data(DataConfig(), source, 0, print)
    with pytest.raises(UserError, match="not two heaps"):
        open_data(DataConfig(layout="idx"), source, 0, print, needs="heaps")
    assert isinstance(open_data(DataConfig(), source, 0, print, needs="images").held_out, SingleImages)
