"""A trained generator, ready to translate images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from i2i.data import DataConfig, files, to_model_range
from i2i.data.config import MAX_CHANNELS, Resize
from i2i.data.derive import MARKED, Derivation, with_mask
from i2i.data.geometry import resize, short_side_size
from i2i.data.images import to_floats
from i2i.errors import UserError
from i2i.inference.memory import SMALLEST_TILE, crop_side, free_bytes, largest_tile, peak_bytes
from i2i.inference.runtimes import Captured, Forward, Runtime, seconds, to_onnx
from i2i.inference.tiles import scattered, tiled
from i2i.inference.trained import Direction, open_model
from i2i.nn import InferencePolicy, Statistics, apply_policy, hasten
from i2i.nn.convolution import set_products
from i2i.nn.policy import shared_statistics
from i2i.optim import Precision, PrecisionName, choose_device
from i2i.seeding import torch_seeded

Images = TypeVar("Images")
Tile = int | Literal["auto"]

# How many images go through the network at once. Of a GPU nothing was measured.
MOST_IMAGES = 16
PIXELS_AT_ONCE = 2**20

PAYS_FOR_CONVERSION = 60.0  # seconds of translating from which on converting the network, which takes a few, is tried


def load(
    path: str | Path,
    *,
    direction: Direction | None = None,
    device: str = "auto",
    precision: PrecisionName = "fp32",
    tile: Tile | None = None,
    statistics: Statistics | None = None,
    dropout: Literal["off", "sample"] | None = None,
    seed: int = 0,
    trust: bool = False,
    runtime: Runtime = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> Translator:
    """Load a trained model from a run (its last checkpoint), from one checkpoint, an exported file or foreign files.

    An exported graph (ONNX, ``.pt2``) has its policy and precision fixed, and an ONNX file runs on the CPU.

    Args:
        path: a run's folder, a ``checkpoints/step_...`` folder, a file that `i2i export` wrote, a generator's ``.pth``
            file of the CycleGAN-and-pix2pix code, or a folder of such files.
        direction: which way to translate; a pix2pix model has one, the one it was trained in, a CycleGAN both.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: ``fp32`` gives the same result everywhere; ``bf16`` and ``fp16`` are faster on devices made for them.
        tile: side of the tiles that larger images are translated in; ``auto``: tiles only where memory does not hold
            the whole image, as large as it holds; None: never.
        statistics: what batch norm divides by, its ``running`` statistics or those of each ``image``, instead of what
            the run's validation used (foreign files: running).
        dropout: ``off`` or ``sample``, instead of what the run's validation used (foreign files: off).
        seed: of sampled dropout.
        trust: import the code that the model names as its network (``module:attribute``), or read a ``.pt2`` file,
            which may run code, if it is your own.
        runtime: by what the network is run. ``torch`` computes the same as ``plain``, which takes torch's layers as
            they are, up to rounding and in less time; ``onnx`` takes onnxruntime, on the CPU and in fp32; ``auto`` is
            torch until `Translator.choose_runtime` is asked.
        say: takes lines for the user.

    Raises:
        UserError: there is no such model, it is damaged, it names code and is not trusted, it does not go in that
            direction, it is a graph that does not run like that, or onnxruntime does not run it.
    """
    if seed < 0:
        raise UserError(f"--seed {seed}: must not be negative")
    model = open_model(path)
    trained, way = model.generator(direction)
    in_channels, out_channels = trained.measures["in_channels"], trained.measures["out_channels"]
    channels = [n if n <= MAX_CHANNELS else None for n in (in_channels, out_channels)]
    a, b = channels if way == "AtoB" else reversed(channels)
    asked = {"statistics": statistics, "dropout": dropout, "device": device, "precision": precision, "tile": tile}
    settled = trained.settled(asked)
    overrides = {key: settled[key] for key in ("statistics", "dropout") if settled[key]}
    return Translator(
        trained.build(trust=trust),
        in_channels=in_channels,
        out_channels=out_channels,
        policy=model.policy.model_copy(update=overrides),
        data=model.data.model_copy(update={"direction": way, "channels_a": a, "channels_b": b}),
        data_seed=model.data_seed,
        precision=Precision(settled["precision"], choose_device(settled["device"])),
        tile=settled["tile"],
        seed=seed,
        label=trained.label,
        trusted=trust,
        runtime=runtime,
        say=say,
    )


TURNS = threading.RLock()
"""Taken by forwards that depend on state of the whole process, such as random numbers, or of their network."""


def is_out_of_memory(error: Exception) -> bool:
    """Say whether memory ran out: the GPU's, which is a kind of RuntimeError, or the machine's."""
    words = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in words)


def _exact_convolutions() -> AbstractContextManager[None]:
    """Return the context in which cuDNN keeps fp32's precision, so that results are equal everywhere (no TF32)."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(enabled=True, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)


