"""Runs as files that stand by themselves: loaded, they are the same model; what would be another one is not written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save_file

import i2i
from i2i.cli import main
from i2i.data import files
from i2i.engine.config import compose
from i2i.engine.fit import Outcome
from i2i.engine.runs import start
from i2i.errors import UserError
from i2i.inference import Translator, load_sampler
from i2i.inference.export.exporting import export
from i2i.inference.export.graph import to_pixels
from i2i.inference.runs import read_header, read_tensors
from i2i.inference.trained import open_model

Tiny = Callable[..., Outcome]
SMALL = ("method.generator.depth=2", "train.steps=2")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "junyanz"


def drawing(height: int = 51, width: int = 38, channels: int = 1) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


def told(model: Translator) -> str:
    return model.describe().removeprefix(model.label)


@pytest.mark.parametrize("form", ["onnx", "pt2", "safetensors"])
def test_an_exported_file_is_the_same_model(form: str, tiny: Tiny, tmp_path: Path) -> None:
    tiny("run", *SMALL)
    done = export(Path("run"), Path(f"out/cats.{form}"))
    file = tmp_path / "out" / f"cats.{form}"
    assert done.files[0] == Path("out", file.name)
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == (
        [".md", ".png", ".safetensors"] if form == "safetensors" else [f".{form}"]
    )
    assert done.difference < 1e-5
    sides = {side % 2 for shape in done.tried for side in shape[2:]}
    assert (sides, {shape[0] for shape in done.tried}) == ({0, 1}, {1, 2, 3})
    run, same = i2i.load("run", device="cpu"), i2i.load(file, device="cpu", trust=form == "pt2")
    assert told(same) == told(run)
    assert "2 steps, averaged weights" in same.label
    images = torch.rand(3, 1, 45, 30) * 2 - 1
    torch.testing.assert_close(same.translate(images), run.translate(images), atol=1e-5, rtol=0)
    np.testing.assert_allclose(same.translate(drawing()).astype(int), run.translate(drawing()), atol=1)
    assert (same.derive, same.policy, same.data_seed) == (run.derive, run.policy, run.data_seed)
    assert same.data == run.data.model_copy(update={"source": "photos"})  # not where they lie
    assert main(["translate", "photos", "made", "--model", str(file), "--from-photos", "--trust"]) == 0
    assert main(["translate", "photos", "wanted", "--model", "run", "--from-photos"]) == 0
    made, wanted = (files.read(tmp_path / folder / "p0.png").astype(int) for folder in ("made", "wanted"))
    np.testing.assert_allclose(made, wanted, atol=1)


def test_the_card_says_what_the_run_recorded(tiny: Tiny, tmp_path: Path) -> None:
    outcome = tiny("run", *SMALL)
    export(Path("run"), Path("cats.safetensors"), precision="fp16")
    card = Path("cats.md").read_text(encoding="utf-8")
    (sheet,) = (tmp_path / "run" / "samples").glob("*2.png")
    assert Path("cats.png").read_bytes() == sheet.read_bytes()
    assert "![inputs, outputs and targets](cats.png)" in card
    rows = dict(re.findall(r"^\| (.+) \| (.+) \|$", card, re.MULTILINE))
    assert (rows["method"], rows["steps"], rows["data"]) == ("pix2pix", "2", "photos, at 64 pixels")
    assert rows["weights"] == "averaged, fp16"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    (psnr,) = [row["val/psnr"] for row in map(json.loads, lines) if row["step"] == 2 and "val/psnr" in row]
    assert float(rows["val/psnr"]) == pytest.approx(psnr, rel=1e-3)
    assert "license: unknown" in card
    assert str(tmp_path) not in card + json.dumps(read_header(Path("cats.safetensors")))
    halved, weights = read_tensors(Path("cats.safetensors")), read_tensors(outcome.checkpoint / "G_ema.safetensors")
    for name, value in weights.items():
        expected = value if "running" in name or "num" in name else value.half()
        torch.testing.assert_close(halved[name], expected, atol=0, rtol=0)
    assert i2i.load("cats.safetensors", device="cpu").translate(drawing()).shape == (51, 38, 3)
    assert open_model("cats.safetensors").networks["G"].build().head.conv.weight.dtype == torch.float32  # type: ignore[union-attr]


def test_pixels_in_and_out_in_half_precision(tiny: Tiny) -> None:
    """The graph's own input and output, without the loader, beside those of the run."""
    import onnxruntime

    tiny("run", *SMALL)
    done = export(Path("run"), precision="fp16", pixels="uint8")
    assert done.files == (Path("run.onnx"),)
    session = onnxruntime.InferenceSession("run.onnx", providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": drawing()[None]})
    run = i2i.load("run", device="cpu")
    assert (output.dtype, output.shape) == (np.uint8, (1, 51, 38, 3))
    np.testing.assert_allclose(output[0].astype(int), run.translate(drawing()), atol=2)
    np.testing.assert_array_equal(i2i.load("run.onnx").translate(drawing()), output[0])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["i2i"])
    assert {key: facts["export"][key] for key in ("pixels", "precision", "channels", "size_multiple")} == {
        "pixels": "uint8",
        "precision": "fp16",
        "channels": {"in": 1, "out": 3},
        "size_multiple": 1,
    }
    assert (facts["export"]["inputs"]["name"], facts["translates"], facts["step"]) == ("edges", "AtoB", 2)


