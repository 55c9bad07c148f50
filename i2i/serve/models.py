"""The models of a server: each by a name, with what a page must know to offer it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i2i.data.derive import Edges
from i2i.data.geometry import short_side_size
from i2i.errors import UserError, did_you_mean
from i2i.inference import Sampler, TrainedModel, Translator, load, load_sampler, open_model
from i2i.inference.runs import STEP
from i2i.inference.trained import Direction
from i2i.optim import PrecisionName
from i2i.serve.examples import Examples, find_examples
from i2i.serve.refusal import Refusal

STAMP = re.compile(r"\d{8}-\d{6}-")
"""The time that names of runs begin with."""


@dataclass(frozen=True)
class Way:
    """A direction in which a model translates.

    Attributes:
        translator: does it.
        label: what it is, in words.
        examples: images to try it with.
    """

    translator: Translator
    label: str = ""
    examples: Examples = ()

    @property
    def ink(self) -> str | None:
        """What its inputs are drawn with: black on white where they are edges, white on black where they are masks."""
        if isinstance(self.translator.derive, Edges):
            return "black"
        data = self.translator.data
        how = data.resize_b if data.direction == "BtoA" else data.resize_a
        is_map = self.translator.in_channels == 1 and how == "nearest" and data.derive is None
        return "white" if is_map else None

    @property
    def derives(self) -> bool:
        """Whether inputs can be made of photos here: by the model's own derivation, but for holes drawn at random."""
        derive = self.translator.derive
        return derive is not None and not derive.wants_mask and (self.translator.trusted or not derive.names_code)

    def derive_size(self, height: int, width: int, size: int | None) -> tuple[int, int]:
        """Return (height, width) at which an input is made of a photo: multiples of what it is shrunk by.

        Args:
            height: of the photo.
            width: of the photo.
            size: short side; None: that of training, or the photo's where the model learned from such.
        """
        data = self.translator.data
        if size is None and data.aspect != "crop":
            size = data.image_size
        factor = self.translator.magnification
        sides = (height, width) if size is None else short_side_size(height, width, size)
        return max(factor, sides[0] - sides[0] % factor), max(factor, sides[1] - sides[1] % factor)

    def describe(self) -> dict[str, Any]:
        """Return what the page must know, for JSON."""
        model = self.translator
        return {
            "direction": model.data.direction,
            "label": self.label,
            "channels": [model.in_channels, model.out_channels],
            "size": model.data.image_size,
            "any_size": model.data.aspect == "crop",
            "magnification": model.magnification,
            "ink": self.ink,
            "derive": model.derive.name if model.derive and self.derives else None,
            "wants_mask": model.wants_mask,
            "examples": len(self.examples),
        }


@dataclass(frozen=True)
class Translating:
    """A model that translates images.

    Attributes:
        name: what requests call it.
        ways: the directions it goes in; the first is that of its training.
    """

    name: str
    ways: Mapping[Direction, Way]

    def way(self, direction: Direction | None) -> Way:
        """Return a direction's translator.

        Raises:
            UserError: the model does not go there.
        """
        if direction is None:
            return next(iter(self.ways.values()))
        if direction not in self.ways:
            raise UserError(f"{self.name}: translates {' and '.join(self.ways)} alone; leave direction out")
        return self.ways[direction]

    def describe(self) -> dict[str, Any]:
        """Return what the page must know, for JSON."""
        return {
            "name": self.name,
            "title": STAMP.sub("", self.name),
            "kind": "translate",
            "ways": [way.describe() for way in self.ways.values()],
        }


@dataclass(frozen=True)
class Sampling:
    """A model that makes images of noise.

    Attributes:
        name: what requests call it.
        label: what it is, in words.
        sampler: makes them.
    """

    name: str
    label: str
    sampler: Sampler

    def describe(self) -> dict[str, Any]:
        """Return what the page must know, for JSON."""
        space = self.sampler.space
        return {
            "name": self.name,
            "title": STAMP.sub("", self.name),
            "kind": "sample",
            "label": self.label,
            "classes": list(self.sampler.classes),
            "size": self.sampler.shape[0],
            "channels": self.sampler.shape[2],
            "codes": [f"c{number}" for number in range(len(space.categories) + space.continuous)],
        }


