"""Networks of the CycleGAN-and-pix2pix code: every layout of its keys, old files, hostile files, the command line.

The layouts are built here a second time, as the nests of sequences that name the keys of such files, with random
weights; what comes through the door must compute the same.
"""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import i2i
from i2i.cli import main
from i2i.data import files
from i2i.errors import UserError
from i2i.inference import open_model
from i2i.inference.junyanz import Foreign, convert, network_files, read_network, read_state, recognise, recorded_options
from i2i.nn import Norm, PatchGANConfig, PixelGANConfig, ResNetConfig, UNetConfig

FIXTURES = Path(__file__).parents[1] / "fixtures" / "junyanz"
State = dict[str, Any]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# The layouts, independently.


class Named(nn.Module):
    """A sequence, or one layer, under a name of its own, which becomes the prefix of its keys."""

    def __init__(self, name: str, *layers: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.add_module(name, nn.Sequential(*layers) if len(layers) > 1 else layers[0])

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(self.name)(x)
        return result


class Beside(Named):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], 1)


class Added(Named):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def norm_layer(norm: Norm, width: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(width)
    return nn.InstanceNorm2d(width) if norm == "instance" else nn.Identity()


def halving(i: int, o: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(i, o, 4, 2, 1, bias=bias)


def doubling(i: int, o: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(i, o, 4, 2, 1, bias=bias)


def their_unet(depth: int, ngf: int, norm: Norm, i: int = 3, o: int = 3) -> nn.Module:
    bias = norm == "instance"
    widths = [ngf * min(8, 2**level) for level in range(depth)]
    outer, inner = widths[-2:]
    block: nn.Module = Beside(
        "model",
        nn.LeakyReLU(0.2),
        halving(outer, inner, bias),
        nn.ReLU(),
        doubling(inner, outer, bias),
        norm_layer(norm, outer),
    )
    for level in range(depth - 2, 0, -1):
        outer, inner = widths[level - 1 : level + 1]
        dropout = [nn.Dropout(0.5)] if outer == inner else []
        block = Beside(
            "model",
            nn.LeakyReLU(0.2),
            halving(outer, inner, bias),
            norm_layer(norm, inner),
            block,
            nn.ReLU(),
            doubling(2 * inner, outer, bias),
            norm_layer(norm, outer),
            *dropout,
        )
    ends = Named("model", halving(i, ngf, bias), block, nn.ReLU(), doubling(2 * ngf, o, True), nn.Tanh())
    return Named("model", ends)


def their_resnet(blocks: int, ngf: int, norm: Norm, dropout: bool = False, i: int = 3, o: int = 3) -> nn.Module:
    bias = norm == "instance"

    def normed(conv: nn.Module, width: int) -> list[nn.Module]:
        return [conv, norm_layer(norm, width), nn.ReLU()]

    def residual(width: int) -> nn.Module:
        first = normed(nn.Conv2d(width, width, 3, bias=bias), width)
        second = normed(nn.Conv2d(width, width, 3, bias=bias), width)[:2]
        dropping = [nn.Dropout(0.5)] if dropout else []
        return Added("conv_block", nn.ReflectionPad2d(1), *first, *dropping, nn.ReflectionPad2d(1), *second)

    def up(width: int) -> nn.Module:
        return nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1, bias=bias)

    return Named(
        "model",
        nn.ReflectionPad2d(3),
        *normed(nn.Conv2d(i, ngf, 7, bias=bias), ngf),
        *normed(nn.Conv2d(ngf, 2 * ngf, 3, 2, 1, bias=bias), 2 * ngf),
        *normed(nn.Conv2d(2 * ngf, 4 * ngf, 3, 2, 1, bias=bias), 4 * ngf),
        *(residual(4 * ngf) for _ in range(blocks)),
        *normed(up(2 * ngf), 2 * ngf),
        *normed(up(ngf), ngf),
        nn.ReflectionPad2d(3),
        nn.Conv2d(ngf, o, 7),
        nn.Tanh(),
    )


def their_patchgan(layers: int, ndf: int, norm: Norm, i: int = 6) -> nn.Module:
    widths = [ndf * min(8, 2**layer) for layer in range(layers + 1)]
    sequence: list[nn.Module] = [nn.Conv2d(i, ndf, 4, 2, 1), nn.LeakyReLU(0.2)]
    for layer in range(1, layers + 1):
        stride = 2 if layer < layers else 1
        conv = nn.Conv2d(widths[layer - 1], widths[layer], 4, stride, 1, bias=norm == "instance")
        sequence += [conv, norm_layer(norm, widths[layer]), nn.LeakyReLU(0.2)]
    return Named("model", *sequence, nn.Conv2d(widths[-1], 1, 4, 1, 1))


def their_pixel(ndf: int, norm: Norm, i: int = 6) -> nn.Module:
    bias = norm == "instance"
    middle = [nn.Conv2d(ndf, 2 * ndf, 1, bias=bias), norm_layer(norm, 2 * ndf), nn.LeakyReLU(0.2)]
    return Named("net", nn.Conv2d(i, ndf, 1), nn.LeakyReLU(0.2), *middle, nn.Conv2d(2 * ndf, 1, 1, bias=bias))


def trained(network: nn.Module) -> nn.Module:
    """Give weights that keep signals strong through all layers, and norms statistics as if they had seen images."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, 0.2)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            assert module.num_batches_tracked is not None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            module.num_batches_tracked.fill_(7)
    return network.eval()


def saved(state: Any, name: str = "latest_net_G.pth", **options: Any) -> Path:
    torch.save(state, name, **options)
    return Path(name)


def load_network(path: Path) -> tuple[nn.Module, Foreign]:
    (network,) = open_model(path).networks.values()
    return network.build(), read_network(path)[0]


# What the files compute.


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("g_unet128_batch", UNetConfig(depth=7, ngf=4)),
        ("g_resnet6_instance", ResNetConfig(blocks=6, ngf=8)),
        ("d_pixel_batch", PixelGANConfig(ndf=8, norm="batch")),
    ],
)
def test_files_of_the_code_give_its_outputs(name: str, config: Any) -> None:
    arrays = np.load(FIXTURES / f"{name}.npz")
    images, expected = torch.from_numpy(arrays["xq"]).float() / 127.5 - 1, torch.from_numpy(arrays["y"])
    network, foreign = load_network(FIXTURES / f"{name}.pth")
    assert (foreign.config, foreign.in_channels, foreign.out_channels) == (config, images.shape[1], expected.shape[1])
    if foreign.kind == "generator":
        outputs = i2i.load(FIXTURES / f"{name}.pth", device="cpu").translate(images)
    else:
        with torch.no_grad():
            outputs = network.eval()(images)
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=0)


NORMS: tuple[Norm, ...] = ("batch", "instance", "none")
BOTH: tuple[Norm, ...] = ("batch", "instance")
Case = tuple[Callable[..., nn.Module], tuple[Any, ...], Any, tuple[int, int], int]

CASES: list[Case] = [  # builder, its arguments, our options, channels, side of the images
    *((their_unet, (8, 2, norm), UNetConfig(depth=8, ngf=2, norm=norm), (3, 3), 256) for norm in BOTH),
    (their_unet, (7, 3, "none"), UNetConfig(depth=7, ngf=3, norm="none"), (3, 3), 128),
    (their_unet, (5, 2, "batch", 1, 4), UNetConfig(depth=5, ngf=2), (1, 4), 32),
    (their_unet, (9, 1, "batch"), UNetConfig(depth=9, ngf=1), (3, 3), 512),
    *(
        (their_resnet, (9, 2, norm, rate > 0), ResNetConfig(blocks=9, ngf=2, norm=norm, dropout=rate), (3, 3), 32)
        for norm in NORMS
        for rate in (0.0, 0.5)
    ),
    (their_resnet, (0, 2, "instance", False, 7, 5), ResNetConfig(blocks=0, ngf=2), (7, 5), 16),
    (their_resnet, (6, 3, "batch", True, 1, 2), ResNetConfig(blocks=6, ngf=3, norm="batch", dropout=0.5), (1, 2), 20),
    *(
        (their_patchgan, (layers, 2, norm), PatchGANConfig(layers=layers, ndf=2, norm=norm), (6, 1), 160)
        for layers in (1, 3, 5)
        for norm in NORMS
    ),
    *((their_pixel, (5, norm, 4), PixelGANConfig(ndf=5, norm=norm), (4, 1), 9) for norm in NORMS),
]


@pytest.mark.parametrize(("build", "arguments", "config", "channels", "side"), CASES)
def test_every_layout_computes_the_same(
    build: Callable[..., nn.Module], arguments: tuple[Any, ...], config: Any, channels: tuple[int, int], side: int
) -> None:
    theirs = trained(build(*arguments))
    network, foreign = load_network(saved(theirs.state_dict()))
    assert (foreign.config, foreign.in_channels, foreign.out_channels) == (config, *channels)
    images = torch.rand(1, channels[0], side, side) * 2 - 1
    assert all(parameter.requires_grad for parameter in network.parameters())  # for fine-tuning
    with torch.no_grad():
        expected = theirs(images)
        torch.testing.assert_close(network.eval()(images), expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.02  # something was compared


def test_the_papers_networks_have_the_known_numbers_of_keys() -> None:
    with torch.device("meta"):
        unet, resnet = their_unet(8, 64, "batch"), their_resnet(9, 64, "instance")
    assert len(unet.state_dict()) == 82
    assert len(resnet.state_dict()) == 48
    for network in (unet, resnet):
        foreign = recognise(network.state_dict())
        with torch.device("meta"):
            ours = sum(parameter.numel() for parameter in foreign.build().parameters())
        assert ours == sum(parameter.numel() for parameter in network.parameters())
    assert foreign.kind == "generator"
    assert foreign.describe() == "ResNet, 9 blocks, ngf 64, instance norm, 3 to 3 channels"


def with_old_statistics(state: State) -> State:
    """Add what instance norms kept before torch 0.4, behind every convolution but the last."""
    aged = {}
    for name, tensor in state.items():
        aged[name] = tensor
        layer, _, kind = name.rpartition(".")
        front, _, place = layer.rpartition(".")
        if kind == "bias" and f"{layer}.weight" != list(state)[-2]:
            norm = f"{front}.{int(place) + 1}"
            aged |= {f"{norm}.running_mean": torch.ones(len(tensor)), f"{norm}.running_var": torch.ones(len(tensor))}
            aged[f"{norm}.num_batches_tracked"] = torch.tensor(3)
    return aged


AGEING: dict[str, Callable[[State], Any]] = {
    "DataParallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "nested": lambda state: {"epoch": 3, "state_dict": state},
    "parameters": lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
    "doubles": lambda state: {name: tensor.double() for name, tensor in state.items()},
    "old statistics": with_old_statistics,
}


@pytest.mark.parametrize("ageing", AGEING)
@pytest.mark.parametrize("zipped", [True, False])
def test_old_and_odd_files(ageing: str, zipped: bool) -> None:
    theirs = trained(their_resnet(3, 2, "instance"))
    aged = AGEING[ageing](dict(theirs.state_dict()))
    network, foreign = load_network(saved(aged, _use_new_zipfile_serialization=zipped))
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(network.eval()(images), theirs(images), atol=1e-5, rtol=0)
    assert ("dropped" in str(foreign.notes)) == (ageing == "old statistics")
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("build", [their_unet, their_patchgan])
def test_instance_norms_of_old_files_are_no_batch_norms(build: Callable[..., nn.Module]) -> None:
    state = dict(build(5, 2, "instance").state_dict())
    statistics = {name: value for name, value in build(5, 2, "batch").state_dict().items() if "running" in name}
    assert statistics
    state |= statistics
    foreign = recognise(state)
    assert foreign.config.norm == "instance"
    foreign.build().load_state_dict(convert(state, foreign))


def test_batch_norm_of_torch_before_it_counted() -> None:
    theirs = trained(their_unet(5, 2, "batch"))
    state = {name: value for name, value in theirs.state_dict().items() if "num_batches" not in name}
    network, _ = load_network(saved(state))
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(network.eval()(images), theirs(images), atol=1e-5, rtol=0)
    assert network.get_buffer("encoder.1.norm.num_batches_tracked").dtype == torch.int64


def test_the_state_is_copied_not_shared() -> None:
    state = trained(their_pixel(2, "batch")).state_dict()
    before = {name: value.clone() for name, value in state.items()}
    for value in convert(state, recognise(state)).values():
        value.zero_()
    torch.testing.assert_close(dict(state), before, atol=0, rtol=0)


# What is refused.


class Bomb:
    """Creates a file where it is unpickled by the ordinary means."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def hostile_tar(path: Path) -> None:
    Path("pickle").write_bytes(pickle.dumps(Bomb(), protocol=2))
    with tarfile.open(path, "w") as archive:
        archive.add("pickle")


class Masked:
    """Unpickled as a mapping whose own attributes hide the methods of its class; so do its tensor's."""

    def __reduce__(self) -> tuple[Any, ...]:
        tensor = torch.zeros(2)
        tensor.detach = tensor.numel = 3  # type: ignore[method-assign, assignment]
        return OrderedDict, (), dict.fromkeys(("items", "keys", "get", "values"), 3), None, iter([("a", tensor)])


def compressed(path: Path) -> None:
    torch.save({"model.0.weight": torch.zeros(1000, 1000)}, "plain")
    with zipfile.ZipFile("plain") as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))


