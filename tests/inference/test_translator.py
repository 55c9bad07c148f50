"""A trained model from Python: the same kind comes back, of the same size, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

import i2i
from i2i.data import files
from i2i.engine.fit import Outcome
from i2i.errors import UserError
from i2i.inference import Translator
from i2i.inference.runs import newest_run, read_tensors
from i2i.inference.tiles import tile_starts
from i2i.nn import InferencePolicy, UNet, inference_mode


@pytest.fixture
def model(tiny: Callable[..., Outcome], tmp_path: Path) -> Translator:
    tiny("run")
    return i2i.load(tmp_path / "run", device="cpu")


def drawing(height: int = 50, width: int = 70, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 1)).astype(np.uint8)


def test_it_computes_what_the_checkpoint_holds(model: Translator, tmp_path: Path) -> None:
    """An independent build of the recorded network with the averaged weights gives the same picture."""
    network = UNet(1, 3, depth=6, ngf=4, norm="batch", dropout=0.5, upsample="transposed")
    network.load_state_dict(read_tensors(tmp_path / "run" / "checkpoints" / "step_00000004" / "G_ema.safetensors"))
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    with inference_mode(network, InferencePolicy(statistics="image")):
        expected = network(images)
    torch.testing.assert_close(model.translate(images), expected, atol=1e-5, rtol=1e-5)


def test_a_generator_with_a_head_is_opened_and_tiled(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    """One that colours: what it makes of a drawing has the drawing's lightness, whole or in tiles."""
    tiny("colours", "method.generator.output=lab", "method.generator.depth=3", "method.lambda_gan=0")
    grey = (drawing(300, 280) // 2 + 64).astype(np.uint8)
    for tile in (None, 256):
        coloured = i2i.load(tmp_path / "colours", device="cpu", tile=tile).translate(grey)
        assert coloured.shape == (300, 280, 3)
        assert (coloured.std(axis=2) > 1).mean() > 0.1
        inside = (coloured > 0).all(2) & (coloured < 255).all(2)
        lightness, wanted = (rgb2lab(image)[..., 0] for image in (coloured, grey.repeat(3, 2)))
        assert np.abs(lightness - wanted)[inside].mean() < 0.2  # of 100, by which 8 bits are rounded


def test_every_kind_comes_back_as_it_went_in(model: Translator) -> None:
    array = drawing()
    from_array = model.translate(array)
    assert from_array.dtype == np.uint8
    assert from_array.shape == (50, 70, 3)
    np.testing.assert_array_equal(model.translate(array[..., 0]), from_array)
    from_pil = model.translate(Image.fromarray(array[..., 0]))
    assert (from_pil.mode, from_pil.size) == ("RGB", (70, 50))
    np.testing.assert_array_equal(np.asarray(from_pil), from_array)
    tensor = torch.from_numpy(array).permute(2, 0, 1).float() / 127.5 - 1
    from_tensor = model.translate(tensor)
    assert from_tensor.shape == (3, 50, 70)
    assert model.translate(tensor[None]).shape == (1, 3, 50, 70)
    back = ((from_tensor.permute(1, 2, 0).numpy() + 1) * 127.5).round()
    assert np.abs(back - from_array).max() <= 1
    listed = model.translate([array, drawing(33, 20)])
    assert isinstance(listed, list)
    assert [item.shape for item in listed] == [(50, 70, 3), (33, 20, 3)]


def test_sixteen_bits_count(model: Translator) -> None:
    eight = drawing()
    deep = eight.astype(np.uint16) * 257
    np.testing.assert_array_equal(model.translate_pixels([eight])[0], model.translate_pixels([deep])[0])


def test_an_image_does_not_depend_on_its_neighbours(model: Translator) -> None:
    images = torch.rand(3, 1, 64, 64) * 2 - 1
    alone = torch.cat([model.translate(image[None]) for image in images])
    torch.testing.assert_close(model.translate(images), alone, atol=1e-5, rtol=1e-5)


def test_sampled_dropout_is_repeatable_by_its_seed(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny("run")
    images = torch.rand(2, 1, 64, 64) * 2 - 1
    one, same, other = (i2i.load(tmp_path / "run", device="cpu", dropout="sample", seed=s) for s in (1, 1, 2))
    assert torch.equal(one.translate(images), same.translate(images))
    assert torch.equal(one.translate(images)[1:], one.translate(images[1:]))
    assert not torch.equal(one.translate(images), other.translate(images))


def test_bf16_is_close(model: Translator, tmp_path: Path) -> None:
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    fast = i2i.load(tmp_path / "run", device="cpu", precision="bf16").translate(images)
    assert fast.dtype == torch.float32
    assert (fast - model.translate(images)).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError),
        ("a path", TypeError),
        (torch.zeros(1, 3, 8, 8), ValueError),
        (torch.zeros(8, 8), ValueError),
    ],
)
def test_other_kinds_are_refused(model: Translator, images: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        model.translate(images)


def test_what_cannot_be_loaded_is_explained(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = tiny("run")
    with pytest.raises(UserError, match="translates AtoB alone; leave --direction out"):
        i2i.load(tmp_path / "run", direction="BtoA")
    with pytest.raises(UserError, match="does not exist"):
        i2i.load(tmp_path / "rum")
    with pytest.raises(UserError, match="neither a run nor a checkpoint"):
        i2i.load(tmp_path)
    with pytest.raises(UserError, match="no device 'cuda:9'"):
        i2i.load(tmp_path / "run", device="cuda:9")
    weights = outcome.checkpoint / "G_ema.safetensors"
    weights.write_bytes(b"\x80\x04 not safetensors")
    with pytest.raises(UserError, match="damaged or no safetensors"):
        i2i.load(tmp_path / "run")


def test_the_newest_run_is_the_one_trained_last(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run with a checkpoint"):
        newest_run(tmp_path / "runs")
    for name in ("runs/b", "runs/a"):
        tiny(name, "train.steps=1")
    assert newest_run(tmp_path / "runs").name == "a"


def test_a_picture_gives_the_same_as_pil_and_as_a_file(model: Translator, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour, alpha = rng.integers(0, 256, (20, 20, 3)), rng.integers(0, 256, (20, 20, 1))
    pictures = {
        "rgba": Image.fromarray(np.concatenate([colour, alpha], axis=2).astype(np.uint8)),
        "deep": Image.fromarray(rng.integers(0, 65536, (20, 20)).astype(np.uint16)),
        "palette": Image.fromarray(colour.astype(np.uint8)).quantize(8),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        pixels, transparency = model.prepared(files.read(tmp_path / f"{name}.png"))
        expected = model.finished(model.translate_pixels([pixels])[0], transparency)
        np.testing.assert_array_equal(np.asarray(model.translate(picture)), expected)


def test_code_that_a_model_names_is_run_only_if_trusted(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(
        "import pathlib\nfrom torch import nn\n"
        "def small(i, o):\n    pathlib.Path('ran').touch()\n    return nn.Conv2d(i, o, 3, padding=1)\n"
    )
    tiny("run", "method.generator=my_net:small", "train.steps=1")
    (tmp_path / "ran").unlink()
    with pytest.raises(UserError, match=r"'my_net:small', which loading would run; if it is yours, add --trust"):
        i2i.load(tmp_path / "run", device="cpu")
    assert not (tmp_path / "ran").exists()
    assert i2i.load(tmp_path / "run", device="cpu", trust=True).translate(torch.zeros(1, 1, 8, 8)).shape == (1, 3, 8, 8)


def test_overlapping_calls_do_not_disturb_each_other(model: Translator) -> None:
    images = [torch.rand(1, 1, 64, 64) * 2 - 1 for _ in range(8)]
    expected = [model.translate(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(model.translate, images))
    for result, wanted in zip(results, expected, strict=True):
        torch.testing.assert_close(result, wanted, atol=1e-6, rtol=0)


def sides_seen(model: Translator) -> list[int]:
    """Note the longest side of all that the network is given."""
    sides: list[int] = []

    def note(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if not inputs[0].is_meta:  # a rehearsal, to learn what memory it takes
            sides.append(max(inputs[0].shape[-2:]))

    model.network.register_forward_pre_hook(note)
    return sides


def test_larger_images_are_cut_into_tiles_and_smaller_ones_are_not(
    tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    tiny("run", "method.generator.norm=none")
    whole, tiled = i2i.load(tmp_path / "run", device="cpu"), i2i.load(tmp_path / "run", device="cpu", tile=96)
    sides = sides_seen(tiled)
    large, small = torch.rand(2, 1, 150, 230) * 2 - 1, torch.rand(1, 1, 96, 64)
    output = tiled.translate(large)
    assert max(sides) == 96
    assert len(sides) == 2 * len(tile_starts(150, 96, 24, 16)) * len(tile_starts(230, 96, 24, 16))
    assert (output - whole.translate(large)).abs().mean() < 0.05 * whole.translate(large).std()
    torch.testing.assert_close(tiled.translate(small), whole.translate(small))


def test_tiles_of_one_image_are_normalised_alike(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    """A flat half would be stretched to full contrast by its own statistics."""
    tiny("run", "method.generator={name: resnet, blocks: 1, ngf: 8}", "train.ema=null")
    whole, tiled = i2i.load(tmp_path / "run", device="cpu"), i2i.load(tmp_path / "run", device="cpu", tile=128)
    image = torch.full((1, 1, 128, 512), 0.9)
    image[..., :256] = torch.rand(1, 1, 128, 256) * 2 - 1
    apart = torch.cat([whole.translate(part) for part in torch.split(image, 128, dim=3)], dim=3)
    error = (tiled.translate(image) - whole.translate(image)).abs().mean()
    assert error < 0.5 * (apart - whole.translate(image)).abs().mean()


def test_what_memory_does_not_hold_is_refused_or_cut(
    tiny: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny("run")
    monkeypatch.setattr("i2i.inference.translator.free_bytes", lambda device: 60_000_000)
    model, auto = i2i.load(tmp_path / "run", device="cpu"), i2i.load(tmp_path / "run", device="cpu", tile="auto")
    sides = sides_seen(auto)
    fitting = torch.rand(4, 1, 256, 256)  # too much together
    assert model.translate(fitting).shape == (4, 3, 256, 256)
    large = torch.rand(1, 1, 1200, 1000)
    with pytest.raises(UserError, match=r"1000x1200 needs more memory than there is; add --tile auto, or --tile \d+$"):
        model.translate(large)
    assert auto.translate(large).shape == (1, 3, 1200, 1000)
    assert 256 <= max(sides) < 1000
    monkeypatch.setattr("i2i.inference.translator.free_bytes", lambda device: None)  # not known: it is tried
    assert i2i.load(tmp_path / "run", device="cpu").translate(large).shape == (1, 3, 1200, 1000)


def test_tiles_halve_where_the_estimate_was_too_low(model: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    def small_memory(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > 300 * 300:
            raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(model, "tile", "auto")
    monkeypatch.setattr(model, "_largest_tile", lambda height, width: 512 if height * width > 512 * 512 else None)
    model.network.register_forward_pre_hook(small_memory)
    assert model.translate(torch.rand(1, 1, 600, 600)).shape == (1, 3, 600, 600)


def test_transparency_is_carried_over(model: Translator) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (50, 70, 1)).astype(np.uint8)
    opaque = drawing()
    see_through = np.concatenate([opaque, alpha], axis=2)
    output = model.translate(see_through)
    assert output.shape == (50, 70, 4)
    np.testing.assert_array_equal(output[..., 3:], alpha)
    on_white = np.round((opaque * (alpha / 255.0)) + 255 * (1 - alpha / 255.0)).astype(np.uint8)
    np.testing.assert_allclose(output[..., :3].astype(int), model.translate(on_white).astype(int), atol=2)
    picture = model.translate(Image.fromarray(see_through))
    assert picture.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(picture), output)


def test_tiles_come_to_the_aid_where_the_whole_ran_out_of_memory(
    model: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small_memory(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].numel() > 300 * 300:
            raise RuntimeError("MPS backend out of memory")

    model.network.register_forward_pre_hook(small_memory)
    image = torch.rand(1, 1, 520, 400)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.translate(image)
    monkeypatch.setattr(model, "tile", "auto")
    assert model.translate(image).shape == (1, 3, 520, 400)


@pytest.mark.parametrize("tile", [None, 64])
def test_what_is_not_finite_is_no_image(model: Translator, tile: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "tile", tile)
    model.network.register_forward_hook(lambda module, inputs, output: output * torch.nan)
    with pytest.raises(UserError, match=r"not finite.* try --precision fp32"):
        model.translate(drawing(100, 100))
