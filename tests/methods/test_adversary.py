"""What goes with an adversarial loss: penalties, norms, clipping, and what is said of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field, ValidationError
from rich.console import Console
from torch import Tensor, nn

from i2i.config import Config, parse_setting, resolve
from i2i.engine.fit import Outcome
from i2i.errors import UserError
from i2i.losses import PENALTIES, l1, penalty
from i2i.methods import CycleGAN, CycleGANConfig, Pix2Pix, Pix2PixConfig
from i2i.methods.adversary import AdversarialConfig, Penalties, clip_weights
from i2i.nn import (
    DCGANCriticConfig,
    Imported,
    MLPCriticConfig,
    PatchGANConfig,
    PixelGANConfig,
    ResNetConfig,
    UNetConfig,
)
from i2i.optim import OptimConfig

PAPER = OptimConfig(name="rmsprop", lr=5e-5)


def options(discriminator: Any = None, loss: str = "nonsaturating", **values: Any) -> AdversarialConfig:
    return AdversarialConfig(discriminator=discriminator or PatchGANConfig(), gan_loss=loss, **values)


class WithSteps(AdversarialConfig):
    d_steps: int = 5


class Run(Config):
    method: Annotated[Pix2PixConfig | CycleGANConfig, Field(discriminator="name")] = Pix2PixConfig()


def typed(*settings: str) -> AdversarialConfig:
    return resolve(Run, [parse_setting(f"method.{setting}") for setting in settings]).method


def batch(count: int = 2, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {side: torch.rand(count, 3, 16, 16, generator=generator) * 2 - 1 for side in "ab"}


def small_pix2pix(optim: OptimConfig | None = None, **values: Any) -> Pix2Pix:
    torch.manual_seed(0)
    generator, discriminator = UNetConfig(depth=4, ngf=4, dropout=0.0), PatchGANConfig(layers=1, ndf=4)
    return Pix2Pix(Pix2PixConfig(generator=generator, discriminator=discriminator, **values), optim=optim)


def small_cyclegan(**values: Any) -> CycleGAN:
    torch.manual_seed(0)
    discriminator = PatchGANConfig(layers=1, ndf=4, norm="instance")
    return CycleGAN(CycleGANConfig(generator=ResNetConfig(blocks=1, ngf=4), discriminator=discriminator, **values))


# Which norm the discriminator gets.


@pytest.mark.parametrize("part", [PatchGANConfig, PixelGANConfig, DCGANCriticConfig])
def test_the_norm_that_was_not_chosen(part: Callable[..., Any]) -> None:
    for values, wanted in (
        ({}, "batch"),
        ({"loss": "r3gan"}, "instance"),
        ({"loss": "lsgan", "penalties": "r1"}, "instance"),
        ({"loss": "r3gan", "penalties": []}, "batch"),
    ):
        config = options(part(), **values).with_norm()
        assert config.discriminator == part(norm=wanted)
        assert config.with_norm() == config
        spectral = options(part(spectral_norm=True), **values).with_norm()
        assert spectral.discriminator == part(norm="none", spectral_norm=True)  # as in Miyato et al. 2018


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_a_chosen_norm_stays(norm: Any) -> None:
    for loss in ("lsgan", "r3gan"):
        for spectral in (False, True):
            config = options(PatchGANConfig(norm=norm, spectral_norm=spectral), loss)
            assert config.with_norm() is config
            assert config.remarks(OptimConfig()) == []
    spectral_batch = options(PatchGANConfig(norm="batch", spectral_norm=True))
    assert spectral_batch.with_norm() is spectral_batch


@pytest.mark.parametrize("part", [Imported(name="mine:Critic"), MLPCriticConfig(), MLPCriticConfig(spectral_norm=True)])
def test_discriminators_without_a_choice_of_norm_stay_as_they_are(part: Config) -> None:
    config = options(part, "r3gan")
    assert config.with_norm() is config
    assert config.remarks(OptimConfig()) == []


def test_batch_norm_that_was_chosen_is_refused_with_a_penalty() -> None:
    for loss, penalties, named in (("wgan-gp", None, "wgan-gp"), ("lsgan", ("r2", "r1"), "r2")):
        config = options(PatchGANConfig(norm="batch"), loss, penalties=penalties)
        with pytest.raises(UserError, match=f"norm=batch ties .* the penalty {named} takes .* set it to instance$"):
            config.with_norm()
    with pytest.raises(UserError, match="norm=batch"):
        Pix2PixConfig(discriminator=PatchGANConfig(norm="batch"), gan_loss="r3gan").completed(64, 1)


def test_the_norm_none_outlives_being_saved() -> None:
    config = Pix2PixConfig(discriminator=PatchGANConfig(spectral_norm=True)).completed(64, 1)
    saved = json.loads(config.model_dump_json())
    assert saved["discriminator"]["norm"] == "none"
    assert Pix2PixConfig.model_validate(saved) == config


# What is said.


def test_what_is_said_of_norms_that_gave_way() -> None:
    (line,) = options(loss="r3gan").remarks(OptimConfig())
    assert line.startswith("the discriminator's norm is instance instead of batch, for the penalty r1 takes")
    (line,) = options(loss="lsgan", penalties="dragan").remarks(OptimConfig())
    assert "the penalty dragan takes" in line
    (line,) = options(PatchGANConfig(spectral_norm=True), "r3gan").remarks(OptimConfig())
    assert line.startswith("the discriminator's norm is none instead of batch, which would undo")
    assert options().remarks(OptimConfig()) == []
    assert options(loss="r3gan").with_norm().remarks(OptimConfig()) == []  # of a run that goes on


def test_what_is_said_of_optimizers_that_a_loss_was_not_made_for() -> None:
    (line,) = options(loss="wgan").remarks(OptimConfig())
    assert line == (
        "wgan was published with rmsprop, lr 5e-05, 5 critic steps; "
        "this run has adam, lr 0.0002, betas 0.5 and 0.999, 1 critic step"
    )
    (line,) = options(loss="wgan").remarks(PAPER)
    assert line.endswith("this run has rmsprop, lr 5e-05, 1 critic step")
    wgan = WithSteps(discriminator=PatchGANConfig(), gan_loss="wgan")
    assert wgan.remarks(PAPER) == []
    assert wgan.remarks(PAPER.model_copy(update={"betas": (0.1, 0.2)})) == []  # RMSprop has none
    (line,) = wgan.remarks(PAPER.model_copy(update={"lr_d": 1e-3}))
    assert line.endswith("this run has rmsprop, lr 5e-05, 5 critic steps, lr_d 0.001")
    gp = WithSteps(discriminator=PatchGANConfig(norm="instance"), gan_loss="wgan-gp")
    assert gp.remarks(OptimConfig(lr=1e-4, betas=(0, 0.9), lr_d=1e-4)) == []
    (line,) = gp.remarks(OptimConfig(lr=1e-4))
    assert line == (
        "wgan-gp was published with adam, lr 0.0001, betas 0 and 0.9, 5 critic steps; "
        "this run has adam, lr 0.0001, betas 0.5 and 0.999, 5 critic steps"
    )
    assert len(options(loss="wgan-gp").remarks(OptimConfig())) == 2  # of the norm, too


# Which penalties, and clipping.


def test_penalties_as_they_are_typed() -> None:
    assert typed("penalties=r1").chosen_penalties == ("r1",)
    assert typed("name=cyclegan", "penalties=[r1, gp]").chosen_penalties == ("r1", "gp")
    assert typed("gan_loss=r3gan").chosen_penalties == ("r1", "r2")
    assert typed("gan_loss=r3gan", "penalties=null").chosen_penalties == ("r1", "r2")
    assert typed("gan_loss=r3gan", "penalties=[]").chosen_penalties == ()
    assert typed("gan_loss=wgan-gp", "penalties=r1").chosen_penalties == ("r1",)
    assert typed().chosen_penalties == ()
    for settings, line in (
        (("penalties=r3gan",), r"option 'method\.penalties': there is no penalty 'r3gan'; did you mean 'dragan'\?$"),
        (("penalties=[r1, dragon]",), r"option 'method\.penalties': there is no .*'dragon'; did you mean 'dragan'\?$"),
        (("gan_loss=wgangp",), r"option 'method\.gan_loss': there is no GAN loss 'wgangp'; did you mean 'wgan-gp'\?$"),
        (("gan_loss=began",), "'began' is a method of its own"),
        (("lambda_penalty=-1",), r"option 'method\.lambda_penalty' must be greater than or equal to 0"),
    ):
        with pytest.raises(UserError, match=line):
            typed(*settings)


def test_clipping_and_a_penalty_do_not_go_together() -> None:
    with pytest.raises(UserError) as caught:
        typed("gan_loss=wgan", "penalties=r1")
    assert str(caught.value) == (
        "--set method.penalties=r1: option 'method': wgan clips the critic's weights, which the penalty r1 is to "
        "replace; type --gan-loss wgan-gp, or leave the penalty out"
    )
    with pytest.raises(ValidationError, match=r"weight_clip and the penalty r1 both bound .* leave out weight_clip"):
        options(loss="r3gan", weight_clip=0.1)
    assert options(loss="r3gan", weight_clip=0.1, penalties=[]).clip == 0.1
    assert [options(loss=loss).clip for loss in ("wgan", "wgan-gp", "lsgan")] == [0.01, None, None]
    assert options(loss="wgan", weight_clip=0.5).clip == 0.5
    with pytest.raises(ValidationError, match="greater than 0"):
        options(weight_clip=0)


def quadratic(images: Tensor) -> Tensor:
    return images.flatten(1).square().sum(1) / 2  # whose gradient at x is x


def test_weights_are_the_papers_or_one_s_own() -> None:
    real, fake = torch.full((2, 1, 1, 2), 3.0), torch.full((2, 1, 1, 2), 2.0)
    for penalties, lambda_penalty, wanted in (
        (("r1",), None, 5 * 18),
        (("r1",), 0.5, 0.5 * 18),
        (("r2", "r1"), 2.0, 2 * (18 + 8)),
        (("r1",), 0.0, 0),
        ((), None, 0),
    ):
        term = Penalties(options(loss="lsgan", penalties=penalties, lambda_penalty=lambda_penalty))
        assert bool(term) == bool(penalties)
        assert term(quadratic, real, fake).item() == pytest.approx(wanted)
    assert Penalties(options(loss="r3gan"))(quadratic, real, fake).item() == pytest.approx(5 * 18 + 5 * 8)
    norms = real.flatten(1)[:, :1] * 2**0.5  # at its own image: |grad| = 3 sqrt 2
    assert Penalties(options(loss="wgan-gp"))(quadratic, real, real).item() == pytest.approx(
        10 * float((norms - 1).square().mean()), rel=1e-5
    )
    for name, known in PENALTIES.items():
        assert Penalties(options(loss="lsgan", penalties=name)).terms == [(known.weight, known)]


def test_clipping_by_hand() -> None:
    one, other = nn.Linear(2, 2), nn.BatchNorm1d(2)
    with torch.no_grad():
        one.weight.copy_(torch.tensor([[0.5, -0.5], [0.01, -0.005]]))
        one.bias.copy_(torch.tensor([0.02, -0.02]))
    clip_weights(None, one, other)
    assert one.weight[0, 0].item() == 0.5
    clip_weights(0.01, one, other)
    torch.testing.assert_close(one.weight.detach(), torch.tensor([[0.01, -0.01], [0.01, -0.005]]), rtol=0, atol=0)
    torch.testing.assert_close(one.bias.detach(), torch.tensor([0.01, -0.01]), rtol=0, atol=0)
    assert other.weight.tolist() == pytest.approx([0.01, 0.01])
    assert dict(other.named_buffers())["running_var"].tolist() == [1, 1]  # only what is trained
    assert one.weight.requires_grad
    assert one.weight.grad_fn is None


@pytest.mark.parametrize("build", [small_pix2pix, small_cyclegan])
def test_steps_of_wgan_leave_clipped_weights(build: Callable[..., Pix2Pix | CycleGAN]) -> None:
    method = build(gan_loss="wgan")
    scalars = method.train_step(batch(), 0)
    assert "loss/d_penalty" not in scalars
    for name, network in method.networks.items():
        largest = max(float(p.detach().abs().max()) for p in network.parameters())
        assert largest == pytest.approx(0.01) if name.startswith("D") else largest > 0.02


# Penalties in the methods' steps.


class Watched(nn.Module):
    """A discriminator that keeps what it is shown where gradients of the images are asked for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[tuple[Tensor, ...]] = []

    def forward(self, *images: Tensor) -> Tensor:
        if images[0].requires_grad and images[0].is_leaf:
            self.seen.append(tuple(each.detach().clone() for each in images))
        logits: Tensor = self.network(*images)
        return logits