class Translator:
    """Translates images with a generator under a recorded policy.

    Args:
        network: the generator, ``[N, C, H, W]`` to ``[N, C', kH, kW]``, any size, in [-1, 1]; k is 1, or the factor of
            super-resolution.
        in_channels: the channels C it takes.
        out_channels: the channels C' it returns.
        policy: what batch norm and dropout do.
        data: how the images it was trained on were prepared.
        data_seed: the seed by which they were split.
        precision: device and arithmetic.
        tile: side of tiles, or ``auto``, or None; see `load`.
        seed: of sampled dropout.
        label: what the model is, in words.
        trusted: whether code that `data` names may be run, to derive inputs from photos.
        runtime: by what the network is run; see `load`.
        say: takes lines for the user.

    Raises:
        UserError: onnxruntime is asked for and cannot run the network like this.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        in_channels: int,
        out_channels: int,
        policy: InferencePolicy,
        data: DataConfig,
        data_seed: int = 0,
        precision: Precision,
        tile: Tile | None = None,
        seed: int = 0,
        label: str = "",
        trusted: bool = False,
        runtime: Runtime = "auto",
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        # Random numbers are drawn in the order of the memory, on which sampled dropout's results are not to depend.
        plain = runtime == "plain" or policy.dropout == "sample"
        self._layout = precision.memory_format(None if plain else True)
        self.network = network.to(precision.device).to(memory_format=self._layout)
        apply_policy(self.network, policy)
        set_products(self.network, not plain)
        if not plain:
            hasten(self.network, precision.dtype)
        self._batch_sizes: dict[tuple[int, int], int] = {}
        self._fitting = 0  # pixels of the largest batch that is known to fit into memory
        self.in_channels, self.out_channels = in_channels, out_channels
        self.policy = policy
        self.data, self.data_seed = data, data_seed
        self.precision = precision
        self.tile = tile
        self.seed = seed
        self.label = label
        self.trusted = trusted
        self.runtime: Runtime = runtime
        self._forward: Forward = self.network  # of what is not cut into tiles
        if runtime == "onnx":
            if reason := self._unfit_for_onnx():
                raise UserError(f"--runtime onnx: {reason}")
            self._forward = to_onnx(self.network, in_channels)
        elif not plain and precision.device.type == "cuda":
            self._forward = Captured(self.network, say)

    def _unfit_for_onnx(self) -> str | None:
        """Say why onnxruntime cannot run the network like this; None: it can."""
        if self.precision.device.type != "cpu":
            return f"runs on the CPU, not on {self.precision.device}; add --device cpu"
        if self.precision.dtype != torch.float32:
            return f"computes in fp32, not in {self.precision.name}; add --precision fp32"
        if self.policy.dropout == "sample":
            return "draws no random numbers, and dropout is sampled; add --dropout off"
        if not any(True for _ in self.network.parameters()):
            return "the model is a graph already, and is run by what reads it; leave --runtime out"
        return None

    def choose_runtime(self, image: files.Pixels, count: int, say: Callable[[str], None]) -> None:
        """Let ``auto`` try onnxruntime on many images of one size, and keep what is faster.

        Args:
            image: one of them, as the network takes it.
            count: how many there are.
            say: takes lines for the user.
        """
        if self.runtime != "auto" or self.tile is not None or self._unfit_for_onnx():
            return
        size = self.batch_size(*image.shape[:2])
        if self._needs_tiles(size, *image.shape[:2]):
            return
        images = to_model_range(_stacked([files.to_channels(image, self.in_channels)] * size))
        self.forward(images)  # sets libraries up
        if seconds(self.forward, images) * count / size < PAYS_FOR_CONVERSION:
            return
        try:
            onnx = to_onnx(self.network, self.in_channels)
        except (UserError, RuntimeError) as error:
            say(f"note: onnxruntime was not tried, which may be faster than torch: {error}")
            return
        times: dict[Forward, list[float]] = {self.network: [], onnx: []}
        for _, (self._forward, taken) in product(range(3), times.items()):
            taken.append(seconds(self.forward, images))
        self._forward = min(times, key=lambda forward: min(times[forward]))
        say(f"network: run by {'onnxruntime' if self._forward is onnx else 'torch'}, the faster one here")

    def batch_size(self, height: int, width: int) -> int:
        """Return how many images of a size are best translated at once."""
        if self.precision.device.type != "cpu":
            return max(1, min(MOST_IMAGES, PIXELS_AT_ONCE // (height * width)))
        if (height, width) not in self._batch_sizes:
            peak = peak_bytes(self.network, self.in_channels, height, width)
            # A batch helps a CPU where there is more of the weights to read than of the maps, as in a U-Net.
            weights = sum(parameter.numel() * parameter.element_size() for parameter in self.network.parameters())
            self._batch_sizes[height, width] = max(1, min(MOST_IMAGES, weights // peak)) if peak else 1
        return self._batch_sizes[height, width]

    def forward(self, images: Tensor) -> Tensor:
        """Translate a batch ``[N, C, H, W]`` in [-1, 1] and return it in fp32 on the same device.

        Each image's result depends on that image alone, whatever else is in the batch.

        Raises:
            UserError: memory does not hold an image, and tiles were not asked for.
        """
        if not self._needs_tiles(len(images), *images.shape[-2:]):
            try:
                return self._whole(images)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.tile != "auto":
                    raise
            self._fitting = 0  # the estimate was too low, or somebody else has taken what was free
        if len(images) > 1:
            return torch.cat([self.forward(image) for image in torch.split(images, 1)])
        return self._in_tiles(images)

    def _needs_tiles(self, count: int, height: int, width: int) -> bool:
        """Say whether a batch is too large: for the tiles that were asked for, or for the memory."""
        if isinstance(self.tile, int):
            return max(height, width) > self.tile
        pixels = count * height * width
        if pixels > self._fitting and self._largest_tile(count * height, width) is None:  # memory is linear in pixels
            self._fitting = pixels
        return pixels > self._fitting

    def _largest_tile(self, height: int, width: int) -> int | None:
        """Return the side of the largest tile that fits, or None where the whole does."""
        # Running out of a GPU's memory raises an error; a process that takes all of a machine's is killed.
        share = 0.9 if self.precision.device.type == "cuda" else 0.5
        free = free_bytes(self.precision.device)
        return largest_tile(self.network, self.in_channels, height, width, free, share=share)

    def _whole(self, images: Tensor) -> Tensor:
        if self.policy.dropout == "off" and self.precision.device.type != "cuda" and self.tile is None:
            return self._run(images, self._forward)
        with TURNS, _exact_convolutions():
            if self.policy.dropout == "off":
                return self._run(images, self._forward)
            # Sampled dropout draws anew for every image, so each is drawn from the seed on its own.
            return torch.cat([self._sampled(self._run, image) for image in torch.split(images, 1)])

    def _in_tiles(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        tile = self.tile if isinstance(self.tile, int) else self._largest_tile(height, width)
        tile = tile or max(SMALLEST_TILE, max(height, width) // 2)
        if self.tile is None:
            raise UserError(f"{width}x{height} needs more memory than there is; add --tile auto, or --tile {tile}")
        while True:
            try:
                with TURNS, _exact_convolutions():
                    return self._sampled(partial(self._tiled, tile=tile), image)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.tile != "auto" or tile <= SMALLEST_TILE:
                    raise
            tile = max(SMALLEST_TILE, tile // 2)  # the estimate was too low

    def _tiled(self, image: Tensor, tile: int) -> Tensor:
        crops = scattered(image, tile, crop_side(self.network, self.in_channels, tile))
        with shared_statistics(self.network, self._run, crops):
            try:
                return tiled(self._run, image, tile)
            except ValueError as error:  # of a network that does not keep sizes, or overflows
                raise UserError(f"{error}; leave --tile out, or try --precision fp32") from error

    def _sampled(self, forward: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
        with torch_seeded(self.seed, "dropout", device=self.precision.device):
            return forward(image)

    def _run(self, images: Tensor, forward: Forward | None = None) -> Tensor:
        batch = images.to(self.precision.device).contiguous(memory_format=self._layout)
        with torch.no_grad(), self.precision.autocast():
            return (forward or self.network)(batch).float().to(images.device)

    def translate(self, images: Images, mask: Any = None) -> Images:
        """Translate images and return the same kind: sizes are kept, or multiplied by `magnification`.

        Args:
            images: a PIL image, a uint8 or uint16 array ``[H, W]`` or ``[H, W, C]``, a tensor ``[C, H, W]`` or
                ``[N, C, H, W]`` in [-1, 1], or a sequence of these. A tensor is what the network itself takes.
            mask: for models that take one beside each image (`wants_mask`): a PIL image or an array of the image's
                size, white (or true) where it is marked; for a sequence of images a sequence of masks, or one for all.

        Raises:
            TypeError: the images are of another kind.
            ValueError: a tensor has other channels than the network takes.
            UserError: there is no mask where one is wanted, or it marks nothing though it is not black, is of another
                size, or not wanted.
        """
        if isinstance(images, Tensor):
            if mask is not None:
                raise UserError("a tensor is what the network itself takes, mask and all; leave the mask out")
            return cast(Images, self._translate_tensor(images))
        if isinstance(images, Image.Image):
            pixels, alpha = self.prepared(files.from_pil(images), _as_mask(mask))
            output = self.finished(self.translate_pixels([pixels])[0], alpha)
            return cast(Images, Image.fromarray(output[..., 0] if output.shape[2] == 1 else output))
        if isinstance(images, np.ndarray):
            pixels, alpha = self.prepared(_as_pixels(images), _as_mask(mask))
            deep = images.dtype == np.uint16
            return cast(Images, self.finished(self.translate_pixels([pixels], deep=deep)[0], alpha))
        if isinstance(images, Sequence) and not isinstance(images, str | bytes):
            masks = mask if isinstance(mask, Sequence) else [mask] * len(images)
            if len(masks) != len(images):
                raise UserError(f"{len(masks)} masks for {len(images)} images; give one for each, or one for all")
            outputs = [self.translate(image, its_mask) for image, its_mask in zip(images, masks, strict=True)]
            return cast(Images, type(images)(outputs))  # type: ignore[call-arg]
        raise TypeError(f"images must be PIL, uint8 arrays or tensors, not {type(images).__name__}")

    @property
    def derive(self) -> Derivation | None:
        """How the inputs that the network takes were derived from photos; None where they were not."""
        return self.data.derive if self.data.direction == "AtoB" else None

    def refuse_unknown_code(self) -> None:
        """Refuse to derive inputs from photos where that would run code of the model's maker.

        Raises:
            UserError: it would, and the model is not trusted.
        """
        if self.data.derive is not None and self.data.derive.names_code and not self.trusted:
            raise UserError(
                f"{self.label}: its inputs are derived by code of its maker's, '{self.data.derive.name}', which would "
                "be run; if it is yours, add --trust (from Python: trust=True)"
            )

    @property
    def magnification(self) -> int:
        """How many times larger an output is than the image it is made of: above 1 for super-resolution."""
        return self.derive.magnification if self.derive else 1

    @property
    def wants_mask(self) -> bool:
        """Whether a mask belongs to each image: of what is to be painted, or to be put there."""
        if self.derive is not None:
            return self.derive.wants_mask
        return self.data.direction == "AtoB" and [part.channels for part in self.data.parts_a][1:] == [1]

    @property
    def wants_several(self) -> bool:
        """Whether its inputs are several images put together, so that a single one is none, not even with a mask."""
        return self.data.direction == "AtoB" and bool(self.data.parts_a) and not self.wants_mask

    def is_deep(self, image: files.Pixels) -> bool:
        """Say whether an image's output has 16 bits: where the image has, or those of training had."""
        return self.data.bits == 16 or image.dtype == np.uint16

    def prepared(
        self, image: files.Pixels, mask: files.Pixels | None = None, size: int | None = None
    ) -> tuple[files.Pixels, files.Pixels | None]:
        """Return what the network takes of an image ``[H, W, C]``, and the transparency that goes past it.

        Args:
            image: uint8 or uint16.
            mask: ``[H, W, C]``, where `wants_mask`.
            size: short side to work at; None: the image's own.

        Raises:
            UserError: there is no mask where one is wanted, or it marks nothing though it is not black, is of another
                size, or not wanted.
        """
        marked = None if mask is None else self._marked(mask, image)
        image, alpha = files.split_alpha(image) if self.carries_alpha else (image, None)
        if size is not None:
            height, width = short_side_size(image.shape[0], image.shape[1], size)
            image = resized(image, height, width, "nearest" if self._takes_maps else "bicubic")
            marked = None if marked is None else resize(marked, height, width, "nearest")
        if self.derive is None and not self.wants_mask:
            return image, alpha
        image = files.to_channels(image, self.in_channels - self.wants_mask)
        if self.derive is None:  # photos and masks lay in two folders
            return with_mask("mask", files.to_uint8(image), marked)[0], alpha
        if image.dtype == np.uint16:
            return np.round(self.derive.prepared(to_floats(image), marked) * 65535).astype(np.uint16), alpha
        return self.derive.prepared(image, marked), alpha

    def _marked(self, mask: files.Pixels, image: files.Pixels) -> npt.NDArray[np.uint8]:
        """Return a mask as grey ``[H, W, 1]``, or refuse it."""
        if not self.wants_mask:
            raise UserError("this model takes no masks; leave the mask out")
        if mask.shape[:2] != image.shape[:2]:
            sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (mask, image)]
            raise UserError(f"the mask is of {sizes[0]} pixels and its image of {sizes[1]}; make both of one size")
        marked = files.to_uint8(files.to_channels(mask, 1))
        if 0 < marked.max() < MARKED:
            raise UserError(f"the mask marks nothing: its brightest value is {marked.max()} of 255; mark in white")
        return marked

    @property
    def _takes_maps(self) -> bool:
        """Whether inputs are masks or maps of labels, whose values must not be blended."""
        how = self.data.resize_b if self.data.direction == "BtoA" else self.data.resize_a
        return how == "nearest" and self.data.derive is None

    def finished(self, output: files.Pixels, alpha: files.Pixels | None) -> files.Pixels:
        """Return an output with the transparency of its image, enlarged with it."""
        return output if alpha is None else files.with_alpha(output, alpha_like(output, alpha))

    def _translate_tensor(self, images: Tensor) -> Tensor:
        batch = images if images.dim() == 4 else images[None]
        if batch.dim() != 4 or batch.shape[1] != self.in_channels:
            raise ValueError(f"the model takes [N, {self.in_channels}, H, W], not {list(images.shape)}")
        output = self.forward(batch.float())
        return output if images.dim() == 4 else output[0]

    def translate_pixels(self, images: Sequence[files.Pixels], *, deep: bool = False) -> list[files.Pixels]:
        """Translate images of one size, ``[H, W, C]`` uint8 or uint16, as one batch.

        Args:
            images: what the network takes (see `prepared`).
            deep: return uint16 instead of uint8 ``[kH, kW, C']``.

        Raises:
            UserError: the images' channels cannot become the network's, or memory does not suffice.
        """
        return self.begin(images, deep=deep)()

    def begin(self, images: Sequence[files.Pixels], *, deep: bool = False) -> Callable[[], list[files.Pixels]]:
        """Begin to `translate_pixels` and return what waits for the outputs.

        A GPU computes meanwhile, and copies go to and fro beside it; a CPU is done on return.

        Raises:
            UserError: the images' channels cannot become the network's, or memory does not suffice; from what is
                returned: the outputs are not finite.
        """
        batch = _stacked([files.to_channels(image, self.in_channels) for image in images])
        on_gpu = self.precision.device.type == "cuda"
        batch = (batch.pin_memory() if on_gpu else batch).to(self.precision.device, non_blocking=on_gpu)
        output = self.forward(to_model_range(batch))
        unit = output.clamp(-1, 1).add(1).div(2).permute(0, 2, 3, 1)
        finite = _begin_fetching(output.isfinite().all())
        pixels = _begin_fetching(unit if deep else unit.mul(255).round().byte())
        fetched = torch.cuda.current_stream().record_event() if on_gpu else None

        def finish() -> list[files.Pixels]:
            if fetched is not None:
                fetched.synchronize()
            if not finite:
                raise UserError(f"the network's output is not finite in {self.precision.name}; try --precision fp32")
            if deep:
                return list(pixels.double().mul(65535).round().numpy().astype(np.uint16))
            return list(pixels.numpy())

        return finish

    @property
    def carries_alpha(self) -> bool:
        """Whether an image's transparency goes past the network: both sides of it are grey or colour."""
        return self.in_channels - self.wants_mask in (1, 3) and self.out_channels in (1, 3)

    def describe(self) -> str:
        """Say what the model is and how it runs, in one line."""
        statistics = "each image's own statistics" if self.policy.statistics == "image" else "running statistics"
        larger = f", outputs {self.magnification} times as large" if self.magnification > 1 else ""
        return (
            f"{self.label}, {self.data.direction}, on {self.precision.device} in {self.precision.name}, {statistics}, "
            f"dropout {self.policy.dropout}{larger}"
        )


