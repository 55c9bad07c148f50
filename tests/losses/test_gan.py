from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.errors import UserError
from i2i.losses import GAN_LOSSES, GANLoss, gan_loss

Array = NDArray[np.float64]
Game = tuple[Callable[[Array], Any], Callable[[Array], Any], Callable[[Array], Any]]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


# The papers' formulas as they are printed: the discriminator's term on real, on fake, and the generator's.
PRINTED: dict[str, Game] = {
    "minimax": (
        lambda r: -np.log(sigmoid(r)).mean(),
        lambda f: -np.log(1 - sigmoid(f)).mean(),
        lambda f: np.log(1 - sigmoid(f)).mean(),
    ),
    "nonsaturating": (
        lambda r: -np.log(sigmoid(r)).mean(),
        lambda f: -np.log(1 - sigmoid(f)).mean(),
        lambda f: -np.log(sigmoid(f)).mean(),
    ),
    "lsgan": (
        lambda r: ((r - 1) ** 2).mean(),
        lambda f: (f**2).mean(),
        lambda f: ((f - 1) ** 2).mean(),
    ),
    "hinge": (
        lambda r: np.maximum(0, 1 - r).mean(),
        lambda f: np.maximum(0, 1 + f).mean(),
        lambda f: -f.mean(),
    ),
}
EVERY = pytest.mark.parametrize("name", list(GAN_LOSSES))
SHAPES = pytest.mark.parametrize("shape", [(5,), (4, 1), (2, 1, 6, 7)])


@SHAPES
@EVERY
def test_terms_are_those_of_the_papers(name: str, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    real, fake = draw.normal(0.5, 2, shape), draw.normal(-0.5, 2, shape)
    on_real, on_fake, of_generator = PRINTED[name]
    loss, r, f = GAN_LOSSES[name], torch.from_numpy(real), torch.from_numpy(fake)
    terms = [*loss.d_terms(r, f), loss.d_loss(r, f), loss.g_loss(f), loss.g_loss(f, r)]
    wanted = [on_real(real), on_fake(fake), on_real(real) + on_fake(fake), of_generator(fake), of_generator(fake)]
    assert [term.shape for term in terms] == [torch.Size()] * 5
    assert [term.dtype for term in terms] == [torch.float64] * 5
    np.testing.assert_allclose([term.item() for term in terms], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "wanted"),  # with r = (2, 0), f = (-2, 1), by hand
    [
        (
            "nonsaturating",
            (
                (math.log1p(math.exp(-2)) + math.log(2)) / 2,
                (math.log1p(math.exp(-2)) + math.log1p(math.e)) / 2,
                (math.log1p(math.exp(2)) + math.log1p(math.exp(-1))) / 2,
            ),
        ),
        ("lsgan", ((1 + 1) / 2, (4 + 1) / 2, (9 + 0) / 2)),
        ("hinge", ((0 + 1) / 2, (0 + 2) / 2, (2 - 1) / 2)),
    ],
)
def test_by_hand(name: str, wanted: tuple[float, float, float]) -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])
    loss = GAN_LOSSES[name]
    assert (*map(float, loss.d_terms(real, fake)), float(loss.g_loss(fake))) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "wanted"),  # terms at r = -1000 (wrong), f = 1000 (wrong), and of the generator at f = -1000
    [
        ("minimax", (1000, 1000, 0)),
        ("nonsaturating", (1000, 1000, 1000)),
        ("lsgan", (1001**2, 1000**2, 1001**2)),
        ("hinge", (1001, 1001, 1000)),
    ],
)
def test_logits_of_a_thousand_stay_exact(name: str, wanted: tuple[float, float, float]) -> None:
    real, fake, lost = (torch.tensor([x], requires_grad=True) for x in (-1000.0, 1000.0, -1000.0))
    terms = (*GAN_LOSSES[name].d_terms(real, fake), GAN_LOSSES[name].g_loss(lost))
    assert [term.item() for term in terms] == pytest.approx(wanted, rel=1e-6)
    for gradient in torch.autograd.grad(sum(terms, torch.zeros(())), (real, fake, lost)):
        assert gradient.isfinite().all()


def test_only_the_nonsaturating_generator_learns_from_a_sure_discriminator() -> None:
    slopes = {}
    for name in ("minimax", "nonsaturating"):
        fake = torch.tensor([-30.0], requires_grad=True)
        (slope,) = torch.autograd.grad(GAN_LOSSES[name].g_loss(fake), fake)
        slopes[name] = slope.item()
    assert slopes["nonsaturating"] == pytest.approx(-1)
    assert slopes["minimax"] == pytest.approx(0, abs=1e-12)


@EVERY
def test_gradients(name: str) -> None:
    loss = GAN_LOSSES[name]
    real = torch.tensor([[-2.3, 0.4], [0.7, 3.1]], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([[1.7, -0.6], [-2.9, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss.d_terms, (real, fake))
    assert torch.autograd.gradcheck(loss.g_loss, (fake,))


@EVERY
def test_low_precision_outside_gives_fp32_inside(name: str) -> None:
    loss = GAN_LOSSES[name]
    real = torch.linspace(-3, 3, 600).reshape(2, 1, 300).to(torch.bfloat16)
    fake = real.flip(-1) * 0.7
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = [*loss.d_terms(real, fake), loss.g_loss(fake)]
    wanted = [*loss.d_terms(real.double(), fake.double()), loss.g_loss(fake.double())]
    for term, exact in zip(terms, wanted, strict=True):
        assert term.dtype == torch.float32
        assert term.item() == pytest.approx(exact.item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "shares"), [("nonsaturating", (0.75, 0.5)), ("lsgan", (0.5, 0.75))])
def test_accuracy_counts_each_side_of_the_boundary(name: str, shares: tuple[float, float]) -> None:
    real = torch.tensor([-0.1, 0.2, 0.6, 0.9], dtype=torch.bfloat16)
    fake = torch.tensor([-0.1, 0.0, 0.2, 0.6], dtype=torch.bfloat16)
    assert tuple(map(float, GAN_LOSSES[name].accuracy(real, fake))) == shares


def relativistic() -> GANLoss:
    def terms(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return (fake - real).mean(), torch.zeros(())

    return GANLoss("mine", "", "", "", terms, lambda f, r: (r - f).mean(), relativistic=True)


def test_a_relativistic_generator_needs_the_real_logits() -> None:
    loss, real, fake = relativistic(), torch.tensor([3.0]), torch.tensor([1.0])
    assert loss.g_loss(fake, real).item() == 2
    assert loss.d_loss(real, fake).item() == -2
    with pytest.raises(ValueError, match="'mine' is relativistic and needs the logits on real images"):
        loss.g_loss(fake)


def test_losses_are_found_by_name_alias_and_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_game.py").write_text(
        "from i2i.losses import GAN_LOSSES\nmine = GAN_LOSSES['hinge']\nwrong = len\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert {name: gan_loss(name).name for name in GAN_LOSSES} == {name: name for name in GAN_LOSSES}
    assert gan_loss("mm") is GAN_LOSSES["minimax"]
    assert {gan_loss(alias).name for alias in ("ns", "vanilla", "sgan")} == {"nonsaturating"}
    assert gan_loss("my_game:mine") is GAN_LOSSES["hinge"]
    with pytest.raises(UserError, match=r"my_game:wrong: must be an i2i\.losses\.GANLoss, not a builtin"):
        gan_loss("my_game:wrong")
    with pytest.raises(UserError, match=r"there is no GAN loss 'lsgam'; did you mean 'lsgan'\?"):
        gan_loss("lsgam")
