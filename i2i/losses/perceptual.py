"""The perceptual loss: how far two images are apart for a network that has learned to see (Johnson et al. 2016)."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from i2i.config import Config, OneOrMore
from i2i.errors import UserError
from i2i.losses.widen import at_least_fp32

# How many channels an image may have.
CHANNELS = (1, 3)
# Of ImageNet's RGB in [0, 1], by which those who trained the networks normalised their images.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Convolutions before each pooling (Simonyan & Zisserman 2015, table 1, D and E).
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
# Torch's names of the files of weights; the digits are the first of the file's sha256.
FILES = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth"}

# fmt: off
LayerName = Literal[
    "relu1_1", "relu1_2",
    "relu2_1", "relu2_2",
    "relu3_1", "relu3_2", "relu3_3", "relu3_4",
    "relu4_1", "relu4_2", "relu4_3", "relu4_4",
    "relu5_1", "relu5_2", "relu5_3", "relu5_4",
]
# fmt: on


class PerceptualConfig(Config):
    """Which features of which network are compared.

    Attributes:
        network: the classifier of ImageNet whose features are compared.
        layers: their names: ``relu3_2`` is the second convolution's output in the third block, after its ReLU.
        layer_weights: what the layers' distances are multiplied with, one each; None: 1 for all.
        weights: file of the network's weights; None: where torch keeps those that it has downloaded.
    """

    network: Literal["vgg16", "vgg19"] = "vgg16"
    layers: Annotated[tuple[LayerName, ...], OneOrMore, Field(min_length=1)] = (
        "relu1_2",
        "relu2_2",
        "relu3_3",
        "relu4_3",
    )
    layer_weights: Annotated[tuple[PositiveFloat, ...] | None, OneOrMore] = None
    weights: str | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> PerceptualConfig:
        lengths = dict(enumerate(BLOCKS[self.network], 1))
        known = [name for name in get_args(LayerName) for block, nth in [_place(name)] if nth <= lengths[block]]
        for name in self.layers:
            if name not in known:
                raise ValueError(f"{self.network} has no layer {name}; choose of: {', '.join(known)}")
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers names one twice ({', '.join(self.layers)}); keep one, and set layer_weights")
        if self.layer_weights is not None and len(self.layer_weights) != len(self.layers):
            raise ValueError(
                f"there are {len(self.layers)} layers and {len(self.layer_weights)} layer_weights; give one for each, "
                "or set layer_weights to null"
            )
        return self

    @property
    def indices(self) -> tuple[int, ...]:
        """The layers' places in torchvision's ``features``, in the order of `layers`."""
        blocks, places = BLOCKS[self.network], map(_place, self.layers)
        # a block is its convolutions, a ReLU behind each, and a pooling
        return tuple(sum(2 * length + 1 for length in blocks[: block - 1]) + 2 * nth - 1 for block, nth in places)

    @property
    def deepest(self) -> LayerName:
        """The last layer that images must pass."""
        return max(self.layers, key=_place)

    @property
    def url(self) -> str:
        """Where the network's weights can be fetched from, by hand."""
        return f"https://download.pytorch.org/models/{FILES[self.network]}"

    def refuse_small(self, size: int, key: str = "perceptual") -> None:
        """Refuse images from which the poolings before the deepest layer leave nothing.

        Args:
            size: the shorter side in pixels.
            key: where these options stand, for the error's text.

        Raises:
            UserError: they are too small.
        """
        if size < (least := 2 ** (_place(self.deepest)[0] - 1)):
            raise UserError(
                f"{key}.layers: {self.deepest} needs images of at least {least} pixels, not {size}; choose an earlier "
                "layer, or larger images"
            )

    def find_weights(self, key: str = "perceptual") -> Path:
        """Return the file of the weights; nothing is downloaded.

        Raises:
            UserError: there is none; the line says which file goes where.
        """
        if self.weights is not None:
            path = Path(self.weights).expanduser()
            if not path.is_file():
                raise UserError(
                    f"--set {key}.weights={self.weights}: there is no such file; name one with the weights of "
                    f"{self.network}, such as that from {self.url}"
                )
            return path
        path = Path(torch.hub.get_dir(), "checkpoints", FILES[self.network])
        if not path.is_file():
            raise UserError(
                f"{path}: is missing, and the perceptual loss needs it: fetch it from {self.url}, or name another file "
                f"with --set {key}.weights=FILE"
            )
        return path


