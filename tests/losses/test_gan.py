from __future__ import annotations

import itertools
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
from i2i.losses import GAN_LOSSES, PENALTIES, Advice, GANLoss, gan_loss

Array = NDArray[np.float64]
Game = tuple[Callable[[Array, Array], Any], Callable[[Array, Array], Any]]


def s(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def plus(x: Array) -> Array:
    return np.maximum(0, x)


def log(x: Array) -> Array:
    return np.asarray(np.log(x))


def mean(x: Array) -> float:
    return float(x.sum() / x.size)


# The papers' formulas as they are printed, from (Cr, Cf): what the discriminator and what the generator minimises.
PRINTED: dict[str, Game] = {
    "minimax": (
        lambda r, f: -mean(log(s(r))) - mean(log(1 - s(f))),
        lambda r, f: mean(log(1 - s(f))),
    ),
    "nonsaturating": (
        lambda r, f: -mean(log(s(r))) - mean(log(1 - s(f))),
        lambda r, f: -mean(log(s(f))),
    ),
    "lsgan": (
        lambda r, f: mean((r - 1) ** 2) + mean(f**2),
        lambda r, f: mean((f - 1) ** 2),
    ),
    "wgan": (
        lambda r, f: -mean(r) + mean(f),
        lambda r, f: -mean(f),
    ),
    "hinge": (
        lambda r, f: mean(plus(1 - r)) + mean(plus(1 + f)),
        lambda r, f: -mean(f),
    ),
    "rsgan": (
        lambda r, f: -mean(log(s(r - f))),
        lambda r, f: -mean(log(s(f - r))),
    ),
    "rasgan": (
        lambda r, f: -mean(log(s(r - mean(f)))) - mean(log(1 - s(f - mean(r)))),
        lambda r, f: -mean(log(s(f - mean(r)))) - mean(log(1 - s(r - mean(f)))),
    ),
    "ralsgan": (
        lambda r, f: mean((r - mean(f) - 1) ** 2) + mean((f - mean(r) + 1) ** 2),
        lambda r, f: mean((f - mean(r) - 1) ** 2) + mean((r - mean(f) + 1) ** 2),
    ),
    "rahinge": (
        lambda r, f: mean(plus(1 - (r - mean(f)))) + mean(plus(1 + (f - mean(r)))),
        lambda r, f: mean(plus(1 - (f - mean(r)))) + mean(plus(1 + (r - mean(f)))),
    ),
}
BASES = {"wgan-gp": "wgan", "dragan": "nonsaturating", "rsgan-gp": "rsgan", "rasgan-gp": "rasgan", "r3gan": "rsgan"}
RELATIVISTIC = ["rsgan", "rasgan", "ralsgan", "rahinge", "rsgan-gp", "rasgan-gp", "r3gan"]
EVERY = pytest.mark.parametrize("name", list(GAN_LOSSES))


def values(*losses: Tensor) -> list[float]:
    return [loss.item() for loss in losses]


def test_the_catalogue_holds_what_is_tested_here() -> None:
    assert set(GAN_LOSSES) == {*PRINTED, *BASES}
    assert [name for name, loss in GAN_LOSSES.items() if loss.relativistic] == RELATIVISTIC
    assert all(name == loss.name for name, loss in GAN_LOSSES.items())


@pytest.mark.parametrize("shape", [(5,), (4, 1), (2, 1, 6, 7)])
@EVERY
def test_losses_are_those_of_the_papers(name: str, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    real, fake = draw.normal(0.5, 2, shape), draw.normal(-0.5, 2, shape)
    of_discriminator, of_generator = PRINTED[BASES.get(name, name)]
    loss, r, f = GAN_LOSSES[name], torch.from_numpy(real), torch.from_numpy(fake)
    on_real, on_fake = loss.d_terms(r, f)
    found = [loss.d_loss(r, f), on_real + on_fake, loss.g_loss(f, r)]
    assert [term.shape for term in (on_real, on_fake, *found)] == [torch.Size()] * 5
    assert [term.dtype for term in (on_real, on_fake, *found)] == [torch.float64] * 5
    d_loss = of_discriminator(real, fake)
    np.testing.assert_allclose(values(*found), [d_loss, d_loss, of_generator(real, fake)], rtol=1e-12)
    if not loss.relativistic:
        assert loss.g_loss(f).item() == loss.g_loss(f, r).item()


def up(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("name", "wanted"),  # the terms on real, on fake, and the generator's, with Cr = (2, 0), Cf = (-2, 1), by hand
    [
        ("minimax", ((up(-2) + up(0)) / 2, (up(-2) + up(1)) / 2, -(up(-2) + up(1)) / 2)),
        ("nonsaturating", ((up(-2) + up(0)) / 2, (up(-2) + up(1)) / 2, (up(2) + up(-1)) / 2)),
        ("lsgan", ((1 + 1) / 2, (4 + 1) / 2, (9 + 0) / 2)),
        ("wgan", (-1, -0.5, 0.5)),
        ("hinge", ((0 + 1) / 2, (0 + 2) / 2, (2 - 1) / 2)),
        # the differences are (4, -1)
        ("rsgan", ((up(-4) + up(1)) / 4, (up(-4) + up(1)) / 4, (up(4) + up(-1)) / 2)),
        # E Cr = 1, E Cf = -0.5: real images lead by (2.5, 0.5), fake ones by (-3, 0)
        (
            "rasgan",
            ((up(-2.5) + up(-0.5)) / 2, (up(-3) + up(0)) / 2, (up(3) + up(0)) / 2 + (up(2.5) + up(0.5)) / 2),
        ),
        ("ralsgan", ((2.25 + 0.25) / 2, (4 + 1) / 2, (16 + 1) / 2 + (12.25 + 2.25) / 2)),
        ("rahinge", ((0 + 0.5) / 2, (0 + 1) / 2, (4 + 1) / 2 + (3.5 + 1.5) / 2)),
    ],
)
def test_terms_by_hand(name: str, wanted: tuple[float, float, float]) -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])
    loss = GAN_LOSSES[name]
    assert values(*loss.d_terms(real, fake), loss.g_loss(fake, real)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "d_loss", "g_loss"),  # of the discriminator at Cr = -1000, Cf = 1000, of the generator the other way round
    [
        ("minimax", 2000, 0),
        ("nonsaturating", 2000, 1000),
        ("lsgan", 1001**2 + 1000**2, 1001**2),
        ("wgan", 2000, 1000),
        ("hinge", 2002, 1000),
        ("rsgan", 2000, 2000),
        ("rasgan", 4000, 4000),
        ("ralsgan", 2 * 2001**2, 2 * 2001**2),
        ("rahinge", 4002, 4002),
    ],
)
def test_logits_of_a_thousand_stay_exact(name: str, d_loss: float, g_loss: float) -> None:
    low, high, loss = torch.tensor([-1000.0]), torch.tensor([1000.0]), GAN_LOSSES[name]
    assert values(loss.d_loss(low, high), loss.g_loss(low, high)) == pytest.approx([d_loss, g_loss], rel=1e-6)


