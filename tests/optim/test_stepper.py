from __future__ import annotations

import copy
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2i.optim import OptimConfig, Precision, PrecisionName, Stepper

Array = NDArray[np.float64]
Name = Literal["adam", "rmsprop", "sgd"]
State = dict[str, Tensor]

NAMES: tuple[Name, ...] = ("adam", "rmsprop", "sgd")
EVERY = pytest.mark.parametrize("name", NAMES)
START = [0.5, -1.0, 2.0]
SLOPES = np.array([[0.3, -0.2, 4.0], [0.1, 0.5, -3.0], [-2.0, 0.5, 1.0], [0.7, -0.1, 0.0]])


class Vector(nn.Module):
    """Three weights w; ``step(stepper, c)`` minimises c w, whose gradient is c."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(START))

    def step(self, stepper: Stepper, slope: Array) -> None:
        stepper.minimize((torch.from_numpy(slope).float() * self.w).sum())


def equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def adam(w: Array, slopes: Array, config: OptimConfig) -> Array:
    """Kingma & Ba 2015, algorithm 1, with an L2 penalty."""
    m, v, (beta1, beta2) = np.zeros_like(w), np.zeros_like(w), config.betas
    for t, slope in enumerate(slopes, start=1):
        g = slope + config.weight_decay * w
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        w = w - config.lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
    return w


def rmsprop(w: Array, slopes: Array, config: OptimConfig) -> Array:
    """Hinton's lecture 6e, with momentum over the scaled gradient and a memory of 0.99."""
    v, b = np.zeros_like(w), np.zeros_like(w)
    for slope in slopes:
        g = slope + config.weight_decay * w
        v = 0.99 * v + 0.01 * g**2
        b = config.momentum * b + g / (np.sqrt(v) + 1e-8)
        w = w - config.lr * b
    return w


def sgd(w: Array, slopes: Array, config: OptimConfig) -> Array:
    b = np.zeros_like(w)
    for slope in slopes:
        b = config.momentum * b + slope + config.weight_decay * w
        w = w - config.lr * b
    return w


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@EVERY
def test_updates_are_those_of_the_equations(name: Name, momentum: float, precision: PrecisionName) -> None:
    config = OptimConfig(name=name, lr=0.01, betas=(0.5, 0.99), momentum=momentum, weight_decay=0.1)
    vector = Vector()
    stepper = Stepper({"v": vector}, config, Precision(precision))
    for slope in SLOPES:
        with stepper.precision.autocast():
            vector.step(stepper, slope)
    wanted = {"adam": adam, "rmsprop": rmsprop, "sgd": sgd}[name](np.array(START), SLOPES, config)
    np.testing.assert_allclose(vector.w.detach().numpy(), wanted, rtol=1e-5)
    assert stepper.skipped.item() == 0


def bad_loss(kind: str, w: Tensor) -> Tensor:
    """Return a loss that is wrong in itself, in its gradient, or in both."""
    match kind:
        case "loss":
            return w.sum() + torch.inf  # its gradient is 1
        case "gradient":
            return (0 * w).sqrt().sum()  # is 0; its gradient is 0 times infinity
    return (w * torch.nan).sum()


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("kind", ["loss", "gradient", "both"])
@pytest.mark.parametrize("clip", [None, 1.0])
@EVERY
def test_a_step_that_is_not_finite_might_as_well_not_have_been(
    name: Name, clip: float | None, kind: str, before: int
) -> None:
    config = OptimConfig(name=name, lr=0.01, momentum=0.9, clip_norm=clip)
    vectors = Vector(), Vector()
    steppers = [Stepper({"v": vector}, config) for vector in vectors]
    spared, other = steppers
    for slope in SLOPES[:before]:
        for vector, stepper in zip(vectors, steppers, strict=True):
            vector.step(stepper, slope)
    junk = [torch.full((3,), 7e30) for _ in range(100)]  # what memory that is left undefined would hold
    del junk
    spared.minimize(bad_loss(kind, vectors[0].w))
    assert torch.equal(vectors[0].w, vectors[1].w)
    for key, moment in spared.state()[0].items():
        assert torch.equal(moment, other.state()[0].get(key, torch.zeros_like(moment)))
    assert (spared.skipped.item(), other.skipped.item()) == (1, 0)
    for slope in SLOPES[before:]:
        for vector, stepper in zip(vectors, steppers, strict=True):
            vector.step(stepper, slope)
    assert torch.equal(vectors[0].w, vectors[1].w)
    assert equal(spared.state()[0], other.state()[0])
    assert spared.skipped.item() == 1


@pytest.mark.parametrize("kind", ["loss", "gradient", "both"])
@EVERY
def test_fp16_skips_such_steps_too_and_halves_its_scale(name: Name, kind: str) -> None:
    vector = Vector()
    stepper = Stepper({"v": vector}, OptimConfig(name=name, momentum=0.9), Precision("fp16"))
    vector.step(stepper, SLOPES[0])
    weights, (moments, scaler) = vector.w.detach().clone(), copy.deepcopy(stepper.state())
    stepper.minimize(bad_loss(kind, vector.w))
    assert torch.equal(vector.w, weights)
    assert equal(stepper.state()[0], moments)
    assert stepper.state()[1]["scale"] == scaler["scale"] / 2
    assert stepper.skipped.item() == (kind != "gradient")  # scaled gradients overflow in the normal course of things


