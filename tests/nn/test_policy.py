from __future__ import annotations

from contextlib import suppress

import pytest
import torch
from torch import nn

from i2i.errors import UserError
from i2i.nn import BatchNorm, InferencePolicy, Norm, ResNet, UNet, apply_policy, inference_mode, make_norm
from i2i.nn.policy import shared_statistics


@pytest.fixture
def network() -> UNet:
    """A U-Net in training whose first encoder stage someone has put in eval mode, and one norm per image."""
    network = UNet(3, 3, depth=6, ngf=4)
    network.encoder[0].eval()
    next(m for m in network.modules() if isinstance(m, BatchNorm)).per_image = True
    return network


def flags(network: nn.Module) -> list[tuple[bool, bool | None]]:
    return [(module.training, getattr(module, "per_image", None)) for module in network.modules()]


@pytest.mark.parametrize("statistics", ["running", "image"])
@pytest.mark.parametrize("dropout", ["off", "sample"])
def test_flags_are_set_within_and_restored_after_an_exception(network: UNet, statistics: str, dropout: str) -> None:
    before = flags(network)
    policy = InferencePolicy.model_validate({"statistics": statistics, "dropout": dropout})
    with suppress(KeyboardInterrupt), inference_mode(network, policy):
        assert not torch.is_grad_enabled()
        for module in network.modules():
            assert module.training == (dropout == "sample" and isinstance(module, nn.Dropout))
            assert getattr(module, "per_image", statistics == "image") == (statistics == "image")
        raise KeyboardInterrupt
    assert flags(network) == before
    assert torch.is_grad_enabled()


def test_statistics_of_each_image_do_not_depend_on_the_batch(network: UNet) -> None:
    images = torch.randn(3, 3, 64, 64) * torch.tensor([0.1, 1.0, 3.0])[:, None, None, None]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with inference_mode(network, InferencePolicy(statistics="image")):
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not together.requires_grad
    assert not together.is_inference()
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_dropout_samples_only_when_asked(network: UNet) -> None:
    image = torch.randn(1, 3, 64, 64)
    with inference_mode(network, InferencePolicy()):
        torch.testing.assert_close(network(image), network(image), rtol=0, atol=0)
    with inference_mode(network, InferencePolicy(dropout="sample")):
        assert not torch.equal(network(image), network(image))


def test_foreign_batch_norm_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    with pytest.raises(UserError, match="layer '1'"), inference_mode(network, InferencePolicy(statistics="image")):
        pass
    assert network.training


NORMS: list[Norm] = ["instance", "batch", "group"]


@pytest.mark.parametrize("norm", NORMS)
def test_a_part_is_normalised_like_the_whole_image_it_was_cut_from(norm: Norm) -> None:
    layer = make_norm(norm, 64)
    for weight in layer.parameters():
        nn.init.normal_(weight)
    apply_policy(layer, InferencePolicy(statistics="image"))
    image = torch.randn(1, 64, 12, 20) * torch.linspace(0.1, 3, 20) + torch.linspace(-5, 5, 12)[:, None]
    left, right = image[..., :14], image[..., 14:]
    whole = layer(image)
    with torch.no_grad(), shared_statistics(layer, layer, [left, right]):
        torch.testing.assert_close(layer(left), whole[..., :14], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer(right), whole[..., 14:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer(image), whole, rtol=0, atol=0)
    assert not torch.allclose(layer(left), whole[..., :14], atol=0.1)


@pytest.mark.parametrize("norm", NORMS)
def test_pieces_of_a_batch_are_observed_as_one_image(norm: Norm) -> None:
    layer = make_norm(norm, 32).eval()
    apply_policy(layer, InferencePolicy(statistics="image"))
    image = torch.randn(1, 32, 8, 16) * torch.linspace(0.1, 3, 16)
    pieces = torch.cat(image.chunk(4, dim=3))
    seen: list[torch.Tensor] = []
    with torch.no_grad(), shared_statistics(layer, lambda batch: seen.append(layer(batch)), [pieces]):
        pass
    torch.testing.assert_close(torch.cat(torch.split(seen[0], 1), dim=3), layer(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_a_network_that_observed_the_whole_image_translates_it_as_ever(norm: Norm) -> None:
    network = ResNet(3, 3, blocks=2, ngf=4, norm=norm, dropout=0.5)
    apply_policy(network, InferencePolicy(statistics="image"))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        expected = network(image)
        with shared_statistics(network, network, [image]):
            torch.testing.assert_close(network(image), expected, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(network(image.repeat(2, 1, 1, 1))[1:], expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(network(image), expected, rtol=0, atol=0)
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_shared_statistics_are_kept_in_fp32() -> None:
    layer = make_norm("instance", 4)
    image = (torch.randn(1, 4, 30, 40) + 100).bfloat16()
    with torch.no_grad(), shared_statistics(layer, layer, [image]):
        assert layer(image).dtype == torch.bfloat16
        # A mean of 100.3 would be 100.5 in bf16, a variance of 1 from it.
        torch.testing.assert_close(layer(image.float()), make_norm("instance", 4)(image.float()), atol=1e-3, rtol=1e-3)


def test_one_pixel_can_be_shared() -> None:
    layer = make_norm("instance", 2)
    pixel = torch.randn(1, 2, 1, 1)
    with shared_statistics(layer, layer, [pixel]):
        torch.testing.assert_close(layer(pixel), torch.zeros(1, 2, 1, 1), atol=1e-3, rtol=0)


def test_running_statistics_are_no_images_own_and_need_no_observing() -> None:
    network = UNet(3, 3, depth=3, ngf=4)
    apply_policy(network, InferencePolicy(statistics="running"))
    image = torch.randn(1, 3, 32, 32)
    expected = network(image)
    with shared_statistics(network, lambda batch: pytest.fail("there is nothing to observe"), [image]):
        torch.testing.assert_close(network(image), expected, rtol=0, atol=0)


def test_layers_share_nothing_after_an_exception_nor_where_they_were_passed_by() -> None:
    used, passed_by = make_norm("instance", 2), make_norm("instance", 2)
    network = nn.ModuleList([used, passed_by])
    x = torch.randn(1, 2, 5, 5)
    own = passed_by(x)

    def interrupted(batch: torch.Tensor = x) -> None:
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), shared_statistics(network, used, [x * 3 + 1]):
        assert (used(x) - own).abs().max() > 0.1
        torch.testing.assert_close(passed_by(x), own, rtol=0, atol=0)
        interrupted()
    torch.testing.assert_close(used(x), own, rtol=0, atol=0)
    with suppress(KeyboardInterrupt), shared_statistics(network, interrupted, [x]):
        pass
    torch.testing.assert_close(used(x), own, rtol=0, atol=0)
