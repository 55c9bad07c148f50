"""The generator's gradient under a discriminator far ahead (Goodfellow et al. 2014, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.losses import gan_loss


def norm_under(loss: str, generator: nn.Module, discriminator: nn.Module, noise: Tensor) -> float:
    value = gan_loss(loss).g_loss(discriminator(generator(noise)))
    return float(torch.nn.utils.get_total_norm(torch.autograd.grad(value, list(generator.parameters()))))


def test_only_the_saturating_loss_starves_the_generator_of_a_discriminator_trained_ahead() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    noise = torch.randn(64, 2)
    real, fake = 3 + 0.1 * torch.randn(64, 2), generator(noise).detach()
    before = {loss: norm_under(loss, generator, discriminator, noise) for loss in ("minimax", "nonsaturating")}
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        torch.autograd.backward(gan_loss("minimax").d_loss(discriminator(real), discriminator(fake)))
        optimizer.step()
    after = {loss: norm_under(loss, generator, discriminator, noise) for loss in before}
    assert after["minimax"] < 0.05 * before["minimax"]
    assert after["nonsaturating"] > before["nonsaturating"]
    assert after["nonsaturating"] > 100 * after["minimax"]


def test_the_two_losses_share_the_slope_between_them() -> None:
    # d/dC log(1 - s(C)) = -s(C) and d/dC -log s(C) = s(C) - 1, whose magnitudes add up to 1 per sample
    logits = torch.linspace(-20, 20, 41, dtype=torch.float64, requires_grad=True)
    slopes = [torch.autograd.grad(gan_loss(name).g_loss(logits), logits)[0] for name in ("minimax", "nonsaturating")]
    torch.testing.assert_close(slopes[0] + slopes[1], torch.full_like(logits, -1 / 41))
    assert slopes[0][0].abs() < 1e-8 / 41
    assert slopes[1][0].abs() > 0.999 / 41