def _stacked(images: Sequence[files.Pixels]) -> Tensor:
    """Return images ``[H, W, C]`` as a batch ``[N, C, H, W]``: uint8, or floats in [0, 1] where one is uint16."""
    rows: Sequence[npt.NDArray[Any]] = images
    if any(image.dtype == np.uint16 for image in images):
        rows = [to_floats(image) for image in images]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2)


def _begin_fetching(values: Tensor) -> Tensor:
    """Return a tensor on the host that holds `values` once the GPU has come so far; at once from other devices."""
    if values.device.type != "cuda":
        return values.cpu().contiguous()
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values.contiguous(), non_blocking=True)


def alpha_like(output: files.Pixels, alpha: files.Pixels) -> files.Pixels:
    """Return the transparency ``[H, W, 1]`` of an image at the size of what was made of it."""
    return resized(alpha, *output.shape[:2])


def resized(pixels: files.Pixels, height: int, width: int, how: Resize = "bicubic") -> files.Pixels:
    """Return pixels ``[H, W, C]``, uint8 or uint16, at another size."""
    if pixels.dtype == np.uint16:
        return np.round(resize(to_floats(pixels), height, width, how) * 65535).astype(np.uint16)
    return resize(pixels, height, width, how)


def _as_pixels(image: Any) -> Any:
    """Return a PIL image or an array as pixels ``[H, W, C]``.

    Raises:
        TypeError: it is neither, or of another type or shape.
    """
    if image is None:
        return None
    if isinstance(image, Image.Image):
        return files.from_pil(image)
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3):
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise TypeError(f"arrays must be uint8 or uint16 [H, W] or [H, W, C], not {kind}")
    return np.atleast_3d(image)


def _as_mask(mask: Any) -> Any:
    is_bool = isinstance(mask, np.ndarray) and mask.dtype == np.bool_
    return _as_pixels(mask * np.uint8(255) if is_bool else mask)