def test_pixels_are_rounded_as_everywhere() -> None:
    images = torch.tensor([-1.5, -1, -0.9961, 0, 0.9, 1, 7]).reshape(1, 1, 1, 7)
    assert to_pixels(images).flatten().tolist() == [0, 0, 0, 128, 242, 255, 255]


NOISE = """
method:
  name: gan
  conditional: true
  latent: 6
  generator: {name: mlp, hidden: [8]}
  discriminator: {name: mlp, hidden: [8]}
data: {image_size: 8, workers: 0, val_share: 0.25, batch_size: 4}
train: {steps: 1, device: cpu, precision: fp32, validate_every: 1}
"""


@pytest.mark.parametrize("form", ["onnx", pytest.param("safetensors", marks=pytest.mark.slow)])
def test_generators_of_noise(form: str, tmp_path: Path, photos: Callable[..., Path], quiet: Console) -> None:
    (tmp_path / "noise.yaml").write_text(NOISE)
    for name in ("cat", "dog"):
        photos(3, 8, f"animals/{name}")
    start(*compose("noise.yaml", "animals", []), quiet, tmp_path / "run")
    done = export(Path("run"), Path(f"noise.{form}"))
    assert done.usage == f"sample noise.{form} OUTPUT"
    made, wanted = (load_sampler(path, device="cpu").sample([3, 5], ["dog", 0]) for path in (done.files[0], "run"))
    np.testing.assert_allclose(made.astype(int), wanted, atol=1)
    assert main(["sample", f"noise.{form}", "grid.png"]) == 0
    with pytest.raises(UserError, match="makes images of noise; leave --direction out"):
        export(Path("run"), direction="AtoB")


@pytest.mark.parametrize("form", ["safetensors", pytest.param("onnx", marks=pytest.mark.slow)])
def test_foreign_files_and_both_ways(form: Any) -> None:
    folder = Path("zebras")
    folder.mkdir()
    for name in ("G_A", "G_B"):
        (folder / f"latest_net_{name}.pth").write_bytes((FIXTURES / "g_resnet6_instance.pth").read_bytes())
    for way in ("AtoB", "BtoA"):
        done = export(folder, form=form, direction=way)
        assert done.files[0] == Path(f"zebras-{way}.{form}")
        file, theirs = i2i.load(done.files[0], device="cpu"), i2i.load(folder, direction=way, device="cpu")
        assert (file.data.direction, told(file)) == (way, told(theirs))
        np.testing.assert_allclose(
            file.translate(drawing(9, 13, 3)).astype(int), theirs.translate(drawing(9, 13, 3)), atol=1
        )
    assert "imported from latest_net_G_B.pth" in file.label
    with pytest.raises(UserError, match=r"translates BtoA alone"):
        i2i.load(done.files[0], direction="AtoB")


@pytest.mark.slow
def test_super_resolution_and_inpainting(tiny: Tiny) -> None:
    tiny(
        "large",
        "method.generator={name: srresnet, blocks: 1, ngf: 4, output: residual}",
        "data.derive={name: downscale, factor: 4, enlarge: false}",
        "train.steps=1",
        "train.ema=null",
    )
    tiny("holes", "data.derive=mask", "method.generator.output=fill", *SMALL)
    export(Path("large"))
    export(Path("holes"))
    large, same = i2i.load("large", device="cpu"), i2i.load("large.onnx")
    assert (same.magnification, same.translate(drawing(channels=3)).shape) == (4, (204, 152, 3))
    np.testing.assert_allclose(
        same.translate(drawing(channels=3)).astype(int), large.translate(drawing(channels=3)), atol=1
    )
    mask = drawing() > 200
    holes, same = i2i.load("holes", device="cpu"), i2i.load("holes.onnx")
    assert same.wants_mask
    made, wanted = (model.translate(drawing(channels=3), mask=mask[..., 0]) for model in (same, holes))
    np.testing.assert_allclose(made.astype(int), wanted, atol=1)


NETS = """
from torch import nn
from i2i.nn import InstanceNorm

class Odd(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) + 1 if x.shape[-1] % 2 else super().forward(x)

def odd(i, o):
    return Odd(i, o, 3, padding=1)

def normed(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), InstanceNorm(o))
"""


