from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from i2i.nn import (
    CriticConfig,
    DCGANCriticConfig,
    DiscriminatorConfig,
    MLPCriticConfig,
    PatchGANConfig,
    PixelGANConfig,
    build_critic,
    build_discriminator,
    initialise,
    spectrally_normalised,
)
from i2i.seeding import torch_seeded

Build = Callable[[], nn.Module]
Inputs = tuple[Tensor, ...]


def discriminator(config: DiscriminatorConfig) -> Build:
    return lambda: build_discriminator(config, 3)


def critic(config: CriticConfig) -> Build:
    return lambda: build_critic(config, 3, 16, classes=4)


IMAGES, LABELS = torch.rand(4, 3, 16, 16) * 2 - 1, torch.tensor([0, 3, 1, 2])
CASES: dict[str, tuple[Build, Inputs]] = {
    "patchgan": (discriminator(PatchGANConfig(layers=2, ndf=4, norm="none", spectral_norm=True)), (IMAGES,)),
    "pixel": (discriminator(PixelGANConfig(ndf=4, norm="instance", spectral_norm=True)), (IMAGES,)),
    "mlp": (critic(MLPCriticConfig(hidden=(9, 5), spectral_norm=True)), (IMAGES, LABELS)),
    "dcgan": (critic(DCGANCriticConfig(ndf=4, spectral_norm=True)), (IMAGES, LABELS)),
    "projection": (critic(DCGANCriticConfig(ndf=4, spectral_norm=True, conditioning="projection")), (IMAGES, LABELS)),
}
every_case = pytest.mark.parametrize(("build", "inputs"), CASES.values(), ids=CASES)


def weights(network: nn.Module) -> dict[str, Tensor]:
    kinds = nn.Conv2d | nn.Linear | nn.Embedding
    return {name: m.weight for name, m in network.named_modules() if isinstance(m, kinds)}


@every_case
def test_no_layer_is_steeper_than_one(build: Build, inputs: Inputs) -> None:
    network = build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)  # the norm makes up for it
        for _ in range(200):
            network(*inputs)
    found = weights(network.eval())
    assert len(found) >= 3
    assert all(is_parametrized(network.get_submodule(name), "weight") for name in found)
    for name, weight in found.items():
        largest = torch.linalg.svdvals(weight.reshape(len(weight), -1))[0].item()
        assert largest == pytest.approx(1, abs=2e-3), name


@every_case
def test_the_state_goes_round_also_by_the_meta_device(build: Build, inputs: Inputs) -> None:
    network = build()
    for _ in range(3):
        network(*inputs)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch_seeded(1):
        other = build()
    other.load_state_dict(state)
    with torch.device("meta"):
        empty = build()
    assert all(tensor.is_meta for tensor in empty.state_dict().values())
    empty.load_state_dict(state, assign=True)
    copied = copy.deepcopy(network)
    expected = network(*inputs)  # in training mode: one step of the power method on from the saved vectors
    for restored in (other, empty, copied):
        assert torch.equal(restored(*inputs), expected)
        assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in restored.state_dict().items())
    assert all(parameter.requires_grad for parameter in empty.parameters())


@every_case
def test_all_weights_learn_in_bfloat16_too(build: Build, inputs: Inputs) -> None:
    network = build()
    with torch.autocast("cpu", torch.bfloat16):
        first, second = network(*inputs), network(*inputs)  # a GAN's step goes backward through two forwards at once
    torch.autograd.backward((first.float().square() + second.float()).mean())
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_weights_are_drawn_as_without_it() -> None:
    with torch_seeded(3):
        plain = build_discriminator(PatchGANConfig(layers=1, ndf=4), 3)
    with torch_seeded(3):
        normalised = build_discriminator(PatchGANConfig(layers=1, ndf=4, spectral_norm=True), 3)
    key = "features.1.conv.parametrizations.weight.original"
    assert torch.equal(normalised.get_parameter(key), plain.get_parameter("features.1.conv.weight"))
    assert isinstance(normalised.get_submodule("features.1.conv"), nn.Conv2d)


def test_weights_cannot_be_drawn_afterwards() -> None:
    """They are computed: whatever were written there would be gone at once."""
    with pytest.raises(ValueError, match="before the network is spectrally normalised"):
        initialise(spectrally_normalised(nn.Linear(2, 3)), "normal")