def test_pix2pix_s_penalty_sees_the_condition(recording: Callable[..., Any]) -> None:
    method, data = small_pix2pix(gan_loss="r3gan"), batch()
    fake = method.G(data["a"]).detach()
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.D = watched = Watched(method.D)
    method.train_step(data, 0)
    at_real, at_fake = watched.seen
    for seen, image in ((at_real, data["b"]), (at_fake, fake)):
        torch.testing.assert_close(seen[0], image)
        assert torch.equal(seen[1], data["a"])
    assert (to_d.touched, to_g.touched) == ({"D"}, {"G"})


def test_a_step_of_pix2pix_with_r1_written_out() -> None:
    plain = OptimConfig(name="sgd", lr=0.5)
    method, data = small_pix2pix(plain, gan_loss="lsgan", penalties="r1", lambda_penalty=3.0), batch()
    a, real, fake = data["a"], data["b"].clone().requires_grad_(), method.G(data["a"])
    logits = method.D(torch.cat([a, real], 1))
    torch.manual_seed(5)
    signs = torch.randint(2, logits.flatten(1).shape).mul(2) - 1  # as the penalty combines the patches
    combined = (signs * logits.flatten(1)).sum() / logits[0].numel() ** 0.5
    (slopes,) = torch.autograd.grad(combined, real, create_graph=True)
    r1 = 3 * slopes.flatten(1).square().sum(1).mean()
    on_fake = method.D(torch.cat([a, fake.detach()], 1))
    d_loss = 0.5 * ((logits - 1).square().mean() + on_fake.square().mean()) + r1
    parameters = list(method.D.parameters())
    gradients = torch.autograd.grad(d_loss, parameters)
    wanted = [old.detach() - 0.5 * gradient for old, gradient in zip(parameters, gradients, strict=True)]

    torch.manual_seed(5)
    scalars = method.train_step(data, 0)
    assert scalars["loss/d_penalty"].item() == pytest.approx(r1.item(), rel=1e-5)
    assert scalars["loss/d"].item() == pytest.approx(d_loss.item(), rel=1e-5)
    assert scalars["loss/g_l1"].item() == pytest.approx(100 * l1(fake, data["b"]).item(), rel=1e-5)
    torch.testing.assert_close([parameter.detach() for parameter in parameters], wanted)


