"""Spectral normalisation (Miyato et al. 2018)."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

Network = TypeVar("Network", bound=nn.Module)


def spectrally_normalised(network: Network) -> Network:
    """Divide the weight of every convolution, linear layer and embedding of `network` by its largest singular value.

    So each layer's map is no steeper than 1 (Miyato et al. 2018, section 2.1; a convolution's weight is taken as a
    matrix [C_out, C_in * k * k]). That value is estimated by the power method (appendix A), one iteration per forward
    in training mode, and kept in eval mode. Its vectors are buffers: a checkpoint holds them and a resumed run goes on
    with them. Draw initial weights before this: afterwards ``weight`` is computed, and what is trained and saved is
    ``parametrizations.weight.original``.

    The first vectors come from torch's global generator. Works on the meta device, too.

    Args:
        network: changed in place, and returned.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear | nn.Embedding):
            spectral_norm(module)
    return network
