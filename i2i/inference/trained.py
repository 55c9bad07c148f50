"""What stands at a path to a trained model: its networks, and what was recorded with them.

A run, one of its checkpoints, an exported file, a file or a folder of files of the CycleGAN-and-pix2pix code: all are
opened alike, to be translated with, trained further or kept in another format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from i2i.data import DataConfig
from i2i.errors import UserError
from i2i.inference import junyanz
from i2i.inference.export import onnx, pt2
from i2i.inference.export.graph import InModelRange, first_line
from i2i.inference.runs import find_checkpoint, load_weights, parse_header, read_header, read_tensors
from i2i.nn import Imported, InferencePolicy, Kind, UNetConfig, build_network, network_options
from i2i.seeding import torch_seeded

Direction = Literal["AtoB", "BtoA"]
GRAPHS = {".onnx": onnx.read_metadata, ".pt2": pt2.read_metadata}
"""Kinds of exported files that hold a graph, and what gives their metadata."""
SUFFIXES = (*junyanz.SUFFIXES, *GRAPHS, ".safetensors")
"""Of files that are models by themselves."""
ORIGIN = ("step", "ema", "imported_from")
MEASURES: dict[Kind, tuple[str, ...]] = {
    "generator": ("in_channels", "out_channels"),
    "discriminator": ("in_channels",),
    "noise_generator": ("latent", "channels", "size", "classes"),
    "critic": (),
    "autoencoder": (),
}
"""What translators and samplers ask of a network, beside its options."""
MAKE_NO_DIFFERENCE = {"dropout", "init"}  # to whether weights fit a network


@dataclass(frozen=True)
class TrainedNetwork:
    """A network whose weights lie on the disk.

    Attributes:
        file: where they lie.
        kind: what it is for, which says how it is built (`i2i.nn.build_network`).
        config: the options that build it.
        measures: what else it takes to build it: ``in_channels``, and of generators ``out_channels``, or a latent size.
        translates: the directions in which it translates images: none for a discriminator, both where the file does
            not say.
        read: returns its weights by name, on the CPU.
        label: what it is, in words.
        origin: what is recorded of where the weights come from: ``step``, ``ema``, ``imported_from``.
    """

    file: Path
    kind: Kind
    config: Any
    measures: Mapping[str, int]
    translates: tuple[Direction, ...]
    read: Callable[[], Mapping[str, Tensor]]
    label: str
    origin: Mapping[str, Any] = field(default_factory=dict)

    def build(self, *, trust: bool = False) -> nn.Module:
        """Return the network with its weights, in training mode on the CPU.

        Args:
            trust: import the code that the file names as its network (``module:attribute``), if it is your own.

        Raises:
            UserError: it names code and is not trusted, or its weights are damaged or another network's.
        """
        if isinstance(self.config, Imported) and not trust:
            raise UserError(
                f"{self.file}: its network is code of its maker's, '{self.config.name}', which loading would run; if "
                "it is yours, add --trust (from Python: trust=True)"
            )
        # No weights are drawn that would be thrown away; the code of others may need real ones.
        with torch_seeded(0), torch.device("cpu" if isinstance(self.config, Imported) else "meta"):
            network = build_network(self.kind, self.config, self.measures)
        self.load_into(network)
        return network

    @property
    def takes_tiles(self) -> bool:
        """Whether images can be cut into tiles for it."""
        return True

    def settled(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return how the network is to run (`i2i.load`), once what is left open is decided by what it is.

        Args:
            asked: options by name; None: left open.

        Raises:
            UserError: it does not run like that.
        """
        return dict(asked)

    def differing(self, options: Mapping[str, Any]) -> list[str]:
        """Return which of the options of a network (`Config.model_dump` for JSON) these weights would not fit."""
        theirs = self.config.model_dump(mode="json")
        keys = {*options, *theirs} - MAKE_NO_DIFFERENCE
        return sorted(key for key in keys if options.get(key) != theirs.get(key))

    def load_into(self, network: nn.Module) -> None:
        """Give `network` these weights.

        Raises:
            UserError: they do not fit it, or are damaged.
        """
        on_meta = any(parameter.is_meta for parameter in network.parameters())
        load_weights(network, self.read(), self.file, assign=on_meta)


