from __future__ import annotations

from contextlib import suppress

import pytest
import torch
from torch import nn

from i2i.errors import UserError
from i2i.nn import BatchNorm, InferencePolicy, UNet, inference_mode


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
