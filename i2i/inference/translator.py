"""A trained generator, ready to translate images."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from i2i.data import DataConfig, files, to_model_range
from i2i.data.config import MAX_CHANNELS
from i2i.inference.trained import Direction, open_model
from i2i.nn import InferencePolicy, apply_policy
from i2i.optim import Precision, PrecisionName, choose_device
from i2i.seeding import torch_seeded

Images = TypeVar("Images")


def load(
    path: str | Path,
    *,
    direction: Direction | None = None,
    device: str = "auto",
    precision: PrecisionName = "fp32",
    statistics: Literal["running", "image"] | None = None,
    dropout: Literal["off", "sample"] | None = None,
    seed: int = 0,
    trust: bool = False,
) -> Translator:
    """Load a trained model from a run (its last checkpoint), from one checkpoint, or from foreign files.

    Args:
        path: a run's folder, a ``checkpoints/step_...`` folder, a generator's ``.pth`` file of the
            CycleGAN-and-pix2pix code, or a folder of such files.
        direction: which way to translate; a pix2pix model has one, the one it was trained in, a CycleGAN both.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: ``fp32`` gives the same result everywhere; ``bf16`` and ``fp16`` are faster on devices made for them.
        statistics: what batch norm divides by, its ``running`` statistics or those of each ``image``, instead of what
            the run's validation used (foreign files: running).
        dropout: ``off`` or ``sample``, instead of what the run's validation used (foreign files: off).
        seed: of sampled dropout.
        trust: import the code that the model names as its network (``module:attribute``), if it is your own.

    Raises:
        UserError: there is no such model, it is damaged, it names code and is not trusted, or it does not go in that
            direction.
    """
    model = open_model(path)
    trained, way = model.generator(direction)
    channels = [n if n <= MAX_CHANNELS else None for n in (trained.in_channels, trained.out_channels)]
    a, b = channels if way == "AtoB" else reversed(channels)
    overrides = {"statistics": statistics, "dropout": dropout}
    return Translator(
        trained.build(trust=trust),
        in_channels=trained.in_channels,
        policy=model.policy.model_copy(update={key: value for key, value in overrides.items() if value}),
        data=model.data.model_copy(update={"direction": way, "channels_a": a, "channels_b": b}),
        data_seed=model.data_seed,
        precision=Precision(precision, choose_device(device)),
        seed=seed,
        label=trained.label,
    )


def _exact_convolutions() -> AbstractContextManager[None]:
    """Return the context in which cuDNN keeps fp32's precision, so that results are equal everywhere (no TF32)."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(enabled=True, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)


