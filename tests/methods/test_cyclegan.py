"""CycleGAN's step against the paper's losses written out, its pool, and what a step may and may not touch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from i2i.errors import UserError
from i2i.losses.perceptual import Perceptual, PerceptualConfig
from i2i.methods import CycleGAN, CycleGANConfig, Method
from i2i.methods.pool import ImagePool
from i2i.metrics import ssim
from i2i.nn import PatchGANConfig, ResNetConfig, forward_each, inference_mode
from i2i.optim import OptimConfig

SMALL = CycleGANConfig(
    generator=ResNetConfig(blocks=1, ngf=4), discriminator=PatchGANConfig(layers=1, ndf=4, norm="instance")
)


def batch(count: int = 1, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {side: torch.rand(count, 3, 16, 16, generator=generator) * 2 - 1 for side in "ab"}


def small_method(config: CycleGANConfig = SMALL, optim: OptimConfig | None = None) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(config, optim=optim)


def written_out(nets: dict[str, nn.Module], batches: list[dict[str, Tensor]]) -> list[dict[str, float]]:
    """Section 3 with least squares, cycle weight 10 and identity half of it; plain Adam, forwards one by one.

    The pool is left out: its first 50 queries come back as they are.
    """
    g_ab, g_ba, d_a, d_b = (nets[name] for name in ("G_AB", "G_BA", "D_A", "D_B"))
    opt_g = torch.optim.Adam([*g_ab.parameters(), *g_ba.parameters()], 2e-4, (0.5, 0.999))
    opt_d = torch.optim.Adam([*d_a.parameters(), *d_b.parameters()], 2e-4, (0.5, 0.999))

    def label(logits: Tensor, value: float) -> Tensor:
        return mse_loss(logits, torch.full_like(logits, value))

    rows = []
    for data in batches:
        a, b = data["a"], data["b"]
        fake_b, fake_a = g_ab(a), g_ba(b)
        terms = {
            "loss/g_gan_ab": label(d_b(fake_b), 1.0),
            "loss/g_gan_ba": label(d_a(fake_a), 1.0),
            "loss/cycle_a": 10 * l1_loss(g_ba(fake_b), a),
            "loss/cycle_b": 10 * l1_loss(g_ab(fake_a), b),
            "loss/identity_a": 5 * l1_loss(g_ba(a), a),
            "loss/identity_b": 5 * l1_loss(g_ab(b), b),
        }
        opt_g.zero_grad()
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        opt_g.step()
        terms["loss/d_a"] = 0.5 * (label(d_a(a), 1.0) + label(d_a(fake_a.detach()), 0.0))
        terms["loss/d_b"] = 0.5 * (label(d_b(b), 1.0) + label(d_b(fake_b.detach()), 0.0))
        opt_d.zero_grad()
        torch.autograd.backward(terms["loss/d_a"] + terms["loss/d_b"])
        opt_d.step()
        rows.append({name: float(value.detach()) for name, value in terms.items()})
    return rows


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_steps_equal_the_paper_written_out(norm: str) -> None:
    generator = ResNetConfig.model_validate({"blocks": 1, "ngf": 4, "norm": norm})
    method = small_method(SMALL.model_copy(update={"generator": generator}))
    batches = [batch(2, seed) for seed in range(4)]
    expected = written_out({name: copy.deepcopy(net) for name, net in method.networks.items()}, batches)
    for step, (data, row) in enumerate(zip(batches, expected, strict=True)):
        scalars = method.train_step(data, step)
        assert {name: float(scalars[name]) for name in row} == pytest.approx(row, abs=1e-4)
        assert float(scalars["loss/d"]) == pytest.approx(row["loss/d_a"] + row["loss/d_b"], abs=1e-5)


def test_each_loss_reaches_its_own_networks_alone(recording: Callable[[Method], Any]) -> None:
    method = small_method()
    method.opt_d = to_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(batch(), 0)
    assert to_g.touched == {"G_AB", "G_BA"}
    assert to_d.touched == {"D_A", "D_B"}


def test_weights_that_are_switched_off() -> None:
    method = small_method(SMALL.model_copy(update={"lambda_identity": 0.0, "lambda_b": 0.0}))
    scalars = method.train_step(batch(), 0)
    assert [float(scalars[f"loss/{name}"]) for name in ("identity_a", "identity_b", "cycle_b")] == [0, 0, 0]
    assert float(scalars["loss/cycle_a"]) > 0


def test_domains_of_other_channels_have_no_identity() -> None:
    with pytest.raises(UserError, match=r"set method\.lambda_identity=0"):
        CycleGAN(SMALL, channels_a=1, channels_b=3)
    method = CycleGAN(SMALL.model_copy(update={"lambda_identity": 0.0}), channels_a=1, channels_b=3)
    data = {"a": torch.zeros(1, 1, 16, 16), "b": torch.zeros(1, 3, 16, 16)}
    method.train_step(data, 0)
    with inference_mode(method.G_AB, method.policy), inference_mode(method.G_BA, method.policy):
        assert method.pictures(data, method.networks)["G_AB(A)"].shape == (1, 3, 16, 16)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_cycle_mixes_l1_and_ssim(share: float) -> None:
    config, data = SMALL.model_copy(update={"cycle_ssim": share}), batch(2)
    method = small_method(config)
    real_a, real_b = data["a"], data["b"]
    with torch.no_grad():
        back_a, back_b = method.G_BA(method.G_AB(real_a)), method.G_AB(method.G_BA(real_b))
    wanted = {
        "loss/cycle_a": 10 * ((1 - share) * l1_loss(back_a, real_a) + share * (1 - ssim(back_a, real_a).mean())),
        "loss/cycle_b": 10 * ((1 - share) * l1_loss(back_b, real_b) + share * (1 - ssim(back_b, real_b).mean())),
    }
    plain = small_method().train_step(data, 0)
    scalars = method.train_step(data, 0)
    for name, value in wanted.items():
        assert float(scalars[name]) == pytest.approx(float(value), abs=1e-3)
    others = [name for name in scalars if name.startswith("loss/g_") or "identity" in name]
    assert all(torch.equal(scalars[name], plain[name]) for name in others)
    parts = [*others, *wanted]
    assert float(scalars["loss/g"]) == pytest.approx(sum(float(scalars[name]) for name in parts), abs=1e-4)


def test_cycles_close_by_ssim_alone() -> None:
    weights = {"lambda_gan": 0.0, "lambda_identity": 0.0, "cycle_ssim": 1.0}
    config = SMALL.model_copy(update=weights | {"generator": ResNetConfig(blocks=1, ngf=16)})
    method, data = small_method(config, OptimConfig(lr=2e-3)), batch()
    losses = [float(method.train_step(data, step)["loss/cycle_a"]) for step in range(30)]
    assert losses[-1] < losses[0] / 1.5


@pytest.fixture
def seeing(tmp_path: Path) -> CycleGANConfig:
    """Options with a perceptual identity loss, whose network has random weights."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for index, (out, into) in {0: (64, 3), 2: (64, 64)}.items():
        state[f"features.{index}.weight"] = torch.randn(out, into, 3, 3, generator=generator) / (4 * into) ** 0.5
        state[f"features.{index}.bias"] = torch.zeros(out)
    torch.save(state, tmp_path / "vgg.pth")
    perceptual = PerceptualConfig(layers=("relu1_2",), weights=str(tmp_path / "vgg.pth"))
    return SMALL.model_copy(update={"identity": "perceptual", "perceptual": perceptual})