@dataclass(frozen=True)
class GraphNetwork(TrainedNetwork):
    """A network as a graph in an ONNX or ``.pt2`` file: it runs as it was written, and has no weights to train on.

    Attributes:
        graph: how it was written: its ``policy``, ``pixels``, and whether it ``normalises_images`` each by itself
            (`i2i.inference.export.exporting.describe`).
    """

    graph: Mapping[str, Any] = field(default_factory=dict)

    def build(self, *, trust: bool = False) -> nn.Module:
        """Return the graph in place of the network; see `TrainedNetwork.build`."""
        is_onnx = self.file.suffix.lower() == ".onnx"
        network = onnx.OnnxNetwork(self.file) if is_onnx else pt2.Pt2Network(self.file, trust=trust)
        if self.graph["pixels"] == "uint8":
            return InModelRange(network, takes_images=self.kind == "generator")
        return network

    @property
    def takes_tiles(self) -> bool:
        """Whether images can be cut into tiles for it: not where norms take each image's own statistics."""
        return not self.graph["normalises_images"]

    def settled(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return how the graph is to run, which has most options fixed; see `TrainedNetwork.settled`."""
        fixed = {**self.graph["policy"], "precision": "fp32"}  # what goes in and comes out; within, it is what it is
        if self.file.suffix.lower() == ".onnx":
            fixed["device"] = "cpu"
        if not self.takes_tiles:
            fixed["tile"] = None
        for name, value in fixed.items():
            wanted = asked.get(name)
            if wanted not in (None, value) and (wanted != "auto" or value is None):
                reason = (
                    "its norms take each image's own statistics, which tiles cannot share in a graph; take the run or "
                    "its safetensors file"
                    if name == "tile"
                    else f"it runs with {value} alone; export it again, or take the run"
                )
                raise UserError(f"{self.file}: --{name} {wanted}: {reason}")
        return {**asked, **fixed}


@dataclass(frozen=True)
class TrainedModel:
    """The networks of one training, by the names that `i2i.methods` gives them, and how they were trained.

    Attributes:
        path: where it stands.
        method: name of the method that the networks are of.
        networks: ``G`` and ``D``, or ``G_AB``, ``G_BA``, ``D_A``, ``D_B``, as far as they are there; averaged weights
            as ``G_ema``.
        policy: how the generators run when they do not train.
        data: how the images they were trained on were prepared.
        data_seed: the seed by which these were split.
        foreign: whether other code trained it.
        options: the method's options, as they were saved; empty for foreign models.
    """

    path: Path
    method: str
    networks: Mapping[str, TrainedNetwork]
    policy: InferencePolicy
    data: DataConfig
    data_seed: int = 0
    foreign: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def makes_noise_into_images(self) -> bool:
        """Whether it makes images of noise (`i2i.inference.load_sampler`) and translates none."""
        return any(network.kind == "noise_generator" for network in self.networks.values())

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The ways it translates, each by a generator of its own; that of its training first."""
        ways = dict.fromkeys(network.translates[0] for network in self.networks.values() if network.translates)
        return tuple(sorted(ways, key=lambda way: way != self.data.direction))

    def generator(self, direction: Direction | None = None) -> tuple[TrainedNetwork, Direction]:
        """Return the generator that translates in a direction, with averaged weights where there are any.

        Args:
            direction: which way; None: the way the run was told, or the only one.

        Raises:
            UserError: there is none.
        """
        generators = {way: network for network in self.networks.values() for way in network.translates}
        if self.makes_noise_into_images:
            raise UserError(
                f"{self.path}: makes images of noise and translates none; type: i2i sample {self.path} OUTPUT "
                "(from Python: i2i.inference.load_sampler)"
            )
        if not generators:
            held = "; ".join(f"{network.kind} {network.label}" for network in self.networks.values())
            raise UserError(
                f"{self.path}: holds no generator that translates images but the {held}; give a generator's file, such "
                "as latest_net_G.pth"
            )
        if direction is None:
            direction = self.data.direction if self.data.direction in generators else next(iter(generators))
        if direction not in generators:
            other = ", or give the other generator's file" if self.foreign and not self.path.is_dir() else ""
            raise UserError(f"{self.path}: translates {' and '.join(generators)} alone; leave --direction out{other}")
        return generators[direction], direction

    def load_into(self, networks: Mapping[str, nn.Module]) -> list[str]:
        """Give a method's `networks` the weights of those that are here under the same names, and return the names.

        Averaged weights are left out: training goes on from those that were trained.

        Raises:
            UserError: no name is the same, or weights do not fit.
        """
        shared = [name for name in networks if name in self.networks]
        if not shared:
            raise UserError(f"{self.path}: holds {', '.join(self.networks)}, none of {', '.join(networks)}")
        for name in shared:
            self.networks[name].load_into(networks[name])
        return shared


def open_model(path: str | Path) -> TrainedModel:
    """Say what trained model stands at `path`; no weights are read yet from a run.

    Args:
        path: a run's folder (its last checkpoint counts), a ``checkpoints/step_...`` folder, an exported ``.onnx``,
            ``.pt2`` or ``.safetensors`` file, a ``.pth`` file of the CycleGAN-and-pix2pix code, or a folder of such
            files (its ``latest``, or else its last epoch counts).

    Raises:
        UserError: there is no model, or its files are damaged.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() in junyanz.SUFFIXES and not path.is_dir():
        return _from_foreign(path, {junyanz.role_of(path) or "": path})
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return _from_exported(path)
    if files := junyanz.network_files(path):
        return _from_foreign(path, files)
    return _from_checkpoint(find_checkpoint(path))


def _from_checkpoint(checkpoint: Path) -> TrainedModel:
    networks: dict[str, TrainedNetwork] = {}
    header: dict[str, Any] = {}
    for file in sorted(checkpoint.glob("[!t]*.safetensors")):  # G_ema comes after G and takes its place
        header = read_header(file)
        if header["network"] is not None:  # of use by itself
            networks[file.stem] = _recorded(checkpoint, file, header)
    if not networks:
        raise UserError(f"{checkpoint}: holds no networks; give another checkpoint of the run")
    return _recorded_model(checkpoint, networks, header)


def _recorded_model(path: Path, networks: Mapping[str, TrainedNetwork], header: Mapping[str, Any]) -> TrainedModel:
    return TrainedModel(
        path,
        header["method"],
        networks,
        InferencePolicy.model_validate(header["policy"]),
        DataConfig.model_validate(header["config"]["data"]),
        header["config"]["seed"],
        options=header["config"]["method"],
    )


def _from_exported(path: Path) -> TrainedModel:
    """Take up the network of one file, which describes itself."""
    read_metadata = GRAPHS.get(path.suffix.lower())
    try:
        header = parse_header(path, read_metadata(path)) if read_metadata else read_header(path)
        if header.get("network") is None:
            raise UserError(f"{path}: holds no network; give a run, or one of its networks' files")
        trained = _recorded(path, path, header)
        if lacking := [name for name in MEASURES[trained.kind] if not isinstance(trained.measures.get(name), int)]:
            raise KeyError(lacking[0])
        if read_metadata:
            graph = {
                "policy": header["policy"],
                **{key: header["export"][key] for key in ("pixels", "normalises_images")},
            }
            trained = GraphNetwork(**vars(trained) | {"read": partial(_refuse_weights, path), "graph": graph})
        return _recorded_model(path, {header["role"]: trained}, header)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # pydantic's are ValueErrors
        raise UserError(f"{path}: its description is damaged ({first_line(error)})") from error


def _refuse_weights(path: Path) -> Mapping[str, Tensor]:
    raise UserError(f"{path}: holds a graph, not weights to train on or to keep; give the run or its safetensors file")


def _recorded(place: Path, file: Path, header: Mapping[str, Any]) -> TrainedNetwork:
    spec, way = header["network"], header["translates"]
    trained = f"imported from {header['imported_from']}" if "imported_from" in header else f"{header['step']} steps"
    averaged = ", averaged weights" if "ema" in header else ""
    return TrainedNetwork(
        file,
        spec["kind"],
        network_options(spec["kind"], spec["config"]),
        spec["measures"],
        (way,) if way else (),
        lambda: _in_fp32(read_tensors(file)),
        f"{place} ({header['method']}, {trained}{averaged})",
        {key: header[key] for key in ORIGIN if key in header},
    )


def _in_fp32(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of which a file may keep those in fp16."""
    return {name: value.float() if value.dtype == torch.float16 else value for name, value in weights.items()}


def _from_foreign(path: Path, files: Mapping[str, Path]) -> TrainedModel:
    """Take up networks of the CycleGAN-and-pix2pix code, whose files say nothing of data and policy."""
    recorded = junyanz.recorded_options(path) if path.is_dir() else {}
    networks = {}
    for named, file in files.items():
        foreign, read = junyanz.read_network(file)
        letter = foreign.kind[0].upper()
        role = named if named.startswith(letter) else letter  # the name of a lone file may say nothing
        config: Any = foreign.config
        if isinstance(config, UNetConfig) and recorded.get("no_dropout") == "True":
            config = config.model_copy(update={"dropout": 0.0})
        networks[role] = TrainedNetwork(
            file,
            foreign.kind,
            config,
            {"in_channels": foreign.in_channels}
            | ({"out_channels": foreign.out_channels} if foreign.kind == "generator" else {}),
            _directions(role, recorded) if foreign.kind == "generator" else (),
            read,
            f"{file} (foreign file: {'; '.join([foreign.describe(), *foreign.notes])})",
            {"step": 0, "imported_from": str(file)},
        )
    told = next((network.translates[0] for network in networks.values() if network.translates), "AtoB")
    return TrainedModel(
        path,
        "cyclegan" if any("_" in role for role in networks) else "pix2pix",
        networks,
        InferencePolicy(),
        DataConfig(direction=told, aspect="squash"),
        foreign=True,
    )


def _directions(role: str, recorded: Mapping[str, str]) -> tuple[Direction, ...]:
    told = {"G_AB": "AtoB", "G_BA": "BtoA"}.get(role, recorded.get("direction"))
    ways: tuple[Direction, ...] = ("AtoB", "BtoA")
    return (told,) if told in ways else ways
