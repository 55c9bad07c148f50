"""InfoGAN: the information that images lost, written out; who learns from it; where the codes stand."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from i2i.config import Config, parse_setting, resolve
from i2i.errors import UserError
from i2i.methods import GANConfig, InfoGAN, InfoGANConfig, Method, MethodConfig
from i2i.methods.noise import COLUMNS
from i2i.nn import Imported, MLPCriticConfig, MLPGeneratorConfig
from i2i.optim import OptimConfig, Precision

SIDE = 8
SMALL: dict[str, Any] = {
    "generator": MLPGeneratorConfig(hidden=(16,)),
    "discriminator": MLPCriticConfig(hidden=(12,)),
    "latent": 4,
}


def small_infogan(optim: OptimConfig | None = None, **values: Any) -> InfoGAN:
    torch.manual_seed(0)
    config = InfoGANConfig.model_validate({**SMALL, "categories": (3, 2), "continuous": 2, **values})
    return InfoGAN(config, channels=1, size=SIDE, optim=optim)


def images(count: int = 6) -> dict[str, Tensor]:
    return {"image": torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1}


def surprise_of(values: Tensor, codes: Tensor, weight: float = 1.0, weight_continuous: float = 0.1) -> float:
    """-E log Q(c|x) of categories of 3 and 2 and two continuous codes, in Python's floats, from the head's values."""
    total = 0.0
    for row, code in zip(values.tolist(), codes.tolist(), strict=True):
        for first, size in ((0, 3), (3, 2)):
            logits, chosen = row[first : first + size], code[4 + first : 4 + first + size].index(1)
            total += weight * (math.log(sum(map(math.exp, logits))) - logits[chosen])
        for index in (0, 1):
            mean, log_variance, value = row[5 + index], row[7 + index], code[9 + index]
            density = math.exp(-((value - mean) ** 2) / (2 * math.exp(log_variance)))
            total -= weight_continuous * math.log(density / math.sqrt(2 * math.pi * math.exp(log_variance)))
    return total / len(values)


@pytest.mark.parametrize("weights", [(1.0, 0.1), (0.3, 2.0)])
def test_lost_information_written_out(weights: tuple[float, float]) -> None:
    method = small_infogan(lambda_info=weights[0], lambda_continuous=weights[1])
    codes = method.noise(5)
    nn.init.normal_(method.Q.head.weight, 0, 0.1)
    features = torch.randn(5, 12)
    values = method.Q.head(method.Q.hidden(features)).detach().double()
    lost = method.lost_information(features, codes).detach()
    assert float(lost) == pytest.approx(surprise_of(values, codes, *weights), rel=1e-5)
    noise = torch.cat([torch.randn(5, 4), codes[:, 4:]], dim=1)  # of the noise nothing is to be found again
    assert torch.equal(method.lost_information(features, noise), lost)
    nn.init.constant_(method.Q.head.bias[7:], -200.0)  # variances that vanish
    assert method.lost_information(features, codes).isfinite()


def test_a_step_written_out() -> None:
    method = small_infogan(OptimConfig(name="sgd", lr=0.05, lr_d=0.02), d_steps=2)
    g, d, q = copy.deepcopy(method.G), copy.deepcopy(method.trunk), copy.deepcopy(method.Q)
    torch.manual_seed(3)
    scalars = method.train_step(images(8), 0)
    torch.manual_seed(3)

    def lost(features: Tensor, z: Tensor) -> Tensor:
        values: Tensor = q.head(q.hidden(features))
        total = torch.zeros(())
        for first, size in ((0, 3), (3, 2)):
            chances = values[:, first : first + size].softmax(1)
            total = total - (chances * z[:, 4 + first : 4 + first + size]).sum(1).log().mean()
        errors = (z[:, 9:] - values[:, 5:7]).square() / values[:, 7:9].exp()
        return total + 0.1 * (math.log(2 * math.pi) + values[:, 7:9] + errors).sum(1).mean() / 2

    def descend(loss: Tensor, lr: float, *networks: nn.Module) -> None:
        parameters = [parameter for network in networks for parameter in network.parameters()]
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(lr * gradient)

    for real in images(8)["image"].chunk(2):
        z = method.noise(4)
        fake = g(z).detach()
        d_loss = softplus(-d(real)).mean() + softplus(d(fake)).mean() + lost(d.features(fake), z)
        descend(d_loss, 0.02, d, q)
    z = method.noise(4)
    fake = g(z)
    g_info = lost(d.features(fake), z)
    g_loss = softplus(-d(fake)).mean() + g_info
    descend(g_loss, 0.05, g)
    wanted = {"loss/d": d_loss, "loss/g": g_loss, "loss/g_info": g_info}
    for name, value in wanted.items():
        torch.testing.assert_close(scalars[name], value.detach(), rtol=1e-5, atol=1e-6)
    for trained, by_hand in zip((method.G, method.D, method.Q), (g, d, q), strict=True):
        for one, other in zip(trained.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_who_learns_from_which_loss(recording: Callable[[Method], Any]) -> None:
    method = small_infogan()
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(images(), 0)
    assert (to_d.touched, to_g.touched) == ({"D", "Q"}, {"G"})
    assert all(parameter.requires_grad for network in (method.D, method.Q) for parameter in network.parameters())

    codes = method.noise(6)
    method.D.zero_grad()
    torch.autograd.backward(method.lost_information(method.trunk.features(method.G(codes)), codes))
    learns = {name: bool(p.grad is not None and p.grad.abs().sum() > 0) for name, p in method.D.named_parameters()}
    assert learns == {name: name.startswith("trunk.") for name in learns}  # what Q shares with D, and no more


def test_codes_stand_behind_the_noise() -> None:
    z = small_infogan(prior="uniform").noise(6000)
    assert z.shape == (6000, 4 + 3 + 2 + 2)
    assert z[:, :4].abs().max() <= 1
    for first, size in ((4, 3), (7, 2)):
        code = z[:, first : first + size]
        assert set(code.flatten().tolist()) == {0, 1}
        assert (code.sum(1) == 1).all()
        assert code.mean(0).tolist() == pytest.approx([1 / size] * size, abs=0.03)
    values = z[:, 9:]
    assert -1 <= values.min() < -0.99 < 0.99 < values.max() <= 1
    assert float(values.std()) == pytest.approx(3**-0.5, abs=0.02)
    normal = small_infogan().noise(6000)
    assert normal[:, :4].abs().max() > 3
    assert (normal[:, 4:9].std(0) - z[:, 4:9].std(0)).abs().max() < 0.02
    correlations = torch.corrcoef(torch.cat([z[:, :4], z[:, 4:6], z[:, 7:8], z[:, 9:]], dim=1).T) - torch.eye(9)
    correlations[4, 5] = correlations[5, 4] = 0  # two places of one category
    assert correlations.abs().max() < 0.06
    assert small_infogan(categories=(), continuous=1).noise(2).shape == (2, 5)


def test_a_row_of_the_grid_varies_one_code() -> None:
    method = small_infogan()
    seen: list[Tensor] = []

    class Listening(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            seen.append(z)
            return torch.zeros(len(z), 1, SIDE, SIDE)

    columns = method.pictures({}, {"G": Listening()})
    assert [len(made) for made in columns.values()] == [4 * 3] * COLUMNS  # three rows for each of four codes
    grid = torch.stack(seen)  # [columns, rows, values]
    places = [range(4, 7), range(7, 9), range(9, 10), range(10, 11)]
    for code, place in enumerate(places):
        others = [index for index in range(11) if index not in place]
        rows = grid[:, 3 * code : 3 * code + 3]
        assert (rows[:, :, others] == rows[:1, :, others]).all()
        assert (rows[:, :, list(place)] == rows[:, :1, list(place)]).all()
        assert len({tuple(row.tolist()) for row in rows[0][:, :4]}) == 3
        if code < 2:
            assert rows[:, 0, list(place)].argmax(1).tolist() == [column % len(place) for column in range(COLUMNS)]
            assert (rows[:, 0, list(place)].sum(1) == 1).all()
        else:
            torch.testing.assert_close(rows[:, 0, place[0]], torch.linspace(-2, 2, COLUMNS))
    starts = [grid[0, 3 * code : 3 * code + 3, :4] for code in range(4)]
    assert all(torch.equal(start, starts[0]) for start in starts)


def test_codes_become_readable() -> None:
    method = small_infogan(OptimConfig(lr=5e-3), categories=(2,), continuous=1, lambda_continuous=0.0)
    data = images(16)
    data["image"] = data["image"] * 0.2 + torch.tensor([-0.6, 0.6]).repeat(8)[:, None, None, None]
    first = float(method.train_step(data, 0)["loss/g_info"])
    for step in range(1, 120):
        scalars = method.train_step(data, step)
    assert first > 0.5
    assert float(scalars["loss/g_info"]) < 0.1


def test_d_shares_what_q_reads_of_and_q_is_of_no_use_alone() -> None:
    method = small_infogan(OptimConfig(lr=1e-3, lr_d=2e-4))
    assert method.Q.head.out_features == 3 + 2 + 2 * 2
    assert (list(method.networks), list(method.specs)) == (["G", "D", "Q"], ["G", "D"])
    assert method.specs["G"]["measures"]["latent"] == 4 + 3 + 2 + 2
    assert {name.split(".")[0] for name in method.opt_d.parameters} == {"D", "Q"}
    assert method.steppers == {"g": method.opt_g, "d": method.opt_d}
    assert (method.opt_g.lr, method.opt_d.lr) == (1e-3, 2e-4)


@pytest.mark.parametrize(
    "values",
    [
        {"gan_loss": "wgan-gp"},
        {"gan_loss": "rasgan", "augment": ["color"], "input_noise": {"std": 0.1}},
        {"labels": {"real": 0.9}, "d_steps": 2},
        {"gan_loss": "wgan"},
    ],
    ids=str,
)
def test_what_it_shares_with_the_other_cores(values: dict[str, Any]) -> None:
    method, precision = small_infogan(**values), Precision("bf16")
    with precision.autocast():
        scalars = method.train_step(images(8), 0)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in scalars.values())
    assert ("loss/d_penalty" in scalars) == (values.get("gan_loss") == "wgan-gp")
    if values.get("gan_loss") == "wgan":
        bound = max(float(parameter.detach().abs().max()) for parameter in method.D.parameters())
        assert bound == pytest.approx(0.01)


class Run(Config):
    method: MethodConfig = InfoGANConfig()


@pytest.mark.parametrize("setting", ["conditional=true", "pack=2", "unroll=1", "joint_batches=true"])
def test_tricks_that_codes_cannot_bear_are_refused(setting: str) -> None:
    key, _, _ = setting.partition("=")
    with pytest.raises(UserError, match=f"infogan knows no method.{key}; leave it out"):
        resolve(Run, [parse_setting(f"method.{setting}")])
    off = {"true": "false", "2": "1", "1": "0"}[setting.partition("=")[2]]
    resolve(Run, [parse_setting(f"method.{key}={off}")])  # saying that it is off is no mistake


def test_infogan_without_codes_or_without_features_is_refused() -> None:
    with pytest.raises(UserError, match="infogan needs codes"):
        resolve(Run, [parse_setting("method.categories=[]"), parse_setting("method.continuous=0")])
    Path("featureless.py").write_text(
        "from torch import nn\n\ndef make(channels, size, classes, outputs):\n    return nn.Linear(channels, outputs)\n"
    )
    with pytest.raises(
        UserError, match=r"featureless:make: infogan reads codes from the features of an i2i\.nn\.Critic"
    ):
        small_infogan(discriminator=Imported(name="featureless:make"))


def test_one_code_or_change_needs_no_brackets() -> None:
    class Run(Config):
        method: MethodConfig = GANConfig()

    augmented = resolve(Run, [parse_setting("method.augment=color")]).method
    assert isinstance(augmented, GANConfig)
    assert augmented.augment == ("color",)
    coded = resolve(Run, [parse_setting("method.name=infogan"), parse_setting("method.categories=12")]).method
    assert isinstance(coded, InfoGANConfig)
    assert coded.categories == (12,)
