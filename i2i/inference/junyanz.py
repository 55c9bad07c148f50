"""Networks trained by the CycleGAN-and-pix2pix PyTorch code of junyanz, read from its `.pth` files.

Such a file is a bare state_dict. What network it belongs to is not written in it, but follows from its keys and shapes:
the code names layers by their places in nested sequences, so that a place tells what stands there.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.nn import Norm, PatchGANConfig, PixelGANConfig, ResNetConfig, UNetConfig

State = Mapping[str, Tensor]
NetworkConfig = UNetConfig | ResNetConfig | PatchGANConfig | PixelGANConfig

SUFFIXES = (".pth", ".pt")
FILE = re.compile(r"(?:(?P<save>latest|\d+|iter_\d+)_)?net_(?P<role>[GD](?:_[AB])?)\.(?i:pth?)")
# Its D_A judges the translations of its G_A, which are of domain B.
ROLES = {"G": "G", "D": "D", "G_A": "G_AB", "G_B": "G_BA", "D_A": "D_B", "D_B": "D_A"}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Foreign:
    """What a file's keys and shapes say of its network.

    Attributes:
        config: the options that build the same network here.
        in_channels: channels that it takes; those of image and condition together, if it is a discriminator.
        out_channels: channels that it returns.
        notes: what else a user should know, in words.
    """

    config: NetworkConfig
    in_channels: int
    out_channels: int
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["generator", "discriminator"]:
        """Whether it makes images or judges them."""
        return "generator" if isinstance(self.config, UNetConfig | ResNetConfig) else "discriminator"

    def build(self) -> nn.Module:
        """Return the network, its weights not yet drawn."""
        if isinstance(self.config, UNetConfig | ResNetConfig):
            return self.config.build(self.in_channels, self.out_channels)
        return self.config.build(self.in_channels)

    def describe(self) -> str:
        """Say what the network is, in a few words."""
        match self.config:
            case UNetConfig(depth=depth, ngf=ngf):
                what = f"U-Net, {depth} levels, ngf {ngf}"
            case ResNetConfig(blocks=blocks, ngf=ngf, dropout=dropout):
                what = f"ResNet, {blocks} blocks{' with dropout' if dropout else ''}, ngf {ngf}"
            case PatchGANConfig(layers=layers, ndf=ndf):
                what = f"PatchGAN, {layers} layers, ndf {ndf}"
            case PixelGANConfig(ndf=ndf):
                what = f"PixelGAN, ndf {ndf}"
        norm = "no norm" if self.config.norm == "none" else f"{self.config.norm} norm"
        return f"{what}, {norm}, {self.in_channels} to {self.out_channels} channels"


def read_network(path: str | Path) -> tuple[Foreign, Callable[[], dict[str, Tensor]]]:
    """Return what network a file holds, and what gives its weights: by the names that ours have, on the CPU in fp32.

    Raises:
        UserError: the file is missing or damaged, holds more than weights, or holds another network's; or, when they
            are asked for, weights that are not finite.
    """
    state = read_state(path)
    with _told_of(path):
        foreign = recognise(state)

    def weights() -> dict[str, Tensor]:
        with _told_of(path):
            return convert(state, foreign)

    return foreign, weights


@contextmanager
def _told_of(path: str | Path) -> Iterator[None]:
    """Let errors name the file."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def role_of(path: Path) -> str | None:
    """Return what `i2i.methods` calls the network that a file's name tells; None for other names."""
    match = FILE.fullmatch(path.name)
    return ROLES[match["role"]] if match else None


def network_files(folder: Path) -> dict[str, Path]:
    """Return the files of a training's folder by role: its ``latest``, or else its last epoch or iteration.

    Empty where there are none, or no folder.
    """
    saves: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*.pth")):
        match = FILE.fullmatch(path.name)
        if match:
            saves.setdefault(match["save"] or "", {})[ROLES[match["role"]]] = path

    def lateness(save: str) -> tuple[bool, bool, int]:
        number = save.removeprefix("iter_")
        return save == "latest", save.isdecimal(), int(number) if number.isdecimal() else -1

    return saves[max(saves, key=lateness)] if saves else {}