class Perceptual(nn.Module):
    r"""The distance of images as a trained VGG sees them (Johnson, Alahi & Fei-Fei 2016, eq. 2).

    It is the sum over layers of weight times the mean squared difference of the features there,
    :math:`\|\phi_j(\hat y) - \phi_j(y)\|_2^2 / (C_j H_j W_j)`, mean over images. The network (Simonyan & Zisserman
    2015) stays as it is: it has no gradients and is always in inference mode.

    Args:
        config: the network, its layers and where its weights lie.
        key: where these options stand, for the texts of errors.

    Raises:
        UserError: the weights are missing, damaged, or another network's.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: PerceptualConfig, key: str = "perceptual") -> None:
        super().__init__()
        self.config = config
        self.key = key
        self.weight_at = dict(zip(config.indices, config.layer_weights or (1.0,) * len(config.layers), strict=True))
        self.features = _load_features(config, config.find_weights(key))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Perceptual:
        """Stay in inference mode, whatever the modules around it do."""
        return super().train(False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance, a scalar; the features come under the surrounding autocast, it is in fp32 at least.

        Args:
            output: [N, C, H, W] in [-1, 1], of 1 channel (taken for grey) or 3, with gradients.
            target: the same shape and range; gets no gradients.

        Raises:
            UserError: the images have other numbers of channels, or are too small for the deepest layer.
        """
        with torch.no_grad():
            wanted = self._seen_in(target)
        seen = self._seen_in(output)
        with torch.autocast(output.device.type, enabled=False):
            terms = [
                weight * (at_least_fp32(seen[index]) - at_least_fp32(wanted[index])).square().mean()
                for index, weight in self.weight_at.items()
            ]
            return torch.stack(terms).sum()

    def _seen_in(self, images: Tensor) -> dict[int, Tensor]:
        """Return the features of images at every wanted layer, by its index."""
        if images.shape[1] not in CHANNELS:
            raise UserError(f"the perceptual loss compares images of 1 or 3 channels, not {images.shape[1]}")
        self.config.refuse_small(min(images.shape[-2:]), self.key)
        x = ((images.to(self.mean.dtype) + 1) / 2 - self.mean) / self.std  # one channel becomes three
        seen = {}
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.weight_at:
                seen[index] = x
        return seen


def _place(name: str) -> tuple[int, int]:
    """Return block and number of a layer, counted from 1: (3, 2) for ``relu3_2``."""
    block, _, number = name.removeprefix("relu").partition("_")
    return int(block), int(number)


def _load_features(config: PerceptualConfig, path: Path) -> nn.Sequential:
    """Return the network up to its deepest wanted layer, with the weights of a file in fp32.

    Raises:
        UserError: the file is damaged, or holds other tensors than this network's.
    """
    from torchvision.models import vgg16, vgg19  # type: ignore[import-untyped]  # takes a second to import

    with torch.device("meta"):  # no weights are drawn that would be thrown away
        whole: nn.Sequential = {"vgg16": vgg16, "vgg19": vgg19}[config.network](weights=None).features
    features = whole[: max(config.indices) + 1]
    held = {
        name.removeprefix("features."): value
        for name, value in _read(config, path).items()
        if isinstance(name, str) and name.startswith("features.")
    }
    if problem := _misfit(held, whole.state_dict(), features.state_dict()):
        raise UserError(
            f"{path}: does not hold the weights of {config.network} up to {config.deepest}: {problem}; "
            f"take the file from {config.url}"
        )
    features.load_state_dict({name: held[name].to(torch.float32) for name in features.state_dict()}, assign=True)
    return features


def _read(config: PerceptualConfig, path: Path) -> Mapping[Any, Any]:
    """Return what a file of weights holds; nothing in it is executed."""
    try:
        if path.name == FILES[config.network]:
            _check_digest(path, config)
        with warnings.catch_warnings(action="ignore"):  # what torch warns of is refused below
            held = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a file of arbitrary bytes makes torch raise whatever there is
        raise UserError(
            f"{path}: is no file of weights alone: it is damaged, of another kind, or holds code, which is never run; "
            f"take the file from {config.url}"
        ) from error
    if not isinstance(held, Mapping):
        raise UserError(f"{path}: holds a {type(held).__name__}, not weights by name; take the file from {config.url}")
    return held


def _check_digest(path: Path, config: PerceptualConfig) -> None:
    """Compare the digits in the file's name with those of its content."""
    wanted = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()[: len(wanted)]
    if found != wanted:
        raise UserError(
            f"{path}: is damaged or another file: its sha256 begins with {found}, not {wanted} as its name says; fetch "
            f"it again from {config.url}"
        )


def _misfit(held: Mapping[str, Any], whole: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> str:
    """Say what is wrong with the tensors of a file, or nothing.

    Args:
        held: what it has under ``features``.
        whole: the network's own, deeper layers included.
        needed: those that must be there.
    """
    for name in needed:
        if name not in held:
            return f"it has no features.{name}"
    for name, value in held.items():
        if name not in whole:
            return f"features.{name} is no part of that network"
        if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or not value.is_floating_point():
            return f"features.{name} is no plain tensor of floating-point numbers"
        if value.shape != whole[name].shape:
            return f"features.{name} has the shape {list(value.shape)}, not {list(whole[name].shape)}"
        if not value.isfinite().all():
            return f"features.{name} holds values that are not finite"
    return ""
