"""Trained models written as files that stand by themselves, each tried at once against the model it was made of."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from i2i import __version__
from i2i.data import to_model_range
from i2i.data.derive import Derivation
from i2i.errors import UserError
from i2i.inference.export import onnx, pt2
from i2i.inference.export.card import measured, model_card, newest_sheet, run_of
from i2i.inference.export.graph import Exchanged, Pixels, first_line, inputs_of, to_pixels, trace
from i2i.inference.runs import as_text, write_tensors
from i2i.inference.sampler import load_sampler
from i2i.inference.trained import Direction, GraphNetwork, TrainedModel, TrainedNetwork, open_model
from i2i.inference.translator import load
from i2i.methods.base import network_spec
from i2i.nn import InferencePolicy, Statistics
from i2i.nn.policy import normalises_each_image
from i2i.seeding import torch_seeded

Format = Literal["onnx", "pt2", "safetensors"]
ExportPrecision = Literal["fp32", "fp16"]
SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".pt2": "pt2", ".safetensors": "safetensors"}
STEP_OF_8_BITS = 2 / 255
# The largest differences that rounding explains. In fp32 it leaves some 1e-6; in fp16 a value near 1 has steps of 1e-3,
# and layers add up.
TOLERANCES: dict[ExportPrecision, float] = {"fp32": STEP_OF_8_BITS / 8, "fp16": 0.1}
# Norms over a few nearly equal values enlarge it, most of all in a network that has hardly learned. A file, whose sums
# have another order, may be this many times as far from the model as the model is from its own outputs in fp64.
ROUNDINGS = 4
PLACES = {"source", "source_b", "boxes"}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: the model's file, and what lies beside it.
        label: what the model is, in words.
        difference: the largest between the file's outputs and the model's, in [-1, 1].
        tried: the shapes of the inputs that it was found on.
        usage: the command that takes the file.
    """

    files: tuple[Path, ...]
    label: str
    difference: float
    tried: tuple[tuple[int, ...], ...]
    usage: str


@dataclass(frozen=True)
class Subject:
    """A model that is to be exported.

    Attributes:
        model: what was opened.
        role: the name of the network among its networks.
        trained: the network's description.
        way: in which it translates; None: it makes images of noise.
        network: at work on the CPU.
        policy: what batch norm and dropout do in it.
        derive: how its inputs were made of photos.
    """

    model: TrainedModel
    role: str
    trained: TrainedNetwork
    way: Direction | None
    network: nn.Module
    policy: InferencePolicy
    derive: Derivation | None


def export(
    path: Path,
    output: Path | None = None,
    *,
    form: Format | None = None,
    direction: Direction | None = None,
    precision: ExportPrecision = "fp32",
    pixels: Pixels = "float",
    statistics: Statistics | None = None,
    dropout: Literal["off", "sample"] | None = None,
    licence: str = "unknown",
    overwrite: bool = False,
    trust: bool = False,
) -> Exported:
    """Write a trained generator as one file that describes itself, and compare the file's outputs with the model's.

    Averaged weights are taken where there are any. An ONNX file takes and returns ``float`` images [N, C, H, W] in
    [-1, 1], or ``uint8`` [N, H, W, C]; so does a ``.pt2`` file. A safetensors file holds weights, has a model card
    beside it (``.md``) and the run's newest sheet of samples (``.png``).

    Args:
        path: what `i2i.load` takes, but for graphs.
        output: the file; None: named after the run, in the working folder.
        form: kind of file; None: as `output` is called, or ONNX.
        direction: which way, of a model that goes both ways.
        precision: ``fp16`` halves the file; graphs then compute in it, and what goes in and comes out stays fp32.
        pixels: how images go in and come out of graphs.
        statistics: what batch norm divides by, instead of what the run's validation used.
        dropout: ``off`` or ``sample``, instead of what the run's validation used.
        licence: of the weights, written into the file and its card; best an identifier of SPDX, such as CC-BY-4.0.
        overwrite: replace files that exist.
        trust: run the code that the model names as its network, if it is your own.

    Raises:
        UserError: there is no such model, it cannot be written in that form, a file exists, or the outputs differ, in
            which case nothing is left behind.
    """
    form, output = _settled_form(output, form)
    if pixels == "uint8" and form == "safetensors":
        raise UserError("--pixels uint8: a safetensors file holds weights, which know nothing of pixels; leave it out")
    if form == "onnx":
        onnx.require_extra()
    subject = _opened(path, direction, statistics, dropout, trust)
    if form != "safetensors" and subject.policy.dropout == "sample":
        raise UserError(f"{path}: samples its dropout, and a graph draws no random numbers; add --dropout off")
    output = output or _default_output(subject, form)
    sheet = newest_sheet(subject.model.path) if form == "safetensors" else None
    if not overwrite:
        _refuse_existing(output, form, sheet)
    header = describe(subject, precision, pixels, licence)
    standing = next(folder for folder in output.absolute().parents if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix=".export-", dir=standing) as folder:
        file = Path(folder, output.name)
        _write(subject, file, form, header, precision, pixels)
        tried = tuple(_inputs(subject.trained, subject.model.data.image_size))
        difference = _difference(subject, file, tried, pixels)
        limit = TOLERANCES[precision] + (STEP_OF_8_BITS if pixels == "uint8" else 0)
        if difference > limit:
            limit = max(limit, min(TOLERANCES["fp16"], ROUNDINGS * _rounding(subject.network, tried)))
        if difference > limit:
            raise UserError(
                f"{path}: the file's outputs differ from the model's by up to {difference:.2g} in [-1, 1], where "
                f"rounding explains {limit:.2g}: the network does something else at other sizes, or leaves what "
                f"{precision} can hold; nothing was written; try --format safetensors --precision fp32"
            )
        if form == "safetensors":
            file.with_suffix(".md").write_text(model_card(output, header, subject.trained, sheet), encoding="utf-8")
        if sheet:
            shutil.copyfile(sheet, file.with_suffix(".png"))
        output.parent.mkdir(parents=True, exist_ok=True)
        made = [output.with_name(part.name) for part in Path(folder).iterdir()]
        for target in made:
            os.replace(Path(folder, target.name), target)
    usage = f"translate INPUT OUTPUT --model {output}" if subject.way else f"sample {output} OUTPUT"
    return Exported(
        tuple(sorted(made, key=lambda target: target != output)),
        subject.trained.label,
        difference,
        tuple(tuple(inputs[0].shape) for inputs in tried),
        f"{usage} --trust" if form == "pt2" else usage,
    )