def test_clipping_by_hand() -> None:
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    stepper = Stepper({"a": a, "b": b}, OptimConfig(name="sgd", lr=1.0, clip_norm=2.5))
    for slopes, norm, moves in [((3.0, 4.0), 5.0, (1.5, 2.0)), ((0.3, -0.4), 0.5, (0.3, -0.4))]:
        before = a.weight.item(), b.weight.item()
        stepper.minimize(slopes[0] * a.weight.sum() + slopes[1] * b.weight.sum())
        assert stepper.grad_norm.item() == pytest.approx(norm, rel=1e-6)
        assert before[0] - a.weight.item() == pytest.approx(moves[0], rel=1e-5)
        assert before[1] - b.weight.item() == pytest.approx(moves[1], rel=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_clipping_sees_unscaled_gradients(precision: PrecisionName) -> None:
    vector = Vector()
    stepper = Stepper({"v": vector}, OptimConfig(name="sgd", lr=1.0, clip_norm=1.0), Precision(precision))
    vector.step(stepper, np.array([3.0, 0.0, -4.0]))
    assert vector.w.tolist() == pytest.approx([0.5 - 0.6, -1.0, 2.0 + 0.8], rel=1e-5)


def test_generator_and_discriminator_have_rates_of_their_own() -> None:
    config = OptimConfig(name="sgd", lr=0.1, lr_d=0.4)
    g, d = Vector(), Vector()
    opt_g, opt_d = Stepper({"G": g}, config), Stepper({"D": d}, config, lr=config.lr_d)
    for stepper in (opt_g, opt_d):
        stepper.set_lr_factor(0.3)  # factors do not pile up
        stepper.set_lr_factor(0.5)
    assert (opt_g.lr, opt_d.lr) == (0.05, 0.2)
    g.step(opt_g, np.ones(3))
    d.step(opt_d, np.ones(3))
    assert g.w.tolist() == pytest.approx([x - 0.05 for x in START])
    assert d.w.tolist() == pytest.approx([x - 0.2 for x in START])
    assert Stepper({"D": d}, OptimConfig(), lr=OptimConfig().lr_d).lr == 2e-4


def test_gradients_do_not_pile_up_and_absent_ones_do_no_harm() -> None:
    used, unused = Vector(), Vector()
    stepper = Stepper({"used": used, "unused": unused}, OptimConfig(name="sgd", lr=1.0, momentum=0.5))
    used.step(stepper, np.ones(3))
    assert unused.w.tolist() == START
    unused.step(stepper, np.ones(3))
    assert used.w.tolist() == unused.w.tolist() == [x - 1 for x in START]


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.Tanh(), nn.Conv2d(8, 4, 3))


def train(network: nn.Module, stepper: Stepper, steps: range) -> None:
    for step in steps:
        x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(step))
        x = x.contiguous(memory_format=torch.channels_last)
        with stepper.precision.autocast():
            loss = network(x).float().square().mean()
        stepper.minimize(loss)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@EVERY
def test_a_saved_state_continues_bit_for_bit(name: Name, precision: PrecisionName) -> None:
    config = OptimConfig(name=name, lr=0.01, momentum=0.9, clip_norm=1.0)
    whole = convolutions()
    stepper = Stepper({"G": whole}, config, Precision(precision))
    whole.to(memory_format=torch.channels_last)  # after the optimizer was built, as in a run
    train(whole, stepper, range(3))

    weights = {key: value.detach().clone().contiguous() for key, value in whole.state_dict().items()}
    tensors, scaler = stepper.state()
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}  # as a file holds them
    assert {key.rpartition(":")[0] for key in tensors} == {f"G.{key}" for key in weights}
    scaler = dict(scaler)

    resumed = convolutions()
    second = Stepper({"G": resumed}, config, Precision(precision))
    resumed.to(memory_format=torch.channels_last)
    train(resumed, second, range(7, 8))  # something to forget
    resumed.load_state_dict(weights)
    second.load_state(tensors, scaler)
    for parameter in resumed.parameters():
        for moment in second.optimizer.state[parameter].values():
            assert moment.dim() == 0 or moment.stride() == parameter.stride()
    kept = {key: value.clone() for key, value in tensors.items()}
    for network, optimizer in ((whole, stepper), (resumed, second)):
        train(network, optimizer, range(3, 6))
    assert equal(dict(whole.named_parameters()), dict(resumed.named_parameters()))
    assert equal(stepper.state()[0], second.state()[0])
    assert stepper.state()[1] == second.state()[1]
    assert equal(tensors, kept)  # what was given is not written to


@EVERY
def test_a_state_from_before_the_first_step_forgets_later_ones(name: Name) -> None:
    vector = Vector()
    stepper = Stepper({"v": vector}, OptimConfig(name=name, momentum=0.9))
    tensors, scaler = stepper.state()
    vector.step(stepper, SLOPES[0])
    assert stepper.state()[0]
    stepper.load_state(tensors, scaler)
    assert stepper.state()[0] == {}


def test_a_state_of_another_network_is_refused() -> None:
    stepper = Stepper({"G": Vector()}, OptimConfig())
    with pytest.raises(KeyError, match=r"G\.other"):
        stepper.load_state({"G.other:exp_avg": torch.zeros(3)}, {})


def test_several_steps_within_one_autocast_block_use_the_new_weights() -> None:
    """Autocast keeps bf16 copies of the weights, which each step must throw away."""

    def losses(separate: bool) -> list[float]:
        torch.manual_seed(0)
        network = nn.Linear(4, 1)
        stepper = Stepper({"N": network}, OptimConfig(name="sgd", lr=0.1), Precision("bf16"))
        values = []
        x = torch.ones(2, 4)
        with torch.autocast("cpu", torch.bfloat16, enabled=not separate):
            for _ in range(3):
                with torch.autocast("cpu", torch.bfloat16):
                    loss = network(x).float().square().mean()
                stepper.minimize(loss)
                values.append(float(loss.detach()))
        return values

    together = losses(separate=False)
    assert together == losses(separate=True)
    assert together[0] != together[1]
