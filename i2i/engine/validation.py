"""Judging the generators on held-out images, as they will be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
    """What a validation found: mean scalars over the images, and a sheet of the first few."""

    scalars: dict[str, float]
    sheet: Picture


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
        self.networks = load_networks(metrics, device=device) if metrics else None

    def judge(self, rows: int, limit: int | None = None) -> Judgement:
        """Judge the first `limit` images (None: as many as the run's options say); put `rows` of them on the sheet."""
        scalars: dict[str, list[Tensor]] = {}
        evaluations: dict[str, Evaluation] = {}
        columns: dict[str, list[Tensor]] = {}
        config, shown = self.images.config, 0
        with self._generators() as generators:
            for batch in batches_in_order(self.images, config.batch_size, limit or config.val_images):
                on_device = self.to_device(batch)
                for name, values in self.method.validate(on_device, generators).items():
                    scalars.setdefault(name, []).append(values.cpu())
                if self.metrics:
                    self._measure(on_device, generators, evaluations)
                if shown < rows and (self.method.pictures_of_images or not columns):
                    some = {name: values[: rows - shown] for name, values in on_device.items()}
                    shown += len(some["index"])
                    for caption, images in self.method.pictures(some, generators).items():
                        columns.setdefault(caption, []).append(images.cpu())
        pictures = {caption: torch.cat(parts) for caption, parts in columns.items()}
        means = {name: float(torch.cat(parts).mean()) for name, parts in scalars.items()}
        for suffix, evaluation in evaluations.items():
            scores = evaluation.result().scores  # a metric of sets is not among them where images are too few for it
            means |= {f"metric/{name}{suffix}": score.value for name, score in scores.items()}
        if compared := [diversity(pictures[made], pictures[model]) for made, model in self.method.compared]:
            means["health/diversity"] = min(compared)
        return Judgement(means, contact_sheet({caption: to_pixels(images) for caption, images in pictures.items()}))

    def _measure(
        self, batch: Mapping[str, Tensor], generators: Mapping[str, nn.Module], evaluations: dict[str, Evaluation]
    ) -> None:
        """Add a batch to the evaluations, one for each direction, as it would be saved: in 8 bits."""
        for suffix, images in self.method.outcomes(batch, generators).items():
            evaluation = evaluations.setdefault(suffix, Evaluation(self.metrics, networks=self.networks))
            made, wanted = (image.float().clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1).cpu() for image in images)
            for index, output, target in zip(batch["index"].tolist(), made.numpy(), wanted.numpy(), strict=True):
                evaluation.add(str(index), to_bytes(output), to_bytes(target))

    @contextmanager
    def _generators(self) -> Iterator[dict[str, nn.Module]]:
        """Give the generators as they will be used: averaged where there is an average, in inference mode."""
        chosen = {
            name: self.emas[name].shadow if name in self.emas else self.method.networks[name]
            for name in self.method.generators
        }
        with ExitStack() as modes, torch_seeded(self.seed, "validation", device=self.device):
            for network in chosen.values():
                modes.enter_context(inference_mode(network, self.method.policy))
            yield chosen
