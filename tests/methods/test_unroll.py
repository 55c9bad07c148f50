"""The unrolled discriminator: its steps by closed forms and torch's optimizers, and what G learns of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from i2i.methods import GAN, GANConfig
from i2i.methods.unroll import unrolled
from i2i.nn import DCGANCriticConfig, MLPCriticConfig, MLPGeneratorConfig
from i2i.optim import OptimConfig

SGD = OptimConfig(name="sgd", lr=0.3)
SMALL = GANConfig(generator=MLPGeneratorConfig(hidden=(8,)), discriminator=MLPCriticConfig(hidden=(6,)), latent=3)
SIDE = 16  # of which DCGAN's critic has a layer with a norm


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Compute in float64, so that differences show derivatives."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def small_gan(optim: OptimConfig = SGD, **values: Any) -> GAN:
    torch.manual_seed(0)
    config = GANConfig.model_validate({**SMALL.model_dump(), **values})
    return GAN(config, channels=1, size=SIDE, classes=3, optim=optim)


def images(seed: int, count: int = 4) -> Tensor:
    return torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def slope(function: Callable[[Tensor], Tensor], at: Tensor, direction: Tensor, step: float = 1e-5) -> float:
    """Return the central difference along a direction."""
    ahead, behind = function(at + step * direction), function(at - step * direction)
    return float((ahead - behind).detach()) / (2 * step)


class Weights(nn.Module):
    def __init__(self, *values: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(values))


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_gradient_descent_on_a_parabola(steps: int) -> None:
    network, goal, steepness, lr = Weights(1.0, -2.0), torch.tensor([3.0, 0.5], requires_grad=True), 0.7, 0.2
    optimizer = torch.optim.SGD(network.parameters(), lr)
    ahead = unrolled(network, lambda w: steepness / 2 * (w["w"] - goal).square().sum(), steps, optimizer)["w"]
    share = (1 - lr * steepness) ** steps  # of the way that is left
    torch.testing.assert_close(ahead, goal + share * (torch.tensor([1.0, -2.0]) - goal))
    if steps:
        (gradient,) = torch.autograd.grad(ahead.sum(), goal)
        torch.testing.assert_close(gradient, torch.full((2,), 1 - share))
    assert network.w.tolist() == [1, -2]


@pytest.mark.parametrize("behind", [0, 3])
def test_adam_s_steps_are_those_that_torch_would_take(behind: int) -> None:
    network, goal = Weights(1.0, -2.0, 0.3), torch.tensor([3.0, 0.5, -1.0])
    optimizer = torch.optim.Adam(network.parameters(), 0.05, (0.6, 0.95))

    def loss(w: Tensor, goal: Tensor = goal) -> Tensor:
        return (w - goal).cosh().sum()

    for _ in range(behind):
        optimizer.zero_grad()
        torch.autograd.backward(loss(network.w))
        optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())

    def ahead(goal: Tensor) -> Tensor:
        return unrolled(network, lambda w: loss(w["w"], goal), 4, optimizer)["w"]

    wanted = ahead(goal)
    assert str(optimizer.state_dict()) == str(state)
    moving = goal.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ahead(moving)[1], moving)
    differences = [slope(lambda g: ahead(g)[1], goal, direction) for direction in torch.eye(3)]
    assert gradient.tolist() == pytest.approx(differences, rel=1e-5, abs=1e-9)
    assert abs(float(gradient[1])) > 1e-5
    for _ in range(4):
        optimizer.zero_grad()
        torch.autograd.backward(loss(network.w))
        optimizer.step()
    torch.testing.assert_close(wanted, network.w, rtol=1e-10, atol=1e-10)


def one_by_hand(method: GAN, real: Tensor, fake: Tensor, steps: int) -> Tensor:
    """The negative of D's loss some steps of descent later, differentiated layer by layer without the package."""
    w1, b1, w2, b2 = (parameter.detach().requires_grad_() for parameter in method.D.parameters())

    def d(x: Tensor) -> Tensor:
        return (nn.functional.leaky_relu(x.flatten(1) @ w1.T + b1, 0.2) @ w2.T + b2)[:, 0]

    def loss() -> Tensor:
        return softplus(-d(real)).mean() + softplus(d(fake)).mean()

    for _ in range(steps):
        gradients = torch.autograd.grad(loss(), (w1, b1, w2, b2), create_graph=True)
        w1, b1, w2, b2 = (w - 0.3 * g for w, g in zip((w1, b1, w2, b2), gradients, strict=True))
    return -loss()


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_what_g_foresees_by_hand(steps: int) -> None:
    method, real, fake = small_gan(unroll=steps), images(0), images(1).requires_grad_()
    foreseen, wanted = method.foreseen(real, fake, None), one_by_hand(method, real, fake, steps)
    torch.testing.assert_close(foreseen, wanted)
    gradient, by_hand = (torch.autograd.grad(loss, fake)[0] for loss in (foreseen, wanted))
    torch.testing.assert_close(gradient, by_hand)
    (plain,) = torch.autograd.grad(-method.gan.d_loss(method.D(real), method.D(fake)), fake)
    assert torch.allclose(gradient, plain) == (steps == 0)


