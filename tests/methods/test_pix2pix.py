"""pix2pix's step against the paper's equations written out, and what a step may and may not touch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from i2i.methods import Method, Pix2Pix, Pix2PixConfig
from i2i.nn import InferencePolicy, PatchGANConfig, UNetConfig, inference_mode
from i2i.optim import OptimConfig

SMALL = Pix2PixConfig(generator=UNetConfig(depth=4, ngf=4, dropout=0.0), discriminator=PatchGANConfig(layers=1, ndf=4))


def batch(count: int = 2, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {side: torch.rand(count, 3, 16, 16, generator=generator) * 2 - 1 for side in "ab"}


def small_method(config: Pix2PixConfig = SMALL, optim: OptimConfig | None = None) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(config, optim=optim)


def written_out(g: nn.Module, d: nn.Module, data: dict[str, Tensor], steps: int) -> list[tuple[float, ...]]:
    """Three-term pix2pix with binary cross-entropy and torch's plain Adam: no part of the package but the networks."""
    opt_g, opt_d = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (g, d))
    a, b = data["a"], data["b"]

    def bce(logits: Tensor, label: float) -> Tensor:
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    rows = []
    for _ in range(steps):
        fake = g(a)
        d_fake = bce(d(torch.cat([a, fake.detach()], 1)), 0.0)
        d_real = bce(d(torch.cat([a, b], 1)), 1.0)
        opt_d.zero_grad()
        torch.autograd.backward((d_fake + d_real) * 0.5)
        opt_d.step()
        g_gan = bce(d(torch.cat([a, fake], 1)), 1.0)
        g_l1 = 100 * (fake - b).abs().mean()
        opt_g.zero_grad()
        torch.autograd.backward(g_gan + g_l1)
        opt_g.step()
        rows.append(tuple(float(x.detach()) for x in (d_real, d_fake, g_gan, g_l1)))
    return rows


def test_steps_equal_the_paper_written_out() -> None:
    method, data = small_method(), batch()
    expected = written_out(copy.deepcopy(method.G), copy.deepcopy(method.D), data, steps=4)
    for step, (d_real, d_fake, g_gan, g_l1) in enumerate(expected):
        scalars = method.train_step(data, step)
        assert float(scalars["d/real"]) == pytest.approx(d_real, abs=1e-5)
        assert float(scalars["d/fake"]) == pytest.approx(d_fake, abs=1e-5)
        assert float(scalars["loss/d"]) == pytest.approx((d_real + d_fake) / 2, abs=1e-5)
        assert float(scalars["loss/g_gan"]) == pytest.approx(g_gan, abs=1e-4)
        assert float(scalars["loss/g_l1"]) == pytest.approx(g_l1, abs=1e-3)
        assert float(scalars["loss/g"]) == pytest.approx(g_gan + g_l1, abs=1e-3)


def test_each_loss_reaches_its_own_network_alone(recording: Callable[[Method], Any]) -> None:
    method = small_method()
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(batch(), 0)
    assert to_d.touched == {"D"}
    assert to_g.touched == {"G"}
    assert all(parameter.requires_grad for parameter in method.D.parameters())


def test_weights_and_losses_that_are_switched_off() -> None:
    method = small_method(SMALL.model_copy(update={"lambda_gan": 0.0, "lambda_l1": 7.0}))
    scalars = method.train_step(batch(), 0)
    fake_error = float(scalars["loss/g_l1"]) / 7
    assert float(scalars["loss/g_gan"]) == 0
    assert float(scalars["loss/g"]) == pytest.approx(7 * fake_error)


@pytest.mark.parametrize("loss", ["lsgan", "hinge", "minimax"])
def test_other_losses_train(loss: str) -> None:
    method = small_method(SMALL.model_copy(update={"gan_loss": loss}))
    scalars = method.train_step(batch(), 0)
    assert all(torch.isfinite(value) for value in scalars.values())


def test_discriminator_learns_to_tell_pairs_from_mismatched_generator() -> None:
    method, data = small_method(optim=OptimConfig(lr=1e-6, lr_d=1e-3)), batch(4)
    for step in range(60):
        scalars = method.train_step(data, step)
    assert float(scalars["d/accuracy_real"]) > 0.9
    assert float(scalars["d/accuracy_fake"]) > 0.9


def test_one_pair_is_overfitted() -> None:
    config = SMALL.model_copy(update={"generator": UNetConfig(depth=4, ngf=16, dropout=0.0)})
    method, data = small_method(config, OptimConfig(lr=2e-3)), batch(1)
    first = float(method.train_step(data, 0)["loss/g_l1"])
    for step in range(1, 150):
        last = float(method.train_step(data, step)["loss/g_l1"])
    assert last < first / 4


def test_validation_scalars_by_hand() -> None:
    method, data = small_method(), batch(3)
    policy = InferencePolicy(statistics="image")
    with inference_mode(method.G, policy):
        scalars = method.validate(data, {"G": method.G})
        fake = method.G(data["a"])
        pictures = method.pictures(data, {"G": method.G})
    mse = (fake - data["b"]).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(scalars["val/l1"], (fake - data["b"]).abs().flatten(1).mean(1))
    torch.testing.assert_close(scalars["val/psnr"], 20 * torch.log10(2 / mse.sqrt()))
    assert all(values.shape == (3,) for values in scalars.values())
    assert list(pictures) == ["input", "output", "target"]
    torch.testing.assert_close(pictures["output"], fake)


def test_policy_follows_the_batch_size() -> None:
    config = Pix2PixConfig()
    one, four = config.completed(image_size=256, batch_size=1), config.completed(image_size=128, batch_size=4)
    assert one.inference == InferencePolicy(statistics="image", dropout="off")
    assert four.inference == InferencePolicy(statistics="running", dropout="off")
    assert isinstance(one.generator, UNetConfig)
    assert isinstance(four.generator, UNetConfig)
    assert (one.generator.depth, four.generator.depth) == (8, 7)
