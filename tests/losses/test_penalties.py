from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from i2i.errors import UserError
from i2i.losses import PENALTIES, Penalty, gan_loss, penalty
from i2i.losses.penalties import Critic, gradients_at
from i2i.nn import PatchGANConfig, build_discriminator, frozen

Array = NDArray[np.float64]
EVERY = pytest.mark.parametrize("name", list(PENALTIES))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def linear(weight: Tensor, shape: tuple[int, ...] = (-1, 1)) -> Critic:
    """Return a critic with the outputs weight @ x, of shape [N, *shape[1:]]."""
    return lambda images: (images.flatten(1) @ weight.reshape(-1, images[0].numel()).T).reshape(len(images), *shape[1:])


@pytest.mark.parametrize("outputs", [(-1,), (-1, 1), (-1, 1, 1, 1)])
@pytest.mark.parametrize("shape", [(1, 2), (7, 2), (1, 3, 8, 8), (5, 3, 8, 8)])
@pytest.mark.parametrize(("name", "wanted"), [("wgan-gp", 4), ("dragan", 4), ("r1", 9), ("r2", 9)])
def test_a_linear_critic_of_norm_three(
    name: str, wanted: float, shape: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    weight = torch.randn(shape[1:])
    critic = linear(3 * weight / weight.norm(), outputs)
    for scale in (0.0, 1.0, 50.0):
        found = penalty(name)(critic, scale * torch.randn(shape), torch.randn(shape) - scale)
        assert found.shape == ()
        assert found.item() == pytest.approx(wanted, rel=1e-5)


def points_of(name: str, real: Array, fake: Array, seed: int) -> Array:
    """Return where a penalty looks, from the papers' formulas and the draws of torch's global generator."""
    torch.manual_seed(seed)
    if name == "wgan-gp":
        share = torch.rand((len(real),) + (1,) * (real.ndim - 1), dtype=torch.float64).numpy()
        return np.asarray(share * real + (1 - share) * fake)
    if name == "dragan":
        noise = torch.randn(real.shape, dtype=torch.float64).numpy()
        return np.asarray(real + 0.5 * np.sqrt(((real - real.mean()) ** 2).mean()) * noise)
    return real if name == "r1" else fake


def term_of(name: str, gradients: Array) -> float:
    squares = (gradients.reshape(len(gradients), -1) ** 2).sum(1)
    return float((squares if name in ("r1", "r2") else (np.sqrt(squares) - 1) ** 2).mean())


@EVERY
def test_a_quadratic_critic(name: str) -> None:
    draw = np.random.default_rng(0)
    real, fake = draw.normal(size=(6, 2, 3)), draw.normal(1, 0.3, size=(6, 2, 3))
    form = draw.normal(size=(6, 6))
    form = form + form.T

    def critic(images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return (flat @ torch.from_numpy(form) * flat).sum(1) / 2

    gradients = points_of(name, real, fake, seed=3).reshape(6, 6) @ form
    torch.manual_seed(3)
    found = penalty(name)(critic, torch.from_numpy(real), torch.from_numpy(fake))
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(term_of(name, gradients), rel=1e-12)


def small_critic(inputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, 1)).double()


@EVERY
def test_an_mlp_against_finite_differences(name: str) -> None:
    critic, step = small_critic(), 1e-5
    real, fake = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    points = points_of(name, real.numpy(), fake.numpy(), seed=5)
    with torch.no_grad():
        columns = [
            (critic(torch.from_numpy(points + move)) - critic(torch.from_numpy(points - move))).numpy()[:, 0] / 2 / step
            for move in step * np.eye(3)
        ]
    torch.manual_seed(5)
    assert penalty(name)(critic, real, fake).item() == pytest.approx(term_of(name, np.stack(columns, 1)), rel=1e-8)


def reseeded(name: str, network: nn.Module, real: Tensor, fake: Tensor) -> Callable[..., Tensor]:
    """Return the penalty as a function of the network's parameters, the random numbers always the same."""
    names = [key for key, _ in network.named_parameters()]

    def value(*parameters: Tensor) -> Tensor:
        torch.manual_seed(7)
        weights = dict(zip(names, parameters, strict=True))
        return penalty(name)(lambda images: functional_call(network, weights, (images,)), real, fake)

    return value


@EVERY
def test_gradients_of_the_parameters(name: str) -> None:
    critic = small_critic(2)
    real, fake = torch.randn(3, 2).double(), torch.randn(3, 2).double()
    value, parameters = reseeded(name, critic, real, fake), tuple(critic.parameters())
    assert torch.autograd.gradcheck(value, parameters)
    assert torch.autograd.gradgradcheck(value, parameters)


@EVERY
def test_gradients_of_the_parameters_of_a_critic_of_patches(name: str) -> None:
    critic = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.InstanceNorm2d(2), nn.Softplus(), nn.Conv2d(2, 1, 2))
    real, fake = torch.randn(2, 1, 4, 4).double(), torch.randn(2, 1, 4, 4).double()
    value = reseeded(name, critic.double(), real, fake)
    assert torch.autograd.gradcheck(value, tuple(critic.parameters()))


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 2, 2)])
def test_orthogonal_patches_count_as_their_mean_whatever_the_signs(shape: tuple[int, ...]) -> None:
    critic = linear(3 * torch.linalg.qr(torch.randn(12, 4))[0].T, (-1, *shape))  # each patch has a gradient of norm 3
    real, fake = torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2)
    for name, wanted in (("wgan-gp", 4), ("dragan", 4), ("r1", 9), ("r2", 9)):
        assert penalty(name)(critic, real, fake).item() == pytest.approx(wanted, rel=1e-5)


