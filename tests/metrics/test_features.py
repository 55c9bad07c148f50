"""Networks that see features: a stand-in for InceptionV3, and files of the user's own."""

from __future__ import annotations

import hashlib
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from i2i.errors import UserError
from i2i.metrics import features
from i2i.metrics.features import FeatureSet, Inception, Seen, load_extractor


class Means(nn.Module):
    """The mean and the greatest value of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


class Maps(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)) / 0


def scripted(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings(action="ignore"):  # torch would have everyone export in another format
        torch.jit.save(torch.jit.script(module), str(path))
    return path


@dataclass
class FakeInput:
    shape: list[int | str]
    name: str = "x"
    type: str = "tensor(float)"


class FakeSession:
    """As onnxruntime's, of the network `Means`."""

    shape: ClassVar[list[int | str]] = ["batch", 3, "height", "width"]
    shown: ClassVar[list[tuple[int, ...]]] = []

    def __init__(self, path: str, providers: list[str]) -> None:
        if Path(path).read_bytes() != b"onnx":
            raise RuntimeError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF")

    def get_inputs(self) -> list[FakeInput]:
        return [FakeInput(self.shape)]

    def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
        (images,) = feed.values()
        self.shown.append(images.shape)
        return [Means()(torch.from_numpy(images)).numpy()]


@pytest.fixture
def onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    library = ModuleType("onnxruntime")
    monkeypatch.setattr(library, "InferenceSession", FakeSession, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    monkeypatch.setattr(FakeSession, "shown", [])
    (tmp_path / "own.onnx").write_bytes(b"onnx")
    return tmp_path / "own.onnx"


def test_torchscript_is_run_if_trusted(tmp_path: Path) -> None:
    path = scripted(Means(), tmp_path / "own.pt")
    with pytest.raises(UserError, match=r"own\.pt: is TorchScript, which is code .* add --trust"):
        load_extractor(path)
    own = load_extractor(path, trust=True)
    assert own.label == f"features of own.pt (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]})"
    images = torch.rand(2, 3, 5, 4)
    torch.testing.assert_close(own(images).features, Means()(images))
    torch.testing.assert_close(own(images[:, :1]).features, Means()(images[:, :1].expand(-1, 3, -1, -1)))
    assert load_extractor(path, trust=True)(torch.rand(2, 7, 5, 4)).features.shape == (2, 14)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Maps(), r"gives \[2, 3, 5, 4\] for images \[2, 3, 5, 4\], and features are \[N, D\]"),
        (Nothing(), "gives features that are not finite"),
        (nn.Conv2d(1, 1, 3), r"does not take images \[2, 3, 5, 4\]"),
    ],
)
def test_what_gives_no_features_is_refused(network: nn.Module, reason: str, tmp_path: Path) -> None:
    path = scripted(network, tmp_path / "own.pt")
    with pytest.raises(UserError, match=reason) as refusal:
        load_extractor(path, trust=True)(torch.rand(2, 3, 5, 4))
    assert str(path) in str(refusal.value)


