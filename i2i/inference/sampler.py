"""A trained generator of noise, ready to make images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from i2i.errors import UserError, did_you_mean
from i2i.inference.latents import Along, Latents, LatentSpace
from i2i.inference.trained import TrainedModel, TrainedNetwork, open_model
from i2i.inference.translator import TURNS, is_out_of_memory
from i2i.methods.noise import COLUMNS
from i2i.nn import InferencePolicy, apply_policy
from i2i.optim import Precision, PrecisionName, choose_device
from i2i.seeding import torch_seeded

Pictures = npt.NDArray[np.uint8]
"""Images ``[N, H, W, C]``."""

BATCH = 16
"""Images per forward, always: fewer are filled up, for kernels round otherwise at other sizes of a batch."""


def load_sampler(
    path: str | Path, *, device: str = "auto", precision: PrecisionName = "fp32", trust: bool = False
) -> Sampler:
    """Load a model that makes images of noise, from a run (its last checkpoint), a checkpoint or an exported file.

    Averaged weights are taken where there are any.

    Args:
        path: a run's folder, a ``checkpoints/step_...`` folder, or a file that `i2i export` wrote.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: ``fp32`` gives the same result everywhere; ``bf16`` and ``fp16`` are faster on devices made for them.
        trust: import the code that the model names as its network (``module:attribute``), if it is your own.

    Raises:
        UserError: there is no such model, it is damaged, it names code and is not trusted, or it translates images.
    """
    model = open_model(path)
    trained = _noise_generator(model)
    measures = trained.measures
    categories, continuous = tuple(model.options.get("categories", ())), int(model.options.get("continuous", 0))
    classes = model.data.classes if measures["classes"] else ()
    settled = trained.settled({"device": device, "precision": precision})
    return Sampler(
        trained.build(trust=trust),
        LatentSpace(
            measures["latent"] - sum(categories) - continuous,
            model.options.get("prior", "normal"),
            categories,
            continuous,
        ),
        classes=classes if len(classes) == measures["classes"] else tuple(map(str, range(measures["classes"]))),
        channels=measures["channels"],
        size=measures["size"],
        policy=model.policy,
        precision=Precision(settled["precision"], choose_device(settled["device"])),
        label=trained.label,
    )


def _noise_generator(model: TrainedModel) -> TrainedNetwork:
    found = [network for network in model.networks.values() if network.kind == "noise_generator"]
    if not found:
        kinds = {network.kind for network in model.networks.values()}
        if "generator" in kinds:
            raise UserError(f"{model.path}: translates images; type: i2i translate INPUT OUTPUT --model {model.path}")
        raise UserError(f"{model.path}: holds no generator but {', '.join(sorted(kinds))}; give another checkpoint")
    return found[-1]  # averaged weights come after those that were trained


class Sampler:
    """Makes images of noise with a generator under a recorded policy.

    An image is a function of its seed (and its class) alone: noise is drawn from the seed, the same on every machine,
    and on one machine the pixels are the same to the bit, whatever else is made with them.

    Args:
        network: the generator, vectors ``[N, width]`` (and labels ``[N]``) to ``[N, C, S, S]`` in [-1, 1].
        space: what the vectors are.
        classes: names of the classes, by label; empty for a network without labels.
        channels: C.
        size: S.
        policy: what batch norm and dropout do; sampled dropout is the same for every image.
        precision: device and arithmetic.
        label: what the model is, in words.
    """

    def __init__(
        self,
        network: nn.Module,
        space: LatentSpace,
        *,
        classes: tuple[str, ...] = (),
        channels: int,
        size: int,
        policy: InferencePolicy,
        precision: Precision,
        label: str = "",
    ) -> None:
        self.network = network.to(precision.device).to(memory_format=precision.memory_format())
        apply_policy(self.network, policy)
        self.space, self.classes = space, classes
        self.shape = (size, size, channels)
        self.policy = policy
        self.precision = precision
        self.label = label

    def sample(
        self, seeds: Sequence[int], labels: Sequence[int | str] | None = None, truncation: float | None = None
    ) -> Pictures:
        """Return the images of some seeds, uint8 ``[N, S, S, C]``.

        Args:
            seeds: numbers from 0.
            labels: the class of each image, by number or name; where and only where the model has classes.
            truncation: normal noise beyond it is redrawn; see `LatentSpace.draw`.

        Raises:
            UserError: labels are missing, unknown or not expected, or the noise cannot be truncated.
            ValueError: not as many labels as seeds, or no seeds.
        """
        return self.render(self.space.draw(seeds, truncation), labels)

    def interpolate(
        self,
        start: int,
        end: int,
        steps: int = COLUMNS,
        *,
        label: int | str | None = None,
        along: Along | None = None,
        truncation: float | None = None,
    ) -> Pictures:
        """Return the images on the way from one seed to another, both included, uint8 ``[steps, S, S, C]``.

        Args and errors: see `sample` and `LatentSpace.between`.
        """
        first, last = self.space.draw([start, end], truncation)
        return self._render_as(label, self.space.between(first, last, steps, along))

    def arithmetic(
        self, terms: Sequence[tuple[int, int]], *, label: int | str | None = None, truncation: float | None = None
    ) -> Pictures:
        """Return the images of some seeds and then that of their noise's sum, uint8 ``[N + 1, S, S, C]``.

        Args:
            terms: +1 or -1, and a seed, for each operand.
            label: the class of all images.
            truncation: normal noise beyond it is redrawn, in the operands.

        Raises:
            UserError: see `sample`.
        """
        vectors = self.space.draw([seed for _, seed in terms], truncation)
        total = self.space.total([sign for sign, _ in terms], vectors)
        return self._render_as(label, np.concatenate([vectors, total[None]]))

    def traverse(
        self,
        axis: str,
        seed: int = 0,
        steps: int | None = None,
        *,
        label: int | str | None = None,
        truncation: float | None = None,
    ) -> Pictures:
        """Return the images of a seed as one value of its noise, or one code, changes, uint8 ``[steps, S, S, C]``.

        Args and errors: see `sample` and `LatentSpace.traverse`.
        """
        (vector,) = self.space.draw([seed], truncation)
        return self._render_as(label, self.space.traverse(axis, vector, steps))

    def _render_as(self, label: int | str | None, vectors: Latents) -> Pictures:
        return self.render(vectors, None if label is None else [label] * len(vectors))

    def render(self, vectors: Latents, labels: Sequence[int | str] | None = None) -> Pictures:
        """Return the images of vectors ``[N, width]``, uint8 ``[N, S, S, C]``.

        Raises:
            UserError: labels are missing, unknown or not expected.
            ValueError: not as many labels as vectors, or no vectors.
        """
        images = self.forward(torch.from_numpy(vectors), self._labels(labels))
        return images.clamp(-1, 1).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def _labels(self, labels: Sequence[int | str] | None) -> Tensor | None:
        if self.classes and labels is None:
            raise UserError(f"the model has classes; name those to make: {', '.join(self.classes)}")
        return None if labels is None else torch.tensor([self.label_of(label) for label in labels], dtype=torch.int64)

    def label_of(self, name: int | str) -> int:
        """Return the number of a class from its name or, where no class has that name, from its number.

        Raises:
            UserError: there is no such class.
        """
        if not self.classes:
            raise UserError(f"class '{name}': the model has no classes; leave --classes out")
        if isinstance(name, str) and name in self.classes:
            return self.classes.index(name)
        text = str(name)
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(self.classes):
            return int(text)
        numbers = f", or a number from 0 to {len(self.classes) - 1}"
        raise UserError(f"there is no class '{name}'{did_you_mean(text, self.classes).removesuffix('?')}{numbers}")

    def forward(self, vectors: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map vectors ``[N, width]`` and labels, int64 ``[N]``, to images ``[N, C, S, S]`` in fp32 on the device.

        Raises:
            ValueError: not as many labels as vectors, or no vectors.
            UserError: the device has not enough memory.
        """
        if not len(vectors) or (labels is not None and len(labels) != len(vectors)):
            raise ValueError(f"{len(vectors)} vectors and {'no' if labels is None else len(labels)} labels")
        size = BATCH if self.policy.dropout == "off" else 1  # what dropout draws depends on an image's place in a batch
        parts = [
            self._batch(vectors[at : at + size], None if labels is None else labels[at : at + size], size)
            for at in range(0, len(vectors), size)
        ]
        return torch.cat(parts)

    def _batch(self, vectors: Tensor, labels: Tensor | None, size: int) -> Tensor:
        filled = torch.arange(size).clamp(max=len(vectors) - 1)
        arguments = [part[filled].to(self.precision.device) for part in (vectors, labels) if part is not None]
        cudnn = torch.backends.cudnn
        try:
            with (
                TURNS,
                cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
                torch_seeded(0, "dropout", device=self.precision.device),
                torch.no_grad(),
                self.precision.autocast(),
            ):
                return cast(Tensor, self.network(*arguments)).float()[: len(vectors)]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"{self.precision.device} has not enough memory for {size} images of {self.shape[0]} pixels; try "
                "--precision bf16, or --device cpu"
            ) from error

    def describe(self) -> str:
        """Say what the model is and how it runs, in one line."""
        size, _, channels = self.shape
        space = self.space
        codes = f" and {len(space.categories) + space.continuous} codes" if space.width > space.noise else ""
        classes = f", {len(self.classes)} classes" if self.classes else ""
        statistics = "each image's own statistics" if self.policy.statistics == "image" else "running statistics"
        return (
            f"{self.label}, {size}x{size}x{channels} from {space.noise} values of {space.prior} noise{codes}{classes}, "
            f"on {self.precision.device} in {self.precision.name}, {statistics}, dropout {self.policy.dropout}"
        )