def describe(subject: Subject, precision: ExportPrecision, pixels: Pixels, licence: str = "unknown") -> dict[str, Any]:
    """Return what a file says of itself: the header of a checkpoint's files, and under ``export`` how to use it.

    Besides, the ``licence``, and what validation last ``measured``, by name and at which step.

    Of the latter, ``size_multiple`` is what height and width must divide by: 1, for the networks pad and crop by
    themselves; ``magnification`` is how many times larger than the input the output is; and ``inputs`` says how
    they were made of photos (the options of a derivation of `i2i.data.derive`), or is None.
    """
    model, trained = subject.model, subject.trained
    measures = trained.measures
    channels = (
        {"in": measures["latent"], "out": measures["channels"]}
        if trained.kind == "noise_generator"
        else {"in": measures["in_channels"], "out": measures["out_channels"]}
    )
    # Where things lay on this machine is nobody else's business.
    places = {key: value and Path(value).name for key, value in model.data.model_dump(include=PLACES).items()}
    origin = {key: Path(value).name if key == "imported_from" else value for key, value in trained.origin.items()}
    return {
        "method": model.method,
        "role": subject.role.removesuffix("_ema"),
        "network": network_spec(trained.kind, trained.config, **measures),
        "policy": subject.policy.model_dump(),
        "translates": subject.way,
        **origin,
        "config": {
            "method": dict(model.options),
            "data": {**model.data.model_dump(mode="json"), **places},
            "seed": model.data_seed,
        },
        "licence": licence,
        "measured": measured(trained.file.parent),
        "export": {
            "i2i": __version__,
            "pixels": pixels,
            "precision": precision,
            "channels": channels,
            "size_multiple": 1,
            "magnification": _magnification(subject),
            "inputs": subject.derive.model_dump(mode="json") if subject.derive else None,
            "normalises_images": any(normalises_each_image(module) for module in subject.network.modules()),
        },
    }


def _settled_form(output: Path | None, form: Format | None) -> tuple[Format, Path | None]:
    if output is None:
        return form or "onnx", None
    output = output.expanduser()
    named = SUFFIXES.get(output.suffix.lower())
    if named is None:
        raise UserError(f"{output}: must end in {', '.join(SUFFIXES)}")
    if form not in (None, named):
        raise UserError(f"--format {form}: {output} ends in {output.suffix}; call it {output.with_suffix(f'.{form}')}")
    return named, output


def _default_output(subject: Subject, form: Format) -> Path:
    """Return what a file is called if nobody says: as the run, or what was given, and its way where there are two."""
    path = subject.model.path
    place = run_of(path) or path.absolute()
    ways = {way for network in subject.model.networks.values() for way in network.translates}
    way = f"-{subject.way}" if len(ways) > 1 else ""
    return Path(f"{place.name if place.is_dir() else place.stem}{way}.{form}")


def _refuse_existing(output: Path, form: Format, sheet: Path | None) -> None:
    suffixes = [output.suffix, *([".md"] if form == "safetensors" else []), *([".png"] if sheet else [])]
    for file in map(output.with_suffix, suffixes):
        if file.exists():
            raise UserError(f"{file}: exists already; add --overwrite")