def test_cyclegan_s_penalty_is_of_both_discriminators_on_the_pools_images(monkeypatch: pytest.MonkeyPatch) -> None:
    method, data = small_cyclegan(penalties=("r1", "r2"), lambda_penalty=2.0), batch()
    past = {"a": torch.rand(2, 3, 16, 16), "b": torch.rand(2, 3, 16, 16)}
    monkeypatch.setattr(method.pool_a, "query", lambda images: past["a"])
    monkeypatch.setattr(method.pool_b, "query", lambda images: past["b"])
    wanted = torch.zeros(())
    torch.manual_seed(6)
    for side, network in (("a", method.D_A), ("b", method.D_B)):
        for name in ("r1", "r2"):
            wanted = wanted + 2 * penalty(name)(network, data[side], past[side]).detach()
    method.D_A, method.D_B = watched_a, watched_b = Watched(method.D_A), Watched(method.D_B)
    torch.manual_seed(6)
    scalars = method.train_step(data, 0)
    for watched, side in ((watched_a, "a"), (watched_b, "b")):
        assert [len(each) for each in watched.seen] == [1, 1]
        assert torch.equal(watched.seen[0][0], data[side])
        assert torch.equal(watched.seen[1][0], past[side])
    assert scalars["loss/d_penalty"].item() == pytest.approx(wanted.item(), rel=1e-5)
    total = scalars["loss/d_a"] + scalars["loss/d_b"] + scalars["loss/d_penalty"]
    assert scalars["loss/d"].item() == pytest.approx(total.item(), rel=1e-6)