def test_a_network_that_decides_by_sizes_is_not_written_as_a_graph(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(NETS)
    tiny("run", "method.generator=my_net:odd", "train.steps=1")
    with pytest.raises(UserError, match=r"'my_net:odd', which loading would run.*--trust"):
        export(Path("run"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"outputs differ from the model's by up to 1 .*nothing was written"):
        export(Path("run"), trust=True)
    assert sorted(tmp_path.iterdir()) == before
    export(Path("run"), form="safetensors", trust=True)
    with pytest.raises(UserError, match=r"run\.safetensors: its network is code"):
        i2i.load("run.safetensors")
    assert i2i.load("run.safetensors", trust=True, device="cpu").translate(drawing()).shape == (51, 38, 3)


def test_what_a_graph_has_fixed_cannot_be_asked_otherwise(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "my_net.py").write_text(NETS)
    tiny("run", "method.generator=my_net:normed", "train.steps=1")
    export(Path("run"), trust=True)
    for options, line in {
        "statistics=running": "--statistics running: it runs with image alone; export it again, or take the run",
        "dropout=sample": "--dropout sample: it runs with off alone",
        "precision=bf16": "--precision bf16: it runs with fp32 alone",
        "device=cuda": "--device cuda: it runs with cpu alone",
        "tile=64": "--tile 64: its norms take each image's own statistics",
        "tile=auto": "--tile auto: its norms",
    }.items():
        name, _, value = options.partition("=")
        with pytest.raises(UserError, match=f"run.onnx: {line}"):
            i2i.load("run.onnx", **{name: int(value) if value.isdecimal() else value})  # type: ignore[arg-type]
    assert i2i.load("run.onnx", statistics="image", precision="auto", device="auto").precision.name == "fp32"
    with pytest.raises(UserError, match="is a graph already; give the run"):
        export(Path("run.onnx"), form="pt2")
    with pytest.raises(UserError, match="holds a graph, not weights to train on"):
        open_model("run.onnx").networks["G"].read()
    assert main(["evaluate", "run.onnx", "--data", "photos", "--device", "cpu"]) == 0


def test_mistakes_are_found_before_anything_is_written(tiny: Tiny, tmp_path: Path) -> None:
    tiny("run", *SMALL)
    Path("there.safetensors").touch()
    for path, output, options, line in (
        ("run", "there.safetensors", {}, r"there\.safetensors: exists already; add --overwrite"),
        ("run", "cats.bin", {}, r"cats\.bin: must end in \.onnx, \.pt2, \.safetensors"),
        ("run", "cats.pt2", {"form": "onnx"}, r"--format onnx: cats\.pt2 ends in \.pt2; call it cats\.onnx"),
        ("run", None, {"dropout": "sample"}, "samples its dropout, and a graph draws no random numbers; add --dropout"),
        ("run", "x.safetensors", {"pixels": "uint8"}, "--pixels uint8: a safetensors file holds weights"),
        ("run", "out/cats.onnx", {"direction": "BtoA"}, "translates AtoB alone"),
        ("rum", None, {}, "rum: does not exist"),
    ):
        with pytest.raises(UserError, match=line):
            export(Path(path), Path(output) if output else None, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("*.onnx"))
    assert not Path("out").exists()


def test_sampled_dropout_is_kept_with_the_weights(tiny: Tiny) -> None:
    tiny("run", "train.steps=1")  # of 6 levels, one of which drops out
    Path("there.safetensors").touch()
    export(Path("run"), Path("there.safetensors"), dropout="sample", overwrite=True)
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    sampled, off = (i2i.load("there.safetensors", device="cpu", dropout=how) for how in (None, "off"))
    assert not torch.equal(sampled.translate(images), off.translate(images))
    wanted = i2i.load("run", device="cpu", dropout="sample").translate(images)
    torch.testing.assert_close(sampled.translate(images), wanted)


def test_files_of_others_and_damaged_descriptions_end_in_one_line(tiny: Tiny) -> None:
    outcome = tiny("run", *SMALL)
    export(Path("run"), Path("good.safetensors"))
    with safe_open("good.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["i2i"])
    tensors = read_tensors(Path("good.safetensors"))

    def without(*keys: str) -> str:
        changed = json.loads(json.dumps(header))
        part = changed
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]
        return json.dumps(changed)

    for text, line in {
        "{": "its description is damaged",
        "[]": "its description is damaged",
        without("network", "measures", "in_channels"): r"its description is damaged \('in_channels'\)",
        without("config", "data"): r"its description is damaged \('data'\)",
        json.dumps({**header, "policy": {"statistics": "none"}}): "its description is damaged",
        json.dumps({**header, "format": 99}): "has format 99, and this i2i reads 2; update i2i",
        json.dumps({**header, "network": None}): "holds no network",
    }.items():
        save_file(tensors, "bad.safetensors", metadata={"i2i": text})
        with pytest.raises(UserError, match=rf"^bad\.safetensors: {line}"):
            i2i.load("bad.safetensors")
    save_file({"w": torch.zeros(1)}, "bad.safetensors")
    with pytest.raises(UserError, match="was not written by i2i"):
        i2i.load("bad.safetensors")
    with pytest.raises(UserError, match="holds no generator"):
        i2i.load(outcome.checkpoint / "D.safetensors")
    with pytest.raises(UserError, match="holds no network"):
        i2i.load(outcome.checkpoint / "train.safetensors")
