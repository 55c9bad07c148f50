"""Networks as graphs: the same outputs at every size, and files that are damaged, hostile or of others."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.inference.export import onnx, pt2
from i2i.inference.export.graph import inputs_of, trace
from i2i.nn import InferencePolicy, ResNet, SRResNet, UNet, apply_policy
from i2i.nn.heads import with_head

SIZES = [(1, 32, 32), (3, 17, 8), (2, 5, 9), (1, 2, 3), (2, 4, 70)]
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "unet": lambda: UNet(3, 3, depth=3, ngf=2),
    "unet of 8 levels": lambda: UNet(3, 3, depth=8, ngf=1, norm="instance"),
    "unet that resizes": lambda: UNet(3, 3, depth=3, ngf=2, upsample="resize", dropout=0.5),
    "resnet": lambda: ResNet(3, 3, blocks=1, ngf=2, dropout=0.5),
    "resnet that resizes": lambda: ResNet(3, 3, blocks=1, ngf=2, norm="group", upsample="resize"),
    "residual": lambda: with_head("residual", SRResNet(3, 3, scale=4, blocks=1, ngf=2, tanh=False), 3),
    "3 times": lambda: SRResNet(3, 3, scale=3, blocks=1, ngf=2, norm="none"),
    "lab": lambda: with_head("lab", UNet(1, 2, depth=2, ngf=2), 3),
    "fill": lambda: with_head("fill", UNet(4, 3, depth=2, ngf=2), 3),
}
CHANNELS = {"lab": 1, "fill": 4}


@pytest.mark.parametrize(
    "name", ["resnet", *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS if n != "resnet")]
)
@pytest.mark.parametrize("statistics", ["running", pytest.param("image", marks=pytest.mark.slow)])
def test_graphs_compute_what_networks_do_at_every_size(name: str, statistics: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, channels = NETWORKS[name](), CHANNELS.get(name, 3)
    apply_policy(network, InferencePolicy.model_validate({"statistics": statistics}))
    inputs = inputs_of("generator", {"in_channels": channels})
    program = trace(network, inputs)
    onnx.write(program, tmp_path / "net.onnx", inputs, "told")
    pt2.write(program, tmp_path / "net.pt2", "told")
    graphs = [onnx.OnnxNetwork(tmp_path / "net.onnx", threads=1), pt2.Pt2Network(tmp_path / "net.pt2", trust=True)]
    assert onnx.read_metadata(tmp_path / "net.onnx") == pt2.read_metadata(tmp_path / "net.pt2") == "told"
    for count, height, width in [*SIZES, (1, 260, 300)]:
        images = torch.rand(count, channels, height, width) * 2 - 1
        with torch.no_grad():
            for graph in graphs:
                torch.testing.assert_close(graph(images), network(images), atol=1e-4, rtol=0)


def test_files_say_what_goes_in_and_hold_no_paths(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    onnx.write_generator(nn.Conv2d(3, 1, 3, padding=1).eval(), 3, file)
    network = onnx.OnnxNetwork(file)
    (given,), (made,) = network._session.get_inputs(), network._session.get_outputs()
    assert (given.name, given.shape, made.name) == ("input", ["batch", 3, "height", "width"], "output")
    assert made.shape == ["batch", 1, "height", "width"]
    assert str(Path(__file__).parents[3]).encode() not in file.read_bytes()
    assert network.metadata is None
    with pytest.raises(UserError, match=r"net\.onnx: .*nvalid"):
        network(torch.zeros(1, 4, 8, 8))


class ByValue(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.mean() > 0 else -x


def test_a_network_that_decides_by_values_has_no_graph() -> None:
    with pytest.raises(UserError, match=r"^the network has no graph for all sizes: .* \(--format safetensors\)$"):
        trace(ByValue(), inputs_of("generator", {"in_channels": 1}))


def test_weights_in_other_files_are_not_read(tmp_path: Path) -> None:
    import onnx as library
    from onnx import TensorProto, helper

    (tmp_path / "secret").write_bytes(b"1234")
    stolen = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "../secret", "offset": "0", "length": "4"}.items():
        stolen.external_data.add(key=key, value=value)
    made = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1])
    hidden = helper.make_node("Constant", [], ["output"], value=stolen)  # not among the initializers
    inner = helper.make_graph([hidden], "inner", [], [made])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["yes"], ["output"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([node], "outer", [], [made], [yes])
    (tmp_path / "models").mkdir()
    library.save(helper.make_model(graph), tmp_path / "models" / "net.onnx")
    for read in (onnx.OnnxNetwork, onnx.read_metadata):
        with pytest.raises(UserError, match="keeps weights in other files, which are not read"):
            read(tmp_path / "models" / "net.onnx")


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


def test_a_pt2_file_runs_nothing_unless_trusted(tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    program = trace(nn.Conv2d(1, 1, 1).eval(), inputs_of("generator", {"in_channels": 1}))
    pt2.write(program, tmp_path / "good.pt2", "told")
    with zipfile.ZipFile(tmp_path / "good.pt2") as good, zipfile.ZipFile(file, "w") as bad:
        for entry in good.namelist():
            bad.writestr(entry, pickle.dumps(Payload()) if "sample_inputs" in entry else good.read(entry))
    assert pt2.read_metadata(file) == "told"
    with pytest.raises(UserError, match=r"is to run what its maker put there.*add --trust"):
        pt2.Pt2Network(file, trust=False)
    assert not Path("ran").exists()


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_damaged_files_end_in_one_line(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"net{suffix}"
    inputs = inputs_of("generator", {"in_channels": 1})
    program = trace(nn.Conv2d(1, 1, 3).eval(), inputs)
    onnx.write(program, file, inputs) if suffix == ".onnx" else pt2.write(program, file, "told")
    whole = file.read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=f"net{suffix}: is damaged"):
            onnx.OnnxNetwork(file) if suffix == ".onnx" else pt2.Pt2Network(file, trust=True)
    with pytest.raises(UserError, match="does not exist"):
        onnx.OnnxNetwork(tmp_path / "no.onnx") if suffix == ".onnx" else pt2.read_metadata(tmp_path / "no.pt2")


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"^ONNX files need onnxruntime; type: pip install 'i2i\[export\]'$"):
        onnx.OnnxNetwork(tmp_path / "net.onnx")