def test_the_probe_expects_the_mean_of_the_patches_squares() -> None:
    weight = torch.randn(6, 3, dtype=torch.float64) + 1  # patches whose gradients are alike
    real = torch.zeros(20_000, 3, dtype=torch.float64)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=torch.float64)
    exact = (signs @ weight / math.sqrt(6)).square().sum(1).mean().item()
    assert exact == pytest.approx(weight.square().sum(1).mean().item())
    assert penalty("r1")(linear(weight, (-1, 6)), real, real).item() == pytest.approx(exact, rel=0.02)
    steepnesses = gradients_at(linear(weight, (-1, 6)), real).square().sum(1)  # one draw of signs a sample
    allowed = (signs @ weight / math.sqrt(6)).square().sum(1)
    assert (steepnesses[:, None] - allowed).abs().min(1).values.max() < 1e-9
    assert len(set(steepnesses.round(decimals=6).tolist())) == 32  # v and -v are equally steep


def test_a_critic_with_one_output_is_not_probed() -> None:
    state = torch.get_rng_state()
    penalty("r1")(linear(torch.ones(2)), torch.ones(4, 2), torch.zeros(4, 2))
    assert torch.equal(torch.get_rng_state(), state)


def steepness(critic: Critic, images: Tensor) -> float:
    images = images.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(images).sum(), images)
    return float(gradients.flatten(1).norm(dim=1).mean())


def test_the_norm_of_a_patch_critic_does_not_depend_on_the_image_size() -> None:
    critic = build_discriminator(PatchGANConfig(norm="instance"), 3)
    norms: dict[str, list[float]] = {"probe": [], "mean": [], "sum": []}
    for size in (32, 64, 128, 256):
        images = torch.rand(2, 3, size, size) * 2 - 1
        norms["probe"].append(gradients_at(critic, images).norm(dim=1).mean().item())
        norms["mean"].append(steepness(lambda x: critic(x).mean(dim=(1, 2, 3)), images))
        norms["sum"].append(steepness(lambda x: critic(x).sum(dim=(1, 2, 3)), images))
    assert max(norms["probe"]) < 1.5 * min(norms["probe"])
    assert norms["mean"][0] > 5 * norms["mean"][-1]
    assert norms["sum"][-1] > 5 * norms["sum"][0]