def test_features_are_of_one_size(tmp_path: Path) -> None:
    own = load_extractor(scripted(nn.Flatten(), tmp_path / "own.pt"), trust=True)
    assert own(torch.rand(2, 3, 5, 4)).features.shape == (2, 60)
    with pytest.raises(UserError, match=r"gives 75 features for images \[1, 3, 5, 5\] and 60 for others; it must pool"):
        own(torch.rand(1, 3, 5, 5))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone.pt", "there is no such file"), ("w.pth", "TorchScript file"), ("bad.pt", "no TorchScript file")],
)
def test_other_files_are_refused(name: str, reason: str, tmp_path: Path) -> None:
    if name != "gone.pt":
        torch.save({"a": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(UserError, match=reason):
        load_extractor(tmp_path / name, trust=True)


def test_onnx_takes_any_size_or_its_own(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(3, 3, 8, 6)
    own = load_extractor(onnx)
    torch.testing.assert_close(own(images).features, Means()(images))
    assert FakeSession.shown == [(3, 3, 8, 6)]

    monkeypatch.setattr(FakeSession, "shape", [1, 3, 4, 3])
    own = load_extractor(onnx)
    assert own.label.endswith(", images resized to 3x4")
    small = interpolate(images, (4, 3), mode="bicubic", antialias=True).clamp(0, 1)
    torch.testing.assert_close(own(images).features, Means()(small))
    assert FakeSession.shown[1:] == 3 * [(1, 3, 4, 3)]


def test_onnx_files_that_are_refused(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "shape", ["batch", 768])
    with pytest.raises(UserError, match="must take one input of floats"):
        load_extractor(onnx)
    onnx.write_bytes(b"else")
    with pytest.raises(UserError, match=r"no ONNX file that onnxruntime can run .*INVALID_PROTOBUF"):
        load_extractor(onnx)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'i2i\[export\]'"):
        load_extractor(onnx)


def test_onnx_by_the_library_itself(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    helper = pytest.importorskip("onnx.helper")
    image = helper.make_tensor_value_info("x", 1, ["n", 3, "h", "w"])
    mean = helper.make_tensor_value_info("y", 1, ["n", 3])
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)
    axes = helper.make_tensor("axes", 7, [2], [2, 3])
    graph = helper.make_graph([node], "means", [image], [mean], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    images = torch.rand(2, 3, 5, 4)
    torch.testing.assert_close(load_extractor(tmp_path / "own.onnx")(images).features, images.mean(dim=(2, 3)))


class FakeInceptionV3(nn.Module):
    """As torch-fidelity's: bytes in, features and logits out, from a file of weights."""

    def __init__(self, name: str, wanted: list[str], weights: str) -> None:
        super().__init__()
        self.wanted, self.weight = wanted, torch.load(weights)["weight"]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        assert images.dtype == torch.uint8
        seen = images.float().mean(dim=(2, 3))
        return tuple({"2048": seen, "logits_unbiased": seen @ self.weight}[name] for name in self.wanted)


@pytest.fixture
def inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a small file in the place of the published one, and a small network in that of the library's."""
    path = tmp_path / features.INCEPTION.name
    torch.save({"weight": torch.eye(3)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(features, "INCEPTION", replace(features.INCEPTION, sha256=digest))
    library = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    monkeypatch.setattr(library, "FeatureExtractorInceptionV3", FakeInceptionV3, raising=False)
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, library.__name__, library)
    return path


def test_inception_sees_bytes(inception: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_extractor(weights=inception.parent)
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 5))
    seen = network(torch.from_numpy(levels / np.float32(255)).float())
    np.testing.assert_allclose(seen.features, levels.mean(axis=(2, 3)), rtol=1e-6)
    assert seen.logits is not None
    torch.testing.assert_close(seen.logits, seen.features)
    assert len(set(network(torch.rand(1, 1, 4, 4)).features[0].tolist())) == 1
    with pytest.raises(UserError, match="of 1 or 3 channels, not 4"):
        network(torch.rand(1, 4, 4, 4))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UserError, match=r"torch-fidelity: pip install 'i2i\[metrics\]'"):
        Inception(inception.parent)


def test_inceptions_weights_are_verified_before_the_library_reads_them(inception: Path) -> None:
    inception.write_bytes(inception.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"6726825d\.pth: is damaged or another file"):
        Inception(inception.parent)
    inception.unlink()
    with pytest.raises(
        UserError, match=r"6726825d\.pth: is missing, and InceptionV3, .* takes it: fetch it from https"
    ):
        Inception(inception.parent)


class Recorder:
    label, has_logits = "recorder", False

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor) -> Seen:
        self.batches.append(tuple(images.shape))
        return Seen(images.mean(dim=(2, 3)))


def test_images_of_one_shape_are_batched_and_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "BATCH_PIXELS", 3 * 20)
    network = Recorder()
    gathered = FeatureSet(network)
    assert gathered.seen() is None
    images = [torch.rand(3, 4, 5) for _ in range(4)] + [torch.rand(3, 5, 5), torch.rand(3, 4, 5), torch.rand(3, 30, 30)]
    for number, image in enumerate(images):
        gathered.add(image)
        assert len(gathered._waiting) <= 3
        if number == 1:
            assert len(gathered.seen().features) == 2  # type: ignore[union-attr]
    seen = gathered.seen()
    assert seen is not None
    torch.testing.assert_close(seen.features, torch.stack([image.mean(dim=(1, 2)) for image in images]))
    assert network.batches == [(2, 3, 4, 5), (2, 3, 4, 5), (1, 3, 5, 5), (1, 3, 4, 5), (1, 3, 30, 30)]