def test_the_perceptual_identity_compares_features(seeing: CycleGANConfig) -> None:
    data = batch(2)
    method, plain = small_method(seeing), small_method()
    assert list(method.networks) == list(plain.networks)
    distance = Perceptual(seeing.perceptual)
    with torch.no_grad():
        wanted = {
            "loss/identity_a": 5 * float(distance(method.G_BA(data["a"]), data["a"])),
            "loss/identity_b": 5 * float(distance(method.G_AB(data["b"]), data["b"])),
        }
    scalars, unseeing = method.train_step(data, 0), plain.train_step(data, 0)
    assert {name: float(scalars[name]) for name in wanted} == pytest.approx(wanted, rel=1e-4)
    others = ["loss/g_gan_ab", "loss/g_gan_ba", "loss/cycle_a", "loss/cycle_b"]
    assert all(torch.equal(scalars[name], unseeing[name]) for name in others)  # the initial weights are the same, too
    parts = [*others, *wanted]
    assert float(scalars["loss/g"]) == pytest.approx(sum(float(scalars[name]) for name in parts), rel=1e-5)


def test_the_perceptual_identity_reaches_the_generators_alone(
    seeing: CycleGANConfig, recording: Callable[[Method], Any]
) -> None:
    method = small_method(seeing.model_copy(update={"lambda_gan": 0.0, "lambda_b": 0.0}))
    method._cycle_distance = lambda back, real: back.new_zeros(())  # type: ignore[method-assign]  # it has its weight
    method.opt_d = recording(method)
    method.opt_g = to_g = recording(method)
    method.train_step(batch(), 0)
    assert to_g.touched == {"G_BA"}
    network = method.identity_distance
    assert isinstance(network, Perceptual)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())


