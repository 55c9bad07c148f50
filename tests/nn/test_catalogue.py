from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from i2i.config import Config, Layer, keys_of, resolve
from i2i.errors import UserError
from i2i.nn import (
    CRITICS,
    DISCRIMINATORS,
    GENERATORS,
    NOISE_GENERATORS,
    CriticConfig,
    DCGANCriticConfig,
    DCGANGeneratorConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    Imported,
    NoiseGeneratorConfig,
    Norm,
    PatchGANConfig,
    UNetConfig,
    Upsample,
    build_critic,
    build_discriminator,
    build_generator,
    build_noise_generator,
)

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"depth": 5, "ngf": 2},
    "resnet": {"blocks": 1, "ngf": 2},
    "srresnet": {"blocks": 1, "ngf": 2, "scale": 2},
}
NORMS: tuple[Norm, ...] = get_args(Norm)
SMALL_CORES: dict[str, dict[str, Any]] = {
    "generator mlp": {"hidden": (16, 24)},
    "generator dcgan": {"ngf": 4},
    "generator began": {"ngf": 4},
    "critic mlp": {"hidden": (16, 8)},
    "critic dcgan": {"ndf": 4},
}
UPSAMPLES: tuple[Upsample, ...] = get_args(Upsample)


class Options(Config):
    generator: GeneratorConfig = UNetConfig()
    discriminator: DiscriminatorConfig = PatchGANConfig()


class Cores(Config):
    generator: NoiseGeneratorConfig = DCGANGeneratorConfig()
    critic: CriticConfig = DCGANCriticConfig()


class Own(nn.Module):
    def __init__(self, in_channels: int, out_channels: int = 1, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((out_channels, in_channels), scale))


def measured(first: int, second: int, third: int, fourth: int, *, extra: int) -> nn.Module:
    return nn.Linear(first + second + third + fourth, extra)


def test_the_catalogues_and_the_unions_agree() -> None:
    for name, generator in GENERATORS.items():
        assert generator().name == name
        assert Options.model_validate({"generator": {"name": name}}).generator == generator()
    for name, discriminator in DISCRIMINATORS.items():
        assert discriminator().name == name
        assert Options.model_validate({"discriminator": {"name": name}}).discriminator == discriminator()
    for name, noise_generator in NOISE_GENERATORS.items():
        assert noise_generator().name == name
        assert Cores.model_validate({"generator": {"name": name}}).generator == noise_generator()
    for name, critic in CRITICS.items():
        assert critic().name == name
        assert Cores.model_validate({"critic": {"name": name}}).critic == critic()


@pytest.mark.parametrize("size", [28, 32, 48, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_cores_make_and_judge_images(size: int, channels: int) -> None:
    z = torch.randn(3, 7)
    for name, kind in NOISE_GENERATORS.items():
        images = build_noise_generator(kind(**SMALL_CORES[f"generator {name}"]), 7, channels, size)(z)
        assert images.shape == (3, channels, size, size)
        assert images.abs().max() <= 1
        assert images.std(0).mean() > 1e-2  # the noise arrives
        for judge, critic in CRITICS.items():
            assert build_critic(critic(**SMALL_CORES[f"critic {judge}"]), channels, size)(images).shape == (3,)


@pytest.mark.parametrize("name", SMALL_CORES)
def test_cores_run_in_bfloat16_and_channels_last(name: str) -> None:
    family, kind = name.split()
    network: nn.Module
    if family == "generator":
        network = build_noise_generator(NOISE_GENERATORS[kind](**SMALL_CORES[name]), 7, 3, 28, classes=2)
        x = torch.randn(8, 7)
    else:
        network = build_critic(CRITICS[kind](**SMALL_CORES[name]), 3, 28, classes=2)
        x = torch.rand(8, 3, 28, 28) * 2 - 1
    labels = torch.arange(8) % 2
    expected = network(x, labels)
    network = network.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        result: Tensor = network(x, labels)
    torch.autograd.backward((result.float() - 0.3).square().mean())
    assert (result - expected).abs().mean() < 0.05 * expected.abs().max()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_weights_of_cores_have_their_papers_scale() -> None:
    """The translators' gain of 0.02 with xavier would leave nothing of an image where no norm mends the scale."""
    critic = build_critic(DCGANCriticConfig(ndf=32, norm="none", init="xavier"), 3, 32)
    std = critic.get_parameter("trunk.1.conv.weight").std().item()
    assert std == pytest.approx((2 / (16 * (32 + 64))) ** 0.5, rel=0.05)
    critic = build_critic(DCGANCriticConfig(ndf=32), 3, 32)
    assert critic.get_parameter("trunk.1.conv.weight").std().item() == pytest.approx(0.02, rel=0.05)


def test_ones_own_core_gets_its_measures() -> None:
    config = Imported(name=f"{__name__}:measured", options={"extra": "5"})
    noted = build_noise_generator(config, 64, 3, 28, 10)
    assert isinstance(noted, nn.Linear)
    assert (noted.in_features, noted.out_features) == (64 + 3 + 28 + 10, 5)
    noted = build_critic(config, 3, 28, 10, 2)
    assert isinstance(noted, nn.Linear)
    assert noted.in_features == 3 + 28 + 10 + 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(
            (name, {"norm": norm, "upsample": upsample})
            for name, norm, upsample in product(("unet", "resnet"), NORMS, UPSAMPLES)
        ),
        *(("srresnet", {"norm": norm, "scale": scale}) for norm, scale in product(NORMS, (1, 2, 3, 4, 8))),
    ],
)
def test_generators_take_any_size(name: str, options: dict[str, Any]) -> None:
    config = GENERATORS[name](**SMALL[name] | options)
    network = build_generator(config, 5, 2).eval()
    scale = options.get("scale", 1)
    assert config.scale == scale
    for height, width in [(1, 1), (1, 9), (2, 3), (4, 4), (7, 40), (33, 31), (64, 64)]:
        image = torch.rand(1, 5, height, width) * 2 - 1
        with torch.no_grad():
            result = network(image)
        assert result.shape == (1, 2, scale * height, scale * width)
        assert result.abs().max() <= 1