def cut_off(path: Path, **options: Any) -> None:
    torch.save(trained(their_pixel(8, "batch")).state_dict(), path, **options)
    os.truncate(path, path.stat().st_size // 2)


def repeating(path: Path) -> None:
    torch.save({"model.0.weight": torch.zeros(1).expand(10**5, 10**5, 4, 4)}, path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "absent": (lambda path: None, "does not exist"),
    "empty": (lambda path: path.touch(), "no file of weights"),
    "junk": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(999)), "no file of weights"),
    "text": (lambda path: path.write_text("<html>404</html>\n" * 9), "no file of weights"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(Bomb(), protocol=2)), "no file of weights"),
    "newer pickle": (lambda path: path.write_bytes(pickle.dumps({"a": Bomb()})), "no file of weights"),
    "hostile": (lambda path: torch.save({"model.0.weight": Bomb()}, path), "which is never run"),
    "hostile legacy": (
        lambda path: torch.save({"a": Bomb()}, path, _use_new_zipfile_serialization=False),
        "which is never run",
    ),
    "hostile tar": (hostile_tar, "no file of weights"),
    "module": (lambda path: torch.save(nn.Conv2d(1, 1, 1), path), "give a network's state_dict"),
    "truncated": (cut_off, "no file of weights"),
    "truncated legacy": (lambda path: cut_off(path, _use_new_zipfile_serialization=False), "no file of weights"),
    "compressed": (compressed, "no file of weights"),
    "TorchScript": (
        lambda path: torch.jit.save(torch.jit.script(nn.Conv2d(1, 1, 1)), path),
        "no file of weights",
    ),
    "no tensors": (lambda path: torch.save({}, path), "holds no tensors"),
    "a tensor": (lambda path: torch.save(torch.zeros(3), path), "holds a Tensor"),
    "a list": (lambda path: torch.save([torch.zeros(3)], path), "holds a list"),
    "numbers": (lambda path: torch.save({"epoch": 3}, path), r"holds 'epoch' \(int\)"),
    "numbered": (lambda path: torch.save({0: torch.zeros(3)}, path), r"holds 0 \(Tensor\)"),
    "odd methods": (lambda path: torch.save(Masked(), path), "holds no U-Net"),
    "without values": (lambda path: torch.save({"a": torch.zeros(9, device="meta")}, path), "no plain tensor"),
    "sparse": (lambda path: torch.save({"a": torch.eye(3).to_sparse()}, path), "no plain tensor"),
    "repeating": (repeating, "claim 640000000000 bytes"),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("case", BROKEN)