def test_a_perceptual_identity_that_cannot_be_is_found_before_the_run(
    seeing: CycleGANConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert seeing.completed(image_size=16, batch_size=1).perceptual == seeing.perceptual
    without = seeing.model_copy(update={"perceptual": PerceptualConfig()})
    line = r"vgg16-397923af\.pth: is missing, .* --set method\.perceptual\.weights=FILE$"
    with pytest.raises(UserError, match=line):
        without.completed(image_size=16, batch_size=1)
    with pytest.raises(UserError, match=line):
        CycleGAN(without)
    deep = without.model_copy(update={"perceptual": PerceptualConfig(layers=("relu5_1",))})
    with pytest.raises(UserError, match=r"method\.perceptual\.layers: relu5_1 needs .* 16 pixels, not 8"):
        deep.completed(image_size=8, batch_size=1)
    with pytest.raises(UserError, match=r"1 or 3 channels, not 4: set method\.identity=l1"):
        CycleGAN(seeing, channels_a=4, channels_b=4)
    CycleGAN(seeing, channels_a=1, channels_b=1)
    unused = without.model_copy(update={"lambda_identity": 0.0})
    unused.completed(image_size=16, batch_size=1)
    CycleGAN(unused, channels_a=4, channels_b=3)


def test_cycles_close_when_nothing_else_is_asked() -> None:
    config = SMALL.model_copy(update={"lambda_gan": 0.0, "generator": ResNetConfig(blocks=1, ngf=16)})
    method, data = small_method(config, OptimConfig(lr=2e-3)), batch()
    first = float(method.train_step(data, 0)["loss/cycle_a"])
    for step in range(1, 80):
        last = float(method.train_step(data, step)["loss/cycle_a"])
    assert last < first / 3


def test_forwards_together_equal_forwards_apart() -> None:
    network = small_method().G_AB
    one, other = torch.rand(2, 3, 16, 16), torch.rand(1, 3, 16, 16)
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    for result, image in zip(forward_each(network, one, other), (one, other), strict=True):
        torch.testing.assert_close(result, network(image), atol=1e-6, rtol=1e-5)
    assert len(calls) == 1 + 2
    coupled = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    for result, image in zip(forward_each(coupled, one, other), (one, other), strict=True):
        torch.testing.assert_close(result, copy.deepcopy(coupled)(image))


def numbered(first: int, count: int) -> Tensor:
    return torch.arange(first, first + count, dtype=torch.float32).reshape(-1, 1, 1, 1)


def test_the_pool_hands_out_its_first_images_and_then_swaps_half() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    for start in range(0, 50, 5):
        images = numbered(start, 5)
        assert torch.equal(pool.query(images), images)
    swapped, handed_out = 0, []
    for number in range(50, 1050):
        out = int(pool.query(numbered(number, 1)).item())
        swapped += out != number
        handed_out.append(out)
    assert 430 < swapped < 570
    assert len(set(handed_out)) == len(handed_out)  # what was handed out from the pool is no longer in it
    assert torch.equal(ImagePool(0).query(numbered(3, 2)), numbered(3, 2))


def test_a_pool_goes_on_from_its_state() -> None:
    for filled in (0, 20, 80):
        pool, other = ImagePool(50), ImagePool(50)
        torch.manual_seed(1)
        for number in range(filled):
            pool.query(numbered(number, 1))
        other.load_state({name: value.clone() for name, value in pool.state().items()}, torch.device("cpu"))
        for both in (pool, other):
            torch.manual_seed(2)
            rows = [both.query(numbered(number, 1)).item() for number in range(100, 160)]
            if both is pool:
                expected = rows
        assert rows == expected