def recorded_options(folder: Path) -> dict[str, str]:
    """Return the options that the code noted beside its files (``train_opt.txt``), as text; none where it did not."""
    path = folder / "train_opt.txt"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("[default:")[0].partition(":") for line in lines)
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU; nothing in the file is executed.

    They lie in the file as a mapping, or in one under the key ``state_dict``. The prefix ``module.`` that
    DataParallel puts before every name is taken off.

    Raises:
        UserError: the file is missing, damaged, or holds anything else.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        _refuse_compressed(path, size)
        with warnings.catch_warnings(action="ignore"):  # what torch warns of is refused below
            held = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: does not exist") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a file of arbitrary bytes makes torch raise whatever there is
        raise UserError(
            f"{path}: is no file of weights alone: it is damaged, of another kind, or holds code, which is never run; "
            "give a network's state_dict as torch.save writes it"
        ) from error
    state = _plain_tensors(path, held)
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > size:  # views that repeat a few values would fill the memory once they are copied
        raise UserError(f"{path}: is damaged: its tensors claim {claimed} bytes, and it has {size}")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def _refuse_compressed(path: Path, size: int) -> None:
    """Refuse an archive that would unpack to more than its own size: torch compresses nothing, and a bomb might."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > size:
                raise ValueError("compressed")


def _plain_tensors(path: Path, held: Any) -> dict[str, Tensor]:
    """Return the mapping of names to tensors that `held` is or has, the tensors stripped of all that is not a value.

    The file chooses types and even attributes of the objects in it, so methods are taken from the classes.
    """
    if isinstance(held, dict) and isinstance(inner := dict.get(held, "state_dict"), dict):
        held = inner
    if not isinstance(held, dict):
        raise UserError(f"{path}: holds a {type(held).__name__}, not the state_dict of a network")
    if not held:
        raise UserError(f"{path}: is empty: it holds no tensors")
    state = {}
    for name, value in dict.items(held):
        if not isinstance(name, str) or type(value) not in (Tensor, nn.Parameter):
            raise UserError(
                f"{path}: holds {_shown(name)} ({type(value).__name__}), where a state_dict has tensors alone; give a "
                "network's state_dict as torch.save writes it"
            )
        tensor = Tensor.detach(value)
        if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized or tensor.device.type != "cpu":
            raise UserError(f"{path}: {_shown(name)} is no plain tensor (sparse, nested, quantized or without values)")
        state[name] = tensor
    return state


def recognise(state: State) -> Foreign:
    """Return which network a state belongs to, read off its keys and shapes alone.

    Raises:
        UserError: it is none of those that the code has, or one of them changed.
    """
    readers = {
        "model.model.0": _read_unet,
        "model.1": _read_resnet,
        "model.0": _read_patchgan,
        "net.0": _read_pixel,
    }
    for first, read in readers.items():
        if f"{first}.weight" in state and state[f"{first}.weight"].dim() == 4:
            foreign = read(state)
            _matched_keys(state, foreign)
            return foreign
    found = ", ".join(f"{_shown(name)} {list(tensor.shape)}" for name, tensor in list(state.items())[:3])
    raise UserError(
        "holds no U-Net, ResNet, PatchGAN or pixel discriminator of the CycleGAN-and-pix2pix code, but "
        f"{len(state)} tensors such as {found}"
    )


def convert(state: State, foreign: Foreign) -> dict[str, Tensor]:
    """Return the state of ``foreign.build()``: own copies in fp32, named as here, each of the shape it had.

    Raises:
        UserError: the state does not fit the network, or holds values that are not finite.
    """
    converted = {}
    for ours, theirs in _matched_keys(state, foreign).items():
        if ours.endswith("num_batches_tracked"):  # torch counts them since 0.4.1
            converted[ours] = state[theirs].to(torch.int64, copy=True) if theirs in state else torch.tensor(0)
            continue
        converted[ours] = state[theirs].to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not converted[ours].isfinite().all():
            raise UserError(
                f"{_shown(theirs)} holds values that are not finite: the training went astray; take an earlier epoch's "
                "file"
            )
    return converted


def _matched_keys(state: State, foreign: Foreign) -> dict[str, str]:
    """Return the state's key for every key of ``foreign.build()``.

    Raises:
        UserError: keys or shapes are not exactly those of the network.
    """
    places = _places(foreign.config)
    with torch.device("meta"):
        ours = foreign.build().state_dict()
    keys = {key: f"{places[layer]}.{kind}" for key in ours for layer, _, kind in [key.rpartition(".")]}
    stale = _stale_statistics(state)
    problem = None
    for key, name in keys.items():
        if name not in state or name in stale:
            if not name.endswith("num_batches_tracked"):
                problem = f"it lacks {_shown(name)}"
        elif state[name].shape != ours[key].shape:
            problem = f"its {_shown(name)} is {list(state[name].shape)}, not {list(ours[key].shape)}"
        elif not state[name].is_floating_point() and not name.endswith("num_batches_tracked"):
            problem = f"its {_shown(name)} is of {state[name].dtype}"
        if problem:
            break
    if surplus := sorted(state.keys() - set(keys.values()) - stale):
        problem = problem or f"it has {_shown(surplus[0])} besides"
    if problem:
        raise UserError(
            f"holds no network of the CycleGAN-and-pix2pix code: it looks most like its {foreign.describe()}, but "
            f"{problem}"
        )
    return keys


def _read_unet(state: State) -> Foreign:
    blocks = takewhile(lambda block: f"{block}.1.weight" in state, map(_unet_block, count(1)))
    depth = max(2, 1 + len(list(blocks)))
    innermost = _unet_block(depth - 1)
    ngf, in_channels = _conv_shape(state, "model.model.0")
    _, out_channels = _conv_shape(state, "model.model.3")  # of a transposed convolution, the output's come second
    norm = _norm(state, f"{innermost}.1", f"{innermost}.4")
    notes = ("whether it had dropout is not recorded", *_notes(state))
    return Foreign(UNetConfig(depth=depth, ngf=ngf, norm=norm), in_channels, out_channels, notes)


def _read_resnet(state: State) -> Foreign:
    blocks = len(list(takewhile(lambda place: f"model.{place}.conv_block.1.weight" in state, count(10))))
    dropout = 0.5 if blocks and "model.10.conv_block.5.weight" not in state else 0.0
    ngf, in_channels = _conv_shape(state, "model.1")
    out_channels, _ = _conv_shape(state, f"model.{17 + blocks}")
    config = ResNetConfig(blocks=blocks, ngf=ngf, norm=_norm(state, "model.1", "model.2"), dropout=dropout)
    return Foreign(config, in_channels, out_channels, _notes(state))


def _read_patchgan(state: State) -> Foreign:
    convs = len(list(takewhile(lambda place: f"model.{place}.weight" in state, count(2, 3))))
    ndf, in_channels = _conv_shape(state, "model.0")
    config = PatchGANConfig(layers=max(1, convs - 1), ndf=ndf, norm=_norm(state, "model.2", "model.3"))
    return Foreign(config, in_channels, 1, _notes(state))


def _read_pixel(state: State) -> Foreign:
    ndf, in_channels = _conv_shape(state, "net.0")
    config = PixelGANConfig(ndf=ndf, norm=_norm(state, "net.2", "net.3"))
    return Foreign(config, in_channels, 1, _notes(state))


def _norm(state: State, conv: str, norm: str) -> Norm:
    """Return the norm at the place `norm`, behind the convolution at `conv`, which has a bias for instance norm alone.

    A norm with statistics but without weights is an instance norm of old files, which kept them for no use.
    """
    if f"{norm}.weight" in state:
        return "batch"
    return "instance" if f"{conv}.bias" in state or f"{norm}.running_mean" in state else "none"


def _stale_statistics(state: State) -> set[str]:
    layers = ((name, *name.rpartition(".")) for name in state)
    return {name for name, layer, _, kind in layers if kind in STATISTICS and f"{layer}.weight" not in state}


def _notes(state: State) -> tuple[str, ...]:
    return ("statistics of its old instance norms dropped",) if _stale_statistics(state) else ()


def _conv_shape(state: State, layer: str) -> tuple[int, int]:
    """Return the first two sides of a convolution's weight ``[out, in, k, k]``."""
    weight = state.get(f"{layer}.weight")
    if weight is None or weight.dim() != 4 or not weight.numel():
        found = "there is none" if weight is None else f"it is {list(weight.shape)}"
        raise UserError(
            "holds no network of the CycleGAN-and-pix2pix code: a convolution belongs at "
            f"{_shown(f'{layer}.weight')}, and {found}"
        )
    return weight.shape[0], weight.shape[1]