@pytest.mark.parametrize(("name", "norm"), list(product([*GENERATORS, *DISCRIMINATORS], NORMS)))
def test_networks_run_in_bfloat16_and_channels_last(name: str, norm: Norm) -> None:
    network: nn.Module
    if name in GENERATORS:
        network = build_generator(GENERATORS[name](**SMALL[name], norm=norm, init="kaiming"), 3, 3)
    else:
        network = build_discriminator(DISCRIMINATORS[name](ndf=4, norm=norm, init="kaiming"), 3)
    image = torch.rand(2, 3, 64, 61) * 2 - 1
    expected = network(image)
    network = network.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        result: Tensor = network(image.to(memory_format=torch.channels_last))
    torch.autograd.backward(result.float().square().mean())
    assert (result - expected).abs().mean() < 0.05 * expected.abs().max()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_weights_are_drawn_by_the_scheme() -> None:
    network = build_discriminator(PatchGANConfig(ndf=16), 3)
    assert network.get_parameter("head.weight").std().item() == pytest.approx(0.02, rel=0.05)
    assert not network.get_parameter("head.bias").any()


def test_ones_own_network_by_module_and_attribute() -> None:
    layer = Layer("my.yaml", {"generator": {"name": f"{__name__}:Own", "options": {"scale": "2e-1"}}})
    config = resolve(Options, [layer]).generator
    assert isinstance(config, Imported)
    network = build_generator(config, 3, 2)
    assert isinstance(network, Own)
    torch.testing.assert_close(network.weight.data, torch.full((2, 3), 0.2))
    assert isinstance(build_discriminator(config, 3), Own)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Imported(name=f"{__name__}:Own", options={"scael": 1}), "scael"),
        (Imported(name=f"{__name__}:Oen"), "did you mean 'Own'"),
        (Imported(name=f"{__name__}:SMALL"), "makes no network"),
        (Imported(name="builtins:complex"), "not a torch.nn.Module"),
    ],
)
def test_mistakes_in_ones_own_network_are_named(config: Imported, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_generator(config, 3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"generator": {"name": "resnt"}}, "'resnt' is not known; did you mean 'resnet'"),
        ({"generator": {"name": "resnet", "ngff": "3"}}, r"no option 'generator.ngff'; did you mean 'generator.ngf'"),
        (
            {"generator": {"name": "resnet", "norm": "bach"}},
            "'generator.norm': 'bach' is not known; did you mean 'batch'",
        ),
        (
            {"generator": {"name": "unet", "depth": "1"}},
            "'generator.depth' must be greater than or equal to 2, not '1'",
        ),
        ({"discriminator": {"name": "a.b:c", "opts": {}}}, "no option 'discriminator.opts'"),
    ],
)
def test_mistakes_in_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve(Options, [Layer("my.yaml", options)])
    assert "generator.depth" in set(keys_of(Options))