@pytest.mark.parametrize(
    "values",
    [
        {"gan_loss": "rasgan", "conditional": True},
        {"gan_loss": "lsgan", "labels": {"real": 0.9, "fake": 0.2}, "joint_batches": True},
        {"discriminator": MLPCriticConfig(hidden=(6,), spectral_norm=True)},
        {"discriminator": DCGANCriticConfig(ndf=2, norm="batch", init="xavier"), "joint_batches": True, "pack": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("optim", [SGD, OptimConfig(lr=0.02)], ids=["sgd", "adam"])
def test_what_g_foresees_is_d_trained_further(values: dict[str, Any], optim: OptimConfig) -> None:
    """D's own steps on the same images lead to the foreseen loss, and looking ahead leaves D as it was."""
    method = small_gan(optim, unroll=2, **values)
    labels = torch.tensor([0, 2, 1, 1]) if method.config.conditional else None
    batch = {"image": images(5), **({} if labels is None else {"label": labels})}
    for step in range(2):
        method.train_step(batch, step)  # Adam has moments
    real, fake = method.shown(images(0), 0), method.shown(images(1), 0)
    twin = copy.deepcopy(method)
    twin.opt_d.config = optim
    foreseen = method.foreseen(real, fake.requires_grad_(), labels)
    (gradient,) = torch.autograd.grad(foreseen, fake)
    for name, value in method.D.state_dict().items():
        torch.testing.assert_close(value, twin.D.state_dict()[name], rtol=0, atol=0)
    for _ in range(2):
        on_real, on_fake = twin.judged(real, fake.detach(), labels)
        terms = twin.config.labels.d_terms(twin.gan, on_real, on_fake)
        twin.opt_d.minimize(terms[0] + terms[1])
    on_real, on_fake = twin.judged(real, fake.detach(), labels)
    terms = twin.config.labels.d_terms(twin.gan, on_real, on_fake)
    torch.testing.assert_close(foreseen, -(terms[0] + terms[1]), rtol=1e-7, atol=1e-9)

    if getattr(method.config.discriminator, "spectral_norm", False):
        return  # its singular vectors move on with every look, and no gradient follows them
    direction = torch.randn_like(fake)
    difference = slope(lambda x: method.foreseen(real, x, labels), fake.detach(), direction)
    assert float((gradient * direction).sum()) == pytest.approx(difference, rel=1e-4, abs=1e-8)


def test_g_s_step_changes_with_the_steps_that_it_foresees() -> None:
    ends = []
    for steps in (0, 1, 4):
        method = small_gan(unroll=steps)
        torch.manual_seed(1)
        method.train_step({"image": images(5)}, 0)
        ends.append(torch.cat([weights.detach().flatten() for weights in method.G.parameters()]))
        ends_of_d = [weights.detach().clone() for weights in method.D.parameters()]
        if not steps:
            plain_d = ends_of_d
        torch.testing.assert_close(ends_of_d, plain_d, rtol=0, atol=0)  # D itself takes its one step
    assert not any(torch.allclose(one, other) for one, other in combinations(ends, 2))
