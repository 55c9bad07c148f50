"""Files and folders: names, sizes and subfolders kept, nothing lost, broken images named."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console

import i2i
from i2i.config import parse_setting
from i2i.data import DataConfig, files
from i2i.data.opened import find_folder
from i2i.data.prepare import prepare_photos
from i2i.engine.config import compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import start
from i2i.errors import UserError
from i2i.inference import Translator, folders
from i2i.inference.folders import Input, Job, plan, translate_jobs


@pytest.fixture
def model(tiny: Callable[..., Outcome], tmp_path: Path) -> Translator:
    tiny("run", "train.steps=2")
    return i2i.load(tmp_path / "run", device="cpu")


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """Five drawings of several sizes, one in a subfolder, one 16-bit, and one broken file."""
    root = tmp_path / "drawings"
    (root / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, shape in (("a.png", (40, 50)), ("b.jpg", (40, 50)), ("more/c.png", (33, 21)), ("d.png", (40, 50))):
        cv2.imwrite(str(root / name), rng.integers(0, 256, shape).astype(np.uint8))
    cv2.imwrite(str(root / "deep.png"), rng.integers(0, 65536, (40, 50)).astype(np.uint16))
    (root / "e.png").write_bytes(b"not an image")
    return root


TINY_DEMO = (
    "seed=5",
    "data.val_share=0.4",
    "data.image_size=32",
    "data.batch_size=1",
    "train.steps=1",
    "train.device=cpu",
    "method.generator={name: unet, ngf: 4}",
    "method.discriminator={name: patchgan, ndf: 4, layers: 1}",
)


def no_words(line: str) -> None:
    """Stand in for the terminal."""


def test_a_folder_is_translated_whole(model: Translator, drawings: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "out", []
    jobs = plan(model, str(drawings), out, say=no_words)
    result = translate_jobs(model, jobs, 2, lambda done, total: told.append((done, total)), sheet=True)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert names == ["a.png", "b.png", "d.png", "deep.png", "more/c.png"]
    assert (result.written, len(result.failures)) == (5, 1)
    assert "e.png" in result.failures[0]
    assert told[-1] == (6, 6)
    assert result.sheet is not None
    for name in ("a.png", "more/c.png"):  # what is on the disk is what the model says of the file alone
        expected = model.translate_pixels([files.read(drawings / name)])[0]
        assert np.abs(files.read(out / name).astype(int) - expected).max() <= 1


def test_the_inputs_format_can_be_kept(model: Translator, drawings: Path, tmp_path: Path) -> None:
    (drawings / "e.png").rename(drawings / "e.gif")
    with pytest.raises(UserError, match=r"e\.gif: images are not written as '\.gif'; add --format png"):
        plan(model, str(drawings), tmp_path / "out", suffix=None, say=no_words)
    (drawings / "e.gif").unlink()
    translate_jobs(model, plan(model, str(drawings), tmp_path / "out", suffix=None, say=no_words), 4)
    assert (tmp_path / "out" / "b.jpg").exists()


def test_one_file_to_a_file_or_a_folder(model: Translator, drawings: Path, tmp_path: Path) -> None:
    for output, expected in (("x.png", "x.png"), ("folder", "folder/b.png")):
        translate_jobs(model, plan(model, str(drawings / "b.jpg"), tmp_path / output, say=no_words), 1)
        assert files.read(tmp_path / expected).shape == (40, 50, 3)


def test_working_at_a_size_gives_the_files_size_back(model: Translator, drawings: Path, tmp_path: Path) -> None:
    jobs = plan(model, str(drawings / "a.png"), tmp_path / "out", size=20, say=no_words)
    assert jobs[0].read().pixels.shape == (20, 25, 1)
    translate_jobs(model, jobs, 1)
    assert files.read(tmp_path / "out" / "a.png").shape == (40, 50, 3)


def test_photos_become_inputs_as_in_training(model: Translator, photos: Callable[..., Path], tmp_path: Path) -> None:
    words: list[str] = []
    jobs = plan(model, str(photos(2, size=96)), tmp_path / "out", prepare="photos", say=words.append)
    entry = jobs[0].read()
    assert entry.pixels.shape == (64, 64, 1)  # the size of training, said aloud
    assert "short side 64" in words[0]
    assert set(np.unique(entry.pixels)) <= {0, 255}
    assert entry.target is not None
    assert entry.size == (96, 96)


def test_nothing_is_lost(model: Translator, drawings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("precious")
    with pytest.raises(UserError, match=r"a\.png: exists already \(1 such\); add --overwrite"):
        plan(model, str(drawings), out, say=no_words)
    assert len(plan(model, str(drawings), out, overwrite=True, say=no_words)) == 6
    for inside in (drawings, drawings / "more", drawings / "new"):
        with pytest.raises(UserError, match="lies in the input folder"):
            plan(model, str(drawings), inside, say=no_words)
    with pytest.raises(UserError, match="is the input itself"):
        plan(model, str(drawings / "a.png"), drawings, overwrite=True, say=no_words)
    (drawings / "a.jpg").write_bytes((drawings / "b.jpg").read_bytes())
    with pytest.raises(UserError, match=r"would both be written to .*a\.png; add --format same"):
        plan(model, str(drawings), tmp_path / "fresh", say=no_words)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nowhere", {}, "no such file or folder"),
        ("run/tensorboard", {}, "holds no images"),
        ("drawings", {"prepare": "pairs"}, "not on side-by-side pairs"),
        ("edges2cats:tset", {"prepare": "photos"}, "leave --from-photos"),
    ],
)
def test_mistakes_are_explained(
    model: Translator, drawings: Path, tmp_path: Path, source: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plan(model, source, tmp_path / "out", say=no_words, **options)  # type: ignore[arg-type]


def many_sizes(folder: Path, count: int) -> Path:
    """Drawings of nine sizes in turn."""
    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((8 + index % 9, 8), index % 256, np.uint8))
    return folder


def told(tell: Callable[[], None], job: Job) -> Input:
    """Read a job's input, and tell that it is being read."""
    tell()
    return job.read()