@pytest.mark.parametrize("name", list(PENALTIES))
@pytest.mark.parametrize("build", [small_pix2pix, small_cyclegan])
def test_every_penalty_reaches_the_discriminators_alone(
    build: Callable[..., Any], name: str, recording: Callable[..., Any]
) -> None:
    method = build(gan_loss="hinge", penalties=name)
    method.opt_d, method.opt_g = recording(method), recording(method)
    scalars = method.train_step(batch(), 0)
    assert all(value.isfinite() for value in scalars.values())
    assert scalars["loss/d_penalty"] > 0
    assert method.opt_d.touched == {name for name in method.networks if name.startswith("D")}
    assert method.opt_g.touched == {name for name in method.networks if name.startswith("G")}


# A whole run.


def rows_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_with_r3gan_trains_and_says_what_gave_way(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=300)
    outcome = tiny("run", "method.gan_loss=r3gan", console=console)
    assert (outcome.steps, outcome.exit_code) == (4, 0)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("note: ") == 1
    assert "note: the discriminator's norm is instance instead of batch, for the penalty r1 takes" in said
    penalties = [row["loss/d_penalty"] for row in rows_of(tmp_path / "run") if "loss/d_penalty" in row]
    assert len(penalties) == 4
    assert min(penalties) > 0
    assert "norm: instance" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_run_with_spectral_normalisation_has_no_norm(tiny: Callable[..., Outcome], tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=300)
    tiny("run", "method.discriminator.spectral_norm=true", "method.gan_loss=hinge", "train.steps=1", console=console)
    assert "note: the discriminator's norm is none instead of batch" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "norm: none" in (tmp_path / "run" / "config.yaml").read_text()
    assert "loss/d_penalty" not in set().union(*rows_of(tmp_path / "run"))