def looked_at(name: str, real: Tensor, fake: Tensor) -> Tensor:
    seen = []

    def critic(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return images.flatten(1).sum(1)

    penalty(name)(critic, real, fake)
    (points,) = seen
    return points


def test_wgan_gp_looks_on_the_line_between_with_one_share_a_sample() -> None:
    real, fake = torch.zeros(500, 3, 4, 4), torch.ones(500, 3, 4, 4)
    shares = 1 - looked_at("wgan-gp", real, fake)  # e of x = e r + (1 - e) f
    assert torch.equal(shares, shares[:, :1, :1, :1].expand_as(shares))
    assert len(set(shares[:, 0, 0, 0].tolist())) > 490
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.mean().item() == pytest.approx(0.5, abs=0.05)
    assert shares[:, 0, 0, 0].std().item() == pytest.approx(1 / math.sqrt(12), abs=0.02)


def test_dragan_looks_around_real_images_by_the_deviation_of_the_whole_batch() -> None:
    real = torch.tensor([-3.0, 3.0]).repeat(2000)[:, None].expand(-1, 5)  # no deviation within a sample, 3 over all
    noise = (looked_at("dragan", real, torch.full_like(real, torch.nan)) - real) / (0.5 * 3)
    assert noise.mean().item() == pytest.approx(0, abs=0.03)
    assert noise.std().item() == pytest.approx(1, abs=0.03)
    assert noise.pow(4).mean().item() == pytest.approx(3, abs=0.2)  # of a normal distribution
    one = torch.ones(1, 2)  # has no deviation, and gives no NaN
    assert torch.equal(looked_at("dragan", one, one), one)


def test_terms_of_ones_own_get_detached_images_in_fp32_at_least() -> None:
    mine = Penalty("mine", "E r + E f", "own", 1.0, lambda critic, real, fake: real.mean() + fake.mean())
    low, double = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True), torch.ones(2, 3, dtype=torch.float64)
    value = mine(lambda images: images, low, low)
    assert (value.item(), value.dtype, value.requires_grad) == (2, torch.float32, False)
    assert mine(lambda images: images, double, double).dtype == torch.float64


def test_r1_looks_at_real_and_r2_at_fake_images() -> None:
    real, fake = torch.randn(3, 2), torch.randn(4, 2)
    assert torch.equal(looked_at("r1", real, fake), real)
    assert torch.equal(looked_at("r2", real, fake), fake)


@EVERY
def test_only_the_critic_gets_gradients(name: str) -> None:
    critic, source = small_critic(2), torch.randn(4, 2).double().requires_grad_()
    real, fake = source * 2, source * 3
    value = penalty(name)(critic, real, fake)
    torch.autograd.backward(5 * value)
    gradients = [parameter.grad for parameter in critic.parameters()]
    assert all(g is not None and g.isfinite().all() and g.any() for g in gradients[:3])  # the last bias has no say
    assert source.grad is None
    data = torch.randn(4, 2).double()
    penalty(name)(critic, data, data)
    gradients_at(critic, data)
    assert not data.requires_grad


@EVERY
def test_a_frozen_critic_is_measured_without_gradients(name: str) -> None:
    critic, real, fake = small_critic(2), torch.randn(4, 2).double(), torch.randn(4, 2).double()
    torch.manual_seed(1)
    free = penalty(name)(critic, real, fake)
    with frozen(critic):
        torch.manual_seed(1)
        value = penalty(name)(critic, real, fake)
    assert value.item() == free.item()
    assert all(parameter.grad is None for parameter in critic.parameters())


@EVERY
def test_flat_critics_give_finite_gradients(name: str) -> None:
    weight = torch.zeros(2, requires_grad=True)
    value = penalty(name)(linear(weight), torch.randn(4, 2), torch.randn(4, 2))
    assert value.item() == (0 if name in ("r1", "r2") else 1)
    torch.autograd.backward(value)
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_descending_the_penalty_brings_the_norm_to_one() -> None:
    weight = torch.tensor([2.0, -1.0], requires_grad=True)
    descent = torch.optim.SGD([weight], 0.1)
    for _ in range(60):
        descent.zero_grad()
        torch.autograd.backward(penalty("wgan-gp")(linear(weight), torch.randn(4, 2), torch.randn(4, 2)))
        descent.step()
    assert weight.norm().item() == pytest.approx(1, abs=1e-3)