def test_memory_stays_bounded(model: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files there are, few are in memory between being read and being written."""
    monkeypatch.setattr(folders, "MOST_WAITING", 20)
    jobs = plan(model, str(many_sizes(tmp_path / "many", 120)), tmp_path / "out", say=no_words)
    lock, held, most, sizes = threading.Lock(), 0, 0, []

    def count(change: int) -> None:
        nonlocal held, most
        with lock:
            held += change
            most = max(most, held)

    write, begin = folders._write, model.begin

    def writing(path: Path, *rest: Any) -> None:
        time.sleep(0.002)  # a slow disk
        write(path, *rest)
        count(-1)

    def beginning(images: Sequence[files.Pixels], **options: bool) -> Callable[[], list[files.Pixels]]:
        sizes.append(len(images))
        return begin(images, **options)

    monkeypatch.setattr(folders, "_write", writing)
    monkeypatch.setattr(model, "begin", beginning)
    watched = [replace(job, read=partial(told, partial(count, 1), job)) for job in jobs]
    assert translate_jobs(model, watched, batch_size=2).written == 120
    # Being read, waiting for their like, in two batches, on their way to the disk.
    assert most <= 2 * folders.THREADS + 20 + 1 + 2 * 2 + folders.THREADS + 2
    assert np.mean(sizes) > 1.5  # in spite of nine sizes in turn most went in pairs


def test_failures_are_told_in_the_files_order(model: Translator, tmp_path: Path) -> None:
    """Whether reading, the network or writing fails; and the others are what the model makes of them alone."""
    folder, out = many_sizes(tmp_path / "many", 40), tmp_path / "out"
    for index in (0, 17, 39):
        (folder / f"{index}.png").write_bytes(b"broken")
    (out / "8.png").mkdir(parents=True)  # where a file is to stand
    jobs = plan(model, str(folder), out, overwrite=True, say=no_words)
    jobs[30] = replace(jobs[30], read=lambda: Input(np.zeros((8, 8, 6), np.uint8), (8, 8)))  # unfit for the network
    told: list[int] = []
    result = translate_jobs(model, jobs, 4, lambda done, total: told.append(done))
    assert [re.findall(r"(\d+)\.png", line)[0] for line in result.failures] == ["0", "8", "17", "30", "39"]
    assert result.written == 35
    assert told == sorted(told)
    assert told[-1] == 40
    for index in set(range(40)) - {0, 8, 17, 30, 39}:
        expected = model.translate_pixels([files.read(folder / f"{index}.png")])[0]
        assert np.abs(files.read(out / f"{index}.png").astype(int) - expected).max() <= 1


def test_an_interruption_leaves_whole_files(model: Translator, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    read: list[str] = []
    jobs = plan(model, str(many_sizes(tmp_path / "many", 400)), tmp_path / "out", say=no_words)
    watched = [replace(job, read=partial(told, partial(read.append, job.name), job)) for job in jobs]
    with pytest.raises(KeyboardInterrupt):
        translate_jobs(model, watched, 1, interrupt)
    written = list((tmp_path / "out").iterdir())
    assert 5 <= len(written) <= len(read) < 200  # nothing was begun any more
    assert {path.suffix for path in written} == {".png"}
    for path in written:
        assert files.read(path).shape[2] == 3


def test_a_model_of_side_by_side_pairs_takes_its_half(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (64, 128, 3)).astype(np.uint8))
    model = retrained(tiny, tmp_path, folder, "data.derive=null", "data.direction=BtoA")
    entry = plan(model, str(folder), tmp_path / "out", prepare="pairs", say=no_words)[0].read()
    whole = files.read(folder / "0.png")
    np.testing.assert_array_equal(entry.pixels, whole[:, 64:])  # BtoA: the right half is the input
    assert entry.target is not None
    np.testing.assert_array_equal(entry.target, whole[:, :64])
    assert torch.is_tensor(model.translate(torch.zeros(1, 3, 8, 8)))


def retrained(tiny: Callable[..., Outcome], tmp_path: Path, folder: Path, *settings: str) -> Translator:
    """Train a model a step on another folder and load it."""
    if not (tmp_path / "tiny.yaml").exists():
        tiny("unused", "train.steps=1")
    layers = [parse_setting(text) for text in ("train.steps=1", *settings)]
    config, source = compose(str(tmp_path / "tiny.yaml"), str(folder), layers)
    start(config, source, Console(quiet=True), tmp_path / "retrained")
    return i2i.load(tmp_path / "retrained", device="cpu")


def pairs_of_two_folders(root: Path, a: npt.NDArray[Any], b: npt.NDArray[Any], name: str) -> Path:
    for folder, image in ((name, a), ("target", b)):
        (root / folder).mkdir(parents=True)
        for index in range(4):
            cv2.imwrite(str(root / folder / f"{index}.png"), image)
    return root


def test_a_model_from_photos_to_edges_takes_the_photos(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path]
) -> None:
    model = retrained(tiny, tmp_path, photos(4, size=72), "data.direction=BtoA")
    job = plan(model, str(photos(4, size=72)), tmp_path / "out", prepare="photos", say=no_words)[0]
    entry = job.read()
    assert entry.pixels.shape == (64, 64, 3)
    assert entry.target is not None
    assert set(np.unique(entry.target)) <= {0, 255}


def test_masks_are_not_blended_when_they_are_resized(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask, photo = rng.choice([0, 255], (80, 80)).astype(np.uint8), rng.integers(0, 256, (80, 80, 3)).astype(np.uint8)
    folder = pairs_of_two_folders(tmp_path / "damage", mask, photo, "mask")
    model = retrained(tiny, tmp_path, folder, "data.derive=null")
    job = plan(model, str(folder / "mask"), tmp_path / "out", size=33, say=no_words)[0]
    assert set(np.unique(job.read().pixels)) == {0, 255}


def test_a_model_of_sixteen_bits_writes_sixteen_bits(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (80, 80)).astype(np.uint16)
    folder = pairs_of_two_folders(tmp_path / "xrays", deep, deep, "input")
    model = retrained(tiny, tmp_path, folder, "data.derive=null")
    translate_jobs(model, plan(model, str(folder / "input"), tmp_path / "png", say=no_words), 2)
    translate_jobs(model, plan(model, str(folder / "input"), tmp_path / "jpg", suffix=".jpg", say=no_words), 2)
    written = files.read(tmp_path / "png" / "0.png")
    assert written.dtype == np.uint16
    assert len(np.unique(written)) > 256
    alone = model.translate(files.read(folder / "input" / "0.png"))  # in a batch the same sums, in another order
    np.testing.assert_allclose(written.astype(int), alone.astype(int), rtol=0, atol=1)
    assert files.read(tmp_path / "jpg" / "0.jpg").dtype == np.uint8


def test_depth_and_transparency_come_back_as_they_went_in(model: Translator, drawings: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    deep, alpha = rng.integers(0, 65536, (40, 50, 1)).astype(np.uint16), rng.integers(0, 256, (40, 50, 1))
    inputs = tmp_path / "in"
    files.write(inputs / "deep.png", deep)
    files.write(inputs / "clear.png", np.concatenate([rng.integers(0, 256, (40, 50, 3)), alpha], 2).astype(np.uint8))
    files.write(inputs / "deep_clear.tif", np.concatenate([deep, deep, deep, deep], axis=2))

    def translated(name: str, **options: Any) -> Path:
        jobs = plan(model, str(inputs), tmp_path / name, say=no_words, **options)
        assert translate_jobs(model, jobs, 4).failures == ()
        return tmp_path / name

    kept = translated("kept")
    assert files.read(kept / "deep.png").dtype == np.uint16
    assert len(np.unique(files.read(kept / "deep.png"))) > 256
    np.testing.assert_array_equal(files.read(kept / "clear.png")[..., 3:], alpha)
    clear = files.read(kept / "deep_clear.png")
    assert clear.dtype == np.uint16
    np.testing.assert_array_equal(clear[..., 3:], deep)
    smaller = translated("smaller", size=33)  # the transparency is the file's own, not one that was shrunk
    np.testing.assert_array_equal(files.read(smaller / "clear.png")[..., 3:], alpha)
    np.testing.assert_array_equal(
        files.read(translated("dropped", keep_alpha=False) / "clear.png"), files.read(kept / "clear.png")[..., :3]
    )
    assert files.read(translated("jpg", suffix=".jpg") / "clear.jpg").shape == (40, 50, 3)
    said: list[str] = []
    plan(model, str(inputs / "clear.png"), tmp_path / "x", say=said.append)
    assert any("--alpha drop" in line for line in said)


def test_images_of_many_channels_come_back_so(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "bands"
    for index in range(8):
        for side in ("input", "target"):
            bands = rng.integers(0, 65536, (72, 72, 6)).astype(np.uint16)
            files.write(folder / side / f"{index}.tif", bands)
    model = retrained(tiny, tmp_path, folder, "data.derive=null")
    jobs = plan(model, str(folder / "input"), tmp_path / "out", say=no_words)
    assert translate_jobs(model, jobs, 2).failures == ()
    written = files.read(tmp_path / "out" / "0.tif")
    assert written.shape == (72, 72, 6)
    assert written.dtype == np.uint16
    with pytest.raises(UserError, match="6 channels, which TIFF alone holds; add --format tif"):
        plan(model, str(folder / "input"), tmp_path / "png", suffix=".png", say=no_words)


def test_tiff_by_either_name(model: Translator, drawings: Path, tmp_path: Path) -> None:
    for name in ("x.tif", "x.tiff"):
        translate_jobs(model, plan(model, str(drawings / "a.png"), tmp_path / name, say=no_words), 1)
        assert files.read(tmp_path / name).shape == (40, 50, 3)


def test_an_image_too_large_for_the_memory_is_named_and_the_rest_done(
    model: Translator, drawings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = model.forward

    def small_memory(images: torch.Tensor) -> torch.Tensor:
        if images.numel() > 40 * 50:
            raise torch.OutOfMemoryError("out of memory")
        return original(images)

    monkeypatch.setattr(model, "forward", small_memory)
    cv2.imwrite(str(drawings / "huge.png"), np.zeros((60, 60), np.uint8))
    result = translate_jobs(model, plan(model, str(drawings), tmp_path / "out", say=no_words), 4)
    assert result.written == 5  # batches were taken apart
    assert any(
        "huge.png: 60x60 needs more memory than there is; add --tile auto" in failure for failure in result.failures
    )


def test_a_splits_examples_are_those_that_training_held_out(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path], own_data_root: Path
) -> None:
    """Where val is split off by the run's seed, the same images are translated as val."""
    prepare_photos(
        photos(8, size=72),
        own_data_root / "edges2cats" / "photos",
        DataConfig(),
        0,
        size=72,
        ahead=False,
        overwrite=False,
    )
    folder = own_data_root / "edges2cats" / "photos"
    for path in (folder / "val").iterdir():
        path.rename(folder / "train" / path.name)
    (folder / "val").rmdir()
    config, source = compose("demo", "edges2cats", [parse_setting(text) for text in TINY_DEMO])
    start(config, source, Console(quiet=True), tmp_path / "seeded")
    model = i2i.load(tmp_path / "seeded", device="cpu")
    held_out = find_folder(config.data, source, seed=5).splits["val"]
    jobs = plan(model, "edges2cats:val", tmp_path / "out", say=no_words)
    assert [job.name for job in jobs] == [example.name for example in held_out]
    assert held_out != find_folder(config.data, source, seed=0).splits["val"]