def _opened(
    path: Path, direction: Direction | None, statistics: Statistics | None, dropout: Any, trust: bool
) -> Subject:
    """Open a model and put its generator to work on the CPU."""
    model = open_model(path)
    if any(isinstance(network, GraphNetwork) for network in model.networks.values()):
        raise UserError(f"{path}: is a graph already; give the run that it was made of, or its safetensors file")
    makers = [role for role, network in model.networks.items() if network.kind == "noise_generator"]
    if makers:
        if direction is not None:
            raise UserError(f"{path}: makes images of noise; leave --direction out")
        if statistics is not None or dropout is not None:
            raise UserError(f"{path}: makes images of noise; leave --statistics and --dropout out")
        sampler = load_sampler(path, device="cpu", trust=trust)
        return Subject(model, makers[-1], model.networks[makers[-1]], None, sampler.network, sampler.policy, None)
    trained, way = model.generator(direction)
    role = next(role for role, network in model.networks.items() if network is trained)
    at_work = load(
        path, direction=way, device="cpu", statistics=statistics, dropout=dropout, trust=trust, runtime="plain"
    )
    return Subject(model, role, trained, way, at_work.network, at_work.policy, at_work.derive)


def _magnification(subject: Subject) -> int:
    if subject.way is None:
        return 1
    side = 32
    with torch.no_grad():
        output = subject.network(torch.zeros(1, subject.trained.measures["in_channels"], side, side))
    return int(output.shape[-1] // side)


def _write(
    subject: Subject, file: Path, form: Format, header: Mapping[str, Any], precision: ExportPrecision, pixels: Pixels
) -> None:
    if form == "safetensors":
        halved = {name for name, _ in subject.network.named_parameters()} if precision == "fp16" else set()
        state = subject.network.state_dict()
        weights = {name: value.half() if name in halved else value for name, value in state.items()}
        write_tensors(file, weights, header)
        return
    inputs = inputs_of(subject.trained.kind, subject.trained.measures, pixels)
    program = trace(Exchanged(subject.network, pixels=pixels, half=precision == "fp16").eval(), inputs)
    if form == "onnx":
        onnx.write(program, file, inputs, as_text(header))
    else:
        pt2.write(program, file, as_text(header))


def _inputs(trained: TrainedNetwork, image_size: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield inputs to compare on: of the size of training, and of random sizes, odd ones and several images too."""
    generator = torch.Generator().manual_seed(0)

    def drawn(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    if trained.kind == "noise_generator":
        for count in (1, 3, 2):
            noise = torch.randn(count, trained.measures["latent"], generator=generator)
            classes = trained.measures["classes"]
            yield (noise, torch.randint(classes, (count,), generator=generator)) if classes else (noise,)
        return
    size = min(image_size, 512)
    half = max(16, size // 2)
    for count, height, width in (
        (1, size, size),
        (2, 2 * drawn(8, half), 2 * drawn(8, half) + 1),
        (3, 2 * drawn(8, half) + 1, 2 * drawn(8, half)),
        (1, size + 2 * drawn(1, 16) + 1, size + 2 * drawn(1, 16) + 1),
    ):
        pixels = torch.randint(256, (count, trained.measures["in_channels"], height, width), generator=generator)
        yield (to_model_range(pixels.byte()),)


def _difference(subject: Subject, file: Path, tried: Sequence[tuple[Tensor, ...]], pixels: Pixels) -> float:
    """Return the largest difference between the outputs of the model and of the file as it is opened by others.

    Infinite where shapes differ, or a value is no number.
    """
    reopen = load if subject.way else load_sampler
    written = reopen(file, device="cpu", trust=True).network
    largest = 0.0
    for inputs in tried:
        wanted = _output(subject.network, inputs)
        try:
            found = _output(written, inputs)
        except Exception as error:  # a graph that insists on sizes may raise anything
            raise UserError(
                f"the graph does not run on inputs of {list(inputs[0].shape)}: {first_line(error)}; nothing was "
                "written; try --format safetensors"
            ) from error
        if pixels == "uint8":
            wanted = to_model_range(to_pixels(wanted).permute(0, 3, 1, 2))
        gap = float((found - wanted).abs().max()) if found.shape == wanted.shape else torch.inf
        largest = max(largest, gap if gap == gap else torch.inf)
    return largest


def _rounding(network: nn.Module, tried: Sequence[tuple[Tensor, ...]]) -> float:
    """Return how far a network's outputs are from those that it has in fp64; 0 of code that knows fp32 alone."""
    exact = copy.deepcopy(network).double()
    try:
        return max(
            float((_output(network, inputs) - _output(exact, tuple(map(_doubled, inputs)))).abs().max())
            for inputs in tried
        )
    except RuntimeError:
        return 0.0


def _doubled(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


def _output(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    with torch.no_grad(), torch_seeded(0, "dropout"):
        output: Tensor = network(*inputs)
    return output
