"""Judging the generators on held-out images, as they will be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from i2i import world
from i2i.data import ImageSet, batches_in_order
from i2i.data.images import to_bytes
from i2i.data.sheet import Picture, contact_sheet, to_pixels
from i2i.engine.health import diversity
from i2i.errors import UserError
from i2i.inference.evaluation import Evaluation, load_networks
from i2i.methods import Method
from i2i.metrics import METRICS
from i2i.nn import inference_mode
from i2i.optim import Ema
from i2i.seeding import torch_seeded


@dataclass(frozen=True)
class Judgement:
    """What a validation found: mean scalars over the images and, on process 0, a sheet of the first few."""

    scalars: dict[str, float]
    sheet: Picture | None


@dataclass(frozen=True)
class _Part:
    """What was found in one batch: scalars of each image, outcomes to be measured, and pictures for the sheet."""

    scalars: dict[str, Tensor]
    outcomes: dict[str, list[tuple[str, Picture, Picture]]]
    pictures: dict[str, Tensor]


class Validator:
    """Runs a method's generators over held-out images.

    Args:
        method: what is judged.
        emas: averaged generators by name, which take the place of the trained ones.
        images: the held-out images.
        to_device: puts a batch where the networks are, in [-1, 1].
        seed: the run's seed, for sampled dropout.
        device: where the networks are.
        metrics: names of what else is measured (`i2i.metrics.METRICS`).

    Raises:
        UserError: a metric lacks a file or a library, or compares pairs where the method knows none.
    """

    def __init__(
        self,
        method: Method,
        emas: Mapping[str, Ema],
        images: ImageSet,
        to_device: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
        seed: int,
        device: torch.device,
        metrics: Sequence[str] = (),
    ) -> None:
        self.method, self.emas, self.images = method, emas, images
        self.to_device, self.seed, self.device = to_device, seed, device
        self.metrics = metrics
        of_pairs = [metric.name for metric in map(METRICS.__getitem__, metrics) if metric.of_pairs]
        if of_pairs and method.needs != "pairs":
            raise UserError(
                f"train.metrics: {of_pairs[0]} compares an output with its target, and there are none here; leave it "
                "out, or take a metric of sets such as kid"
            )
        self.networks = load_networks(metrics, device=device) if metrics and world.rank() == 0 else None

    def judge(self, rows: int, limit: int | None = None) -> Judgement:
        """Judge the first `limit` images (None: as many as the run's options say); put `rows` of them on the sheet.

        Several processes take batches in turn, and all get the scalars of all.
        """
        scalars: dict[str, list[Tensor]] = {}
        columns: dict[str, list[Tensor]] = {}
        evaluations: dict[str, Evaluation] = {}
        for part in self._parts(rows, limit or self.images.config.val_images):
            for name, values in part.scalars.items():
                scalars.setdefault(name, []).append(values)
            for caption, images in part.pictures.items():
                columns.setdefault(caption, []).append(images)
            for suffix, outcomes in part.outcomes.items():
                evaluation = evaluations.setdefault(suffix, Evaluation(self.metrics, networks=self.networks))
                for outcome in outcomes:
                    evaluation.add(*outcome)
        if world.rank() > 0:
            return Judgement(world.first_ones({}), None)
        pictures = {caption: torch.cat(parts) for caption, parts in columns.items()}
        means = {name: float(torch.cat(parts).mean()) for name, parts in scalars.items()}
        for suffix, evaluation in evaluations.items():
            scores = evaluation.result().scores  # a metric of sets is not among them where images are too few for it
            means |= {f"metric/{name}{suffix}": score.value for name, score in scores.items()}
        if compared := [diversity(pictures[made], pictures[model]) for made, model in self.method.compared]:
            means["health/diversity"] = min(compared)
        sheet = contact_sheet({caption: to_pixels(images) for caption, images in pictures.items()})
        return Judgement(world.first_ones(means), sheet)

    def _parts(self, rows: int, limit: int) -> Iterator[_Part]:
        """Yield what was found in each batch, in their order, on process 0; the others judge some of them for it."""
        size, count = self.images.config.batch_size, min(limit, len(self.images))
        batches = batches_in_order(self.images, size, count, world.rank(), world.size())
        for first in range(0, -(-count // size), world.size()):
            number, batch = first + world.rank(), next(batches, None)
            shown = rows - number * size if self.method.pictures_of_images or number == 0 else 0
            part = None if batch is None else self._part(number, batch, max(0, shown))
            yield from filter(None, world.for_first(part))

    def _part(self, number: int, batch: Mapping[str, Tensor], shown: int) -> _Part:
        """Judge the batch of that number, with `shown` of its images for the sheet."""
        batch = self.to_device(batch)
        some = {name: values[:shown] for name, values in batch.items()}
        with self._generators(number) as generators:
            scalars = self.method.validate(batch, generators)
            outcomes = self.method.outcomes(batch, generators) if self.metrics else {}
            pictures = self.method.pictures(some, generators) if shown else {}
        return _Part(
            {name: values.cpu() for name, values in scalars.items()},
            {suffix: _as_saved(batch["index"], *images) for suffix, images in outcomes.items()},
            {caption: images.cpu() for caption, images in pictures.items()},
        )

    @contextmanager
    def _generators(self, number: int) -> Iterator[dict[str, nn.Module]]:
        """Give the generators as they will be used: averaged where there is an average, in inference mode.

        Draws follow from the batch's number, whichever process judges it; it does so by itself.
        """
        chosen = {
            name: self.emas[name].shadow if name in self.emas else self.method.networks[name]
            for name in self.method.generators
        }
        with ExitStack() as modes, torch_seeded(self.seed, "validation", number, device=self.device), world.alone():
            for network in chosen.values():
                modes.enter_context(inference_mode(network, self.method.policy))
            yield chosen


def _as_saved(indices: Tensor, outputs: Tensor, targets: Tensor) -> list[tuple[str, Picture, Picture]]:
    """Return each output with its target as they would be saved: in 8 bits."""
    made, wanted = (image.float().clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1).cpu() for image in (outputs, targets))
    return [
        (str(index), to_bytes(output), to_bytes(target))
        for index, output, target in zip(indices.tolist(), made.numpy(), wanted.numpy(), strict=True)
    ]
