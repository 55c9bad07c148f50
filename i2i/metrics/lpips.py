"""LPIPS: how different two images look to a trained classifier, weighted after people's judgements."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.errors import UserError
from i2i.weights import Weights, read_tensors

# The published files, and the ReLUs within torchvision's `features` that are compared: of AlexNet all five, of VGG-16
# the last of each block.
WEIGHTS = {
    "alex": Weights(
        "alexnet-owt-7be5be79.pth",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "vgg": Weights(
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
}
LAYERS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
SMALLEST = {"alex": 31, "vgg": 16}  # pixels of which the poolings leave something
# Of ImageNet's RGB in [-1, 1], as LPIPS was trained with.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    r"""The distance of images in a classifier's features (Zhang et al. 2018, eq. 1, version 0.1).

    :math:`\sum_l \frac{1}{H_l W_l} \sum_{h,w} |w_l \odot (\hat y^l_{hw} - \hat y^l_{0hw})|^2`, of features of unit
    length at each place. The learned weights :math:`w_l^2` come with the library torchmetrics.

    Args:
        network: which classifier.
        folder: where its weights lie; None: where torch keeps what it has downloaded.

    Raises:
        UserError: the weights are missing or other ones, or torchmetrics is not installed.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, network: Literal["alex", "vgg"] = "alex", folder: Path | None = None) -> None:
        super().__init__()
        self.network = network
        self.features = _features(network, WEIGHTS[network].find("LPIPS", folder))
        self.heads = _heads(network)
        self.register_buffer("shift", torch.tensor(SHIFT).view(3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance, [N].

        Args:
            output: [N, C, H, W] in [-1, 1], of 1 channel (taken for grey) or 3.
            target: the same shape and range.

        Raises:
            UserError: the images have other numbers of channels, or are too small.
        """
        if output.shape[1] not in (1, 3):
            raise UserError(f"LPIPS compares images of 1 or 3 channels, not {output.shape[1]}")
        if min(output.shape[-2:]) < SMALLEST[self.network]:
            raise UserError(f"LPIPS takes images of at least {SMALLEST[self.network]} pixels")
        x, y = ((images - self.shift) / self.scale for images in (output, target))
        distance = x.new_zeros(len(x))
        heads = iter(self.heads)
        for index, layer in enumerate(self.features):
            x, y = layer(x), layer(y)
            if index in LAYERS[self.network]:
                difference = (_of_unit_length(x) - _of_unit_length(y)).square()
                distance = distance + (difference * next(heads)).sum(dim=1).mean(dim=(1, 2))
        return distance


def _of_unit_length(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def _features(network: str, path: Path) -> nn.Sequential:
    from torchvision.models import alexnet, vgg16  # type: ignore[import-untyped]  # takes a second to import

    with torch.device("meta"):  # no weights are drawn that would be thrown away
        features: nn.Sequential = {"alex": alexnet, "vgg": vgg16}[network](weights=None).features
    features = features[: LAYERS[network][-1] + 1]
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    held = read_tensors(path)
    features.load_state_dict({name: held[f"features.{name}"] for name in features.state_dict()}, assign=True)
    return features


def _heads(network: str) -> nn.ParameterList:
    """Return the learned weights of each layer's channels, [C, 1, 1], from the library's files."""
    spec = find_spec("torchmetrics")
    if spec is None or spec.origin is None:
        raise UserError("LPIPS takes the library torchmetrics: pip install 'i2i[metrics]'")
    held = read_tensors(Path(spec.origin).parent / "functional" / "image" / "lpips_models" / f"{network}.pth")
    return nn.ParameterList([held[f"lin{n}.model.1.weight"].view(-1, 1, 1) for n in range(len(LAYERS[network]))])