@EVERY
def test_values_and_gradients_of_extreme_logits_are_finite(name: str) -> None:
    loss = GAN_LOSSES[name]
    for dtype, ends in itertools.product(
        (torch.float32, torch.float64), itertools.product((-1000.0, 0.0, 1000.0), repeat=2)
    ):
        real, fake = (torch.full((2, 1, 2, 2), end, dtype=dtype, requires_grad=True) for end in ends)
        for value in (loss.d_loss(real, fake), loss.g_loss(fake, real)):
            assert value.isfinite()
            for slope in torch.autograd.grad(value, (real, fake), allow_unused=True):
                assert slope is None or slope.isfinite().all()


def test_large_logits_are_exact_in_float64() -> None:
    fake = torch.tensor([-25.0], dtype=torch.float64)  # where softplus(25) of torch is 25, off by 1e-11
    assert GAN_LOSSES["nonsaturating"].g_loss(fake).item() == 25 + math.log1p(math.exp(-25))


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
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(loss.d_terms, (real, fake))
        assert check(loss.g_loss, (fake, real) if loss.relativistic else (fake,))


@EVERY
def test_low_precision_outside_gives_fp32_inside(name: str) -> None:
    loss = GAN_LOSSES[name]
    real = torch.linspace(-3, 3, 600).reshape(2, 1, 300).to(torch.bfloat16)
    fake = real.flip(-1) * 0.7
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = [*loss.d_terms(real, fake), loss.g_loss(fake, real)]
    assert [term.dtype for term in terms] == [torch.float32] * 3
    assert values(*terms) == values(*loss.d_terms(real.float(), fake.float()), loss.g_loss(fake.float(), real.float()))
    exact = [*loss.d_terms(real.double(), fake.double()), loss.g_loss(fake.double(), real.double())]
    assert values(*terms) == pytest.approx(values(*exact), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ["wgan", "wgan-gp", *RELATIVISTIC])
