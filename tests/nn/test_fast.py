"""What is hastened computes the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from i2i.nn import ResNet, SRResNet, UNet, hasten, make_norm
from i2i.nn.fast import FEWEST_CHANNELS, FastConv2d, winograd, winograd_kernels


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 8), (9, 7), (70, 33)])
@pytest.mark.parametrize("biased", [True, False])
def test_winograds_algorithm_convolves(height: int, width: int, biased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that tiles of 4x4 do not fill as well, and maps that take several strips."""
    monkeypatch.setattr("i2i.nn.fast.STRIP", 4 * 36 * 5 * 3)
    torch.manual_seed(0)
    x, weight = torch.randn(2, 5, height + 2, width + 2), torch.randn(7, 5, 3, 3)
    bias = torch.randn(7) if biased else None
    expected = conv2d(x.double(), weight.double(), None if bias is None else bias.double())
    torch.testing.assert_close(winograd(x, winograd_kernels(weight), bias).double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("shape", [(FEWEST_CHANNELS, FEWEST_CHANNELS, (3, 3), (1, 1)), (4, 3, (7, 5), (3, 2))])
def test_convolutions_keep_their_borders_and_biases(mode: Any, shape: Any) -> None:
    torch.manual_seed(0)
    in_channels, out_channels, kernel_size, padding = shape
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, padding_mode=mode)
    network = nn.Sequential(conv).eval()
    x = torch.randn(2, conv.in_channels, 9, 6)
    with torch.no_grad():
        expected = network(x)
        hasten(network, torch.float32)
        assert isinstance(network[0], FastConv2d)
        assert network[0].kernels is not None
        torch.testing.assert_close(network(x), expected, atol=1e-4, rtol=0)


NETWORKS: dict[str, tuple[nn.Module, set[str]]] = {
    "resnet": (ResNet(3, 3, blocks=2, ngf=32), {"blocks", "encoder", "head"}),
    "unet": (UNet(1, 3, depth=3, ngf=4), set()),
    "srresnet": (SRResNet(3, 3, scale=2, blocks=1), {"head"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_the_same(name: str) -> None:
    network, changed = NETWORKS[name]
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.1)
    network.eval()
    fast = copy.deepcopy(network).to(memory_format=torch.channels_last)
    hasten(fast, torch.float32)
    assert {key.split(".")[0] for key, module in fast.named_modules() if isinstance(module, FastConv2d)} == changed
    assert {key: value.shape for key, value in fast.state_dict().items()} == {
        key: value.shape for key, value in network.state_dict().items()
    }
    x = torch.rand(2, 1 if name == "unet" else 3, 45, 38) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(fast(x), network(x), atol=2e-4, rtol=0)


def test_bf16_is_what_autocast_computes() -> None:
    """But for reflected borders, which are copies, and so equal in any dtype."""
    torch.manual_seed(0)
    networks = (ResNet(3, 3, blocks=2, ngf=8), UNet(3, 3, depth=3, ngf=8, norm="instance"))
    for network in networks:
        fast = copy.deepcopy(network.eval())
        hasten(fast, torch.bfloat16)
        assert {value.dtype for value in fast.state_dict().values()} == {torch.bfloat16}
        x = torch.rand(1, 3, 32, 32) * 2 - 1
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(fast(x), network(x), atol=0, rtol=0)


def test_norms_keep_their_values_in_fp32() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), make_norm("batch", 4))
    hasten(network, torch.bfloat16)
    dtypes = {key: value.dtype for key, value in network.state_dict().items() if value.is_floating_point()}
    assert {key for key, dtype in dtypes.items() if dtype == torch.bfloat16} == {"0.weight", "0.bias"}


def test_networks_of_others_stay_as_they_are() -> None:
    class Theirs(nn.Conv2d):
        pass

    network = nn.Sequential(Theirs(256, 256, 3), nn.Conv2d(256, 256, 3, groups=2), nn.Conv2d(256, 256, 3, stride=2))
    before = list(network)
    hasten(network, torch.float32)
    assert list(network) == before


def test_instance_norm_is_the_same_in_either_layout() -> None:
    norm = make_norm("instance", 5)
    x = torch.randn(3, 5, 6, 7) * torch.tensor([1.0, 4.0, 0.1])[:, None, None, None] + 3
    apart = norm(x.contiguous(memory_format=torch.channels_last))
    assert apart.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(apart, norm(x))
