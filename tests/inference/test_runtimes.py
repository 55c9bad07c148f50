"""Whatever runs the network, and in whichever batches, the pictures are those of torch's plain layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import i2i
from i2i.data import DataConfig, files
from i2i.engine.fit import Outcome
from i2i.errors import UserError
from i2i.inference import Translator, translator
from i2i.inference.folders import choose_runtime, plan, translate_jobs
from i2i.inference.runtimes import Captured
from i2i.nn import InferencePolicy, ResNet
from i2i.optim import Precision


def resnet_translator(**options: Any) -> Translator:
    """A CycleGAN's generator, small but with blocks of 128 channels, which Winograd's algorithm takes."""
    torch.manual_seed(0)
    precision = Precision(options.pop("precision", "fp32"))
    return Translator(
        ResNet(3, 3, blocks=1, ngf=32),
        in_channels=3,
        out_channels=3,
        policy=InferencePolicy(**options.pop("policy", {})),
        data=DataConfig(direction="AtoB", aspect="squash"),
        precision=precision,
        **options,
    )


def pictures(count: int, height: int, width: int) -> list[npt.NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize("runtime", ["auto", "onnx"])
def test_every_runtime_paints_the_same(runtime: Any) -> None:
    """In batches and alone, at sizes with odd sides too, and where tiles share their statistics."""
    if runtime == "onnx":
        pytest.importorskip("onnxruntime")
    plain, fast = resnet_translator(runtime="plain"), resnet_translator(runtime=runtime)
    for height, width in ((32, 48), (33, 26)):
        images = pictures(2, height, width)
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 127.5 - 1
        expected = [plain.translate_pixels([image])[0] for image in images]
        for made in (fast.translate_pixels(images), [fast.translate_pixels([image])[0] for image in images]):
            assert np.abs(np.stack(made).astype(int) - expected).max() <= 1
        # 8 bits hide much: in fp32 a hundredth of one of their steps is not reached.
        torch.testing.assert_close(fast.translate(batch), plain.translate(batch), atol=2 / 255 / 100, rtol=0)
    plain.tile = fast.tile = 64
    tiled, wanted = (model.translate_pixels(pictures(1, 70, 90))[0].astype(int) for model in (fast, plain))
    assert np.abs(tiled - wanted).max() <= 1


def test_bf16_differs_by_its_rounding() -> None:
    images = pictures(2, 32, 32)
    expected = np.stack(resnet_translator(runtime="plain").translate_pixels(images)).astype(int)
    fast = np.stack(resnet_translator(precision="bf16").translate_pixels(images))
    assert 0 < np.abs(fast - expected).mean() < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "bf16"}, "computes in fp32, not in bf16; add --precision fp32"),
        ({"policy": {"dropout": "sample"}}, "dropout is sampled; add --dropout off"),
    ],
)
def test_what_onnxruntime_cannot_do_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resnet_translator(runtime="onnx", **options)


class Folder:
    """A folder of pictures and what is said of it."""

    def __init__(self, root: Path, count: int) -> None:
        self.root, self.said = root, list[str]()
        for index, image in enumerate(pictures(count, 32, 32)):
            files.write(root / "in" / f"{index}.png", image)

    def jobs(self, model: Translator) -> Any:
        return plan(model, str(self.root / "in"), self.root / "out", overwrite=True, say=self.said.append)

    def choose(self, model: Translator) -> None:
        choose_runtime(model, self.jobs(model), self.said.append)


@pytest.mark.parametrize("faster", ["torch", "onnxruntime"])
def test_auto_keeps_what_is_faster(faster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Converted(nn.Identity):
        pass

    folder, model = Folder(tmp_path, 20), resnet_translator()
    (tmp_path / "in" / "0.png").write_bytes(b"broken")  # another one will do
    monkeypatch.setattr(translator, "to_onnx", lambda network, channels: Converted())
    monkeypatch.setattr(
        translator,
        "seconds",
        lambda forward, images: 1 + (isinstance(model._forward, Converted) == (faster == "torch")),
    )
    monkeypatch.setattr(translator, "PAYS_FOR_CONVERSION", 30.0)
    folder.choose(model)
    assert folder.said == []  # 20 images of at most a second do not pay for the conversion
    assert model._forward is model.network
    monkeypatch.setattr(translator, "PAYS_FOR_CONVERSION", 1.0)
    folder.choose(model)
    assert folder.said == [f"network: run by {faster}, the faster one here"]
    assert isinstance(model._forward, Converted) == (faster == "onnxruntime")


def test_auto_goes_on_with_torch_where_the_conversion_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(network: nn.Module, channels: int) -> None:
        raise UserError("no graph")

    monkeypatch.setattr(translator, "PAYS_FOR_CONVERSION", 0.0)
    monkeypatch.setattr(translator, "to_onnx", failing)
    folder, model = Folder(tmp_path, 20), resnet_translator()
    folder.choose(model)
    assert folder.said == ["note: onnxruntime was not tried, which may be faster than torch: no graph"]
    assert translate_jobs(model, folder.jobs(model)).written == 20


def test_a_network_that_cannot_be_recorded_runs_as_it_is() -> None:
    """As on a machine without a GPU none can be."""
    said: list[str] = []
    network = Captured(lambda images: images * 2, said.append)
    for _ in range(5):
        assert torch.equal(network(torch.ones(1, 3)), torch.full((1, 3), 2.0))
    assert len(said) == 1
    assert "no CUDA graph can be made" in said[0]


def test_batches_are_as_large_as_the_maps_are_small() -> None:
    model = resnet_translator()
    sizes = [model.batch_size(side, side) for side in (32, 256, 1024, 4096)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1
    assert sizes[-1] == 1


def test_the_command_takes_a_runtime(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    from i2i.cli import main

    tiny("run")
    files.write(tmp_path / "in.png", pictures(1, 40, 40)[0])
    for runtime in ("plain", "torch"):
        arguments = ["translate", "in.png", f"{runtime}.png", "--model", "run", "--device", "cpu", "--runtime", runtime]
        assert main(arguments) == 0
    plain, fast = (files.read(tmp_path / f"{runtime}.png").astype(int) for runtime in ("plain", "torch"))
    assert np.abs(plain - fast).max() <= 1
    assert main([*arguments[:2], "x.png", *arguments[3:-1], "onnx", "--precision", "bf16"]) == 2


def test_sampled_dropout_is_the_same_whatever_runs_the_network(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    tiny("run")
    plain, fast = (
        i2i.load(tmp_path / "run", device="cpu", dropout="sample", seed=3, runtime=runtime)
        for runtime in ("plain", "auto")
    )
    images = torch.rand(2, 1, 64, 64) * 2 - 1
    torch.testing.assert_close(fast.translate(images), plain.translate(images), atol=1e-5, rtol=0)
