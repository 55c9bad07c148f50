from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.nn import BatchNorm, GroupNorm, Norm, make_norm, uses_bias


def test_batch_norm_per_image_is_batch_norm_in_training_on_each_image_alone() -> None:
    norm = BatchNorm(5)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    norm.running_mean = torch.full((5,), 9.0)
    x = torch.randn(3, 5, 6, 7) * torch.tensor([1.0, 4.0, 0.1])[:, None, None, None]
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
    by_hand = (x - mean) / (variance + norm.eps).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]

    norm.per_image = True
    each = norm.eval()(x)
    alone = torch.cat([norm.train()(image[None]) for image in x])

    torch.testing.assert_close(each, by_hand)
    torch.testing.assert_close(each, alone)


def test_batch_norm_is_torchs_otherwise() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    x = torch.randn(3, 4, 5, 5)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=0, atol=0)
    ours.train().per_image = True  # means nothing in training
    torch.testing.assert_close(ours(x), theirs.train()(x), rtol=0, atol=0)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_instance_norm_has_no_state_and_normalises_alike_in_both_modes() -> None:
    norm = make_norm("instance", 3)
    x = torch.randn(2, 3, 8, 8) * 7 + 2
    y = norm.train()(x)
    assert not norm.state_dict()
    torch.testing.assert_close(y.mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var((2, 3), correction=0), torch.ones(2, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(norm.eval()(x), y, rtol=0, atol=0)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 24), (20, 20), (37, 1), (1, 1)])
def test_group_norm_takes_the_largest_divisor_up_to_32(channels: int, groups: int) -> None:
    norm = make_norm("group", channels)
    assert isinstance(norm, GroupNorm)
    assert norm.num_groups == groups
    x = torch.randn(2, channels, 3, 3)
    torch.testing.assert_close(norm(x), nn.GroupNorm(groups, channels)(x))


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_one_pixel_becomes_zero(norm: Norm) -> None:
    layer = make_norm(norm, 3)
    torch.testing.assert_close(layer(torch.randn(1, 3, 1, 1)), torch.zeros(1, 3, 1, 1), atol=1e-3, rtol=0)


def test_biases_stand_where_trained_weights_have_them() -> None:
    assert uses_bias("instance")
    assert not uses_bias("batch")
    assert not uses_bias("none")
    # A channel's bias before group norm changes what comes out, so it is no waste.
    layer, x = make_norm("group", 64), torch.randn(1, 64, 4, 4)
    biased = x + torch.tensor([1.0, -1.0]).repeat(32)[:, None, None]
    assert (layer(x) - layer(biased)).abs().max() > 0.1
