"""Measuring outputs: one image after the other goes in, with its target, and a result comes out.

Where the images come from is no matter here: two folders (`i2i.inference.couples`), a model at work, a validation.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from i2i import __version__
from i2i.config import Config
from i2i.data import files
from i2i.data.images import to_floats, to_tensor
from i2i.errors import UserError
from i2i.metrics.catalogue import METRICS, Kind, Metric, metrics_named
from i2i.metrics.features import Extractor, FeatureSet, Seen, exact, load_extractor
from i2i.metrics.lpips import Lpips
from i2i.metrics.masks import MASK_METRICS, found
from i2i.metrics.paired import Span, l1, luma, psnr, ssim
from i2i.metrics.sets import Spread, frechet_distance, inception_score, kernel_distance, mifid

DEFAULT = ("psnr", "ssim", "l1")
LEVELS: Span = (0.0, 255.0)
MARKED = 128  # grey level from which a pixel of a mask is white

PIXEL_METRICS: dict[str, Callable[[Tensor, Tensor, Span], Tensor]] = {"psnr": psnr, "ssim": ssim, "l1": l1}
FEATURE_METRICS: dict[str, Callable[[Tensor, Tensor], Spread]] = {
    "fid": lambda outputs, targets: Spread(frechet_distance(outputs, targets), None),
    "kid": kernel_distance,
    "mifid": lambda outputs, targets: Spread(mifid(outputs, targets), None),
}
# What protocol options are for; the others are for all metrics.
OPTION_KINDS: dict[str, Kind] = {"color": "pixels", "crop_border": "pixels", "tolerance": "masks", "marks": "masks"}
LPIPS_NETWORKS: dict[str, Literal["alex", "vgg"]] = {"lpips": "alex", "lpips-vgg": "vgg"}


class Protocol(Config):
    """How images are compared; the defaults compare all of them, in RGB.

    Attributes:
        color: of psnr, ssim and l1: ``rgb``, or ``y``, by which papers on super-resolution compare: luma of BT.601 in
            whole grey levels from 16 to 235. Grey images are compared as they are.
        crop_border: pixels at each side that psnr, ssim and l1 leave out; those papers leave out as many as the scale.
        modcrop: images are cut at the right and at the bottom to a multiple of this, which those papers do with the
            scale.
        tolerance: distance in pixels at which a mark of a mask still counts as found.
        marks: whether white or black pixels of masks are the marks; from grey level 128 on a pixel is white.
    """

    color: Literal["rgb", "y"] = "rgb"
    crop_border: Annotated[int, Field(ge=0)] = 0
    modcrop: Annotated[int, Field(ge=1)] = 1
    tolerance: Annotated[float, Field(ge=0)] = 0
    marks: Literal["white", "black"] = "white"

    def refuse_idle(self, metrics: Sequence[Metric]) -> None:
        """Refuse options that were changed and mean nothing to any of the metrics.

        Raises:
            UserError: there is one.
        """
        for option, kind in OPTION_KINDS.items():
            if getattr(self, option) != type(self).model_fields[option].default and kind not in _kinds(metrics):
                fitting = ", ".join(metric.name for metric in METRICS.values() if metric.kind == kind)
                flag = option.replace("_", "-")
                raise UserError(f"--{flag}: belongs to {fitting}; add one of them to --metrics, or leave it out")

    def describe(self, kind: Kind) -> str:
        """Say in one line what is compared by metrics of a kind, save for networks."""
        if kind == "masks":
            return f"{self.marks} pixels are marks (from grey level {MARKED} on white), tolerance {self.tolerance:g} px"
        if kind == "pixels":
            color = "RGB, 0 to 255" if self.color == "rgb" else "Y of BT.601 (16 to 235, rounded; grey as it is)"
            border = f", border of {self.crop_border} px left out" if self.crop_border else ""
            return f"{color}{border}; SSIM: Gaussian 11x11, sigma 1.5, K1 0.01, K2 0.03, no padding"
        return "RGB, whole image"

    def cut(self, image: files.Pixels) -> files.Pixels:
        """Return an image ``[H, W, C]`` cut to a multiple of `modcrop`.

        Raises:
            UserError: nothing is left.
        """
        if min(image.shape[:2]) < self.modcrop:
            raise UserError(f"{_size(image)} cannot be cut to a multiple of {self.modcrop}")
        height, width = (side - side % self.modcrop for side in image.shape[:2])
        return image[:height, :width]

    def values(self, image: files.Pixels) -> Tensor:
        """Return what psnr, ssim and l1 compare of an image ``[H, W, C]``: ``[1, C', H', W']`` from 0 to 255, float64.

        Raises:
            UserError: Y is asked for of more than 3 channels, or the border leaves nothing.
        """
        border, (height, width, channels) = self.crop_border, image.shape
        if min(height, width) <= 2 * border:
            raise UserError(f"nothing of {_size(image)} is left without a border of {border} pixels")
        inner = image[border : height - border, border : width - border].transpose(2, 0, 1)[None]
        values = torch.from_numpy(inner * (LEVELS[1] / np.iinfo(image.dtype).max))
        if self.color == "rgb" or channels == 1:
            return values
        if channels != 3:
            raise UserError(f"Y is of RGB images, not of {channels} channels; leave --color y out")
        return luma(values)

    def marked(self, image: files.Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return the marks of a mask, [H, W]."""
        white = files.to_uint8(files.to_channels(image, 1))[:, :, 0] >= MARKED
        return white if self.marks == "white" else ~white


@dataclass(frozen=True)
class Networks:
    """The networks that metrics look through.

    Attributes:
        lpips: by the metric's name.
        extractor: whose features of two sets are compared.
        device: where LPIPS runs.
    """

    lpips: Mapping[str, Lpips] = field(default_factory=dict)
    extractor: Extractor | None = None
    device: torch.device | str = "cpu"

    def serve(self, metric: Metric) -> bool:
        """Say whether a metric has the network that it looks through, if it does."""
        if metric.kind == "lpips":
            return metric.name in self.lpips
        return self.extractor is not None or metric.kind not in ("features", "logits")


def load_networks(
    metrics: Sequence[str],
    *,
    features: Path | None = None,
    weights: Path | None = None,
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> Networks:
    """Load the networks that `metrics` look through.

    Args:
        metrics: their names.
        features: file of the user's own features, see `i2i.metrics.features.load_extractor`; None: InceptionV3's.
        weights: folder of the published files of weights; None: where torch keeps what it has downloaded.
        device: where they run.
        trust: run a TorchScript file.

    Raises:
        UserError: a file or a library is missing, or a file is not what it should be.
    """
    kinds = _kinds(metrics_named(metrics))
    if features and "features" not in kinds:
        raise UserError("--features: no metric looks at features; add one to --metrics, such as kid, or leave it out")
    if features and "logits" in kinds:
        raise UserError("--features: the Inception Score is of InceptionV3's classes; leave that or 'is' out")
    return Networks(
        {name: Lpips(LPIPS_NETWORKS[name], weights).to(device) for name in metrics if name in LPIPS_NETWORKS},
        load_extractor(features, weights=weights, device=device, trust=trust)
        if {"features", "logits"} & kinds
        else None,
        device,
    )


@dataclass(frozen=True)
class Score:
    """The value of one metric.

    Attributes:
        value: the mean over pairs, or the value of the sets.
        deviation: over pairs, or over parts of the sets; None: there are no parts.
        images: how many pairs; or how many outputs and targets.
    """

    value: float
    deviation: float | None
    images: tuple[int, ...]


@dataclass(frozen=True)
class Result:
    """What was measured.

    Attributes:
        scores: by metric.
        images: by the name of each pair, its values by metric.
        protocol: how, in one line for each kind of metric.
        notes: what the reader should know of, in one line each.
        options: how, as it was asked for.
    """

    scores: Mapping[str, Score]
    images: Mapping[str, Mapping[str, float]]
    protocol: tuple[str, ...]
    notes: tuple[str, ...]
    options: Protocol

    def ranked(self, metric: str) -> list[str]:
        """Return the names of the pairs, the best by a metric first."""
        sign = -1 if METRICS[metric].better == "higher" else 1
        return sorted(self.images, key=lambda name: sign * self.images[name][metric])

    def record(self) -> dict[str, Any]:
        """Return all of it as plain values, with the versions it was measured with."""
        return {
            "versions": {"i2i": __version__, "torch": torch.__version__, "python": platform.python_version()},
            "protocol": [*self.protocol],
            "options": self.options.model_dump(),
            "notes": [*self.notes],
            "metrics": {
                name: {
                    "value": score.value,
                    "deviation": score.deviation,
                    "images": [*score.images],
                    "better": METRICS[name].better,
                }
                for name, score in self.scores.items()
            },
            "images": [{"name": name, **values} for name, values in self.images.items()],
        }


class Evaluation:
    """Gathers measurements; of an image it keeps values and features, and not the image.

    Args:
        metrics: names of `i2i.metrics.METRICS`.
        protocol: how images are compared.
        networks: those that the metrics look through, by `load_networks`.

    Raises:
        UserError: there is no such metric.
        ValueError: a metric's network is not there.
    """

    def __init__(
        self, metrics: Sequence[str] = DEFAULT, protocol: Protocol | None = None, networks: Networks | None = None
    ) -> None:
        self.metrics = metrics_named(metrics)
        self.protocol = protocol or Protocol()
        self.networks = networks or Networks()
        if lacking := [metric.name for metric in self.metrics if not self.networks.serve(metric)]:
            raise ValueError(f"{', '.join(lacking)} look through networks; give those of load_networks({lacking})")
        self.images: dict[str, dict[str, float]] = {}
        self.sets = [FeatureSet(self.networks.extractor) for _ in "ab"] if self.networks.extractor else []
        self._converted = self._equal = 0
        self._marked: list[float] = []

    def add(self, name: str, output: files.Pixels | None = None, target: files.Pixels | None = None) -> None:
        """Take an output with its target, or for metrics of sets one of them alone.

        Alpha is laid over white; an output of other channels than its target's is given these.

        Args:
            name: of the image.
            output: ``[H, W, C]``.
            target: the same size.

        Raises:
            UserError: they differ in size, or do not suit a metric.
            ValueError: there was a pair of that name already.
        """
        if name in self.images:
            raise ValueError(f"there are two images of the name {name}")
        try:
            output, target = (None if image is None else self._opened(image) for image in (output, target))
            if any(metric.of_pairs for metric in self.metrics) and output is not None and target is not None:
                self.images[name] = self._compare(output, target)
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
        for images, image in zip(self.sets, (output, target), strict=False):
            if image is not None:
                images.add(_unit_range(image))

    def _opened(self, image: files.Pixels) -> files.Pixels:
        return self.protocol.cut(files.split_alpha(image)[0])

    def _compare(self, output: files.Pixels, target: files.Pixels) -> dict[str, float]:
        if output.shape[:2] != target.shape[:2]:
            raise UserError(f"the output is {_size(output)} and its target {_size(target)}")
        if output.shape[2] != target.shape[2]:
            output = files.to_channels(output, target.shape[2])
            self._converted += 1
        self._equal += np.array_equal(output, target)
        kinds = _kinds(self.metrics)
        values: dict[str, float] = {}
        if "pixels" in kinds:
            x, y = self.protocol.values(output), self.protocol.values(target)
            values |= {m.name: float(PIXEL_METRICS[m.name](x, y, LEVELS)) for m in self.metrics if m.kind == "pixels"}
        if "masks" in kinds:
            marks, wanted = self.protocol.marked(output), self.protocol.marked(target)
            shares = found(marks, wanted, self.protocol.tolerance)
            values |= {m.name: MASK_METRICS[m.name](shares) for m in self.metrics if m.kind == "masks"}
            self._marked.append(float(wanted.mean()))
        if "lpips" in kinds:
            x, y = (2 * _unit_range(image)[None].to(self.networks.device) - 1 for image in (output, target))
            with exact():
                values |= {name: float(network(x, y)) for name, network in self.networks.lpips.items()}
        return {metric.name: values[metric.name] for metric in self.metrics if metric.of_pairs}

    def result(self) -> Result:
        """Return what was measured so far."""
        scores, notes = self._pair_scores(), self._notes()
        if self.sets:
            outputs, targets = (images.seen() for images in self.sets)
            for metric in self.metrics:
                if not metric.of_pairs:
                    try:
                        scores[metric.name] = _set_score(metric, outputs, targets)
                    except ValueError as error:
                        notes.append(f"'{metric.name}' is left out: {error}")
            notes += [note for note in [_few(scores, outputs)] if note]
        return Result(
            {metric.name: scores[metric.name] for metric in self.metrics if metric.name in scores},
            dict(self.images),
            self.describe(),
            tuple(notes),
            self.protocol,
        )

    def describe(self) -> tuple[str, ...]:
        """Say how is measured, in one line for each kind of metric."""
        by_kind: dict[Kind, list[str]] = {}
        for metric in self.metrics:
            by_kind.setdefault(metric.kind, []).append(metric.name)
        cut = f"; cut to a multiple of {self.protocol.modcrop}" if self.protocol.modcrop > 1 else ""
        lines = []
        for kind, names in by_kind.items():
            seen = self.networks.extractor.label if self.networks.extractor and kind in ("features", "logits") else ""
            lines.append(f"{', '.join(names)}: {seen or self.protocol.describe(kind)}{cut}")
        return tuple(lines)

    def _pair_scores(self) -> dict[str, Score]:
        scores = {}
        for metric in self.metrics:
            if metric.of_pairs and self.images:
                values = np.array([image[metric.name] for image in self.images.values()])
                deviation = float(values.std()) if len(values) > 1 else None
                scores[metric.name] = Score(float(values.mean()), deviation, (len(values),))
        return scores

    def _notes(self) -> list[str]:
        notes = []
        if self._converted:
            notes.append(f"{self._converted} outputs had other channels than their targets, and were given these")
        if self._equal:
            notes.append(f"{self._equal} outputs are equal to their targets, for which psnr counts 100 dB")
        if self._marked and np.mean(self._marked) > 0.5:
            other = "black" if self.protocol.marks == "white" else "white"
            notes.append(
                f"{np.mean(self._marked):.0%} of the targets' pixels are {self.protocol.marks}, so taken for marks; if "
                f"the marks are {other}: --marks {other}"
            )
        return notes


def _set_score(metric: Metric, outputs: Seen | None, targets: Seen | None) -> Score:
    """Return a metric's value of two sets, or of the outputs.

    Raises:
        ValueError: there are too few images.
    """
    if outputs is None:
        raise ValueError("there are no outputs")
    if metric.kind == "logits":
        assert outputs.logits is not None
        return Score(*inception_score(outputs.logits), (len(outputs.logits),))
    if targets is None:
        raise ValueError("there are no targets")
    sets = outputs.features, targets.features
    return Score(*FEATURE_METRICS[metric.name](*sets), (len(sets[0]), len(sets[1])))


def _few(scores: Mapping[str, Score], outputs: Seen | None) -> str | None:
    """Say that there are too few images for what fid promises."""
    size = outputs.features.shape[1] if outputs else 0
    few = [name for name in ("fid", "mifid") if name in scores and min(scores[name].images) <= size]
    if not few:
        return None
    return (
        f"{', '.join(few)}: too high where images are no more than features ({size:,}); compare at equal numbers of "
        "images alone, or take kid"
    )


def _kinds(metrics: Sequence[Metric]) -> set[Kind]:
    return {metric.kind for metric in metrics}


def _unit_range(image: files.Pixels) -> Tensor:
    """Return pixels ``[H, W, C]`` as a tensor ``[C, H, W]`` in [0, 1]."""
    return to_tensor(to_floats(image))


def _size(image: files.Pixels) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
