"""Images that are degraded already: enlarged for super-resolution, painted in where a mask marks them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from rich.console import Console

import i2i
from i2i.cli import main
from i2i.config import parse_setting
from i2i.data import files
from i2i.data.derive import Downscale
from i2i.data.geometry import resize
from i2i.engine.config import compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import start
from i2i.errors import UserError
from i2i.inference import Translator
from i2i.inference.folders import Input, Result, plan, translate_jobs
from tests.conftest import blob_photo

SMALL_STAYS = (
    "data.derive={name: downscale, factor: 2, enlarge: false}",
    "method.generator={name: srresnet, blocks: 1, ngf: 4, norm: none}",
)
SMALL_IS_ENLARGED = ("data.derive={name: downscale, factor: 2}", "method.generator.depth=3")
INPAINTING = ("data.derive=mask", "method.generator.depth=3", "method.generator.output=fill", "method.lambda_gan=0")


@pytest.fixture(params=[SMALL_STAYS, SMALL_IS_ENLARGED], ids=["small stays", "small is enlarged"])
def enlarging(request: pytest.FixtureRequest, tiny: Callable[..., Outcome], tmp_path: Path) -> Translator:
    tiny("run", "train.steps=1", *request.param)
    return i2i.load(tmp_path / "run", device="cpu")


@pytest.fixture
def painting(tiny: Callable[..., Outcome], tmp_path: Path) -> Translator:
    tiny("run", "train.steps=2", *INPAINTING)
    return i2i.load(tmp_path / "run", device="cpu")


def noise(height: int, width: int, channels: int = 3, dtype: type[np.unsignedinteger[Any]] = np.uint8) -> files.Pixels:
    white = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, white + 1, (height, width, channels)).astype(dtype)


def as_tensor(image: files.Pixels) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1) / (np.iinfo(image.dtype).max / 2) - 1).float()


def as_pixels(image: torch.Tensor) -> npt.NDArray[np.uint8]:
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def no_words(line: str) -> None:
    """Stand in for the terminal."""


def translated(model: Translator, source: Path, output: Path, **options: Any) -> Result:
    return translate_jobs(model, plan(model, str(source), output, say=no_words, **options), 2)


def inputs(model: Translator, source: Path | str, **options: Any) -> list[Input]:
    return [job.read() for job in plan(model, str(source), Path("unused"), say=no_words, **options)]


def test_a_small_photo_goes_the_way_it_went_in_training(enlarging: Translator) -> None:
    """Of a small photo comes what the network makes of the input that training derives from the large one."""
    assert isinstance(enlarging.data.derive, Downscale)
    rng = np.random.default_rng(0)
    photo = blob_photo(1, 72)[:50]
    small = enlarging.data.derive.degraded(photo, rng)
    assert small.shape == (25, 36, 3)
    expected = as_pixels(enlarging.translate(as_tensor(enlarging.data.derive(photo, rng))))
    assert expected.shape == (50, 72, 3)
    assert np.ptp(expected) > 0
    from_array = enlarging.translate(small)
    assert np.abs(from_array.astype(int) - expected).max() <= 1
    from_pil = enlarging.translate(Image.fromarray(small))
    assert from_pil.size == (72, 50)
    np.testing.assert_array_equal(np.asarray(from_pil), from_array)
    first, second = enlarging.translate([small, small[:10]])
    np.testing.assert_array_equal(first, from_array)
    assert second.shape == (20, 72, 3)
    assert "outputs 2 times as large" in enlarging.describe()


def test_files_become_larger_whatever_they_are_worked_on_at(enlarging: Translator, tmp_path: Path) -> None:
    images = {"a.png": noise(20, 30), "more/b.png": noise(33, 21), "grey.png": noise(20, 30, 1)}
    for name, image in images.items():
        files.write(tmp_path / "in" / name, image)
    result = translated(enlarging, tmp_path / "in", tmp_path / "out")
    assert (result.written, result.failures) == (3, ())
    for name, image in images.items():
        np.testing.assert_array_equal(
            files.read(tmp_path / "out" / name), enlarging.translate(files.to_channels(image, 3))
        )
    translated(enlarging, tmp_path / "in", tmp_path / "sized", size=10)
    assert files.read(tmp_path / "sized" / "more" / "b.png").shape == (66, 42, 3)
    factor = enlarging.data.scale  # by which the network itself enlarges
    assert inputs(enlarging, tmp_path / "in", size=10)[0].pixels.shape == (20 // factor, 30 // factor, 3)


def test_tiles_are_enlarged_as_the_whole_is(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny("run", "train.steps=1", *SMALL_STAYS)
    image = noise(280, 70)  # the network sees less far than the quarter of an overlap
    whole, tiles = (i2i.load(tmp_path / "run", device="cpu", tile=tile).translate(image) for tile in (None, 256))
    assert whole.shape == (560, 140, 3)
    assert np.abs(whole.astype(int) - tiles).max() <= 1


def test_depth_and_transparency_are_enlarged_too(enlarging: Translator, tmp_path: Path) -> None:
    deep = noise(20, 30, 4, np.uint16)
    deep[..., 3] = np.repeat([0, 65535], 15)
    output = enlarging.translate(deep)
    assert output.dtype == np.uint16
    assert output.shape == (40, 60, 4)
    assert len(np.unique(output[..., :3])) > 256
    assert not output[:, :27, 3].any()
    assert (output[:, 33:, 3] == 65535).all()
    files.write(tmp_path / "deep.png", deep)
    translated(enlarging, tmp_path / "deep.png", tmp_path / "out")
    np.testing.assert_array_equal(files.read(tmp_path / "out" / "deep.png"), output)
    translated(enlarging, tmp_path / "deep.png", tmp_path / "sized", size=10)  # transparency is the file's own
    np.testing.assert_array_equal(files.read(tmp_path / "sized" / "deep.png")[..., 3], output[..., 3])


def test_photos_that_do_not_divide_by_the_factor_are_cut(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path]
) -> None:
    settings = [text.replace("factor: 2", "factor: 4") for text in SMALL_STAYS]
    tiny("run", "train.steps=1", "data.aspect=crop", *settings)
    model = i2i.load(tmp_path / "run", device="cpu")
    photo = noise(67, 81, 4)
    files.write(tmp_path / "odd" / "photo.png", photo)
    entry = inputs(model, tmp_path / "odd", prepare="photos")[0]
    assert entry.pixels.shape == (16, 20, 3)
    assert entry.target is not None
    np.testing.assert_array_equal(entry.target, files.split_alpha(photo)[0][:64, :80])
    np.testing.assert_array_equal(entry.pixels, resize(entry.target, 16, 20))
    translated(model, tmp_path / "odd", tmp_path / "out", prepare="photos")
    np.testing.assert_array_equal(files.read(tmp_path / "out" / "photo.png")[..., 3], photo[:64, :80, 3])
    entry = inputs(model, tmp_path / "odd", prepare="photos", size=30)[0]  # nothing is cut, for the whole comes back
    assert entry.pixels.shape == (7, 9, 3)
    assert entry.target is not None
    assert entry.size == (67, 81)
    np.testing.assert_array_equal(entry.target, resize(files.split_alpha(photo)[0], 28, 36))
    files.write(tmp_path / "odd" / "tiny.png", photo[:3])
    result = translated(model, tmp_path / "odd", tmp_path / "again", prepare="photos")
    assert result.written == 1
    assert "tiny.png: downscale: a photo of 81x3 pixels cannot be made 4 times smaller" in result.failures[0]


@pytest.fixture
def own_photos(own_data_root: Path) -> None:
    """Eight photos that take the place of edges2cats, two of them its split val."""
    folder = own_data_root / "edges2cats" / "photos"
    for index in range(8):
        files.write(folder / ("val" if index < 2 else "train") / f"{index}.png", noise(71, 90))
    (folder / "prepared.yaml").write_text("data: {}")


@pytest.mark.usefixtures("own_photos")
def test_a_split_is_translated_whole_where_training_took_crops(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny("run", "train.steps=1", "data.aspect=crop", *SMALL_STAYS)
    model = i2i.load(tmp_path / "run", device="cpu")
    entries = inputs(model, "edges2cats:val")
    assert len(entries) == 2
    assert entries[0].target is not None
    np.testing.assert_array_equal(entries[0].target, noise(71, 90)[:70])
    np.testing.assert_array_equal(entries[0].pixels, resize(noise(71, 90)[:70], 35, 45))
    result = translate_jobs(model, plan(model, "edges2cats:val", tmp_path / "out", say=no_words), 2, sheet=True)
    assert files.read(tmp_path / "out" / "0.png").shape == (70, 90, 3)
    assert result.sheet is not None


def hole(height: int = 40, width: int = 60) -> npt.NDArray[np.bool_]:
    marked = np.zeros((height, width), np.bool_)
    marked[10:30, 20:45] = True
    return marked


def test_what_a_mask_marks_is_painted_and_the_rest_kept(painting: Translator) -> None:
    image, marked = noise(40, 60), hole()
    output = painting.translate(image, mask=marked)
    np.testing.assert_array_equal(output[~marked], image[~marked])
    other = np.where(marked[..., None], 255 - image, image)  # what is there does not matter
    np.testing.assert_array_equal(painting.translate(other, mask=marked), output)
    assert np.abs(output[marked].astype(int) - image[marked]).mean() > 30
    shown = np.concatenate([np.where(marked[..., None], 128, image), marked[..., None] * 255], axis=2).astype(np.uint8)
    expected = as_pixels(painting.translate(as_tensor(shown)))  # a tensor is what the network takes
    assert np.abs(output.astype(int) - expected).max() <= 1


def test_masks_are_taken_in_every_form(painting: Translator) -> None:
    image, marked = noise(40, 60), hole()
    expected = painting.translate(image, mask=marked)
    grey = marked * np.uint8(255)
    forms = [
        grey,
        grey[..., None],
        grey * np.uint16(257),
        grey[..., None].repeat(3, 2),
        np.where(marked, 128, 127).astype(np.uint8),
        Image.fromarray(marked),
        Image.fromarray(grey).convert("P"),
        Image.fromarray(grey).convert("RGBA"),
    ]
    for form in forms:
        np.testing.assert_array_equal(painting.translate(image, mask=form), expected)
    from_pil = painting.translate(Image.fromarray(image), mask=grey)
    np.testing.assert_array_equal(np.asarray(from_pil), expected)
    for masks in ([marked, grey], marked):  # one for each, or one for all
        for output in painting.translate([image, image], mask=masks):
            np.testing.assert_array_equal(output, expected)


def test_depth_and_transparency_go_past_the_mask(painting: Translator, tmp_path: Path) -> None:
    deep, marked = noise(40, 60, 4, np.uint16), hole()
    deep[..., 3] |= 1 << 15
    output = painting.translate(deep, mask=marked)
    assert output.dtype == np.uint16
    np.testing.assert_array_equal(output[..., 3], deep[..., 3])
    over_white = files.split_alpha(deep)[0]
    assert np.abs(output[..., :3].astype(int) - over_white)[~marked].max() <= 1
    eight, grey = noise(40, 60), marked[..., None] * np.uint8(255)
    shown, shown_deep = (painting.prepared(image, grey)[0] for image in (eight, eight * np.uint16(257)))
    np.testing.assert_array_equal(shown_deep, shown * np.uint16(257))
    files.write(tmp_path / "deep.png", deep)
    files.write(tmp_path / "mask.png", grey)
    translated(painting, tmp_path / "deep.png", tmp_path / "out", masks=tmp_path / "mask.png")
    np.testing.assert_array_equal(files.read(tmp_path / "out" / "deep.png"), output)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "needs its mask beside it"),
        (np.zeros((40, 61), np.uint8), "the mask is of 61x40 pixels and its image of 60x40"),
        (np.ones((40, 60), np.uint8), "marks nothing: its brightest value is 1 of 255"),
        ([np.zeros((40, 60), np.uint8)] * 3, "3 masks for 2 images"),
    ],
)
def test_masks_that_do_not_do_are_refused(painting: Translator, mask: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        painting.translate([noise(40, 60)] * 2, mask=mask)


def test_a_mask_where_none_belongs_is_refused(
    painting: Translator, tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="a tensor is what the network itself takes, mask and all"):
        painting.translate(torch.zeros(1, 4, 8, 8), mask=np.zeros((8, 8), np.uint8))
    tiny("edges", "train.steps=1")
    with pytest.raises(UserError, match="this model takes no masks"):
        i2i.load(tmp_path / "edges", device="cpu").translate(noise(40, 60, 1), mask=hole())


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """Photos, one of them in a subfolder, and their masks of other suffixes."""
    for name in ("a.jpg", "more/b.png"):
        files.write(tmp_path / "in" / name, noise(40, 60))
    for name in ("a.png", "more/b.bmp", "more/c.png"):
        files.write(tmp_path / "masks" / name, hole()[..., None] * np.uint8(255))
    return tmp_path


def test_a_folder_of_masks(painting: Translator, masked: Path) -> None:
    result = translate_jobs(
        painting,
        plan(painting, str(masked / "in"), masked / "out", masks=masked / "masks", say=no_words),
        2,
        sheet=True,
    )
    assert (result.written, result.failures) == (2, ())
    assert result.sheet is not None
    written = files.read(masked / "out" / "more" / "b.png")
    np.testing.assert_array_equal(written, painting.translate(noise(40, 60), mask=hole()))
    translated(painting, masked / "in" / "a.jpg", masked / "one", masks=masked / "masks")
    assert files.read(masked / "one" / "a.png").shape == (40, 60, 3)
    shown = inputs(painting, masked / "in", masks=masked / "masks" / "a.png", size=19)[1].pixels
    assert shown.shape == (19, 28, 4)
    assert set(np.unique(shown[..., 3])) == {0, 255}
    assert (shown[shown[..., 3] > 0, :3] == 128).all()


def test_mistakes_with_masks_end_in_one_line(
    painting: Translator, masked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(source: str, *arguments: str, code: int = 2) -> str:
        assert main(["translate", source, *arguments, "--model", "run"]) == code
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0]

    assert "add --mask FILE or FOLDER" in told("in", "out")
    assert "--mask nowhere: there is no such file or folder" in told("in", "out", "--mask", "nowhere")
    assert "nowhere: there is no such file or folder" in told("nowhere", "out", "--mask", "masks")
    assert "derives the masks as well" in told("in", "out", "--mask", "masks", "--from-photos")
    assert "lies in the input folder" in told(".", "../out", "--mask", "masks")
    assert "is a mask itself" in told("in/a.jpg", "masks", "--mask", "masks/a.png", "--overwrite")
    assert "--mask and --size out" in told("edges2cats:val", "out", "--mask", "masks")
    files.write(tmp_path / "in" / "lonely.png", noise(40, 60))
    assert "holds no mask for in/lonely.png; give it one of the name 'lonely'" in told("in", "out", "--mask", "masks")
    files.write(tmp_path / "masks" / "lonely.png", noise(40, 61))
    line = told("in", "out", "--mask", "masks", "--size", "20", code=1)
    assert line == ("failed: in/lonely.png: the mask is of 61x40 pixels and its image of 60x40; make both of one size")
    files.write(tmp_path / "masks" / "a.bmp", noise(40, 60))
    assert "are both masks of 'a'; keep one" in told("in", "again", "--mask", "masks")


def test_damage_is_put_where_the_mask_wants_it(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    """A model that was trained on healed photos takes a clean photo as it is, and the mask."""
    tiny("unused", "train.steps=1")
    for index in range(8):
        files.write(tmp_path / "cracks" / "image" / f"{index}.png", blob_photo(index, 72))
        files.write(tmp_path / "cracks" / "mask" / f"{index}.png", hole(72, 72)[..., None] * np.uint8(255))
    layers = [parse_setting(text) for text in ("data.derive=heal", "train.steps=1", "method.generator.depth=3")]
    config, source = compose(str(tmp_path / "tiny.yaml"), str(tmp_path / "cracks"), layers)
    start(config, source, Console(quiet=True), tmp_path / "run")
    model = i2i.load(tmp_path / "run", device="cpu")
    images, masks = tmp_path / "cracks" / "image", tmp_path / "cracks" / "mask"
    entry = inputs(model, images, masks=masks)[0]
    np.testing.assert_array_equal(entry.pixels[..., :3], blob_photo(0, 72))
    np.testing.assert_array_equal(entry.pixels[..., 3] > 0, hole(72, 72))
    assert translated(model, images, tmp_path / "out", masks=masks).written == 8
    np.testing.assert_array_equal(
        files.read(tmp_path / "out" / "0.png"), model.translate(blob_photo(0, 72), mask=hole(72, 72))
    )
    with pytest.raises(UserError, match="was trained on given pairs, not on photos"):
        plan(model, str(images), tmp_path / "x", prepare="photos", say=no_words)
    with pytest.raises(UserError, match="not on side-by-side pairs"):
        plan(model, str(images), tmp_path / "x", prepare="pairs", say=no_words)


def test_a_chain_enlarges_the_mask_with_the_image(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    chain = "data.derive={name: chain, steps: [{name: downscale, factor: 2}, mask]}"
    tiny("run", "train.steps=1", chain, *INPAINTING[1:])
    image, marked = noise(40, 60), hole()
    output = i2i.load(tmp_path / "run", device="cpu").translate(image, mask=marked)
    large = marked.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(output[~large], resize(image, 80, 120)[~large])
    assert output.shape == (80, 120, 3)


@pytest.mark.usefixtures("own_photos")
def test_a_derivation_of_ones_own_is_run_only_if_trusted(
    tiny: Callable[..., Outcome], tmp_path: Path, photos: Callable[..., Path]
) -> None:
    (tmp_path / "mine.py").write_text("def darker(photo, rng):\n    return photo // 2\n")
    tiny("run", "train.steps=1", "data.derive=mine:darker", "method.generator.depth=3")
    (tmp_path / "mine.py").write_text("raise RuntimeError('was run')\n")
    del sys.modules["mine"]
    model = i2i.load(tmp_path / "run", device="cpu")
    assert model.translate(noise(40, 60)).shape == (40, 60, 3)  # which takes no code
    for source, prepare in ((str(photos()), "photos"), ("edges2cats:val", "inputs")):
        with pytest.raises(UserError, match=r"derived by code of its maker's, 'mine:darker'.*add --trust"):
            plan(model, source, tmp_path / "out", prepare=prepare, say=no_words)  # type: ignore[arg-type]
    (tmp_path / "mine.py").write_text("def darker(photo, rng):\n    return photo // 2\n")
    trusted = i2i.load(tmp_path / "run", device="cpu", trust=True)
    entry = inputs(trusted, photos(2, 64, "more"), prepare="photos")[0]
    np.testing.assert_array_equal(entry.pixels, blob_photo(0, 64) // 2)
    assert len(inputs(trusted, "edges2cats:val")) == 2
