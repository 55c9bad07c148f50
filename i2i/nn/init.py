"""Initial weights."""

from __future__ import annotations

from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from i2i.nn.upsample import ShuffleConv

Init = Literal["normal", "xavier", "kaiming", "orthogonal"]

# The scale that each scheme has in its own paper, for `gain`. The networks of pix2pix and CycleGAN take 0.02 with
# `xavier` and `orthogonal` as well, because the code that their users come from does: 50 times too little where no norm
# makes up for it.
PAPER_GAINS: dict[Init, float] = {"normal": 0.02, "xavier": 1.0, "kaiming": 1.0, "orthogonal": 1.0}


@torch.no_grad()
def initialise(network: nn.Module, scheme: Init, gain: float = 0.02) -> None:
    """Draw the weights of `network` from torch's global generator, in the order of its modules.

    The weights of convolutions, linear layers and embeddings follow `scheme`; those of batch norm are N(1, 0.02), as in
    the published code of DCGAN (Radford et al. 2016); biases are 0. Pixel shuffles begin without a checkerboard
    (`ShuffleConv.equalise`). Other layers stay as they are.

    Args:
        network: changed in place.
        scheme: `normal`: N(0, gain) (Isola et al. 2017, appendix 6.2); `xavier`: normal, over both fans (Glorot &
            Bengio 2010); `kaiming`: normal, over the fan-in (He et al. 2015); `orthogonal` (Saxe et al. 2014).
        gain: the scale of the weights, save for `kaiming`, which sets its own; `PAPER_GAINS` has that of the papers.

    Raises:
        ValueError: weights are computed from others (spectral normalisation), so that drawing them would do nothing.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear | nn.Embedding):
            if is_parametrized(module, "weight"):
                raise ValueError("initial weights must be drawn before the network is spectrally normalised")
            _draw(module.weight, scheme, gain)
            if isinstance(module, ShuffleConv):
                module.equalise()
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if not isinstance(module, nn.Embedding) and module.bias is not None:
            nn.init.zeros_(module.bias)


def _draw(weight: Tensor, scheme: Init, gain: float) -> None:
    match scheme:
        case "normal":
            nn.init.normal_(weight, 0.0, gain)
        case "xavier":
            nn.init.xavier_normal_(weight, gain)
        case "kaiming":
            nn.init.kaiming_normal_(weight, a=0)
        case "orthogonal":
            nn.init.orthogonal_(weight, gain)
        case _:
            assert_never(scheme)