def test_broken_and_hostile_files_end_in_one_line(case: str) -> None:
    write, message = BROKEN[case]
    write(Path("latest_net_G.pth"))
    with pytest.raises(UserError, match=message) as caught:
        i2i.load("latest_net_G.pth")
    line = str(caught.value)
    assert line.startswith("latest_net_G.pth: ")
    assert line.isprintable()
    assert not Path("exploded").exists()


def changed(state: State, **changes: Tensor | None) -> State:
    return {name: value for name, value in (state | changes).items() if value is not None}


def resnet_state(norm: Norm = "instance") -> State:
    return dict(their_resnet(2, 2, norm).state_dict())


OTHER: dict[str, tuple[Callable[[], State], str]] = {
    "StyleGAN": (
        lambda: {"mapping.fc0.weight": torch.zeros(8, 8), "synthesis.b4.const": torch.zeros(8, 4, 4)},
        r"2 tensors such as 'mapping.fc0.weight' \[8, 8\], 'synthesis.b4.const' \[8, 4, 4\]",
    ),
    "control characters": (lambda: {"\x1b[31m\n" * 40: torch.zeros(1)}, r"such as '\\x1b\[31m\\n"),
    "not convolutions": (lambda: {"model.0.weight": torch.zeros(4, 4)}, r"'model.0.weight' \[4, 4\]"),
    "no values": (lambda: {"model.0.weight": torch.zeros(4, 0, 4, 4)}, r"it is \[4, 0, 4, 4\]"),
    "head alone": (lambda: {"model.model.0.weight": torch.zeros(4, 3, 4, 4)}, "'model.model.3.weight', and there is"),
    "lacking": (lambda: changed(resnet_state(), **{"model.4.bias": None}), "it lacks 'model.4.bias'"),
    "surplus": (lambda: changed(resnet_state(), style=torch.zeros(2)), "it has 'style' besides"),
    "other shape": (
        lambda: changed(resnet_state(), **{"model.7.weight": torch.zeros(8, 4, 5, 5)}),
        r"ResNet, 2 blocks, ngf 2, instance norm, .* 'model.7.weight' is \[8, 4, 5, 5\], not \[8, 4, 3, 3\]",
    ),
    "integers": (lambda: changed(resnet_state(), **{"model.4.bias": torch.zeros(4).int()}), "is of torch.int32"),
    "biases before batch norm": (
        lambda: changed(resnet_state("batch"), **{"model.4.bias": torch.zeros(4)}),
        "batch norm, .* has 'model.4.bias' besides",
    ),
    "old statistics without biases": (
        lambda: changed(resnet_state("none"), **{"model.2.running_mean": torch.zeros(2)}),
        "instance norm, .* lacks 'model.1.bias'",
    ),
    "NaN": (lambda: changed(resnet_state(), **{"model.4.bias": torch.full((4,), torch.nan)}), "'model.4.bias' holds"),
    "too large for fp32": (
        lambda: changed(resnet_state(), **{"model.4.bias": torch.full((4,), 1e300, dtype=torch.double)}),
        "not finite",
    ),
    "D": (
        lambda: dict(their_patchgan(3, 2, "batch").state_dict()),
        "holds no generator .* but the discriminator .*PatchGAN, 3 layers, ndf 2, b",
    ),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_networks_are_named(case: str) -> None:
    state, message = OTHER[case]
    with pytest.raises(UserError, match=message) as caught:
        i2i.load(saved(state()))
    assert str(caught.value).startswith("latest_net_G.pth: ")
    assert str(caught.value).isprintable()


def test_the_prefix_goes_only_where_all_have_it() -> None:
    assert list(read_state(saved({"module.a": torch.zeros(1), "module.b": torch.zeros(1)}))) == ["a", "b"]
    assert list(read_state(saved({"module.a": torch.zeros(1), "b": torch.zeros(1)}))) == ["module.a", "b"]


# Through `load` and the command line.


def test_a_foreign_file_becomes_a_translator() -> None:
    saved(their_unet(6, 2, "batch", 1, 3).state_dict())
    model = i2i.load("latest_net_G.pth", device="cpu")
    assert model.describe() == (
        "latest_net_G.pth (foreign file: U-Net, 6 levels, ngf 2, batch norm, 1 to 3 channels; whether it had dropout "
        "is not recorded), AtoB, on cpu in fp32, running statistics, dropout off"
    )
    assert (model.data.channels_a, model.data.channels_b, model.data.layout) == (1, 3, None)
    assert model.translate(np.zeros((50, 33, 1), np.uint8)).shape == (50, 33, 3)
    assert i2i.load("latest_net_G.pth", direction="BtoA", device="cpu").data.channels_a == 3
    images = torch.rand(1, 1, 64, 64)
    one, same, other = (i2i.load("latest_net_G.pth", device="cpu", dropout="sample", seed=s) for s in (1, 1, 2))
    assert torch.equal(one.translate(images), same.translate(images))
    assert not torch.equal(one.translate(images), other.translate(images))
    Path("run.pth").mkdir()
    with pytest.raises(UserError, match="neither a run nor a checkpoint"):
        i2i.load("run.pth")


@pytest.mark.parametrize(
    ("name", "direction"), [("latest_net_G_A.pth", "AtoB"), ("20_net_G_B.pth", "BtoA"), ("iter_5_net_G_B.PT", "BtoA")]
)
def test_a_cyclegans_file_knows_its_direction(name: str, direction: Any) -> None:
    saved(resnet_state(), name)
    for given in (None, direction):
        assert i2i.load(name, direction=given, device="cpu").data.direction == direction
    with pytest.raises(UserError, match=f"translates {direction} alone"):
        i2i.load(name, direction="AtoB" if direction == "BtoA" else "BtoA")


def test_a_folder_of_files_is_one_model() -> None:
    states = {name: trained(their_resnet(1, 2, "instance")).state_dict() for name in ("G_A", "G_B")}
    states |= {name: trained(their_patchgan(2, 2, "instance", 3)).state_dict() for name in ("D_A", "D_B")}
    folder = Path("horse2zebra")
    folder.mkdir()
    for name, state in states.items():
        saved(state, f"horse2zebra/latest_net_{name}.pth")
        saved({"older": torch.zeros(1)}, f"horse2zebra/200_net_{name}.pth")  # not looked at
    (folder / "loss_log.txt").touch()
    model = open_model(folder)
    assert (model.method, sorted(model.networks)) == ("cyclegan", ["D_A", "D_B", "G_AB", "G_BA"])
    for ours, theirs in {"G_AB": "G_A", "G_BA": "G_B", "D_A": "D_B", "D_B": "D_A"}.items():
        alone, _ = load_network(folder / f"latest_net_{theirs}.pth")
        torch.testing.assert_close(dict(model.networks[ours].build().state_dict()), dict(alone.state_dict()))
    images = torch.rand(1, 3, 16, 16)
    for direction, theirs in (("AtoB", "G_A"), ("BtoA", "G_B")):
        way: Any = direction
        expected = i2i.load(folder / f"latest_net_{theirs}.pth", device="cpu").translate(images)
        assert torch.equal(i2i.load(folder, direction=way, device="cpu").translate(images), expected)
    with pytest.raises(UserError, match="neither a run nor a checkpoint"):
        open_model(Path("."))


def test_the_last_save_of_a_folder_counts() -> None:
    for name in ("5_net_G", "20_net_G", "iter_9000_net_G", "20_net_D", "other", "latest_net_X", "optim_net_G"):
        Path(f"{name}.pth").touch()
    assert network_files(Path(".")) == {"G": Path("20_net_G.pth"), "D": Path("20_net_D.pth")}
    Path("20_net_G.pth").unlink()
    Path("20_net_D.pth").unlink()
    Path("5_net_G.pth").unlink()
    Path("iter_70_net_G.pth").touch()
    assert network_files(Path(".")) == {"G": Path("iter_9000_net_G.pth")}
    Path("latest_net_G.pth").touch()
    assert network_files(Path(".")) == {"G": Path("latest_net_G.pth")}


def test_what_the_code_noted_beside_its_files_is_used() -> None:
    saved(their_unet(5, 2, "batch").state_dict())
    Path("train_opt.txt").write_text(
        "----------------- Options ---------------\n"
        "                direction: BtoA                          \t[default: AtoB]\n"
        "               no_dropout: True                          \t[default: False]\n"
    )
    assert recorded_options(Path("."))["direction"] == "BtoA"
    model = open_model(Path("."))
    assert model.networks["G"].config == UNetConfig(depth=5, ngf=2, dropout=0.0)
    assert i2i.load(".", device="cpu").data.direction == "BtoA"
    with pytest.raises(UserError, match="translates BtoA alone"):
        i2i.load(".", direction="AtoB")


def test_the_statistics_can_be_chosen() -> None:
    """The code tests with each image's own statistics at batch 1, as its networks are trained."""
    theirs = trained(their_unet(5, 2, "batch"))
    saved(theirs.state_dict())
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = torch.cat([theirs.train()(image[None]) for image in images])
    actual = i2i.load("latest_net_G.pth", device="cpu", statistics="image").translate(images)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_networks_of_many_channels_take_tensors() -> None:
    saved(their_resnet(1, 2, "instance", False, 6, 5).state_dict())
    model = i2i.load("latest_net_G.pth", device="cpu")
    assert model.translate(torch.zeros(1, 6, 16, 16)).shape == (1, 5, 16, 16)
    with pytest.raises(UserError, match="3 channels cannot be turned into one of 6"):
        model.translate(np.zeros((16, 16, 3), np.uint8))


def test_translate_just_works(photos: Callable[..., Path], tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "latest_net_G_A.pth").write_bytes((FIXTURES / "g_resnet6_instance.pth").read_bytes())
    folder = photos(3, size=41)
    assert main(["translate", str(folder), "out", "--model", "latest_net_G_A.pth", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert (
        "model: latest_net_G_A.pth (foreign file: ResNet, 6 blocks, ngf 8, instance norm, 3 to 3 channels)" in printed
    )
    assert "running statistics, dropout off" in printed
    model = i2i.load("latest_net_G_A.pth", device="cpu")
    for index in range(3):
        expected = model.translate_pixels([files.read(folder / f"p{index}.png")])[0]
        np.testing.assert_array_equal(files.read(tmp_path / "out" / f"p{index}.png"), expected)
    assert main(["translate", str(folder), "out2", "--model", "latest_net_G_A.pth", "--direction", "BtoA"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: latest_net_G_A.pth: translates AtoB alone; leave --direction out, or give the other generator's file"
    ]
    saved(their_pixel(2, "batch").state_dict(), "latest_net_D.pth")
    assert main(["translate", str(folder), "out2", "--model", "latest_net_D.pth"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_input_half_of_pairs_follows_the_direction(tmp_path: Path) -> None:
    """The code trains pix2pix on side-by-side pairs, and often from B to A."""
    (tmp_path / "latest_net_G.pth").write_bytes((FIXTURES / "g_resnet6_instance.pth").read_bytes())
    pair = np.random.default_rng(0).integers(0, 256, (16, 32, 3)).astype(np.uint8)
    (tmp_path / "pairs").mkdir()
    cv2.imwrite("pairs/x.png", pair[..., ::-1])
    for direction, half in (("AtoB", pair[:, :16]), ("BtoA", pair[:, 16:])):
        arguments = ["translate", "pairs", direction, "--model", "latest_net_G.pth", "--device", "cpu", "--from-pairs"]
        assert main([*arguments, "--direction", direction]) == 0
        expected = i2i.load("latest_net_G.pth", device="cpu").translate_pixels([half])[0]
        np.testing.assert_array_equal(files.read(tmp_path / direction / "x.png"), expected)