Model = Translating | Sampling


class Menu:
    """The models by name, in the order in which they were given."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = {model.name: model for model in models}

    def translating(self, name: str | None) -> Translating:
        """Return a model that translates images.

        Raises:
            Refusal: there is none of that name (404), or it makes images of noise (400).
        """
        model = self._named(name)
        if isinstance(model, Sampling):
            raise Refusal(400, f"{model.name}: makes images of noise; ask for them at /api/sample")
        return model

    def sampling(self, name: str | None) -> Sampling:
        """Return a model that makes images of noise.

        Raises:
            Refusal: there is none of that name (404), or it translates images (400).
        """
        model = self._named(name)
        if isinstance(model, Translating):
            raise Refusal(400, f"{model.name}: translates images; send one to /api/translate")
        return model

    def _named(self, name: str | None) -> Model:
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refusal(404, f"there is no model '{name}'{did_you_mean(name, self.models)}")
        return self.models[name]


def open_menu(
    paths: Sequence[Path],
    *,
    device: str = "auto",
    precision: PrecisionName = "fp32",
    trust: bool = False,
    say: Callable[[str], None],
) -> Menu:
    """Load models and name them: runs by their folders, checkpoints with their steps, files by theirs without suffix.

    Args:
        paths: whatever `i2i.load` and `i2i.inference.load_sampler` take.
        device: see `i2i.load`.
        precision: see `i2i.load`.
        trust: see `i2i.load`.
        say: takes a line for each model.

    Raises:
        UserError: one cannot be loaded, or cannot be given single images.
    """
    models: list[Model] = []
    for path in paths:
        name = _name_of(path, {model.name for model in models})
        opened = open_model(path)
        if opened.makes_noise_into_images:
            sampler = load_sampler(path, device=device, precision=precision, trust=trust)
            sampler.sample([0], [0] if sampler.classes else None)
            say(f"model: {sampler.describe()}")
            models.append(Sampling(name, _label(sampler, opened, name), sampler))
            continue
        ways: dict[Direction, Way] = {}
        for direction in opened.directions:
            network, _ = opened.generator(direction)
            translator = load(
                path,
                direction=direction,
                device=device,
                precision=precision,
                tile="auto" if network.takes_tiles else None,
                trust=trust,
            )
            if translator.wants_several:
                raise UserError(f"{path}: takes several images put together, and a request holds one; leave it out")
            _try(translator)
            say(f"model: {translator.describe()}")
            examples = find_examples(translator, say, anywhere=opened.path.is_dir())
            ways[direction] = Way(translator, _label(translator, opened, name), examples)
        models.append(Translating(name, ways))
    return Menu(models)


def _label(model: Translator | Sampler, opened: TrainedModel, name: str) -> str:
    """Say what a model is; who sees the page need not learn where things lie on this machine."""
    label = model.describe().replace(str(opened.path), name)
    for network in opened.networks.values():
        if "imported_from" in network.origin:
            origin = str(network.origin["imported_from"])
            label = label.replace(origin, Path(origin).name)
    return label


def _name_of(path: Path, taken: set[str]) -> str:
    """Return a name that no other model has."""
    path = path.expanduser().resolve()
    name = path.stem if path.is_file() else path.name
    if STEP.fullmatch(name):
        name = f"{path.parents[1].name}-{name}"
    return next(
        free for number in range(1, len(taken) + 2) if (free := f"{name}-{number}" if number > 1 else name) not in taken
    )


def _try(translator: Translator) -> None:
    """Translate once, so that what fails does so before anyone asks, and the first to ask need not wait for kernels."""
    side = translator.data.image_size
    translator.translate_pixels([np.zeros((side, side, translator.in_channels), np.uint8)])
