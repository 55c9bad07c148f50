from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.nn import PAPER_GAINS, BatchNorm, Init, initialise
from i2i.seeding import torch_seeded


def parts() -> tuple[nn.Conv2d, nn.ConvTranspose2d, BatchNorm]:
    return nn.Conv2d(64, 128, 4), nn.ConvTranspose2d(128, 64, 4), BatchNorm(4096)


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("normal", 0.02),
        ("xavier", 0.02 * (2 / (16 * (64 + 128))) ** 0.5),
        ("kaiming", (2 / (16 * 64)) ** 0.5),
    ],
)
def test_moments(scheme: Init, std: float) -> None:
    conv, transposed, norm = parts()
    initialise(nn.Sequential(conv, transposed, norm), scheme)
    for weight in (conv.weight, transposed.weight):
        assert weight.std().item() == pytest.approx(std, rel=0.02)
        assert weight.mean().item() == pytest.approx(0, abs=0.02 * std)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    for bias in (conv.bias, transposed.bias, norm.bias):
        assert bias is not None
        assert not bias.any()


def test_orthogonal_rows() -> None:
    conv = parts()[0]
    initialise(conv, "orthogonal", gain=0.5)
    rows = conv.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, 0.25 * torch.eye(128), atol=1e-5, rtol=0)


def test_the_papers_scales() -> None:
    """Glorot & Bengio 2010, eq. 12: variance 2 / (fan-in + fan-out); He et al. 2015, eq. 10; Saxe et al. 2014."""
    expected: dict[Init, float] = {"normal": 0.02, "xavier": (2 / 300) ** 0.5, "kaiming": (2 / 100) ** 0.5}
    expected["orthogonal"] = 200**-0.5  # 100 orthonormal columns of 200 values
    for scheme, std in expected.items():
        linear, embedding = nn.Linear(100, 200), nn.Embedding(200, 100)
        initialise(nn.Sequential(linear, embedding), scheme, PAPER_GAINS[scheme])
        for weight in (linear.weight, embedding.weight):
            assert weight.std().item() == pytest.approx(std, rel=0.03)


def test_draws_come_from_the_global_generator() -> None:
    conv = nn.Conv2d(3, 8, 3)
    drawn = []
    for seed in (1, 1, 2):
        with torch_seeded(seed):
            initialise(conv, "normal")
        drawn.append(conv.weight.detach().clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
