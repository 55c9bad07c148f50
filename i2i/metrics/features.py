"""Networks that turn images into features, by which two sets of images are compared.

InceptionV3 with the weights of 2015, by which FID is defined, or a file of the user's own, for images that look nothing
like ImageNet's: medical ones, satellites', drawings.
"""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from i2i.errors import UserError
from i2i.weights import Weights, read_tensors

INCEPTION = Weights(
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
BATCH_PIXELS = 1 << 21  # most pixels in a batch, such as 32 images of 256 x 256


class Seen(NamedTuple):
    """What a network sees in images: features [N, D], and where it knows classes logits [N, K]."""

    features: Tensor
    logits: Tensor | None = None


class Extractor(Protocol):
    """A network that sees features.

    Attributes:
        label: what it is, in words.
        has_logits: whether it knows classes.
    """

    label: str
    has_logits: bool

    def __call__(self, images: Tensor) -> Seen:
        """Return what is seen in images [N, C, H, W] in [0, 1], fp32 on the CPU like the features."""


class Inception:
    """InceptionV3 as TensorFlow had it in 2015, by torch-fidelity: features of the last pooling, 2,048.

    Images become bytes and are resized to 299 x 299 as in the original code of FID, bilinearly and without
    antialiasing. The logits are without bias, as in the original code of the Inception Score.

    Args:
        folder: where its weights lie; None: where torch keeps what it has downloaded.
        device: where it runs.

    Raises:
        UserError: the weights are missing or other ones, or torch-fidelity is not installed.
    """

    has_logits = True

    def __init__(self, folder: Path | None = None, device: torch.device | str = "cpu") -> None:
        path = INCEPTION.find("InceptionV3, by which FID, KID, MiFID and the Inception Score are defined,", folder)
        read_tensors(path)  # the library would run what it holds
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise UserError("InceptionV3 takes the library torch-fidelity: pip install 'i2i[metrics]'") from error
        self.network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path)).to(device)
        self.device = device
        self.label = f"InceptionV3 of 2015, 2,048 features ({path.name})"

    def __call__(self, images: Tensor) -> Seen:
        """Return features [N, 2048] and logits [N, 1008] of images of 1 channel (taken for grey) or 3.

        Raises:
            UserError: the images have other numbers of channels.
        """
        if images.shape[1] not in (1, 3):
            raise UserError(f"InceptionV3 sees images of 1 or 3 channels, not {images.shape[1]}")
        levels = (images * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
        with exact():
            features, logits = self.network(levels.to(self.device))
        return Seen(features.cpu(), logits.cpu())


class OwnFeatures(ABC):
    """Features by a file of the user's own.

    Args:
        path: of the file.
    """

    has_logits = False

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.label = f"features of {path.name} (sha256 {digest[:12]})"
        self._size: int | None = None

    def __call__(self, images: Tensor) -> Seen:
        """Return features [N, D].

        Raises:
            UserError: the network does not take these images, or gives no features, or others than before.
        """
        rgb = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        try:
            features = self._run(rgb)
        except Exception as error:  # of code that is not ours
            raise UserError(f"{self.path}: does not take images {list(rgb.shape)} ({_last_line(error)})") from error
        if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != len(images):
            given = list(features.shape) if isinstance(features, Tensor) else f"a {type(features).__name__}"
            raise UserError(f"{self.path}: gives {given} for images {list(rgb.shape)}, and features are [N, D]")
        self._size = self._size or features.shape[1]
        if features.shape[1] != self._size:
            raise UserError(
                f"{self.path}: gives {features.shape[1]} features for images {list(rgb.shape)} and {self._size} for "
                "others; it must pool them, or resize its images"
            )
        if not features.isfinite().all():
            raise UserError(f"{self.path}: gives features that are not finite")
        return Seen(features.float().cpu())

    @abstractmethod
    def _run(self, images: Tensor) -> Any:
        """Return what the network gives."""


class TorchScript(OwnFeatures):
    """Features by a TorchScript file; it is code.

    Args:
        path: of the file.
        device: where it runs.

    Raises:
        UserError: it is no such file.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        super().__init__(path)
        self.device = device
        try:
            with warnings.catch_warnings(action="ignore"):  # torch would have everyone export in another format
                self.network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise UserError(f"{path}: is no TorchScript file, or is damaged; save one by torch.jit.save") from error

    def _run(self, images: Tensor) -> Any:
        with exact():
            return self.network(images.to(self.device))


class Onnx(OwnFeatures):
    """Features by an ONNX file, on the CPU. Where it takes one size alone, images are resized to that, antialiased.

    Args:
        path: of the file.

    Raises:
        UserError: it is no such file, does not take images, or onnxruntime is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            from onnxruntime import InferenceSession
        except ImportError as error:
            raise UserError("features by an ONNX file take onnxruntime: pip install 'i2i[export]'") from error
        try:
            self.session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise UserError(f"{path}: is no ONNX file that onnxruntime can run ({_last_line(error)})") from error
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            raise UserError(f"{path}: must take one input of floats, [N, 3, H, W]")
        count, _, height, width = inputs[0].shape
        self.input = inputs[0].name
        self.one_by_one = count == 1
        self.side = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        if self.side:
            self.label += f", images resized to {width}x{height}"

    def _run(self, images: Tensor) -> Tensor:
        if self.side and images.shape[2:] != self.side:
            images = interpolate(images, self.side, mode="bicubic", antialias=True).clamp(0, 1)
        parts = torch.split(images.contiguous(), 1 if self.one_by_one else len(images))
        return torch.cat([torch.from_numpy(self.session.run(None, {self.input: part.numpy()})[0]) for part in parts])


def load_extractor(
    features: Path | None = None,
    *,
    weights: Path | None = None,
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> Extractor:
    """Return the network whose features are compared.

    Args:
        features: a file of the user's own; None: InceptionV3. A TorchScript (``.pt``) or ONNX (``.onnx``) file takes
            images [N, 3, H, W] in [0, 1], fp32, and returns features [N, D]; to resize and to normalise is up to it.
            Grey images come with three equal channels, those of more than 3 channels with all of them.
        weights: folder of InceptionV3's weights; None: where torch keeps what it has downloaded.
        device: where it runs; ONNX files run on the CPU.
        trust: run a TorchScript file.

    Raises:
        UserError: a file is missing, of another kind or not trusted, or a library is not installed.
    """
    if features is None:
        return Inception(weights, device)
    if not features.is_file():
        raise UserError(f"{features}: there is no such file of features")
    if features.suffix.lower() == ".onnx":
        return Onnx(features)
    if features.suffix.lower() != ".pt":
        raise UserError(f"{features}: features come from a TorchScript file (.pt) or an ONNX file (.onnx)")
    if not trust:
        raise UserError(
            f"{features}: is TorchScript, which is code that would be run; if it is yours, add --trust (from Python: "
            "trust=True), or save it as ONNX, which needs none"
        )
    return TorchScript(features, device)


class FeatureSet:
    """Gathers what a network sees in one image after the other; it keeps that, and not the images.

    Args:
        extractor: the network.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self._waiting: list[Tensor] = []
        self._seen: list[Seen] = []

    def add(self, image: Tensor) -> None:
        """Take an image [C, H, W] in [0, 1]; images of one shape that follow each other are batched."""
        if self._waiting and self._waiting[0].shape != image.shape:
            self._look()
        self._waiting.append(image)
        if (len(self._waiting) + 1) * image[0].numel() > BATCH_PIXELS:
            self._look()

    def seen(self) -> Seen | None:
        """Return what was seen in all images so far; None: there was none."""
        self._look()
        if not self._seen:
            return None
        features, logits = zip(*self._seen, strict=True)
        whole = Seen(torch.cat(features), torch.cat(logits) if self.extractor.has_logits else None)
        self._seen = [whole]
        return whole

    def _look(self) -> None:
        if self._waiting:
            self._seen.append(self.extractor(torch.stack(self._waiting)))
            self._waiting = []


@contextmanager
def exact() -> Iterator[None]:
    """Run networks in inference mode and in full fp32 (no TF32), so that values are equal on every device."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shorten(lines[-1] if lines else type(error).__name__, 160)
