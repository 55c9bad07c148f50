"""BEGAN's step and balance against the paper's equations written out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.errors import UserError
from i2i.methods import BEGAN, BEGANConfig, Method
from i2i.nn import BEGANAutoencoderConfig, BEGANGeneratorConfig, InferencePolicy, MLPGeneratorConfig
from i2i.optim import OptimConfig, Precision

SIDE = 10
SMALL: dict[str, Any] = {
    "generator": BEGANGeneratorConfig(ngf=4, repeats=1),
    "discriminator": BEGANAutoencoderConfig(ndf=4, repeats=1),
    "latent": 6,
}


def small_began(optim: OptimConfig | None = None, precision: Precision | None = None, **values: Any) -> BEGAN:
    torch.manual_seed(0)
    return BEGAN(BEGANConfig(**SMALL, **values), channels=2, size=SIDE, optim=optim, precision=precision)


def images(count: int = 4) -> dict[str, Tensor]:
    return {"image": torch.rand(count, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1}


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_three_steps_written_out(double: None) -> None:
    """L_D = L(x) - k L(G(z_D)), L_G = L(G(z_G)), k += lambda (gamma L(x) - L(G(z_G))); Berthelot et al. 2017, 3.4."""
    method = small_began(OptimConfig(lr=3e-3, lr_d=2e-3), gamma=0.6, lambda_k=0.2)
    method.k = torch.tensor(0.3)
    g, d, k = copy.deepcopy(method.G), copy.deepcopy(method.D), 0.3
    opt_g = torch.optim.Adam(g.parameters(), 3e-3, (0.5, 0.999))
    opt_d = torch.optim.Adam(d.parameters(), 2e-3, (0.5, 0.999))
    x = images()["image"].double()
    for step in range(3):
        torch.manual_seed(step)
        scalars = method.train_step({"image": x}, step)
        torch.manual_seed(step)
        z_d, z_g = 2 * torch.rand(4, 6) - 1, 2 * torch.rand(4, 6) - 1
        fake = g(z_d).detach()
        on_real, on_fake = (d(x) - x).abs().mean(), (d(fake) - fake).abs().mean()
        opt_d.zero_grad()
        torch.autograd.backward(on_real - k * on_fake)
        opt_d.step()
        made = g(z_g)
        g_loss = (d(made) - made).abs().mean()
        opt_g.zero_grad()
        torch.autograd.backward(g_loss)
        opt_g.step()
        real, fake_by_d, fake_by_g = float(on_real.detach()), float(on_fake.detach()), float(g_loss.detach())
        wanted = {
            "loss/d": real - k * fake_by_d,
            "loss/g": fake_by_g,
            "d/real": real,
            "d/fake": fake_by_d,
            "began/measure": real + abs(0.6 * real - fake_by_g),
            "began/k": (k := min(1.0, max(0.0, k + 0.2 * (0.6 * real - fake_by_g)))),
        }
        assert {name: float(value) for name, value in scalars.items()} == pytest.approx(wanted, rel=1e-9)
    assert k not in (0.0, 1.0, 0.3)
    for trained, by_hand in ((method.G, g), (method.D, d)):
        for one, other in zip(trained.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_the_paper_s_balance_from_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    method = small_began(OptimConfig(name="sgd", lr=1e-30))
    assert (method.config.gamma, method.config.lambda_k, float(method.k)) == (0.5, 0.001, 0)
    for before, real, fake, after, measure in (
        (0.2, 0.8, 0.1, 0.2 + 0.0003, 1.1),
        (0.0, 0.2, 0.9, 0.0, 1.0),  # not below 0
        (0.9999, 1.0, 0.2, 1.0, 1.3),  # not above 1
    ):
        errors = iter([real, fake, fake])
        monkeypatch.setattr(
            method,
            "error",
            lambda shown, errors=errors: torch.tensor(next(errors)) + 0 * method.D(shown).sum(),
        )
        method.k = torch.tensor(before)
        scalars = method.train_step(images(), 0)
        assert float(scalars["began/k"]) == float(method.k) == pytest.approx(after, abs=1e-7)
        assert float(scalars["began/measure"]) == pytest.approx(measure)
        assert float(scalars["loss/d"]) == pytest.approx(real - before * fake)
        assert not method.k.requires_grad


def test_each_loss_reaches_its_own_network_alone(recording: Callable[[Method], Any]) -> None:
    method = small_began()
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(images(), 0)
    assert (to_d.touched, to_g.touched) == ({"D"}, {"G"})
    assert all(parameter.requires_grad for parameter in method.D.parameters())


def test_the_balance_is_part_of_the_state() -> None:
    method, other = small_began(lambda_k=0.1), small_began(lambda_k=0.1)
    for step in range(3):
        method.train_step(images(), step)
    assert 0 < method.k < 1
    other.load_state({name: value.clone() for name, value in method.state().items()})
    assert torch.equal(other.k, method.k)
    for name, network in method.networks.items():
        other.networks[name].load_state_dict(network.state_dict())
    for name, stepper in method.steppers.items():
        other.steppers[name].load_state(*copy.deepcopy(stepper.state()))
    scalars = []
    for one in (method, other):
        torch.manual_seed(5)
        scalars.append(one.train_step(images(), 3))
    assert scalars[0] == scalars[1]


def test_the_autoencoder_learns_real_images_and_balance_comes() -> None:
    method, data = small_began(OptimConfig(lr=5e-3), lambda_k=0.05), images(8)
    rows = [method.train_step(data, step) for step in range(80)]
    assert float(rows[-1]["d/real"]) < 0.8 * float(rows[0]["d/real"])
    assert max(float(row["began/k"]) for row in rows) > 0.05
    late = [float(row["loss/g"] / row["d/real"]) for row in rows[-30:]]
    assert sum(late) / len(late) == pytest.approx(0.5, abs=0.2)  # gamma


@pytest.mark.parametrize("generator", [SMALL["generator"], MLPGeneratorConfig()])
def test_mixed_precision(generator: Any) -> None:
    precision = Precision("bf16")
    torch.manual_seed(0)
    config = BEGANConfig(**{**SMALL, "generator": generator})
    method = BEGAN(config, channels=2, size=SIDE, precision=precision)
    with precision.autocast():
        scalars = method.train_step(images(), 0)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in scalars.values())
    assert method.k.dtype == torch.float32


def test_what_is_completed_and_what_is_refused() -> None:
    config = BEGANConfig()
    assert config.completed(64, 1).inference == InferencePolicy()
    assert (config.batches_per_step, config.remarks(OptimConfig())) == (1, [])
    with pytest.raises(UserError, match=r"images of 36 pixels .* choose an --image-size of 32 or 40"):
        config.completed(36, 16)
    with pytest.raises(UserError, match="norm=batch needs two images or more at a time"):
        BEGANConfig(generator=MLPGeneratorConfig()).completed(64, 1)
    spec = small_began().specs
    assert (spec["D"]["kind"], spec["D"]["measures"]) == ("autoencoder", {"channels": 2, "size": SIDE, "hidden": 6})