def test_a_discriminator_may_drift_without_changing_these_losses(name: str) -> None:
    loss, draw = GAN_LOSSES[name], torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 7, 1, dtype=torch.float64, generator=draw)
    assert loss.d_loss(real + 5, fake + 5).item() == pytest.approx(loss.d_loss(real, fake).item())
    assert values(*loss.accuracy(real + 5, fake + 5)) == values(*loss.accuracy(real, fake))
    if loss.relativistic:
        assert loss.g_loss(fake + 5, real + 5).item() == pytest.approx(loss.g_loss(fake, real).item())


@pytest.mark.parametrize("name", RELATIVISTIC)
def test_relativistic_generators_look_at_the_real_logits(name: str) -> None:
    loss, fake = GAN_LOSSES[name], torch.tensor([0.6, 0.1])
    real = torch.tensor([0.5, 2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(loss.g_loss(fake, real), real)
    assert (slope != 0).any()
    with pytest.raises(ValueError, match=f"'{name}' is relativistic and needs the logits on real images"):
        loss.g_loss(fake)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((3, 1), (3,)), ((3, 1), (1, 1)), ((2, 1, 4, 4), (2, 1, 4, 1))])
@pytest.mark.parametrize("name", ["rsgan", "rsgan-gp", "r3gan"])
def test_pairs_need_as_many_real_as_fake_logits(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    loss, real, fake = GAN_LOSSES[name], torch.zeros(shapes[0]), torch.zeros(shapes[1])
    with pytest.raises(ValueError, match=r"one to one, so they must have the same shape, not \["):
        loss.d_terms(real, fake)
    with pytest.raises(ValueError, match=r"one to one"):
        loss.g_loss(fake, real)
    with pytest.raises(ValueError, match=r"one to one"):
        loss.accuracy(real, fake)


@pytest.mark.parametrize("name", [name for name in PRINTED if name != "rsgan"])
def test_the_other_losses_take_batches_of_other_sizes(name: str) -> None:
    draw = np.random.default_rng(1)
    real, fake = draw.normal(size=(5, 1, 2, 2)), draw.normal(size=(3, 1, 4, 4))
    loss, r, f = GAN_LOSSES[name], torch.from_numpy(real), torch.from_numpy(fake)
    of_discriminator, of_generator = PRINTED[name]
    wanted = [of_discriminator(real, fake), of_generator(real, fake)]
    np.testing.assert_allclose(values(loss.d_loss(r, f), loss.g_loss(f, r)), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("minimax", (0.75, 0.5)),
        ("nonsaturating", (0.75, 0.5)),
        ("dragan", (0.75, 0.5)),
        ("hinge", (0.75, 0.5)),
        ("lsgan", (0.5, 0.75)),
        # E Cr = 0.4 and E Cf = 0.175, of which 0.6, 0.9 and 0.2 lie above the latter, -0.1, 0 and 0.2 below the former
        ("wgan", (0.75, 0.75)),
        ("wgan-gp", (0.75, 0.75)),
        ("rasgan", (0.75, 0.75)),
        ("ralsgan", (0.75, 0.75)),
        ("rahinge", (0.75, 0.75)),
        ("rasgan-gp", (0.75, 0.75)),
        # the pairs differ by 0, 0.2, 0.4, 0.3: the first is a tie, and a tie counts as fake
        ("rsgan", (0.75, 1.0)),
        ("r3gan", (0.75, 1.0)),
    ],
)
def test_accuracy_counts_each_side_of_the_boundary(name: str, shares: tuple[float, float]) -> None:
    real = torch.tensor([-0.1, 0.2, 0.6, 0.9], dtype=torch.bfloat16, requires_grad=True)
    fake = torch.tensor([-0.1, 0.0, 0.2, 0.6], dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        right = GAN_LOSSES[name].accuracy(real, fake)
    assert tuple(map(float, right)) == shares
    assert not any(share.requires_grad for share in right)


def test_accuracy_compares_in_fp32() -> None:
    real = torch.full((4,), 100.5, dtype=torch.bfloat16)
    fake = torch.tensor([100.0, 100.5, 100.5, 100.5], dtype=torch.bfloat16)  # whose mean in bf16 would be 100.5
    assert tuple(map(float, GAN_LOSSES["rasgan"].accuracy(real, fake))) == (1.0, 1.0)


def relativistic() -> GANLoss:
    def terms(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return (fake - real).mean(), torch.zeros(())

    return GANLoss("mine", "", "", "", terms, lambda f, r: (r - f).mean(), relativistic=True)


def test_a_loss_of_ones_own() -> None:
    loss, real, fake = relativistic(), torch.tensor([3.0]), torch.tensor([1.0])
    assert loss.g_loss(fake, real).item() == 2
    assert loss.d_loss(real, fake).item() == -2
    assert (loss.penalties, loss.weight_clip, loss.advice) == ((), None, None)
    with pytest.raises(ValueError, match="'mine' is relativistic and needs the logits on real images"):
        loss.g_loss(fake)


def test_what_goes_with_a_loss() -> None:
    penalties = {name: loss.penalties for name, loss in GAN_LOSSES.items() if loss.penalties}
    assert penalties == {
        "wgan-gp": ("wgan-gp",),
        "dragan": ("dragan",),
        "rsgan-gp": ("wgan-gp",),
        "rasgan-gp": ("wgan-gp",),
        "r3gan": ("r1", "r2"),
    }
    assert {name for names in penalties.values() for name in names} <= set(PENALTIES)
    assert {name: loss.weight_clip for name, loss in GAN_LOSSES.items() if loss.weight_clip} == {"wgan": 0.01}
    assert {name: loss.advice for name, loss in GAN_LOSSES.items() if loss.advice} == {
        "wgan": Advice("rmsprop", lr=5e-5, critic_steps=5),
        "wgan-gp": Advice("adam", lr=1e-4, betas=(0.0, 0.9), critic_steps=5),
    }
    assert str(gan_loss("wgan").advice) == "rmsprop, lr 5e-05, 5 critic steps"
    assert str(gan_loss("wgan-gp").advice) == "adam, lr 0.0001, betas 0 and 0.9, 5 critic steps"
    assert str(Advice("sgd", lr=0.1)) == "sgd, lr 0.1, 1 critic step"


@EVERY
def test_every_loss_tells_its_formulas_and_where_they_stand(name: str) -> None:
    loss = GAN_LOSSES[name]
    text = loss.__doc__ or ""
    assert f"D minimises {loss.d_formula}\n" in text
    assert f"G minimises {loss.g_formula}\n" in text
    assert f"Source: {loss.source}\n" in text
    assert "Cr" in loss.d_formula
    assert "Cf" in loss.d_formula
    assert ("Cr" in loss.g_formula) == loss.relativistic
    assert any(str(year) in loss.source for year in range(2014, 2025))
    assert any(place in loss.source for place in ("eq. ", "eqs. ", "section "))
    assert all(penalty in text for penalty in loss.penalties)


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
    with pytest.raises(UserError, match=r"'began' is a method of its own .* autoencoder .* see: i2i list losses"):
        gan_loss("began")