@EVERY
def test_autocast_is_off_within(name: str) -> None:
    critic = build_discriminator(PatchGANConfig(layers=1, ndf=4, norm="instance"), 3)
    real, fake = torch.rand(2, 3, 16, 16).bfloat16(), torch.rand(2, 3, 16, 16).bfloat16()
    torch.manual_seed(2)
    wanted = penalty(name)(critic, real.float(), fake.float())
    torch.manual_seed(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        critic(real)  # leaves bf16 copies of the weights in autocast's cache
        value = penalty(name)(critic, real, fake)
    assert value.dtype == torch.float32
    assert value.item() == wanted.item()


@pytest.mark.parametrize("name", ["wgan-gp", "dragan", "rsgan-gp", "rasgan-gp", "r3gan"])
def test_a_step_of_a_conditional_discriminator_of_patches(name: str) -> None:
    network = build_discriminator(PatchGANConfig(layers=2, ndf=4, norm="instance"), 6)
    loss, condition = gan_loss(name), torch.rand(2, 3, 24, 24)
    images, fake = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = loss.d_loss(network(images, condition), network(fake.detach(), condition))
        for each in map(penalty, loss.penalties):
            total = total + each.weight * each(lambda x: network(x, condition), images, fake)
    torch.autograd.backward(total)
    assert fake.grad is None
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_a_compiled_critic_runs_its_eager_forward() -> None:
    network, real = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)), torch.randn(3, 2)
    compiled = torch.compile(network, backend="aot_eager")
    points = real.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(compiled(points).sum(), points, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        torch.autograd.backward(slopes.sum())
    value = penalty("r1")(compiled, real, real)
    assert value.item() == penalty("r1")(network, real, real).item()
    torch.autograd.backward(value)
    assert network[0].weight.grad is not None


@EVERY
def test_mistakes_are_named(name: str) -> None:
    term, critic, images = penalty(name), linear(torch.ones(2)), torch.zeros(3, 2)
    for off in (torch.no_grad, torch.inference_mode):
        with off(), pytest.raises(ValueError, match=f"the penalty '{name}' is a gradient: call it outside of no_grad"):
            term(critic, images, images)
    with pytest.raises(ValueError, match=r"samples \[N, \.\.\.\], not of a tensor of shape \[3\]"):
        term(critic, torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"the critic made \[\] of 3 samples"):
        term(lambda x: x.mean(), images, images)
    with pytest.raises(ValueError, match=r"the critic made \[6, 1\] of 3 samples"):
        term(lambda x: x.reshape(6, 1), images, images)
    for blind in (lambda x: x.detach().sum(1), lambda x: torch.ones(3, requires_grad=True) * 2):
        with pytest.raises(ValueError, match="does not depend on its images"):
            term(blind, images, images)
    with pytest.raises(TypeError, match="must return one tensor, not a tuple"):
        term(lambda x: (x, x), images, images)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("shape", [(2, 2), (1, 2), (3, 1)])
def test_batches_of_other_sizes(shape: tuple[int, ...]) -> None:
    real, fake = torch.zeros(3, 2), torch.zeros(shape)
    with pytest.raises(ValueError, match=r"'wgan-gp' looks between .* the same shape, not \[3, 2\] and"):
        penalty("wgan-gp")(lambda x: x.sum(1), real, fake)
    for name in ("dragan", "r1", "r2"):
        penalty(name)(lambda x: x.sum(1), real, fake)


def test_weights_are_the_papers() -> None:
    assert {name: term.weight for name, term in PENALTIES.items()} == {"wgan-gp": 10, "dragan": 10, "r1": 5, "r2": 5}


@EVERY
def test_every_penalty_tells_its_formula_and_where_it_stands(name: str) -> None:
    term = PENALTIES[name]
    text = term.__doc__ or ""
    assert f"Term: {term.formula}\nSource: {term.source}\n" in text
    assert "grad C" in term.formula
    assert any(year in term.source for year in ("2017", "2018"))
    assert any(place in term.source for place in ("eq. ", "section "))


def test_penalties_are_found_by_name_alias_and_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_penalty.py").write_text(
        "from i2i.losses import Penalty\n"
        "from i2i.losses.penalties import gradients_at\n"
        "mine = Penalty('mine', 'E |grad C(r)|_1', 'own', 2.0,\n"
        "    lambda critic, real, fake: gradients_at(critic, real).abs().sum(1).mean())\n"
        "wrong = len\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert {name: penalty(name).name for name in PENALTIES} == {name: name for name in PENALTIES}
    assert penalty("gp") is PENALTIES["wgan-gp"]
    mine = penalty("my_penalty:mine")
    assert isinstance(mine, Penalty)
    assert mine(linear(torch.tensor([3.0, -4.0])), torch.zeros(2, 2), torch.zeros(2, 2)).item() == 7
    with pytest.raises(UserError, match=r"my_penalty:wrong: must be an i2i\.losses\.Penalty, not a builtin"):
        penalty("my_penalty:wrong")
    with pytest.raises(UserError, match=r"there is no penalty 'wgan_gp'; did you mean 'wgan-gp'\?"):
        penalty("wgan_gp")