def _places(config: NetworkConfig) -> dict[str, str]:
    """Return where the code has each layer of our network."""
    match config:
        case UNetConfig():
            assert config.depth is not None
            return _unet_places(config.depth)
        case ResNetConfig():
            return _resnet_places(config.blocks, bool(config.dropout))
        case PatchGANConfig():
            places = {"features.0.conv": "model.0", "head": f"model.{3 * config.layers + 2}"}
            for layer in range(1, config.layers + 1):
                places |= _pair(f"features.{layer}", "model", 3 * layer - 1)
            return places
        case PixelGANConfig():
            return {"features.0.conv": "net.0", **_pair("features.1", "net", 2), "head": "net.5"}


def _unet_block(level: int) -> str:
    """Return the sequence of a level below the outermost: each stands at place 3 of the one above, the first at 1."""
    return "model.model.1.model" + ".3.model" * (level - 1)


def _unet_places(depth: int) -> dict[str, str]:
    """A level's sequence is: activation, halving, norm, the level below, activation, doubling, norm.

    The outermost has no activation and no norms, the innermost no norm after halving and nothing below.
    """
    places = {"encoder.0.conv": "model.model.0", "head.conv": "model.model.3"}
    for level in range(1, depth):
        block, down, up = _unet_block(level), f"encoder.{level}", f"decoder.{depth - 1 - level}"
        if level < depth - 1:
            places |= _pair(down, block, 1) | _pair(up, block, 5)
        else:
            places |= {f"{down}.conv": f"{block}.1"} | _pair(up, block, 3)
    return places


def _resnet_places(blocks: int, dropout: bool) -> dict[str, str]:
    """One sequence: pad, convolution, norm, activation; two halvings; blocks; two doublings; pad, convolution."""
    places = {"head.conv": f"model.{17 + blocks}"}
    for stage in range(3):
        places |= _pair(f"encoder.{stage}", "model", 1 + 3 * stage)
    for block in range(blocks):
        theirs, ours = f"model.{10 + block}.conv_block", f"blocks.{block}.residual"
        places |= _pair(ours, theirs, 1, "1") | _pair(ours, theirs, 6 if dropout else 5, "2")
    for stage in range(2):
        places |= _pair(f"decoder.{stage}", "model", 10 + blocks + 3 * stage)
    return places


def _pair(ours: str, theirs: str, place: int, number: str = "") -> dict[str, str]:
    """Return the places of a convolution and of the norm behind it."""
    return {f"{ours}.conv{number}": f"{theirs}.{place}", f"{ours}.norm{number}": f"{theirs}.{place + 1}"}


def _shown(name: object) -> str:
    """Quote a name that the file chose: short, and without control characters."""
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:77]}..."