class Translator:
    """Translates images with a generator under a recorded policy.

    Args:
        network: the generator, ``[N, C, H, W]`` to ``[N, C', H, W]``, any size, in [-1, 1].
        in_channels: the channels C it takes.
        policy: what batch norm and dropout do.
        data: how the images it was trained on were prepared.
        data_seed: the seed by which they were split.
        precision: device and arithmetic.
        seed: of sampled dropout.
        label: what the model is, in words.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        in_channels: int,
        policy: InferencePolicy,
        data: DataConfig,
        data_seed: int = 0,
        precision: Precision,
        seed: int = 0,
        label: str = "",
    ) -> None:
        self.network = network.to(precision.device).to(memory_format=precision.memory_format())
        apply_policy(self.network, policy)
        self._turns = threading.Lock()  # where a forward depends on state of the whole process, one goes at a time
        self.in_channels = in_channels
        self.policy = policy
        self.data, self.data_seed = data, data_seed
        self.precision = precision
        self.seed = seed
        self.label = label

    def forward(self, images: Tensor) -> Tensor:
        """Translate a batch ``[N, C, H, W]`` in [-1, 1] and return it in fp32 on the same device.

        Each image's result depends on that image alone, whatever else is in the batch.
        """
        device = self.precision.device
        batch = images.to(device).contiguous(memory_format=self.precision.memory_format())
        with torch.no_grad(), self.precision.autocast():
            if self.policy.dropout == "off" and device.type != "cuda":
                return cast(Tensor, self.network(batch)).float().to(images.device)
            with self._turns, _exact_convolutions():
                if self.policy.dropout == "off":
                    return cast(Tensor, self.network(batch)).float().to(images.device)
                # Sampled dropout draws anew for every image, so each is drawn from the seed on its own.
                outputs = []
                for image in torch.split(batch, 1):
                    with torch_seeded(self.seed, "dropout", device=device):
                        outputs.append(self.network(image).float())
                return torch.cat(outputs).to(images.device)

    def translate(self, images: Images) -> Images:
        """Translate images and return the same kind: sizes are kept.

        Args:
            images: a PIL image, a uint8 or uint16 array ``[H, W]`` or ``[H, W, C]``, a tensor ``[C, H, W]`` or
                ``[N, C, H, W]`` in [-1, 1], or a sequence of these.

        Raises:
            TypeError: the images are of another kind.
            ValueError: a tensor has other channels than the network takes.
        """
        if isinstance(images, Tensor):
            return cast(Images, self._translate_tensor(images))
        if isinstance(images, Image.Image):
            output = files.to_uint8(self.translate_pixels([files.from_pil(images)])[0])
            return cast(Images, Image.fromarray(output[..., 0] if output.shape[2] == 1 else output))
        if isinstance(images, np.ndarray):
            if images.dtype not in (np.uint8, np.uint16) or images.ndim not in (2, 3):
                raise TypeError(
                    f"arrays must be uint8 or uint16 [H, W] or [H, W, C], not {images.dtype} {images.shape}"
                )
            return cast(Images, self.translate_pixels([np.atleast_3d(images)], deep=images.dtype == np.uint16)[0])
        if isinstance(images, Sequence) and not isinstance(images, str | bytes):
            return cast(Images, type(images)([self.translate(image) for image in images]))  # type: ignore[call-arg]
        raise TypeError(f"images must be PIL, uint8 arrays or tensors, not {type(images).__name__}")

    def _translate_tensor(self, images: Tensor) -> Tensor:
        batch = images if images.dim() == 4 else images[None]
        if batch.dim() != 4 or batch.shape[1] != self.in_channels:
            raise ValueError(f"the model takes [N, {self.in_channels}, H, W], not {list(images.shape)}")
        output = self.forward(batch.float())
        return output if images.dim() == 4 else output[0]

    def translate_pixels(self, images: Sequence[files.Pixels], *, deep: bool = False) -> list[files.Pixels]:
        """Translate images of one size, ``[H, W, C]`` uint8 or uint16, as one batch.

        Args:
            images: what to translate.
            deep: return uint16 instead of uint8 ``[H, W, C']``.
        """
        unit = self._unit_outputs(images)
        if deep:
            return list(unit.cpu().double().mul(65535).round().numpy().astype(np.uint16))
        return list(unit.mul(255).round().byte().cpu().numpy())

    def _unit_outputs(self, images: Sequence[files.Pixels]) -> Tensor:
        """Return the outputs ``[N, H, W, C']`` in [0, 1]."""
        rows = []
        for image in images:
            pixels = files.to_channels(image, self.in_channels).transpose(2, 0, 1)
            if pixels.dtype == np.uint16:
                rows.append(torch.from_numpy(pixels.astype(np.float32) / 65535))
            else:
                rows.append(torch.from_numpy(np.ascontiguousarray(pixels)))
        if len({row.dtype for row in rows}) > 1:
            rows = [row.float() / 255 if row.dtype == torch.uint8 else row for row in rows]
        output = self.forward(to_model_range(torch.stack(rows).to(self.precision.device)))
        return output.clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1)

    def describe(self) -> str:
        """Say what the model is and how it runs, in one line."""
        statistics = "each image's own statistics" if self.policy.statistics == "image" else "running statistics"
        return (
            f"{self.label}, {self.data.direction}, on {self.precision.device} in {self.precision.name}, {statistics}, "
            f"dropout {self.policy.dropout}"
        )
